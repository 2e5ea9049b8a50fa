/**
 * Events that no honest peer sends: JSON of any depth and width, in the shape of
 * each format of a model or in none.
 *
 * @module
 */
import fc from "fast-check";
import { hostileLine, hostileText } from "./upstreams/hostile_text.ts";

/** An event, as the JSON of a body has it. */
export interface HostileEvent {
  readonly event?: string;
  readonly data: string;
  readonly id?: string;
}

/** Values that functions treat in ways of their own. */
const VALUES = [
  ...["null", "true", "0", "-0", "1e999", "-1e999", "1e-999", "1.5"],
  ...["9007199254740993", "12345678901234567890", "2147483648", "-1"],
  ...['""', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"__proto__"', "[]"],
  ...["{}", "[null]", '{"__proto__":{"toJSON":1}}', '{"constructor":0}'],
  ...['{"toJSON":"a","toString":1,"length":-1}', '{"then":{}}', '{"":[]}'],
] as const;

const NEST = [["[", "]"], ['{"a":', "}"], ['{"__proto__":', "}"]] as const;

const nested = fc.tuple(
  fc.constantFrom(...NEST),
  fc.constantFrom(1, 60, 64, 65, 1_000, 5_000, 20_000),
).map(([[open, close], depth]) => open.repeat(depth) + 0 + close.repeat(depth));

const wide = fc.tuple(
  fc.constantFrom("0", "{}", '""', "[]", '{"index":1}'),
  fc.constantFrom(2, 100, 20_000),
).map(([value, count]) => `[${`${value},`.repeat(count - 1)}${value}]`);

const value: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<string>(...VALUES) },
  { weight: 3, arbitrary: fc.json() },
  { weight: 3, arbitrary: hostileText.map((text) => JSON.stringify(text)) },
  { weight: 2, arbitrary: nested },
  { weight: 1, arbitrary: wide },
);

/** Text as often as not: it is what makes a delta. */
const text = fc.oneof(fc.constantFrom('"a"', '"b"', '""'), value);

const RESPONSES_TYPES = [
  "response.output_text.delta",
  "response.function_call_arguments.delta",
  "response.reasoning_text.delta",
  "response.created",
  "response.completed",
  "response.incomplete",
  "response.failed",
  "response.cancelled",
  "response.output_item.done",
  "error",
] as const;

const MESSAGES_TYPES = [
  "message_start",
  "content_block_delta",
  "message_delta",
  "message_stop",
  "error",
  "ping",
] as const;

/** Fields that any event may have, most of them in the wrong place. */
const fields = fc.dictionary(
  fc.constantFrom(
    ...["x", "error", "response", "usage", "object", "created", "logprobs"],
    ...["choices", "type", "delta", "sequence_number", "obfuscation", "item"],
    ...["__proto__", "status", "id", "x_groq", "message", "code", "index"],
  ),
  value,
  { maxKeys: 3 },
).map((fields) =>
  Object.entries(fields)
    .map(([name, value]) => `,${JSON.stringify(name)}:${value}`).join("")
);

const responses = fc.tuple(
  fc.constantFrom(...RESPONSES_TYPES),
  text,
  value,
  fields,
).map(([type, delta, number, more]) =>
  `{"type":"${type}","delta":${delta},"sequence_number":${number},` +
  `"response":{"id":${delta},"status":${number},"background":true}${more}}`
);

const chat = fc.tuple(text, value, value, fields).map((
  [content, index, logprobs, more],
) =>
  `{"choices":[{"index":${index},"delta":{"content":${content}},` +
  `"logprobs":{"content":${logprobs}},"finish_reason":null}]${more}}`
);

const calls = fc.tuple(text, value, value, fields).map((
  [args, index, finish, more],
) =>
  `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":${index},` +
  `"function":{"arguments":${args}}}]},"finish_reason":${finish}}]${more}}`
);

const messages = fc.tuple(
  fc.constantFrom(...MESSAGES_TYPES),
  value,
  value,
  fields,
).map(([type, delta, error, more]) =>
  `{"type":"${type}","delta":${delta},"error":${error}${more}}`
);

const data = fc.oneof(
  { weight: 5, arbitrary: responses },
  { weight: 4, arbitrary: chat },
  { weight: 2, arbitrary: calls },
  { weight: 3, arbitrary: messages },
  { weight: 1, arbitrary: value },
  { weight: 1, arbitrary: hostileText },
  { weight: 1, arbitrary: fc.constant("[DONE]") },
);

/** The same one several times is what merges. */
const repeated = fc.tuple(data, fc.constantFrom(1, 1, 2, 40))
  .map(([data, count]): string[] => Array(count).fill(data));

/** Hostile events, one at least. */
export const hostileEvents: fc.Arbitrary<HostileEvent[]> = fc.array(
  fc.record({
    data: repeated,
    event: fc.option(
      fc.oneof(
        fc.constantFrom(...RESPONSES_TYPES, ...MESSAGES_TYPES),
        hostileLine,
      ),
      { nil: undefined },
    ),
    id: fc.option(hostileLine, { nil: undefined }),
  }),
  { minLength: 1, maxLength: 6 },
).map((runs) =>
  runs.flatMap(({ data, event, id }) =>
    data.map((data) => ({
      data,
      ...(event !== undefined && { event }),
      ...(id !== undefined && { id }),
    }))
  )
);

/** Writes events as an event stream would have them, as far as it can. */
export function streamOf(events: readonly HostileEvent[]): Uint8Array {
  const written = events.map(({ event, data, id }) =>
    (event === undefined ? "" : `event: ${event}\n`) +
    (id === undefined ? "" : `id: ${id}\n`) +
    data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("") + "\n"
  );
  return new TextEncoder().encode(written.join(""));
}

/** Bytes that may be a stream of events, or one that something has happened to. */
export const hostileBytes: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: hostileEvents.map(streamOf) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  {
    weight: 2,
    arbitrary: fc.tuple(
      hostileEvents.map(streamOf),
      fc.nat(),
      fc.uint8Array({ maxLength: 4 }),
    ).map(([stream, place, bytes]) => {
      const changed = Uint8Array.from(stream);
      const room = Math.max(changed.length - bytes.length, 1);
      changed.set(bytes.subarray(0, changed.length), place % room);
      return changed;
    }),
  },
);
