import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  REFUSAL_REASONS,
  refusalReason,
} from "../../../relay/metrics/refusal_reason.ts";
import { propertyParameters } from "../../support/property.ts";

const known: ReadonlySet<string> = new Set(REFUSAL_REASONS);

Deno.test("refusalReason counts each code that is known by itself, and all others as one", () => {
  for (const reason of REFUSAL_REASONS) {
    assertEquals(refusalReason(reason), reason);
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom("__proto__", "toString", "Forbidden", "forbidden "),
      ),
      (code) => {
        fc.pre(!known.has(code));
        assertEquals(refusalReason(code), "other");
      },
    ),
    propertyParameters(200),
  );
});

/** Codes of refusals as the relay's source has them. */
const CODE_PATTERNS = [
  /new Problem\(\s*[^,]+,\s*"(\w+)"/g,
  /badRequest\(\s*"(\w+)"/g,
  /\brefuse\(\s*"(\w+)"/g,
  /\bcode: "(invalid_\w+)"/g,
];

const RELAY = new URL("../../../relay/", import.meta.url);

async function* sources(folder: URL): AsyncIterable<URL> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory && name !== "client") {
      yield* sources(new URL(`${name}/`, folder));
    } else if (name.endsWith(".ts")) yield new URL(name, folder);
  }
}

Deno.test("REFUSAL_REASONS has every code with which the relay refuses", async () => {
  const found = new Set<string>();
  for await (const file of sources(RELAY)) {
    const text = await Deno.readTextFile(file);
    for (const pattern of CODE_PATTERNS) {
      for (const [, code = ""] of text.matchAll(pattern)) found.add(code);
    }
  }
  assert(found.size > 20, `found ${found.size} codes only`);
  const missing = [...found].filter((code) => !known.has(code));
  assertEquals(missing, []);
});
