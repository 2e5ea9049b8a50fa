// `RelayOptions` is written by hand, as JSR needs explicit types: these tests hold
// it to the rows that the schema, the flags and the help come from.
import { assert, assertEquals } from "@std/assert";
import type { z } from "zod";
import { settingsOf, valueAt } from "../../../relay/options/option.ts";
import { relayRows } from "../../../relay/options/rows.ts";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { relayOptions } from "../../../relay/options/schema.ts";

const FILE = new URL(
  "../../../relay/options/relay_options.ts",
  import.meta.url,
);

/** The same members, each of the same type, whether they can be written or not. */
type Alike<A, B> = [Bare<A>] extends [Bare<B>]
  ? [Bare<B>] extends [Bare<A>] ? true : false
  : false;

/** Without `readonly`, and with every member required, so that none is missing unnoticed. */
type Bare<T> = T extends (...args: never[]) => unknown ? T
  : T extends object
    ? { -readonly [K in keyof T]-?: Bare<Exclude<T[K], undefined>> }
  : T;

Deno.test("RelayOptions has the members of the rows, of the same types", () => {
  type Rows = Omit<z.input<typeof relayOptions>, "clock">;
  // Does not compile otherwise.
  const alike: Alike<Omit<RelayOptions, "clock">, Rows> = true;
  assert(alike);
});

/** The `@default` of each member of an interface of the file. */
function defaultsOf(source: string, name: string): Map<string, string> {
  const [, body = ""] =
    new RegExp(`^export interface ${name} \\{\n(.*?)^\\}`, "ms").exec(source) ??
      [];
  const members = body.matchAll(/ {2}\/\*\*(.*?)\*\/\n {2}(\w+)\?:/gs);
  return new Map(Array.from(members, ([, comment = "", member = ""]) => {
    const [, value = ""] = /@default \{(.*)\}/.exec(comment) ?? [];
    return [member, value];
  }));
}

/** Writes a value as a doc comment has it. */
function inCode(value: unknown): string {
  return typeof value === "number"
    ? value === Infinity || value < 1_000 || value === 8_787
      ? String(value)
      : value.toLocaleString("en").replaceAll(",", "_")
    : JSON.stringify(value);
}

Deno.test("The @default of each option is the default of its row", async () => {
  const source = await Deno.readTextFile(FILE);
  const groups = defaultsOf(source, "RelayOptions");
  const defaults = relayOptions.parse({});
  for (const { name, path } of settingsOf(relayRows)) {
    const [first = "", second] = path;
    const members = second === undefined
      ? groups
      : defaultsOf(source, `Relay${first[0]?.toUpperCase()}${first.slice(1)}`);
    const value = valueAt(defaults, path);
    assertEquals(
      members.get(second ?? first),
      value === undefined ? "" : inCode(value),
      name,
    );
  }
});
