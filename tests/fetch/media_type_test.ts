import { assertEquals } from "@std/assert";
import { isEventStreamType } from "../../src/fetch/media_type.ts";

const CASES: [value: string | null, expected: boolean][] = [
  ["text/event-stream", true],
  ["text/event-stream;", true],
  ["text/event-stream;charset=windows-1252", true],
  ["text/event-stream ; charset=utf-8", true],
  [" TEXT/Event-Stream", true],
  ['text/event-stream;x="a,b"', true],
  ['text/event-stream;x="a\\",text/html"', true],
  ["text/html, text/event-stream", true],
  ["text/event-stream, */*", true],
  ["text/event-stream, bogus", true],
  ["text/event-stream, text/html", false],
  ["text/event-stream-x", false],
  ["text/event-stream x", false],
  ["x bogus", false],
  ["text/x-bogus", false],
  ["text/html;x=text/event-stream", false],
  ['text/html;x=",text/event-stream"', false],
  ["text/plain", false],
  ["application/json", false],
  ["", false],
  [null, false],
];

for (const [value, expected] of CASES) {
  Deno.test(`isEventStreamType says ${expected} to ${JSON.stringify(value)}`, () => {
    assertEquals(isEventStreamType(value), expected);
  });
}
