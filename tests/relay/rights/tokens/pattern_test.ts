import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Pattern } from "../../../../relay/rights/tokens/pattern.ts";
import { propertyParameters } from "../../../support/property.ts";

Deno.test("Pattern matches by its asterisks alone", () => {
  const table: [string, string, boolean][] = [
    ["a", "a", true],
    ["a", "A", false],
    ["a", "ab", false],
    ["a", "ba", false],
    ["*", "", true],
    ["*", "a", true],
    ["run-*", "run-1", true],
    ["run-*", "run-", true],
    ["run-*", "run", false],
    ["run-*", "arun-1", false],
    ["*-run", "1-run", true],
    ["*-run", "1-run-", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["ab*ba", "aba", false],
    ["a*b*c", "a-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["a*b*b", "ab", false],
    ["*ab*b", "ab", false],
    ["*a*", "bab", true],
    ["*a*", "b", false],
    ["**", "a", true],
    ["a**b", "ab", true],
    [".", "a", false],
    ["a.c", "abc", false],
    ["a?", "ab", false],
    ["[ab]", "a", false],
    ["^a$", "a", false],
    ["(a|b)", "a", false],
    ["\\*", "*", false],
    ["a", "a\n", false],
    ["a*", "a\n", true],
  ];
  for (const [pattern, name, expected] of table) {
    assertEquals(
      new Pattern(pattern).matches(name),
      expected,
      `${pattern} ${name}`,
    );
  }
});

/** As it is defined, however long it takes. */
function isMatch(pattern: string, name: string): boolean {
  if (pattern === "") return name === "";
  if (pattern[0] === "*") {
    return isMatch(pattern.slice(1), name) ||
      name !== "" && isMatch(pattern, name.slice(1));
  }
  return pattern[0] === name[0] && isMatch(pattern.slice(1), name.slice(1));
}

Deno.test("Pattern matches what its definition does", () => {
  const text = (letters: string[]) =>
    fc.array(fc.constantFrom(...letters), { maxLength: 9 })
      .map((parts) => parts.join(""));
  let matched = 0;
  fc.assert(
    fc.property(text(["a", "b", "*", "*"]), text(["a", "b"]), (p, name) => {
      const expected = isMatch(p, name);
      if (expected) matched++;
      assertEquals(new Pattern(p).matches(name), expected);
    }),
    propertyParameters(5_000),
  );
  assertEquals(matched > 100, true);
});

Deno.test("Pattern looks for each part once", () => {
  // With backtracking, or a regular expression, this would never end.
  const pattern = new Pattern("a*".repeat(63) + "b");
  assertEquals(pattern.matches("a".repeat(100_000)), false);
  assertEquals(new Pattern("*a".repeat(63)).matches("a".repeat(62)), false);
});
