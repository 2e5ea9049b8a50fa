import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ResponseIdReader } from "../../../relay/gateway/response_id.ts";
import { propertyParameters } from "../../support/property.ts";

const MIB = 1_024 * 1_024;

/** Reads the id in an answer that comes in pieces of so many bytes. */
function idIn(json: string, size = 64 * 1_024): string | undefined {
  let id: string | undefined;
  const reader = new ResponseIdReader((last) => id = last);
  const bytes = new TextEncoder().encode(json);
  for (let at = 0; at < bytes.length; at += size) {
    reader.push(bytes.subarray(at, at + size));
  }
  return id;
}

const IDS: Readonly<Record<string, readonly [string, string | undefined]>> = {
  "the first field": ['{"id":"resp_1","output":[]}', "resp_1"],
  "the last field": ['{"output":[{"id":"msg_1"}],"id":"resp_1"}', "resp_1"],
  "fields of others": ['{"output":[{"id":"msg_1"}],"x":{"id":"y"}}', undefined],
  "with spaces": [' {\n "id" : "resp_1" }', "resp_1"],
  "with escapes": [String.raw`{"\u0069d":"resp\u005f1"}`, "resp_1"],
  "a text that looks like it": [
    String.raw`{"text":"\",\"id\":\"x\"}","id":"resp_1"}`,
    "resp_1",
  ],
  "a value that is called so": ['{"object":"id","x":"resp_2"}', undefined],
  "a number": ['{"id":1,"x":"resp_2"}', undefined],
  "a list": ['["id","resp_1"]', undefined],
  "a list of objects": ['[{"id":"resp_1"}]', undefined],
  "a text": ['"id"', undefined],
  "nothing": ["", undefined],
  "behind 2 MiB": [
    `{"output":"${"x".repeat(2 * MIB)}","id":"resp_1"}`,
    "resp_1",
  ],
  "before 2 MiB": [
    `{"id":"resp_1","output":[${"{},".repeat(MIB)}{}]}`,
    "resp_1",
  ],
  "too long": [`{"id":"${"x".repeat(2_000)}"}`, undefined],
  "behind a name that is too long": [
    `{"${"x".repeat(2_000)}":"y","id":"resp_1"}`,
    "resp_1",
  ],
  "named by a name that is too long": [
    `{"id":1,"${"x".repeat(2_000)}":"resp_2"}`,
    undefined,
  ],
};

Deno.test("A2: ResponseIdReader finds the id of the answer, however long that is", () => {
  for (const [what, [json, id]] of Object.entries(IDS)) {
    assertEquals(idIn(json), id, what);
  }
});

Deno.test("A2: ResponseIdReader finds what JSON.parse finds, in pieces of any size", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.record({ id: fc.oneof(fc.string(), fc.jsonValue()), x: fc.jsonValue() }),
    fc.dictionary(fc.constantFrom("id", "\u0069d", "x"), fc.jsonValue()),
  );
  fc.assert(
    fc.property(value, fc.nat({ max: 3 }), fc.integer({ min: 1, max: 9 }), (
      value,
      indent,
      size,
    ) => {
      const json = JSON.stringify(value, undefined, indent);
      const parsed: unknown = JSON.parse(json);
      const id = typeof parsed === "object" && parsed !== null &&
          !Array.isArray(parsed) && "id" in parsed
        ? parsed.id
        : undefined;
      const expected = typeof id === "string" && id !== "" ? id : undefined;
      assertEquals(idIn(json, size), expected);
    }),
    propertyParameters(1_000),
  );
});
