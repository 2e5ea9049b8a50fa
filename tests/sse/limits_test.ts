import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import {
  EventTooLargeError,
  type SseDiagnostic,
  SseParser,
  type SseParserOptions,
} from "../../src/sse/mod.ts";
import { cutAt, parseBytes, parseText } from "./harness.ts";

/** Everything a text can be cut into with one cut, and its single characters. */
function* allCuts(text: string): Generator<string[]> {
  yield [text];
  yield [...text];
  for (let i = 0; i <= text.length; i++) yield cutAt(text, [i]);
}

function parserOf(
  options: Partial<SseParserOptions>,
): { parser: SseParser; events: string[]; diagnostics: SseDiagnostic[] } {
  const events: string[] = [];
  const diagnostics: SseDiagnostic[] = [];
  const parser = new SseParser({
    onEvent: (event) => events.push(event.data),
    onDiagnostic: (diagnostic) => diagnostics.push(diagnostic),
    ...options,
  });
  return { parser, events, diagnostics };
}

Deno.test("SseParser takes an event of exactly maxEventSize, and not one more", () => {
  // Each is 20 units at its largest line: what there is before, and the line.
  const streams = [
    `data: ${"x".repeat(14)}\n\n`,
    `data:${"x".repeat(15)}\r\n\r\n`,
    `data: abc\ndata: 12345678901\n\n`, // 3 + 17
    `event: abcd\ndata: 0123456789\n\n`, // 4 + 16
    `id: abcd\nevent: 123456789\n\n`, // 4 + 16
    `id: 12\nevent: abcd\ndata: 12345678\n\n`, // 2 + 4 + 14
    `data\ndata\ndata\ndata: 123456789012\n\n`, // 2 LFs + 18
    `:${"x".repeat(19)}\n\n`,
    `${"x".repeat(20)}\n\n`,
    `data: abc\n:${"x".repeat(16)}\n\n`, // 3 + 17
    `event: long long\nevent: e\ndata: ${"x".repeat(13)}\n\n`, // 1 + 19
  ];
  for (const text of streams) {
    for (const chunks of allCuts(text)) {
      const exact = parserOf({ maxEventSize: 20 });
      for (const chunk of chunks) exact.parser.push(chunk);
      // Also where the chunk holds more than the limit, but the event does not.
      const more = parserOf({ maxEventSize: 20 });
      for (const chunk of chunks.slice(0, -1)) more.parser.push(chunk);
      more.parser.push(`${chunks.at(-1)}${"data: 0123456789\n\n".repeat(3)}`);
      assertEquals(more.events.length, exact.events.length + 3);
      const over = parserOf({ maxEventSize: 19 });
      assertThrows(
        () => {
          for (const chunk of chunks) over.parser.push(chunk);
        },
        EventTooLargeError,
        undefined,
        JSON.stringify(chunks),
      );
    }
  }
});

Deno.test("SseParser does not count one event's size in the next", () => {
  const text = "id: 1\nevent: e\ndata: abcd\n\n".repeat(50);
  for (const chunks of allCuts(text)) {
    const { parser, events } = parserOf({ maxEventSize: 12 });
    for (const chunk of chunks) parser.push(chunk);
    assertEquals(events.length, 50);
  }
});

Deno.test("SseParser throws where the limit is passed, and stays stopped until end()", () => {
  const text =
    "id: 1\ndata: a\n\r\nid: 2\r\n: c\rdata: 0123456789\ndata: b\n\n";
  for (const chunks of allCuts(text)) {
    const { parser, events } = parserOf({ maxEventSize: 12 });
    const error = assertThrows(() => {
      for (const chunk of chunks) parser.push(chunk);
    }, EventTooLargeError);
    assertEquals(error.code, "event_too_large");
    assertEquals(error.name, "EventTooLargeError");
    assertEquals([error.line, error.offset], [6, 27]);
    assertEquals(error.maxEventSize, 12);
    assertEquals(
      error.message,
      `Expected an event of at most 12 UTF-16 code units, but line 6 at offset 27 exceeds that: raise 'maxEventSize', or set 'onTooLarge' to "skip"`,
    );
    assertStrictEquals(assertThrows(() => parser.push("\n")), error);
    assertEquals(events, ["a"]);
    assertEquals(parser.lastEventId, "1");
    parser.end();
    parser.push("data: c\n\n");
    assertEquals(events, ["a", "c"]);
    // Lines and offsets are those of the new stream.
    assertEquals(
      assertThrows(() => parser.push("data: 0123456789"), EventTooLargeError)
        .offset,
      9,
    );
  }
});

