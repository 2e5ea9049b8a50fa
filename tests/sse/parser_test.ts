import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  type ServerSentEvent,
  SseParser,
  type SseParserOptions,
} from "../../src/sse/mod.ts";
import { type Case, parseCases } from "./cases.ts";
import { contractCases, wptCases } from "./cases_suites.ts";
import {
  cutAt,
  parseBytes,
  parseStreams,
  parseText,
  randomFrom,
  randomPlaces,
  seed,
} from "./harness.ts";
import type { Outcome } from "./reference_parser.ts";

console.log(`parser_test.ts: RIVULET_SEED=${seed}`);

function inputBytes({ input }: Case): Uint8Array {
  return typeof input === "string" ? new TextEncoder().encode(input) : input;
}

function streamDecoded(chunks: Uint8Array[]): string {
  const decoder = new TextDecoder();
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join(
    "",
  );
}

function check(outcome: Outcome, item: Case, how: string): void {
  assertEquals(
    {
      events: outcome.events,
      comments: outcome.comments,
      lastEventId: outcome.lastEventId,
      reconnectionTime: outcome.reconnectionTime,
    },
    {
      events: item.events.map((event): ServerSentEvent => {
        const [data, type = "message", id = ""] = typeof event === "string"
          ? [event]
          : event;
        return { event: type, data, id };
      }),
      comments: item.comments ?? outcome.comments,
      lastEventId: item.lastEventId ?? "",
      reconnectionTime: item.reconnectionTime,
    },
    how,
  );
}

/** All the ways to cut that a table case is run with. */
function* cuts(length: number): Generator<[how: string, places: number[]]> {
  yield ["whole", []];
  yield ["one by one", Array.from({ length }, (_, i) => i)];
  yield [
    "two by two",
    Array.from({ length: length >> 1 }, (_, i) => 2 * i),
  ];
  for (let i = 0; i <= length; i++) yield [`cut at ${i}`, [i]];
  const random = randomFrom(seed);
  for (let i = 0; i < 20; i++) {
    const places = randomPlaces(length, 1 + Math.floor(random() * 8), random);
    yield [`RIVULET_SEED=${seed}, cut at ${places}`, places];
  }
}

for (const item of [...parseCases, ...wptCases, ...contractCases]) {
  const bytes = inputBytes(item);

  Deno.test(`SseParser ${item.name}`, () => {
    const text = new TextDecoder().decode(bytes);
    for (const [how, places] of cuts(text.length)) {
      check(parseText(cutAt(text, places)), item, how);
    }
  });

  Deno.test(`readEvents() ${item.name}`, async () => {
    for (const [how, places] of cuts(bytes.length)) {
      check(await parseBytes(cutAt(bytes, places)), item, how);
    }
  });

  Deno.test(`SseParserStream ${item.name}`, async () => {
    check(await parseStreams([bytes]), item, "whole");
    const single = cutAt(bytes, Array.from(bytes, (_, i) => i));
    // Deno 2.9.6 strips a BOM at the start of any chunk, as long as all before it
    // was ASCII: nothing that a parser of text can know of.
    if (streamDecoded(single) !== new TextDecoder().decode(bytes)) return;
    check(await parseStreams(single), item, "byte by byte");
  });
}

/** A parser, with what it has given in order. */
function logged(
  options: Partial<SseParserOptions> = {},
): { parser: SseParser; log: unknown[] } {
  const log: unknown[] = [];
  const parser = new SseParser({
    onEvent: (event) => log.push(event.data),
    onComment: (comment) => log.push(`:${comment}`),
    onRetry: (time) => log.push(time),
    ...options,
  });
  return { parser, log };
}

Deno.test("SseParser dispatches on a final CR", () => {
  for (const end of ["\r\r", "\n\r", "\r\n\r"]) {
    const { parser, log } = logged();
    parser.push(`data: a${end}`);
    assertEquals(log, ["a"]);
  }
});

