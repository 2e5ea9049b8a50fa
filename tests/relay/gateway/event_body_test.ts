import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { type Bytes, EventBody } from "../../../relay/gateway/event_body.ts";
import { EventTooLargeError } from "../../../src/sse/errors.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import { propertyParameters } from "../../support/property.ts";

const encoder = new TextEncoder();

/** A body that comes in pieces; `onEnd` is what follows. */
function bodyOf(
  pieces: readonly Uint8Array[],
  onEnd: () => void = () => {},
  onCancel: () => void = () => {},
): Bytes {
  const left = pieces.filter(({ length }) => length > 0);
  return {
    // deno-lint-ignore require-await -- it rejects where `onEnd` throws
    async next() {
      const piece = left.shift();
      if (!piece) onEnd();
      return piece;
    },
    cancel: onCancel,
  };
}

interface Seen {
  readonly events: ServerSentEvent[];
  readonly pieces: Uint8Array[];
  readonly calls: string[];
  readonly error: unknown;
}

async function readAll(
  body: Bytes,
  maxEventSize = 1_000,
): Promise<Seen> {
  const pieces: Uint8Array[] = [];
  const events: ServerSentEvent[] = [];
  const calls: string[] = [];
  let error: unknown;
  using reader = new EventBody(body, {
    maxEventSize,
    onWait: () => calls.push("wait"),
    onBytes: (bytes) => {
      calls.push("bytes");
      pieces.push(bytes);
    },
    onPending: () => {},
  });
  try {
    for (let batch; (batch = await reader.nextBatch());) {
      assert(batch.length > 0);
      calls.push("events");
      events.push(...batch);
    }
  } catch (thrown) {
    error = thrown;
  }
  return { events, pieces, calls, error };
}

function joined(pieces: readonly Uint8Array[]): number[] {
  return pieces.flatMap((piece) => [...piece]);
}

Deno.test("EventBody returns the events that readEvents does, and every byte", async () => {
  const line = fc.oneof(
    fc.constantFrom(
      "data: a",
      "data: \u00e9\u{1f600}",
      "id: 7",
      "event: x",
      ": comment",
      "",
      "\ufeffdata: b",
    ),
    fc.string({ unit: "grapheme" }),
  );
  const text = fc.array(fc.tuple(line, fc.constantFrom("\n", "\r", "\r\n")))
    .map((lines) => encoder.encode(lines.flat().join("")));
  const bytes = fc.oneof(text, fc.uint8Array({ maxLength: 60 }));
  await fc.assert(
    fc.asyncProperty(
      bytes,
      fc.array(fc.nat({ max: 1_000 }), { maxLength: 12 }),
      async (bytes, cuts) => {
        const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1))]
          .concat(bytes.length)
          .sort((a, b) => a - b);
        const pieces = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
        const expected = await Array.fromAsync(
          readEvents(ReadableStream.from([bytes])),
        );
        const seen = await readAll(bodyOf(pieces));
        assertEquals(seen.error, undefined);
        assertEquals(seen.events, expected);
        // Kept until now: nothing was read over what was told before.
        assertEquals(joined(seen.pieces), [...bytes]);
      },
    ),
    propertyParameters(300),
  );
});

Deno.test("EventBody puts characters together that come byte by byte", async () => {
  const bytes = encoder.encode("\ufeffdata: \u00e9\u{1f600}\ufeff\r\n\r\n");
  const pieces = [...bytes].map((byte) => Uint8Array.of(byte));
  const { events } = await readAll(bodyOf(pieces));
  assertEquals(events.map(({ data }) => data), ["\u00e9\u{1f600}\ufeff"]);
});

Deno.test("EventBody strips one byte order mark in front, and no other", async () => {
  const table: readonly [pieces: readonly string[], data: readonly string[]][] =
    [
      [["\ufeffdata: a\n\n"], ["a"]],
      [["\ufeff", "data: a\n\n"], ["a"]],
      [["\ufeff\ufeffdata: a\n\n"], []],
      [["\ufeff", "\ufeffdata: a\n\n"], []],
      [["\n", "\ufeffdata: a\n\n"], []],
      [["data: a\n\n", "\ufeffdata: b\n\n"], ["a"]],
    ];
  for (const [pieces, data] of table) {
    const { events } = await readAll(
      bodyOf(pieces.map((piece) => encoder.encode(piece))),
    );
    assertEquals(events.map(({ data }) => data), data, JSON.stringify(pieces));
  }
});

