import { assertEquals } from "@std/assert";
import {
  queryFields,
  redactUrl,
  redactUrls,
} from "../../../src/fetch/secrets/urls.ts";

Deno.test("redactUrl keeps the path, and the names of the query", () => {
  const cases = [
    ["http://localhost", "http://localhost/"],
    [
      "https://u:p@h:1/a/b?k=v&l=&m#f",
      "https://h:1/a/b?k=[redacted]&l=[redacted]&[redacted]",
    ],
    ["http://h/?", "http://h/?"],
    [
      "data:text/event-stream,data:%20secret",
      "data:text/event-stream,[redacted]",
    ],
    ["/a?k=v", "/a"],
    ["//u:p@h/a", "h/a"],
  ] as const;
  for (const [url, expected] of cases) assertEquals(redactUrl(url), expected);
});

Deno.test("redactUrls leaves a URL as it is written that hides nothing", () => {
  const cases = [
    ["see https://h and http://H/a%2f.", "see https://h and http://H/a%2f."],
    ["(https://u:p@h/a?k=v)", "(https://h/a?k=[redacted])"],
    ["wss://h/#token=1 failed", "wss://h/ failed"],
    ["https://u:p@[/?k=v", "[/"],
  ] as const;
  for (const [text, expected] of cases) {
    assertEquals(redactUrls(text), expected);
  }
});

Deno.test("queryFields splits a query, and not the fragment", () => {
  assertEquals(queryFields("/a"), []);
  assertEquals(queryFields("/a#b?c=d"), []);
  assertEquals(queryFields("/a?b%20=c%20&d&e=f=g#h"), [
    { text: "b%20=c%20", name: "b ", value: "c%20" },
    { text: "d", name: "d", value: "" },
    { text: "e=f=g", name: "e", value: "f=g" },
  ]);
});