Deno.test("SseParser swallows one LF after a final CR, also after an empty chunk", () => {
  const { parser, log } = logged();
  for (const chunk of ["data: a\r", "", "\n", "", "data: b\r", "\n", "\r"]) {
    parser.push(chunk);
  }
  assertEquals(log, ["a\nb"]);
  for (const chunk of ["", "\n", "data: c\n", "\n"]) parser.push(chunk);
  assertEquals(log, ["a\nb", "c"]);
});

Deno.test("SseParser swallows no more than one LF after a final CR", () => {
  const { parser, log } = logged();
  parser.push("data: a\r");
  parser.push("\n\n");
  assertEquals(log, ["a"]);
  parser.push("data: b\r");
  parser.push("\n");
  parser.push("\n");
  assertEquals(log, ["a", "b"]);
});

Deno.test("SseParser reports comments and retry at their line", () => {
  const { parser, log } = logged();
  parser.push("data: a\n: one\nretry: 10\n");
  assertEquals(log, [":one", 10]);
  assertEquals(parser.reconnectionTime, 10);
  parser.push(":two\r");
  assertEquals(log, [":one", 10, ":two"]);
});

Deno.test("SseParser commits an id at the blank line", () => {
  const { parser } = logged();
  parser.push("id: 1\n");
  assertEquals(parser.lastEventId, "");
  parser.push("\n");
  assertEquals(parser.lastEventId, "1");
});

