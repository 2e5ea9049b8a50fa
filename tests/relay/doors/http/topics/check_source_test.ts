import { assertEquals, assertThrows } from "@std/assert";
import {
  checkSource,
  putBody,
} from "../../../../../relay/doors/http/topics/check_source.ts";
import { Problem } from "../../../../../relay/problem.ts";
import { SourcePolicy } from "../../../../../relay/sources/guard/source_policy.ts";

const URL_ALLOWED = "https://a.example.com/events/1";
const policy = new SourcePolicy(["https://*.example.com/events/*"]);

function accepts(source: Record<string, unknown>): boolean {
  return putBody.safeParse({ source }).success;
}

function withHeaders(headers: Record<string, string>): boolean {
  return accepts({ url: URL_ALLOWED, headers });
}

Deno.test("checkSource makes a guarded source of what is allowed", () => {
  const { source } = putBody.parse({
    source: {
      url: "HTTPS://A.example.com:443/x/../events/1?key=1",
      headers: { Authorization: "Bearer secret", Cookie: "a=b", "X-Key": "k" },
      reconnect: { minTimeout: 100 },
    },
  });
  assertEquals(checkSource(source!, policy), { // it was given
    kind: "guarded",
    url: "https://a.example.com/events/1?key=1",
    headers: { Authorization: "Bearer secret", Cookie: "a=b", "X-Key": "k" },
    reconnect: { minTimeout: 100 },
    repeats: "keep",
  });
});

Deno.test("checkSource refuses what is not allowed, and does not say what is", () => {
  for (
    const url of [
      "https://example.com/events/1",
      "https://a.example.com/events/../secret",
      "https://a.example.com/events/..%2fsecret",
      "https://user@a.example.com/events/1",
      "http://a.example.com/events/1",
      "http://127.0.0.1/",
    ]
  ) {
    const { source } = putBody.parse({ source: { url } });
    const problem = assertThrows(
      () => checkSource(source!, policy), // it was given
      Problem,
    );
    assertEquals([problem.status, problem.code], [403, "source_not_allowed"]);
    assertEquals(/example|127|secret|user/.test(problem.body), false);
  }
});

Deno.test("A source is at a URL of http or https, of 8 KiB at most", () => {
  for (
    const url of [
      "file:///etc/passwd",
      "ws://a.example.com/",
      "data:text/event-stream,",
      "//a.example.com/",
      "a.example.com",
      "",
      `${URL_ALLOWED}?${"x".repeat(8_192)}`,
    ]
  ) assertEquals(accepts({ url }), false, url.slice(0, 100));
  assertEquals(accepts({ url: URL_ALLOWED }), true);
  assertEquals(accepts({ url: URL_ALLOWED, redirect: "follow" }), false);
  assertEquals(accepts({ url: URL_ALLOWED, kind: "sse" }), false);
});

Deno.test("A source may not be sent headers that are not the caller's to set", () => {
  // deno-fmt-ignore
  const forbidden = [
    "Connection", "Content-Length", "Expect", "Host", "HTTP2-Settings", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding",
    "Upgrade", "Via", "Proxy-Authorization", "Proxy-Connection", "Proxy-", "Sec-Fetch-Site", "Sec-WebSocket-Key",
    "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP",
    "Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP", "X_Forwarded_For", "X_Original_URL", "Max-Forwards", "X-Remote-User",
    "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
    "Proxy", "X-Host", "X-HTTP-Path-Override", "X-Accel-Redirect", "X-Sendfile", "Base-URL", "Request-URI", "X-Proxy-URL",
    "X-AppEngine-User-IP", "X-Vercel-Forwarded-For", "X-NF-Client-Connection-IP",
    "Accept-Encoding", "Last-Event-ID",
    "Metadata", "Metadata-Flavor", "X-AWS-EC2-Metadata-Token", "X-AWS-EC2-Metadata-Token-TTL-Seconds", "X-Google-Metadata-Request",
  ];
  for (const name of forbidden) {
    for (const text of [name, name.toLowerCase(), name.toUpperCase()]) {
      assertEquals(withHeaders({ Accept: "a", [text]: "x" }), false, text);
    }
  }
  // deno-fmt-ignore
  const allowed = [
    "Accept", "Accept-Language", "Authorization", "Cache-Control", "Cookie", "Origin", "Referer", "User-Agent", "X-API-Key",
    "X-Hosts", "Hostess", "Proxied", "My-Upgrade", "Section", "X-Te", "X-Metadata",
  ];
  for (const name of allowed) {
    assertEquals(withHeaders({ [name]: "x" }), true, name);
  }
});

Deno.test("A source may be sent headers that HTTP allows alone, and a value that is wrong is not told", () => {
  for (
    const name of ["", " ", "a b", "a:", "a\r\nb", "a\n", "é", "a(b)", "a\0"]
  ) assertEquals(withHeaders({ [name]: "x" }), false, JSON.stringify(name));
  for (
    const value of [
      "a\r\nX-Evil: 1",
      "a\nb",
      "a\rb",
      "a\n",
      "a\0",
      "a\x07",
      "a\x7f",
      "a\u0100",
      "😀",
    ]
  ) {
    const secret = `sesame${value}`;
    const { success, error } = putBody.safeParse({
      source: { url: URL_ALLOWED, headers: { "X-Key": secret } },
    });
    assertEquals(success, false, JSON.stringify(value));
    assertEquals(String(error).includes("sesame"), false);
  }
  for (const value of ["", "a", "a\tb", "é", 'a, b; c="d"']) {
    assertEquals(withHeaders({ "X-Key": value }), true, value);
  }
});

Deno.test("A source may be sent 32 headers, of 8 KiB together", () => {
  const many = (count: number, size: number): Record<string, string> =>
    Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        `x-${index}`.padEnd(5, "-"),
        "v".repeat(size),
      ]),
    );
  assertEquals(withHeaders(many(32, 251)), true);
  assertEquals(withHeaders(many(33, 1)), false);
  assertEquals(withHeaders(many(32, 252)), false);
  assertEquals(withHeaders(many(1, 8_187)), true);
  assertEquals(withHeaders(many(1, 8_188)), false);
});
