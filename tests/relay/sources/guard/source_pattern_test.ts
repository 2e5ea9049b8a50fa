import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  SourcePattern,
  SourcePatternError,
} from "../../../../relay/sources/guard/source_pattern.ts";
import { propertyParameters } from "../../../support/property.ts";

// deno-fmt-ignore
const TABLE: [string, readonly string[], readonly string[]][] = [
  ["https://example.com/events/*", [
    "https://example.com/events/", "https://example.com/events/a/b",
    "https://example.com/events/a?key=1&x=/y#z", "https://EXAMPLE.com:443/events/a",
    "https://example.com/events/a..b", "https://example.com/events/..a", "https://example.com/events/...",
    "https://example.com/events/.%2fa",
  ], [
    "http://example.com/events/a", "https://example.com:8443/events/a", "https://example.com/events",
    "https://example.com/eventsx/a", "https://example.com/Events/a", "https://example.com/x/events/a",
    "https://example.org/events/a", "https://a.example.com/events/a", "https://example.com./events/a",
    "https://example.com.evil.org/events/a", "https://example.com@evil.org/events/a",
    "https://evil.org/?https://example.com/events/a", "https://evil.org/#https://example.com/events/a",
    "https://evil.org\\@example.com/events/a", "https://user@example.com/events/a",
    "https://user:password@example.com/events/a", "https://:password@example.com/events/a",
    "https://example.com/events/../admin", "https://example.com/events/%2e%2E/admin",
    "https://example.com/events/..%2fadmin", "https://example.com/events/%2E.%2Fadmin",
    "https://example.com/events/a%5c..%5Cadmin", "https://example.com/events/..;/admin",
    "https://example.com/events/..;a=b/admin", "https://example.com/events/..%3badmin",
    "https://example.com/events/a%2f..", "ws://example.com/events/a",
    "https://example.com/events/%252e%252e%252fadmin", "https://example.com/events/..%00/admin", "https://example.com/events/..%c0%afadmin",
  ]],
  ["https://example.com", [
    "https://example.com/", "https://example.com/a/b?c", "https://example.com:443/",
  ], [
    "http://example.com/", "https://example.com:444/", "https://example.community/", "https://www.example.com/",
    "https://example.com/a/..%2fb",
  ]],
  ["https://example.com/", ["https://example.com/", "https://example.com/?a=b"], ["https://example.com/a"]],
  ["https://*.example.com/", [
    "https://a.example.com/", "https://a.b.example.com/",
  ], [
    "https://example.com/", "https://myexample.com/", "https://a.example.com.evil.org/",
    "https://evil.org/.example.com/", "https://evil.org?.example.com/", "https://evil.org#.example.com/",
    "https://evil.org\\.example.com/", "https://evil.org:8443/.example.com/",
  ]],
  ["http{s}?://example.com", ["http://example.com/a", "https://example.com/a"], [
    "http://example.com:443/", "https://example.com:80/", "ftp://example.com/",
  ]],
  ["http://example.com:8080/:room/events", ["http://example.com:8080/a/events"], [
    "http://example.com/a/events", "http://example.com:8080/a/b/events", "http://example.com:80800/",
  ]],
  ["http://example.com:*/", ["http://example.com/", "http://example.com:1/"], ["https://example.com/"]],
  ["https://*", ["https://example.com/", "https://127.0.0.1/"], ["http://example.com/", "https://a:b@example.com/"]],
  ["https://*/events", ["https://a.org/events"], ["https://a.org/", "https://a.org:1/events"]],
  ["http://127.0.0.1:3000", ["http://127.0.0.1:3000/a", "http://0x7f.1:3000/"], ["http://127.0.0.1/", "http://127.0.0.10:3000/"]],
  ["http://[::1]:3000/a", ["http://[::1]:3000/a", "http://[0:0::1]:3000/a"], ["http://[::2]:3000/a", "http://[::1]/a"]],
  ["https://BÜCHER.example/", ["https://bücher.example/", "https://xn--bcher-kva.example/"], ["https://bucher.example/"]],
  ["*", ["https://example.com/", "http://example.com:1/?a", "http://127.0.0.1/"], [
    "ftp://example.com/", "file:///etc/passwd", "data:text/event-stream,", "blob:https://example.com/1",
    "https://user@example.com/", "https://:password@example.com/",
  ]],
];