Deno.test("EventBody reads many events in one piece", async () => {
  const event = `data: ${"x".repeat(990)}\n\n`;
  const bytes = encoder.encode(event.repeat(100));
  const seen = await readAll(bodyOf([bytes]));
  assertEquals(seen.events.length, 100);
  assertEquals(joined(seen.pieces), [...bytes]);
});

Deno.test("EventBody tells of a wait before each piece, and of its bytes before its events", async () => {
  const seen = await readAll(bodyOf(
    [": a\n", "data: 1\n\n", "data: 2\n", "\ndata: 3\n\n"]
      .map((piece) => encoder.encode(piece)),
  ));
  assertEquals(
    seen.calls.join(" "),
    "wait bytes wait bytes events wait bytes wait bytes events wait",
  );
});

Deno.test("EventBody returns the events before one that is too long, and then rejects", async () => {
  const long = `data: a\n\ndata: ${"x".repeat(200)}\n\n`;
  const body = bodyOf([encoder.encode(long)]);
  const { events, pieces, error } = await readAll(body, 100);
  assertEquals(events.map(({ data }) => data), ["a"]);
  assertEquals(joined(pieces), [...encoder.encode(long)]);
  assertInstanceOf(error, EventTooLargeError);
});

Deno.test("EventBody rejects as the body does, after its events", async () => {
  const reason = new TypeError("reset");
  const { events, error } = await readAll(
    bodyOf([encoder.encode("data: a\n\n")], () => {
      throw reason;
    }),
  );
  assertEquals(events.map(({ data }) => data), ["a"]);
  assertEquals(error, reason);
});

Deno.test("EventBody returns an error that came in no event in its place, however the body is cut", async () => {
  const text = 'data: a\n\nerror: b\ndata: c\n\n{"error":"d"}\nerror: e';
  const bytes = encoder.encode(text);
  for (const size of [1, 7, bytes.length]) {
    const pieces = [];
    for (let at = 0; at < bytes.length; at += size) {
      pieces.push(bytes.subarray(at, at + size));
    }
    const { events, error } = await readAll(bodyOf(pieces));
    assertEquals(
      events.map(({ event, data }) => [event, data]),
      [
        ["message", "a"],
        ["error", "b"],
        ["message", "c"],
        ["message", '{"error": "d"}'],
        ["error", "e"],
      ],
    );
    assertEquals(error, undefined);
  }
});

Deno.test("EventBody counts the lines that it keeps for the end, and keeps few", async () => {
  const line = `{"a":"${"x".repeat(1_000)}"\n`;
  const left: number[] = [];
  using reader = new EventBody(
    bodyOf(Array.from({ length: 100 }, () => encoder.encode(line))),
    {
      maxEventSize: 10_000,
      onWait: () => {},
      onBytes: () => {},
      onPending: (_, size) => left.push(size),
    },
  );
  assertEquals(await reader.nextBatch(), undefined);
  assert(left[0]! >= 1_000 && left[1]! >= 2_000, String(left.slice(0, 2)));
  assert(left.at(-1)! > 60_000 && left.at(-1)! <= 64 * 1024, `${left.at(-1)}`);
});

Deno.test("EventBody cancels a body that is not read to its end", async () => {
  let isCancelled = false;
  const body = bodyOf(
    [encoder.encode("data: a\n\n"), encoder.encode("data: b\n\n")],
    undefined,
    () => isCancelled = true,
  );
  {
    using reader = new EventBody(body, {
      maxEventSize: 100,
      onWait: () => {},
      onBytes: () => {},
      onPending: () => {},
    });
    await reader.nextBatch();
    assert(!isCancelled);
  }
  assert(isCancelled);
});
