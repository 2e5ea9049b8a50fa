// The reader in the generator of the topics bench, on input cut anywhere.
import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { chunk, LAST_CHUNK } from "../../bench/net/http_request.ts";
import {
  COMPLETED,
  CREATED,
  StampedEvent,
} from "../../bench/topics/generator/events.ts";
import { FrameReader } from "../../bench/topics/generator/frame_reader.ts";
import { ResponseReader } from "../../bench/topics/generator/response_reader.ts";
import { textFrame } from "../../relay/doors/websocket/format.ts";
import { propertyParameters } from "../support/property.ts";

const HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

const encoder = new TextEncoder();

/** The stamps of events: when each was sent, and its number. */
const stamps = fc.array(
  fc.tuple(
    fc.integer({ min: 0, max: 999_999_999_999 }),
    fc.integer({ min: 1_000_000, max: 9_999_999 }),
  ),
  { maxLength: 30 },
);

const cuts = fc.array(fc.nat(), { maxLength: 30 });

/** Pushes the bytes in pieces, each in a buffer with other bytes behind it. */
function push(
  reader: { push(bytes: Uint8Array<ArrayBuffer>, end: number): void },
  bytes: Uint8Array,
  cuts: readonly number[],
): void {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length]
    .sort((a, b) => a - b);
  let from = 0;
  for (const end of ends) {
    const buffer = new Uint8Array(end - from + 8).fill(0x40);
    buffer.set(bytes.subarray(from, end));
    reader.push(buffer, end - from);
    from = end;
  }
}

/** An event as the provider writes it, without its chunk. */
function eventText([time, sequence]: readonly [number, number]): string {
  const event = new StampedEvent();
  event.stamp(time, sequence);
  const text = new TextDecoder().decode(event.bytes);
  return text.slice(text.indexOf("\r\n") + 2, -2);
}

function dataOf(stamp: readonly [number, number]): string {
  return eventText(stamp).replace(/^event: .*\ndata: /, "").trimEnd();
}

/** Reads answers; returns what the reader says of them. */
function readResponse(text: string, cuts: readonly number[] = []): unknown[] {
  const said: unknown[] = [];
  const reader = new ResponseReader({
    onHead: (head) => said.push(head),
    onEvent: (...stamp) => said.push(stamp),
    onEnd: () => said.push("end"),
  });
  push(reader, encoder.encode(text), cuts);
  return said;
}

/** Reads frames; returns what the reader says of them. */
function readFrames(
  frames: readonly Uint8Array[],
  cuts: readonly number[] = [],
): unknown[] {
  const said: unknown[] = [];
  const reader = new FrameReader({
    onEvent: (...stamp) => said.push(stamp),
    onMessage: ({ type }) => said.push(type),
    onPing: (pong) => said.push(pong),
  });
  push(reader, new Uint8Array(frames.flatMap((frame) => [...frame])), cuts);
  return said;
}

Deno.test("the provider of the topics bench writes events of one size that are JSON", () => {
  const text = eventText([123_456_789, 1_000_017]);
  assertEquals(text.length, 210);
  const { delta, ...rest } = JSON.parse(dataOf([123_456_789, 1_000_017]));
  assertEquals(rest, {
    type: "response.output_text.delta",
    sequence_number: 1_000_017,
    item_id: "msg_1",
    output_index: 0,
    content_index: 0,
  });
  assertEquals(delta.replace(/\.+$/, ""), "@000123456789 1000017 ");
});

Deno.test("the topics bench reads event streams in chunks of any size, however they are cut", () => {
  fc.assert(
    fc.property(
      stamps,
      fc.array(fc.nat(), { maxLength: 20 }),
      fc.constantFrom("\n", "\r\n"),
      cuts,
      (stamps, chunkCuts, newline, cuts) => {
        const body = [
          CREATED,
          ": note\n\n",
          ...stamps.map(eventText),
          COMPLETED,
        ]
          .join("").replaceAll("\n", newline);
        const ends = chunkCuts.map((cut) => cut % (body.length + 1))
          .concat(body.length).sort((a, b) => a - b);
        const chunks = ends.map((end, index) =>
          body.slice(ends[index - 1] ?? 0, end)
        ).filter((text) => text !== "").map(chunk).join("");
        const answer = HEAD + chunks + LAST_CHUNK;
        const said = [HEAD, ...stamps, "end"];
        assertEquals(readResponse(answer, cuts), said);
        assertEquals(readResponse(answer + answer, cuts), [...said, ...said]);
      },
    ),
    propertyParameters(100),
  );
});

Deno.test("the topics bench counts an event once its blank line has come", () => {
  const event = eventText([1, 1_000_000]);
  const cut = event.slice(0, -1);
  assertEquals(readResponse(HEAD + chunk(cut)), [HEAD]);
  assertEquals(readResponse(HEAD + chunk(cut) + chunk("\n")).length, 2);
});

Deno.test("the topics bench refuses what is no answer in chunks", () => {
  const endless = "HTTP/1.1 200 OK\r\n\r\n";
  assertThrows(() => readResponse(endless), Error, "a length or in chunks");
  assertThrows(() => readResponse(`${HEAD}x\r\n`), Error, "size of a chunk");
  const long = `${HEAD}1\r\nab\r\n`;
  assertThrows(() => readResponse(long), Error, "the end of a chunk");
  const stamp = HEAD + chunk("data: @12a ");
  assertThrows(() => readResponse(stamp), Error, "a digit of a stamp");
});

Deno.test("the topics bench reads a relay's frames of any size, however they are cut", () => {
  fc.assert(
    fc.property(stamps, fc.integer({ min: 1, max: 500 }), cuts, (
      stamps,
      batch,
      cuts,
    ) => {
      const frames = [textFrame(JSON.stringify({ type: "welcome" }))];
      for (let i = 0; i < stamps.length; i += batch) {
        const events = stamps.slice(i, i + batch).map((stamp) => ({
          event: "response.output_text.delta",
          data: dataOf(stamp),
        }));
        const message = { type: "events", topic: "t", offset: i + 1, events };
        frames.push(textFrame(JSON.stringify(message)));
      }
      frames.push(textFrame(JSON.stringify({ type: "end" })));
      assertEquals(readFrames(frames, cuts), ["welcome", ...stamps, "end"]);
    }),
    propertyParameters(100),
  );
});

Deno.test("the topics bench reads frames whose length takes eight bytes", () => {
  const events = Array.from(
    { length: 400 },
    (_, index) => ({ data: dataOf([index, 1_000_000 + index]) }),
  );
  const text = JSON.stringify({ type: "events", topic: "t", events });
  assertEquals(text.length > 65_535, true);
  assertEquals(readFrames([textFrame(text)], [9, 70_000]).length, 400);
});

Deno.test("the topics bench answers pings, and refuses frames that no relay sends", () => {
  assertEquals(readFrames([Uint8Array.of(0x89, 2, 7, 8)], [1]), [
    Uint8Array.of(0x8a, 0x82, 0, 0, 0, 0, 7, 8),
  ]);
  assertEquals(readFrames([Uint8Array.of(0x88, 2, 3, 232)]), []);
  const binary = [Uint8Array.of(0x82, 0)];
  assertThrows(() => readFrames(binary), Error, "Expected a frame of a relay");
});
