// Tests of the names of headers: what was found once is remembered, within a bound.
import { assertEquals } from "@std/assert";
import { rememberNames } from "../../relay/known_names.ts";

/** A test of names that says how often it was asked. */
function counted(): { asked: string[]; isLong: (name: string) => boolean } {
  const asked: string[] = [];
  const isLong = rememberNames((name) => {
    asked.push(name);
    return name.length > 4;
  });
  return { asked, isLong };
}

Deno.test("rememberNames asks once for each name, whatever the answer", () => {
  const { asked, isLong } = counted();
  const names = ["accept", "host", "accept", "host", "", ""];
  assertEquals(names.map(isLong), [true, false, true, false, false, false]);
  assertEquals(asked, ["accept", "host", ""]);
});

Deno.test("rememberNames holds a bounded number of names, and none that is long", () => {
  const { asked, isLong } = counted();
  const names = Array.from({ length: 512 }, (_, made) => `x-${made}`);
  for (const name of [...names, ...names]) isLong(name);
  assertEquals(asked.length, 512);
  isLong("one too many");
  isLong("x-0");
  assertEquals(asked.slice(512), ["one too many", "x-0"]);
  asked.length = 0;
  isLong("x".repeat(65));
  isLong("x".repeat(65));
  assertEquals(asked.length, 2);
});
