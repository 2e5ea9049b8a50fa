import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { abridgedEvents, isLong } from "../../../relay/gateway/abridge.ts";
import { judgeFor } from "../../../relay/gateway/judge.ts";
import { atOnce } from "../../../relay/slices.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { propertyParameters } from "../../support/property.ts";

const LONG = 64 * 1_024;

const xs = "x".repeat(LONG);
const zeros = "0,".repeat(LONG / 2);
const deep = `${"[".repeat(LONG / 2)}${"]".repeat(LONG / 2)}`;

function eventOf(data: string, event = "message"): ServerSentEvent {
  return { event, data, id: "" };
}

function abridge(data: string): string {
  return atOnce(abridgedEvents([eventOf(data)]))[0]!.data;
}

/** Fills of an event that are long, or deep, each JSON. */
const FILLS: readonly string[] = [
  `"${xs}"`,
  `"${'\\"'.repeat(LONG / 2)}"`,
  `"${"\\\\".repeat(LONG / 2)}"`,
  `"${"\\ud83d\\ude00".repeat(LONG / 10)}"`,
  `[${zeros}0]`,
  `[${'{"a":[1,{"b":"c"}]},'.repeat(LONG / 16)}1]`,
  `{${'"a":0,'.repeat(LONG / 5)}"b":1}`,
  `{"${xs}":1}`,
  `{"a":"${xs}","b":[${zeros}1],"c":{"d":[${zeros}1]}}`,
  deep,
  `${"1".repeat(LONG + 1)}`,
  `${" ".repeat(LONG)}null`,
];

/** The ends of streams, with a place for a fill. */
const ENDINGS: readonly (readonly [path: string, data: string])[] = [
  ...["completed", "failed", "incomplete", "cancelled"].map((status) =>
    [
      "responses",
      `{"type":"response.${status}","response":{"id":"r1","output":FILL,"usage":{"input_tokens":1},"tools":FILL,"status":"${status}","error":{"code":"c","message":"m"},"incomplete_details":{"reason":"max_output_tokens"},"background":true},"sequence_number":7}`,
    ] as const
  ),
  ["responses", `{"sequence_number":3,"type":"error","x":FILL,"message":"m"}`],
  ["responses", `{"type":"response.output_text.delta","delta":FILL}`],
  [
    "chat/completions",
    `{"x":FILL,"choices":[{"delta":{"content":FILL},"finish_reason":"stop"},{"index":1,"delta":FILL,"finish_reason":"length"}]}`,
  ],
  ["chat/completions", `{"choices":[{"index":0,"delta":{"content":FILL}}]}`],
  ["chat/completions", `{"error":{"x":FILL,"message":"m"},"choices":[]}`],
  [
    "messages",
    `{"x":FILL,"type":"message_delta","delta":{"stop_reason":"end_turn"}}`,
  ],
  ["messages", `{"type":"message_stop","x":FILL}`],
  [
    "messages",
    `{"type":"error","error":{"type":"overloaded","message":"m"},"x":FILL}`,
  ],
  ["embeddings", `{"x":FILL,"error":{"message":"m"}}`],
  ["embeddings", `{"x":FILL,"error":null}`],
  ["embeddings", `[FILL]`],
  ["embeddings", `not JSON FILL`],
];

Deno.test("abridgedEvents leaves what says how a stream ends, whatever is long beside it", () => {
  for (const [path, data] of ENDINGS) {
    for (const fill of FILLS) {
      const event = eventOf(data.replaceAll("FILL", () => fill));
      const [short] = atOnce(abridgedEvents([event]));
      assert(isLong(event) && short && !isLong(short));
      const [judge, expected] = [judgeFor(path), judgeFor(path)];
      judge.take(short);
      expected.take(event);
      const factsOf = (each: typeof judge) => ({
        verdict: each.verdict,
        isOver: each.isOver,
        responseId: each.responseId,
        usage: each.usage,
        sequenceNumber: each.sequenceNumber,
        background: each.background,
        end: each.end("broken"),
      });
      assertEquals(factsOf(judge), factsOf(expected), `${path}: ${data}`);
    }
  }
});

Deno.test("abridgedEvents leaves short events as they are", () => {
  const events = [eventOf("[DONE]"), eventOf('{"a":1}')];
  const [first, second] = atOnce(abridgedEvents(events));
  assert(first === events[0] && second === events[1]);
});

Deno.test("abridgedEvents cuts what is no JSON", () => {
  for (
    const data of [
      `{"a" ${xs}`,
      `${xs}`,
      `[${zeros}`,
      `{"a":1]${xs}`,
      `{"${xs}`,
    ]
  ) {
    const short = abridge(data);
    assert(short.length <= LONG && data.startsWith(short.slice(0, 3)));
  }
  // As an error of which nothing is JSON, its words are looked at.
  const [event] = atOnce(abridgedEvents([eventOf(`no ${xs}`, "error")]));
  assertEquals(event?.data, `no ${xs}`.slice(0, LONG));
});

/** Whether a value is a part of another: fields and elements may be missing, and strings be cut. */
function isPart(part: unknown, whole: unknown): boolean {
  if (typeof part === "string" && typeof whole === "string") {
    return whole.startsWith(part);
  }
  if (typeof part !== "object" || part === null) return Object.is(part, whole);
  if (typeof whole !== "object" || whole === null) return false;
  if (Array.isArray(part) !== Array.isArray(whole)) return false;
  if (Array.isArray(part) && Array.isArray(whole)) {
    let at = 0;
    return part.every((element) => {
      while (at < whole.length && !isPart(element, whole[at])) at++;
      return at++ < whole.length;
    });
  }
  const fields = new Map(Object.entries(whole));
  return Object.entries(part).every(([name, value]) =>
    fields.has(name) && isPart(value, fields.get(name))
  );
}

Deno.test("abridgedEvents makes a part of any JSON", () => {
  const { numRuns, seed } = propertyParameters(100);
  fc.assert(
    fc.property(
      fc.jsonValue({ maxDepth: 6 }),
      fc.jsonValue({ maxDepth: 3 }),
      fc.boolean(),
      (value, odd, isArray) => {
        const many = Array.from({ length: 200 }, () => value);
        const whole = isArray
          ? [odd, xs, many, odd]
          : { odd, xs, many, last: odd };
        const data = JSON.stringify(whole, null, 1);
        const part: unknown = JSON.parse(abridge(data));
        assert(isPart(part, JSON.parse(data)), abridge(data));
      },
    ),
    { numRuns, seed },
  );
});
