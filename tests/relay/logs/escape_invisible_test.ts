import { assertEquals } from "@std/assert";
import { escapeInvisible } from "../../../relay/logs/escape_invisible.ts";

Deno.test("escapeInvisible writes what is not seen as JSON would", () => {
  const table: [string, string][] = [
    ["a\r\n\tb", "a\\r\\n\\tb"],
    ["\0\x1b\x7f\x9b", "\\u0000\\u001b\\u007f\\u009b"],
    ["\u2028\u2029\u202e\ufeff", "\\u2028\\u2029\\u202e\\ufeff"],
    ["\u{e0041}", "\\udb40\\udc41"],
    ["\ud800x\udc00", "\\ud800x\\udc00"],
    ['é 漢 😀 "\\', 'é 漢 😀 "\\'],
  ];
  for (const [text, expected] of table) {
    assertEquals(escapeInvisible(text), expected);
  }
});
