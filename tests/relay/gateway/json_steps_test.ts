import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { parseJson } from "../../../relay/gateway/json_steps.ts";
import { atOnce } from "../../../relay/slices.ts";
import { propertyParameters } from "../../support/property.ts";

const MIB = 1_024 * 1_024;

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Parses a text as a long one. */
function parseLong(text: string): unknown {
  return atOnce(parseJson(bytesOf(text), { small: 0 }));
}

/** Returns the value that a parser reads from a text, or nothing. */
function outcomeOf(parse: (text: string) => unknown, text: string): unknown {
  try {
    return { value: parse(text) };
  } catch (error) {
    assert(error instanceof SyntaxError, String(error));
    return undefined;
  }
}

/** Texts that are JSON, or nearly. */
const TEXTS: readonly string[] = [
  ...[
    "",
    " ",
    "{}",
    "[]",
    " [ ] ",
    "{ }",
    '""',
    "0",
    "-0",
    "1e3",
    "01",
    "1.",
    ".5",
  ],
  ...[
    "+1",
    "--1",
    "1e",
    "true",
    "tru",
    "nullx",
    "null null",
    "NaN",
    "Infinity",
  ],
  ...["[1,]", "[,1]", "[1 2]", "[1}", "{1:2}", '{"a":1,}', '{"a"}', '{"a":}'],
  ...['{"a" 1}', '{"a":1]', '{"a":1 "b":2}', "[", "{", '{"a":[', '["', '"\\"'],
  ...['{"a":1,"a":2}', '{"__proto__":{"b":1}}', '{"2":0,"1":0,"a":0}'],
  ...[
    '"\\u0041\\n\\\\\\""',
    '"\\x"',
    '"\\u12"',
    '"\n"',
    "'a'",
    "[1]x",
    "\u00a01",
  ],
  ...["\ufeff1", "\t\r\n1", "\v1", "[1,\u2028]", '{"a":1}}', "]", ",", ":"],
];

Deno.test("A2: parseJson takes what JSON.parse takes, and makes the same of it", () => {
  for (const text of TEXTS) {
    const expected = outcomeOf(JSON.parse, text);
    assertEquals(outcomeOf(parseLong, text), expected, text);
  }
});

Deno.test("A2: parseJson agrees with JSON.parse on any JSON, and on any that has a fault", () => {
  const character = fc.constantFrom(...'{}[]",:\\ 0-e.tnu\n');
  fc.assert(
    fc.property(
      fc.jsonValue({ noUnicodeString: false }),
      fc.nat({ max: 2 }),
      fc.option(fc.tuple(fc.nat(), character, fc.boolean())),
      (value, indent, fault) => {
        let text = JSON.stringify(value, undefined, indent);
        if (fault) {
          const [place, character, replaces] = fault;
          const at = place % text.length;
          const rest = text.slice(replaces ? at + 1 : at);
          // Half of a character has no bytes.
          text = (text.slice(0, at) + character + rest).toWellFormed();
        }
        const parsed = outcomeOf(parseLong, text);
        assertEquals(parsed, outcomeOf(JSON.parse, text), text);
        // The order of fields counts too, and `__proto__` is one.
        assertEquals(
          JSON.stringify(parsed),
          JSON.stringify(outcomeOf(JSON.parse, text)),
        );
      },
    ),
    propertyParameters(3_000),
  );
});

Deno.test("A2: parseJson goes through what is long, wide or deep in many steps", () => {
  const long = '\\u0001\\"é'.repeat(MIB / 4);
  const texts = {
    "a string": `"${long}"`,
    "a name": `{"${long}":1}`,
    "spaces": `[${" ".repeat(2 * MIB)}]`,
    "backslashes": `"${"\\\\".repeat(MIB)}"`,
    "numbers": `[${"12345,".repeat(MIB / 4)}0]`,
    "objects": `[${"{},".repeat(MIB / 4)}{}]`,
    "depth": "[".repeat(MIB / 4) + "]".repeat(MIB / 4),
  };
  for (const [what, text] of Object.entries(texts)) {
    const steps = parseJson(bytesOf(text));
    let count = 0;
    let last = steps.next();
    for (; !last.done; last = steps.next()) count++;
    assert(count >= text.length / (32 * 1_024), `${what}: ${count} steps`);
    // Nothing else goes through what is as deep.
    if (what === "depth") continue;
    assert(
      JSON.stringify(last.value) === JSON.stringify(JSON.parse(text)),
      what,
    );
  }
});

Deno.test("A2: parseJson parses what is short at once", () => {
  assertEquals(parseJson(bytesOf("[1]")).next(), { done: true, value: [1] });
  assertThrows(() => parseJson(bytesOf("[1")).next(), SyntaxError);
});

Deno.test("A2: parseJson leaves out strings that are too long, if they are right", () => {
  const long = "é".repeat(8 * 1_024);
  const parse = (json: string): unknown =>
    atOnce(parseJson(bytesOf(json), { small: 0, maxString: 9 * 1_024 }));
  assertEquals(parse(`{"a":"${long}","b":["c"]}`), { a: "", b: ["c"] });
  assertThrows(() => parse(`{"a":"${long}\\x"}`), SyntaxError);
  assertThrows(() => parse(`[${"1".repeat(5_000)}]`), SyntaxError);
});
