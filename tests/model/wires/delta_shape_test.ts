import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ChatDecoder } from "../../../src/model/wires/chat/decoder.ts";
import type { ResponseDecoder } from "../../../src/model/wires/decoder.ts";
import type { ResponseEvent } from "../../../src/model/response_event.ts";
import { ResponsesDecoder } from "../../../src/model/wires/responses/decoder.ts";
import { propertyParameters } from "../../support/property.ts";

/** An event of the wire: name and data. */
type Wire = readonly [name: string, data: string];

/**
 * Returns a decoder's output: its events, its state after each, and the end.
 */
function decode(decoder: ResponseDecoder, events: readonly Wire[]): unknown {
  const out: ResponseEvent[] = [];
  const states = events.map(([name, data]) => {
    decoder.push(name, data, out);
    return [decoder.state, decoder.sequenceNumber, decoder.usage];
  });
  const outcome = decoder.end(out);
  return {
    // Text that is not JSON is passed on as it came, with the space from
    // unlike().
    out: out.map((event) =>
      event.type === "other" && typeof event.event === "string"
        ? event.event.trimStart()
        : event
    ),
    states,
    end: "last" in outcome ? outcome.last : [
      outcome.error.code,
      outcome.error.message.replace(/: +/g, ": "),
      outcome.error.usage,
    ],
  };
}

/** The same to `JSON.parse`, and never twice of one shape: so each is parsed. */
function unlike(events: readonly Wire[]): Wire[] {
  return events.map(([name, data], index) =>
    [name, " ".repeat(index % 97) + data] as const
  );
}

/** Counts the calls of `JSON.parse`. */
function countParsed(run: () => unknown): number {
  const { parse } = JSON;
  let count = 0;
  JSON.parse = (text, reviver) => {
    count++;
    return parse(text, reviver);
  };
  try {
    run();
  } finally {
    JSON.parse = parse;
  }
  return count;
}

const TEXTS = [
  " the",
  "",
  'it\\"s',
  "\\n",
  "\\u00e9",
  "\\ud83d",
  "’",
  "\u2028",
  '"',
  "\\",
  "\\x",
  "\n",
  "one",
  '","delta":"x',
  '\\",\\"delta\\":\\"',
  '\\"sequence_number\\":7',
  "a long text of more than twelve",
  "\\\\",
  '\\\\"',
  "$&",
  "(",
  "x".repeat(5_000),
];
const NUMBERS = ["-1", "01", "1.5", "1e3", "null", '"7"', "123456789012345678"];
const EXTRAS = [
  "",
  "",
  ',"logprobs":[]',
  ',"logprobs":[{"t":1}]',
  ',"content":"x"',
  ',"x\\"delta":"y"',
  ',"delta":"dup"',
  // The random fields of the first of the probes.
  ',"delta":"one"',
  ',"content":"one"',
  ',"usage":null',
];
const LEADS = [
  "",
  "",
  '"x":{"delta":"in","content":"in","sequence_number":3},',
  '"obfuscation":{"delta":"q"},',
];

/** Mostly the first, which is plain. */
function seldom(usual: string, odd: readonly string[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 100, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
}

/** One delta, as its fields can vary; `index` is its place in the stream. */
const delta = fc.record({
  text: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(" a", " sky", "ing") },
    { weight: 3, arbitrary: fc.constantFrom(...TEXTS) },
  ),
  number: seldom("", NUMBERS),
  padding: fc.constantFrom("", "abc", "Zz9"),
  change: seldom("", [
    "usage",
    "item",
    "item",
    "index",
    "broken",
    "other",
    "name",
  ]),
});

const stream = fc.record({
  extra: fc.constantFrom(...EXTRAS),
  lead: fc.constantFrom(...LEADS),
  deltas: fc.array(delta, { minLength: 300, maxLength: 400, size: "max" }),
});

type Delta = typeof delta extends fc.Arbitrary<infer T> ? T : never;
type Stream = typeof stream extends fc.Arbitrary<infer T> ? T : never;

const OTHERS = {
  responses: [
    '{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","id":"fc","name":"f","arguments":"","call_id":"k"}}',
    '{"type":"response.function_call_arguments.delta","item_id":"fc","output_index":1,"delta":"{"}',
    '{"type":"ping"}',
  ],
  chat: [
    '{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":"{"}}]}}]}',
    '{"id":"c","choices":[{"index":0,"delta":{"reasoning":"hm"}}]}',
    '{"id":"c","choices":[{"index":0,"delta":{"content":"z"},"finish_reason":"stop"}]}',
    '{"id":"c","choices":[{"index":1,"delta":{"content":"o"}}]}',
  ],
} as const;

function changed(data: string, change: string): string {
  switch (change) {
    case "usage":
      return data.replace(
        /}$/,
        ',"usage":{"prompt_tokens":1,"completion_tokens":2}}',
      );
    case "item":
      return data.replace("m.g", "mxg");
    case "index":
      return data.replace(/_index":0/, '_index":2');
    case "broken":
      return `${data}}`;
    default:
      return data;
  }
}

function responsesWire({ extra, lead, deltas }: Stream): Wire[] {
  return deltas.map(({ text, number, padding, change }: Delta, index): Wire => {
    const name = change === "name" ? "error" : "response.output_text.delta";
    if (change === "other") return [name, OTHERS.responses[index % 3]!];
    const data =
      `{${lead}"type":"response.output_text.delta","sequence_number":${
        number || index
      },"item_id":"m.g","output_index":0,"content_index":0,"delta":"${text}"${extra},"obfuscation":"${padding}"}`;
    return [name, changed(data, change)];
  });
}

function chatWire({ extra, lead, deltas }: Stream): Wire[] {
  return deltas.map(({ text, padding, change }: Delta, index): Wire => {
    const name = change === "name" ? "error" : "message";
    if (change === "other") return [name, OTHERS.chat[index % 4]!];
    const data =
      `{${lead}"id":"c","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"${text}"}${extra},"finish_reason":null}],"obfuscation":"${padding}"}`;
    return [name, changed(data, change)];
  });
}

const WIRES = [
  ["ResponsesDecoder", ResponsesDecoder, responsesWire],
  ["ChatDecoder", ChatDecoder, chatWire],
] as const;

for (const [name, Decoder, wireOf] of WIRES) {
  Deno.test(`${name} reads deltas of one shape as it would parse them`, () => {
    fc.assert(
      fc.property(stream, fc.boolean(), (stream, deltas) => {
        const wire = wireOf(stream);
        assertEquals(
          decode(new Decoder({ deltas }), wire),
          decode(new Decoder({ deltas }), unlike(wire)),
        );
      }),
      propertyParameters(150),
    );
  });

  Deno.test(`${name} parses few deltas of one shape`, () => {
    const plain: Delta = { text: " sky", number: "", padding: "", change: "" };
    const wire = wireOf({
      extra: "",
      lead: "",
      deltas: Array.from({ length: 1_000 }, () => plain),
    });
    const parsed = countParsed(() =>
      decode(new Decoder({ deltas: true }), wire)
    );
    const all = countParsed(() =>
      decode(new Decoder({ deltas: true }), unlike(wire))
    );
    assert(parsed < 100, `${parsed} of 1,000`);
    assert(all >= 1_000, `${all} of 1,000`);
  });
}