Deno.test("SseParser skips an event that is too large, and leaves no trace of it", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = [
      "id: 1",
      "data: a",
      "",
      "event: x",
      "id: 2",
      "data: 0123456789",
      "retry: 5",
      ": comment",
      "id: 3",
      "data: b",
      "",
      "data: c",
      "",
    ].map((line) => line + end).join("");
    const offset = text.indexOf("data: 0");
    for (const chunks of allCuts(text)) {
      const outcome = parseText(chunks, {
        maxEventSize: 12,
        onTooLarge: "skip",
      });
      assertEquals(outcome.events, [
        { event: "message", data: "a", id: "1" },
        { event: "message", data: "c", id: "1" },
      ]);
      assertEquals(outcome.diagnostics, [
        { type: "too-large", line: 6, offset, maxEventSize: 12 },
      ]);
      assertEquals(outcome.comments, []);
      assertEquals(outcome.reconnectionTime, undefined);
    }
  }
});

Deno.test("SseParser counts lines and offsets alike, however the stream is cut", () => {
  const text =
    "data: a\r\n\r\nData: b\rretry: x\n\n\nfoo\ndata: é😀\n\n: c\n\r\nbar : 1\r";
  const expected: SseDiagnostic[] = [
    {
      type: "unknown-field",
      line: 3,
      offset: 11,
      field: "Data",
      value: "b",
    },
    { type: "invalid-retry", line: 4, offset: 19, value: "x" },
    { type: "unknown-field", line: 7, offset: 30, field: "foo", value: "" },
    {
      type: "unknown-field",
      line: 12,
      offset: 51,
      field: "bar ",
      value: "1",
    },
  ];
  assertEquals(text.indexOf("bar"), 51);
  for (const chunks of allCuts(text)) {
    assertEquals(parseText(chunks).diagnostics, expected);
  }
});

Deno.test("SseParser counts lines and offsets in text that it parses in pieces", () => {
  const text = `${"data: 0123456789\n\n".repeat(20_000)}oops\n`;
  assertEquals(parseText([text]).diagnostics, [
    {
      type: "unknown-field",
      line: 40_001,
      offset: 360_000,
      field: "oops",
      value: "",
    },
  ]);
});

Deno.test("SseParser tells how much it holds of an event that is not whole", () => {
  const streams: [text: string, size: number][] = [
    ["", 0],
    ["data: abc", 9],
    ["data: abc\n", 3],
    ["data: a\ndata: b\n", 3],
    ["data\ndata\ndata", 1 + 4],
    ["event: abcd\nid: 12\ndata: a\n: c", 4 + 2 + 1 + 3],
    ["event: abcd\nevent: e\n", 1],
    [": a comment\nretry: 5\nnonsense\n", 0],
    ["data: a\n\n", 0],
    ["data: a\r\r\nid: 1\r", 1],
    ["event: abcd\n\n: c", 3],
    [`data: 0123456789\n\ndata: ${"x".repeat(20)}`, 0], // it is skipped
  ];
  for (const [text, size] of streams) {
    for (const chunks of allCuts(text)) {
      const { parser } = parserOf({ maxEventSize: 20, onTooLarge: "skip" });
      for (const chunk of chunks) parser.push(chunk);
      assertEquals(parser.pendingSize, size, JSON.stringify(chunks));
      parser.end();
      assertEquals(parser.pendingSize, 0);
    }
  }
});

Deno.test("SseParser does not keep a line without an end beyond maxEventSize", () => {
  for (
    const start of ["data: ", ":", "id: ", "event: ", "nonsense", "retry:"]
  ) {
    const { parser } = parserOf({ maxEventSize: 1_000 });
    parser.push(start);
    let pushed = start.length;
    const error = assertThrows(() => {
      for (; pushed < 10_000; pushed++) parser.push("1");
    }, EventTooLargeError);
    assertEquals(pushed, 1_000);
    assertEquals(error.offset, 0);
  }
});

Deno.test("readEvents() gives the events before one that is too large", async () => {
  const bytes = new TextEncoder().encode(
    "id: 1\ndata: a\n\ndata: 0123456789\n\ndata: b\n\n",
  );
  const outcome = await parseBytes([bytes], { maxEventSize: 12 });
  assertEquals(outcome.events.map((event) => event.data), ["a"]);
  assertEquals(outcome.tooLarge, { line: 4, offset: 15 });
  assertEquals(outcome.lastEventId, "1");
});

Deno.test("SseParser has a limit of 64 Mi code units", () => {
  const { parser, events } = parserOf({});
  const mebi = "x".repeat(2 ** 20);
  parser.push("data: ");
  for (let i = 0; i < 63; i++) parser.push(mebi);
  parser.push(mebi.slice(6));
  parser.push("\n\n");
  assertEquals(events.map((data) => data.length), [64 * 2 ** 20 - 6]);
  parser.push("data: ");
  for (let i = 0; i < 63; i++) parser.push(mebi);
  assertThrows(() => parser.push(mebi.slice(5)), EventTooLargeError);
});