Deno.test("SourcePattern matches what it says, and nothing else", async (t) => {
  for (const [text, matched, others] of TABLE) {
    const pattern = new SourcePattern(text);
    for (const url of matched) {
      await t.step(
        `${text} matches ${url}`,
        () => assertEquals(pattern.matches(new URL(url)), true),
      );
    }
    for (const url of others) {
      await t.step(`${text} does not match ${url}`, () =>
        // Text that is not a URL matches nothing.
        assertEquals(
          URL.canParse(url) && pattern.matches(new URL(url)),
          false,
        ));
    }
  }
});

// deno-fmt-ignore
const INVALID: [string, string][] = [
  ["", "or '*' for every URL"], ["example.com", "or '*' for every URL"], ["/events", "or '*' for every URL"],
  ["**", "or '*' for every URL"], ["https://example.com/(", "or '*' for every URL"], ["https://a b/", "or '*' for every URL"],
  ["ftp://example.com", "'https'"], ["*://example.com/", "'https'"], ["http*://example.com/", "'https'"],
  ["(https|ftp)://example.com/", "'https'"], [":a://example.com/", "'https'"],
  ["https://user@example.com/", "user name"], ["https://user:password@example.com/", "user name"],
  ["https://:password@example.com/", "user name"],
  ["https://*example.com", "host"], ["https://example.com*", "host"], ["https://*.*.com", "host"], ["https://a.*.com", "host"],
  ["https://(a|b).com", "host"], ["https://:a.com", "host"], ["https://{a.}?com", "host"], ["https://", "host"], ["https:///a", "host"],
  ["https://*.", "host"], ["https://example.com.", "host"],
  ["https://example.com:(80|81)/", "port"], ["https://example.com:8*/", "port"], ["https://example.com:{80}?/", "port"],
  ["https://example.com/a?b=c", "query"], ["https://example.com/a#b", "query"], ["https://example.com/a?", "query"], ["https://example.com/a?*#b", "query"], ["https://*:password@example.com/", "user name"],
];

Deno.test("SourcePattern refuses what is looser than it looks, and says what is wanted", async (t) => {
  for (const [text, wanted] of INVALID) {
    await t.step(text || "nothing", () => {
      const error = assertThrows(
        () => new SourcePattern(text),
        SourcePatternError,
        wanted,
      );
      assertEquals(error.message.endsWith(`got '${text}'`), true);
    });
  }
});

Deno.test("SourcePattern stays within its host, port and path, whatever is around them", () => {
  const pattern = new SourcePattern("https://*.example.com:8443/events/*");
  const part = fc.stringMatching(/^[a-z.:@/\\?#%;2fe5c]{0,12}$/);
  const glue = fc.constantFrom(
    "example.com",
    ".example.com",
    ":8443",
    "/events/",
    "https://",
    "..",
    "",
  );
  let matched = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(part, glue), { maxLength: 8 }), (parts) => {
      for (
        const text of [
          `https://${parts.join("")}`,
          `https://a.example.com:8443/events/${parts.join("")}`,
          `https://a${parts.join("")}.example.com:8443/events/`,
        ]
      ) {
        const url = URL.parse(text);
        if (!url || !pattern.matches(url)) continue;
        matched++;
        const { protocol, username, password, hostname, port, pathname } = url;
        assertEquals([protocol, username, password, port], [
          "https:",
          "",
          "",
          "8443",
        ]);
        assertEquals(hostname.endsWith(".example.com"), true, text);
        // As a server sees it that decodes first, and cuts off what follows a semicolon.
        const decoded = decodeURIComponent(
          pathname.replace(/%(?![0-9a-f]{2})/gi, "%25").replace(
            /%(?!2f|2e|5c|3b|25)/gi,
            "%25",
          ),
        );
        const seen = decoded.split(/[/\\]/).map((step) => step.split(";")[0])
          .join("/");
        const { pathname: resolved } = new URL(seen, "https://a/");
        assertEquals(resolved.startsWith("/events/"), true, text);
      }
    }),
    propertyParameters(3_000),
  );
  assertEquals(matched > 100, true);
});