Deno.test("SseParser has committed the id when it calls back", () => {
  const seen: string[] = [];
  const parser: SseParser = new SseParser({
    onEvent: () => seen.push(parser.lastEventId),
  });
  parser.push("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
  assertEquals(seen, ["1", "2"]);
});

Deno.test("SseParser begins with the id that it is given", () => {
  const events: ServerSentEvent[] = [];
  const parser = new SseParser({
    onEvent: (event) => events.push(event),
    lastEventId: "9",
  });
  assertEquals(parser.lastEventId, "9");
  parser.push("data: a\n\n");
  assertEquals(events, [{ event: "message", data: "a", id: "9" }]);
});

Deno.test("SseParser.end() drops what is unfinished and keeps the rest", () => {
  const { parser, log } = logged();
  parser.push("id: 1\nretry: 5\n\nid: 2\nevent: e\ndata: a\ndata: b\nda");
  parser.end();
  parser.push("ta: c\n\ndata: d\n\n");
  assertEquals(log, [5, "d"]);
  assertEquals(parser.lastEventId, "1");
  assertEquals(parser.reconnectionTime, 5);
});

Deno.test("SseParser.end() reports an unknown field in a line that is not ended (G4)", () => {
  for (
    const [line, field, value] of [
      ['{"a": 1}', '{"a"', "1}"],
      ["}", "}", ""],
      ["error: no", "error", "no"],
      ["Data: a", "Data", "a"],
      ...["dat", "data", "event", "retr", "id: 1", ": c", ""].map((
        line,
      ) => [line]),
    ]
  ) {
    const seen: unknown[] = [];
    const parser = new SseParser({
      onEvent() {},
      onDiagnostic: (diagnostic) => seen.push(diagnostic),
    });
    parser.push(`: hello\n${line}`);
    parser.end();
    const expected = {
      type: "unknown-field",
      line: 2,
      offset: 8,
      field,
      value,
    };
    assertEquals(seen, field === undefined ? [] : [expected], line);
  }
});

Deno.test("SseParser.end() reports the event that it drops, and nothing else (G4)", () => {
  const cases: [string, Record<string, unknown> | undefined][] = [
    ["data: a", { line: 1, offset: 0, event: "message", data: "a" }],
    ["data: a\n", { line: 2, offset: 8, event: "message", data: "a" }],
    ["event: e\ndata:a\rdata: b", {
      line: 3,
      offset: 16,
      event: "e",
      data: "a\nb",
    }],
    ["data: a\nevent: e", { line: 2, offset: 8, event: "e", data: "a" }],
    ["data: a\nda", { line: 2, offset: 8, event: "message", data: "a" }],
    ["data: a\n\nid: 1\nretry: 5\nevent: e\n: c", undefined],
    ["data: a\n\n", undefined],
    ["", undefined],
  ];
  for (const [text, unfinished] of cases) {
    const seen: unknown[] = [];
    const parser = new SseParser({
      onEvent() {},
      onDiagnostic: (diagnostic) => seen.push(diagnostic),
    });
    for (const char of text) parser.push(char);
    parser.end();
    const expected = unfinished ? [{ type: "unfinished", ...unfinished }] : [];
    assertEquals(seen, expected, text);
    // The next stream begins anew, also where the callback throws.
    parser.push("data: x\n\n");
    parser.end();
    assertEquals(seen, expected, text);
  }
});

Deno.test("SseParser.end() forgets a final CR", () => {
  const lines: number[] = [];
  const { parser, log } = logged({
    onDiagnostic({ type, line }) {
      if (type === "unknown-field") lines.push(line);
    },
  });
  parser.push("data: a\r");
  parser.end();
  // The LF is a line of the new stream, and not the rest of the old one's CRLF.
  parser.push("\nfoo\ndata: b\n\n");
  assertEquals(lines, [2]);
  assertEquals(log, ["b"]);
});

Deno.test("SseParser leaves a BOM to the decoder", () => {
  const { parser, log } = logged();
  parser.push("\ufeffdata: a\n\ndata: b\n\n");
  assertEquals(log, ["b"]);
});

Deno.test("SseParser parses text over 64 Ki in pieces to the same events", () => {
  const ends = ["\n", "\r\n", "\r"];
  for (const [index, end] of ends.entries()) {
    const { parser, log } = logged();
    const expected = Array.from({ length: 3_000 }, (_, i) => {
      return i % 500 === 0 ? `${i}${"é".repeat(5_000)}` : `${i}你`;
    });
    const text = expected.map((data) => `data: ${data}${end}${end}`).join("");
    assert(text.length > 2 ** 16);
    parser.push(text);
    parser.push(text.slice(0, -1));
    const last = ends[index] === "\r\n" ? expected : expected.slice(0, -1);
    assertEquals(log, [...expected, ...last]);
  }
});

Deno.test("SseParser is stopped once a callback has thrown, until end()", () => {
  const error = new Error("from the callback");
  const { parser, log } = logged({
    onComment: () => {
      throw error;
    },
  });
  assertEquals(
    assertThrows(() => parser.push("data: a\n\ndata: b\n: c\n\n")),
    error,
  );
  assertEquals(assertThrows(() => parser.push("data: d\n\n")), error);
  assertEquals(log, ["a"]);
  parser.end();
  parser.push("data: e\n\n");
  assertEquals(log, ["a", "e"]);
});

Deno.test("SseParser.push() and end() throw within a callback", () => {
  const messages: string[] = [];
  const attempt = (call: () => void): void => {
    messages.push(assertThrows(call, Error).message);
  };
  const parser: SseParser = new SseParser({
    onEvent() {
      attempt(() => parser.push("data: b\n\n"));
      attempt(() => parser.end());
    },
  });
  parser.push("data: a\n\n");
  assertEquals(messages.map((message) => message.split(":")[0]), [
    "Cannot push to a parser from its own callback",
    "Cannot end a parser from its own callback",
  ]);
});

Deno.test("SseParser calls back without a receiver", () => {
  const receivers: unknown[] = [];
  const parser = new SseParser({
    onEvent(this: unknown) {
      receivers.push(this);
    },
  });
  parser.push("data: a\n\ndata\n\n");
  assertEquals(receivers, [undefined, undefined]);
});

Deno.test("SseParser refuses wrong options", () => {
  const onEvent = () => {};
  for (const maxEventSize of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(
      () => new SseParser({ onEvent, maxEventSize }),
      RangeError,
      `Cannot parse as 'maxEventSize' must be a positive integer: current value is ${maxEventSize}`,
    );
  }
  assertThrows(
    // As a caller without types might.
    () => new SseParser({ onEvent, onTooLarge: "drop" as "skip" }),
    TypeError,
    `Cannot parse as 'onTooLarge' must be "throw" or "skip": current value is drop`,
  );
  assertThrows(
    // As a caller without types might.
    () => new SseParser({} as SseParserOptions),
    TypeError,
    "Cannot parse as 'onEvent' must be a function: current value is undefined",
  );
});
