import { assertEquals } from "@std/assert";
import { isKeepable, readFilling } from "../../../relay/topics/filling.ts";

// deno-fmt-ignore
const URLS: readonly (readonly [url: string, isKeepable: boolean])[] = [
  ["https://example.com/events", true],
  ["https://example.com/events?chat=7&after=start", true],
  ["https://user@example.com/events", false],
  ["https://user:pass@example.com/events", false],
  ["https://example.com/events?token=abcdefgh", false],
  ["https://example.com/events?api_key=abcdefgh", false],
  ["https://example.com/events?q=sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD", false],
];

Deno.test("A URL of a source is kept unless it has a secret", () => {
  for (const [url, expected] of URLS) {
    assertEquals(isKeepable(url), expected, url);
  }
});

Deno.test("A filling that this relay does not know is none", () => {
  for (const text of ["", "{", "{}", '{"kind":"later"}', '{"kind":"source"}']) {
    assertEquals(readFilling(text), undefined, text);
  }
  assertEquals(readFilling('{"kind":"lost"}'), { kind: "lost" });
});
