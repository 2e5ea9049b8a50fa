// The requests that reach the provider, and the answers that reach the caller,
// for everything that is not a stream.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { createRelay, RelayOptionsError } from "../../../relay/mod.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { LIMIT, startGateway } from "../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { until, untilStill, within } from "../../support/within.ts";

/** After an answer that came early, the connection can be used once the body is whole. */
async function goOn(caller: RawCaller): Promise<void> {
  caller.head("GET", "/healthz");
  await caller.see('{"status":"ok"}');
}

const BODILESS = ["GET", "HEAD", "OPTIONS", "DELETE"];

for (const method of [...BODILESS, "POST", "PUT", "PATCH"]) {
  Deno.test(`${method} is forwarded as it is, and so is its answer`, async () => {
    await using world = await startGateway();
    const hasBody = !BODILESS.includes(method);
    const asked = world.request("/v1/files/f%2F1?a=%20b&c&a=2", {
      method,
      ...(hasBody && { body: new Uint8Array([0, 255, 13, 10]) }),
    });
    const exchange = await world.provider.next();
    assertEquals(exchange.method, method);
    assertEquals(exchange.target, "/base/v1/files/f%2F1?a=%20b&c&a=2");
    assertEquals([...await exchange.body()], hasBody ? [0, 255, 13, 10] : []);
    await exchange.answer(
      203,
      { "content-type": "x/y" },
      method === "HEAD" ? "" : "b\0d\xFF",
    );
    const response = await asked;
    assertEquals(response.status, 203);
    assertEquals(response.headers.get("content-type"), "x/y");
    assertEquals(response.headers.get("rivulet-topic"), null);
    assertEquals(await response.text(), method === "HEAD" ? "" : "b\0d\xFF");
    assertEquals(world.provider.count, 1);
    assertEquals(await world.names(), []);
  });
}

const TARGETS = [
  ["/v1/models", "/base/v1/models"],
  ["/raw/v1/models", "/base/v1/models"],
  ["/v1/a/v1/b", "/base/v1/a/v1/b"],
  ["/v1/a//b/", "/base/v1/a//b/"],
  [
    "/v1/a%20b/%C3%A4?x=%C3%A4+y&z=%2B",
    "/base/v1/a%20b/%C3%A4?x=%C3%A4+y&z=%2B",
  ],
  ["/v1/a;b=c,d@e:f!$&()*~", "/base/v1/a;b=c,d@e:f!$&()*~"],
  ["/v1/a..b/...%2F..c", "/base/v1/a..b/...%2F..c"],
  ["/v1/100%25/%E2%82%AC%zz", "/base/v1/100%25/%E2%82%AC%zz"],
  ["/v1//evil.example/x", "/base/v1//evil.example/x"],
  ["/v1/x?url=http://a/b?c=d", "/base/v1/x?url=http://a/b?c=d"],
] as const;

Deno.test("A path and a query are kept as they are", async () => {
  await using world = await startGateway();
  for (const [target, expected] of TARGETS) {
    using caller = await RawCaller.open(world.port);
    caller.head("GET", target);
    const exchange = await world.provider.next();
    assertEquals(exchange.target, expected);
    await exchange.answer(200, {}, "yes");
    await caller.see("\r\n\r\nyes");
  }
});

/** Paths that a provider may read as others. */
const MISLEADING = [
  "/v1/..%2fadmin",
  "/v1/..%2F..%2Fetc",
  "/v1/..%5cadmin",
  "/v1/a%5C..%5Cadmin",
  "/v1/a%5cb",
  "/v1/..;/admin",
  "/v1/..;a=b/admin",
  "/v1/models/..;",
  "/v1/..%3badmin",
  "/v1/models/a%2f..%2f..%2ffiles",
  "/v1/models/a%2f..",
  "/v1/%2e%2e%2fadmin",
  "/v1/.%2e%2fadmin",
  "/v1/%252e%252e%252fadmin",
  "/v1/%252e%252e/admin",
  "/v1/..%252fadmin",
  "/v1/..%25252fadmin",
  "/v1/%2525252525252525252525252e",
  "/v1/..%20/admin",
  "/v1/..%3fadmin",
  "/v1/..%23/admin",
  "/v1/..%00/admin",
  "/v1/models%00",
  "/v1/models%0d%0aX:1",
  "/v1/models%2500",
  "/v1/%c0%ae%c0%ae/admin",
  "/v1/..%c0%afadmin",
  "/v1/..%u002fadmin",
  "/raw/v1/..%2fadmin",
  "/raw/v1/%ff/..%2fadmin",
];

Deno.test("A path that a provider may read as another is refused, and not forwarded (B4)", async () => {
  await using world = await startGateway();
  for (const target of MISLEADING) {
    for (const method of ["GET", "POST"]) {
      using caller = await RawCaller.open(world.port);
      caller.head(method, target, { "content-length": "0" });
      const answer = await caller.see("}");
      assert(answer.startsWith("HTTP/1.1 400 "), `${target}: ${answer}`);
      assert(answer.includes('"code":"invalid_path"'), `${target}: ${answer}`);
    }
  }
  assertEquals(world.provider.count, 0);
});

Deno.test("What is under no provider's path is not forwarded", async () => {
  await using world = await startGateway();
  for (
    const target of [
      "/v1",
      "/v1/",
      "/other/v1/models",
      "/raw/v1",
      "/raw/v2/models",
      "/v1/%2e%2e/secret",
      "/v1/..\\..\\secret",
      "/V1/models",
      "/topics/v1/models",
    ]
  ) {
    using caller = await RawCaller.open(world.port);
    caller.head("GET", target);
    const head = await caller.see("\r\n\r\n");
    const status = target.includes("\\") ? 400 : 404;
    assert(head.startsWith(`HTTP/1.1 ${status} `), `${target}: ${head}`);
  }
  assertEquals(world.provider.count, 0);
});

Deno.test("The first of several providers has /v1/, and each a path of its own", async () => {
  await using first = await RawProvider.start();
  await using second = await RawProvider.start();
  await using relay = await startRelay({
    gateway: {
      providers: [
        { name: "first", url: `${first.url}/` },
        { name: "second-2", url: second.url, key: "k2", keyHeader: "api-key" },
      ],
    },
  });
  for (
    const [path, provider] of [
      ["/v1/models", first],
      ["/first/v1/models", first],
      ["/second-2/v1/models", second],
    ] as const
  ) {
    const asked = relay.request(path);
    const exchange = await provider.next();
    assertEquals(exchange.target, "/base/v1/models");
    assertEquals(
      exchange.header("api-key"),
      provider === second ? "k2" : undefined,
    );
    await exchange.json(200, {});
    await (await asked).text();
  }
});

Deno.test("A relay without a provider has no /v1/", async () => {
  await using relay = await startRelay();
  const response = await relay.request("/v1/models");
  assertEquals(response.status, 404);
  assertEquals((await response.json()).code, "not_found");
});

Deno.test("A provider takes no name of the relay's own paths, no bad URL, no key of two lines", () => {
  const url = "https://example.com/v1";
  for (
    const provider of [
      ...["topics", "events", "v1", "ws", "healthz", "readyz", "metrics"].map(
        (name) => ({ name, url }),
      ),
      ...["", "A", "a/b", "-a", "a".repeat(33), "a b", "ä"].map((name) => ({
        name,
        url,
      })),
      { name: "a", url: "ftp://example.com" },
      { name: "a", url: "https://user:pass@example.com" },
      { name: "a", url: "https://example.com/?a=b" },
      { name: "a", url: "https://example.com/#f" },
      { name: "a", url, key: "a\nb" },
      { name: "a", url, key: "" },
    ]
  ) {
    assertThrows(
      () => createRelay({ gateway: { providers: [provider] } }),
      RelayOptionsError,
      "providers",
    );
  }
  assertThrows(
    () =>
      createRelay({
        gateway: { providers: [{ name: "a", url }, { name: "a", url }] },
      }),
    RelayOptionsError,
    "two 'a'",
  );
});

/** Headers of a request by name: what the provider gets of them. */
const REQUEST_HEADERS: Readonly<Record<string, string | undefined>> = {
  "accept": "x/y",
  "accept-language": "de",
  "anthropic-version": "2023-06-01",
  "content-type": "text/plain",
  "idempotency-key": "k",
  "openai-beta": "a",
  "user-agent": "sdk/1",
  "x-stainless-lang": "js",
  "x-odd": "caf\xE9",
  "authorization": "Bearer caller",
  "x-api-key": "caller-x",
  "api-key": "caller-a",
  "x-goog-api-key": "caller-g",
  "ocp-apim-subscription-key": "caller-o",
  "x-auth-token": "caller-t",
  // Whoever has the key chooses for whom it acts.
  "openai-organization": "org-1",
  "openai-project": "proj-1",
  "anthropic-workspace-id": "w-1",
  "anthropic-user-profile-id": "u-1",
  "anthropic_workspace.id": "w-2",
  "x-goog-user-project": "g-1",
  // Not for the provider.
  "accept-encoding": undefined,
  "connection": undefined,
  "cookie": undefined,
  "expect-ct-named": undefined,
  "forwarded": undefined,
  "keep-alive": undefined,
  "proxy-authorization": undefined,
  "rivulet-on-disconnect": undefined,
  "rivulet-topic": undefined,
  "te": undefined,
  "trailer": undefined,
  "x-forwarded-for": undefined,
  "x-forwarded-proto": undefined,
  "x-real-ip": undefined,
  // Neither is what only a proxy may say, or what makes it another request (B4).
  ...Object.fromEntries(
    [
      "cf-connecting-ip",
      "client-ip",
      "fastly-client-ip",
      "max-forwards",
      "true-client-ip",
      "via",
      "x-client-ip",
      "x-cluster-client-ip",
      "x-forwarded",
      "x-forwarded-host",
      "x-forwarded-prefix",
      "x-http-method",
      "x-http-method-override",
      "x-method-override",
      "x-original-host",
      "x-original-method",
      "x-original-url",
      "x-remote-user",
      "base-url",
      "proxy",
      "request-uri",
      "x-accel-redirect",
      "x-appengine-user-ip",
      "x-host",
      "x-http-path-override",
      "x-nf-client-connection-ip",
      "x-original-anything",
      "x-rewrite-url",
      "x-sendfile",
      "x-vercel-forwarded-for",
      "x_forwarded_for",
      "x_http_method_override",
      "x_original_url",
      "client-cert",
      "host-override",
      "remote-groups",
      "tailscale-user-login",
      "x-auth-request-email",
      "x-goog-authenticated-user-id",
      "x-ms-client-principal",
      "x-ssl-client-s-dn",
      "x-webauth-user",
      // Gateways of CGI read all of these as the names with hyphens.
      "access_control_request_method",
      "rivulet_token",
      "rivulet.topic",
      "sec_fetch_site",
      "x.forwarded.for",
      "x~real^ip",
    ].map((name) => [name, undefined]),
  ),
};

const REQUEST_VALUES: Readonly<Record<string, string>> = {
  "accept-encoding": "gzip, br",
  "connection": "keep-alive, Expect-CT-Named",
  "cookie": "a=b",
  "expect-ct-named": "hop",
  "forwarded": "for=1.2.3.4",
  "keep-alive": "timeout=5",
  "proxy-authorization": "Basic abc",
  "rivulet-on-disconnect": "cancel",
  "rivulet-topic": "t",
  "te": "trailers",
  "trailer": "X-T",
  "x-forwarded-for": "1.2.3.4",
  "x-forwarded-proto": "https",
  "x-real-ip": "1.2.3.4",
};

/** The headers of callers' keys in {@linkcode REQUEST_HEADERS}, where the relay has a key. */
const NO_KEYS = {
  "openai-organization": undefined,
  "openai-project": undefined,
  "anthropic-workspace-id": undefined,
  "anthropic-user-profile-id": undefined,
  "anthropic_workspace.id": undefined,
  "x-goog-user-project": undefined,
  "authorization": undefined,
  "x-api-key": undefined,
  "api-key": undefined,
  "x-goog-api-key": undefined,
  "ocp-apim-subscription-key": undefined,
  "x-auth-token": undefined,
};

for (
  const [name, keys, told] of [
    ["the caller's own keys", {}, {}],
    ["the relay's key as Authorization", { key: "relay-key" }, {
      ...NO_KEYS,
      "authorization": "Bearer relay-key",
    }],
    ["the relay's key as x-api-key", {
      key: "relay-key",
      keyHeader: "x-api-key",
    }, { ...NO_KEYS, "x-api-key": "relay-key" }],
    ["the relay's key as api-key", { key: "relay-key", keyHeader: "api-key" }, {
      ...NO_KEYS,
      "api-key": "relay-key",
    }],
    ["the relay's key as x-goog-api-key", {
      key: "relay-key",
      keyHeader: "x-goog-api-key",
    }, { ...NO_KEYS, "x-goog-api-key": "relay-key" }],
  ] as const
) {
  Deno.test(`The provider is told what is meant for it, and ${name}`, async () => {
    await using world = await startGateway({}, keys);
    const expected: Record<string, string | undefined> = {
      ...REQUEST_HEADERS,
      ...told,
    };
    using caller = await RawCaller.open(world.port);
    const headers = Object.fromEntries(
      Object.entries(REQUEST_HEADERS).map(([name, value]) =>
        [name, value ?? REQUEST_VALUES[name] ?? ""] as const
      ),
    );
    caller.send(
      Uint8Array.from(
        `POST /v1/files HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n${
          Object.entries(headers).map(([name, value]) =>
            `${name}: ${value}\r\n`
          ).join("")
        }\r\nhi`,
        (character) => character.charCodeAt(0),
      ),
    );
    const exchange = await world.provider.next();
    const { host, ...got } = Object.fromEntries(exchange.headers);
    assertEquals(host, new URL(world.provider.url).host);
    for (const [name, value] of Object.entries(expected)) {
      if (value === undefined) delete expected[name];
    }
    assertEquals(got, {
      ...expected,
      "accept-encoding": "identity",
      "connection": "keep-alive",
      "content-length": "2",
    });
    await exchange.answer(200, {}, "yes");
    await caller.see("\r\n\r\nyes");
  });
}

Deno.test("The caller's key in a query is forwarded only if the relay has none", async () => {
  const query = "?a=%20b&key=caller&API%5Fkey=b&access_token=c&pageToken=d&k";
  for (
    const [key, expected] of [
      [undefined, query],
      ["relay-key", "?a=%20b&pageToken=d&k"],
    ] as const
  ) {
    await using world = await startGateway({}, key ? { key } : {});
    for (
      const [sent, got] of [[query, expected], ["?key=a", key ? "" : "?key=a"]]
    ) {
      const asked = world.request(`/v1/models${sent}`);
      const exchange = await world.provider.next();
      assertEquals(exchange.target, `/base/v1/models${got}`);
      await exchange.json(200, {});
      await (await asked).text();
    }
  }
});

Deno.test("The caller is told what is meant for it", async () => {
  await using world = await startGateway();
  const asked = world.request("/v1/models");
  const exchange = await world.provider.next();
  await exchange.raw(
    [
      "HTTP/1.1 404 Odd",
      "Content-Type: application/json",
      "Content-Length: 2",
      "Connection: close, X-Hop",
      "X-Hop: 1",
      "Keep-Alive: timeout=5",
      "Proxy-Authenticate: Basic",
      "Alt-Svc: h3",
      "Set-Cookie: a=b",
      "Set-Cookie: c=d",
      "Strict-Transport-Security: max-age=1",
      "Rivulet-Topic: of another relay",
      "X-Request-Id: req_1",
      "X-RateLimit-Remaining: 5",
      "Retry-After: 7",
      'Link: <https://a/b>; rel="next"',
      "Vary: Accept",
      "Vary: Origin",
      "Date: Thu, 01 Jan 1970 00:00:00 GMT",
      "",
      "{}",
    ].join("\r\n"),
  );
  exchange.close();
  const response = await asked;
  assertEquals(response.status, 404);
  assertEquals(await response.text(), "{}");
  // That of the relay's own connection.
  const { connection: _, "keep-alive": __, ...headers } = Object.fromEntries(
    response.headers,
  );
  assertEquals(headers, {
    "content-type": "application/json",
    "content-length": "2",
    "x-request-id": "req_1",
    "x-ratelimit-remaining": "5",
    "retry-after": "7",
    "link": '<https://a/b>; rel="next"',
    "vary": "Accept, Origin",
    "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
  });
});

/** Headers by which a provider would speak for the origin of the relay. */
const OF_ORIGIN = [
  "Accept-CH: Sec-CH-UA-Model",
  "Access-Control-Allow-Origin: *",
  'Alt-Svc: h3="evil.example:443"',
  'Clear-Site-Data: "*"',
  "Content-Security-Policy: default-src *",
  "Content-Security-Policy-Report-Only: default-src 'none'; report-uri https://evil.example",
  "Critical-CH: Sec-CH-UA-Model",
  "Expect-CT: max-age=1",
  'NEL: {"report_to":"a","max_age":9999}',
  "Origin-Agent-Cluster: ?1",
  "Origin-Trial: token",
  'Public-Key-Pins: pin-sha256="a"; max-age=9999',
  "Refresh: 0; url=https://evil.example",
  'Report-To: {"max_age":1,"endpoints":[{"url":"https://evil.example"}]}',
  'Reporting-Endpoints: default="https://evil.example"',
  'Secure-Session-Registration: (ES256);path="/a"',
  "Service-Worker-Allowed: /",
  "Set-Cookie: a=b; Path=/",
  "Set-Cookie2: a=b",
  "Set-Login: logged-in",
  "Strict-Transport-Security: max-age=9999; includeSubDomains",
  'Use-As-Dictionary: match="/*"',
  "X-Content-Type-Options: off",
];

Deno.test("An answer says nothing about the origin of the relay, and is no part of it", async () => {
  const seen = new Set(
    OF_ORIGIN.map((header) => header.toLowerCase().split(":")[0]!),
  );
  assertEquals(seen.size, OF_ORIGIN.length);
  await using world = await startGateway();
  for (const type of ["text/html", "text/event-stream", "application/json"]) {
    using caller = await RawCaller.open(world.port);
    caller.head("GET", "/v1/models");
    const exchange = await world.provider.next();
    const head = [`HTTP/1.1 200 OK`, `Content-Type: ${type}`, ...OF_ORIGIN];
    await exchange.raw(
      [...head, "Connection: close", "", "data: [DONE]\n\n"].join("\r\n"),
    );
    exchange.close();
    const answer = (await caller.see("[DONE]")).split("\r\n\r\n")[0]!;
    for (const header of OF_ORIGIN) {
      assert(!answer.toLowerCase().includes(header.toLowerCase()), answer);
    }
    const names = answer.split("\r\n").slice(1)
      .map((line) => line.split(":")[0]!).filter((name) => seen.has(name));
    assertEquals(names.sort(), [
      "content-security-policy",
      "x-content-type-options",
    ]);
    assert(answer.includes("\r\ncontent-security-policy: sandbox\r\n"), answer);
    assert(answer.includes("\r\nx-content-type-options: nosniff\r\n"), answer);
  }
});

Deno.test("The head of a stream says what the provider and what the relay have to say, once each", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  const body = "data: [DONE]\n\n";
  await exchange.raw(
    [
      "HTTP/1.1 200 OK",
      "Content-Type: text/event-stream; charset=utf-8",
      `Content-Length: ${body.length}`,
      "Connection: close",
      "Set-Cookie: a=b",
      "Cache-Control: no-cache",
      "X-Accel-Buffering: yes",
      "X-Request-Id: req_1",
      "Rivulet-Topic: of-another-relay",
      "Rivulet-Epoch: of-another-relay",
      'Link: </a>; rel="help"',
      "Date: Thu, 01 Jan 1970 00:00:00 GMT",
      "",
      body,
    ].join("\r\n"),
  );
  exchange.close();
  const caller = await answer;
  await caller.rest();
  const { connection: _, "keep-alive": __, ...headers } = Object.fromEntries(
    caller.response.headers,
  );
  assertEquals(headers, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
    "x-request-id": "req_1",
    "content-security-policy": "sandbox",
    "x-content-type-options": "nosniff",
    "rivulet-topic": "t",
    "rivulet-epoch": (await world.describe("t"))?.epoch ?? "",
    "link": '</a>; rel="help", </topics/t>; rel="events"',
    "date": "Thu, 01 Jan 1970 00:00:00 GMT",
    // A second answer may take its place that is not as long.
    "transfer-encoding": "chunked",
  });
});

Deno.test("A packed answer that nobody has asked for is passed on as it is, and makes no topic", async () => {
  await using world = await startGateway();
  for (const type of ["text/plain", "text/event-stream"]) {
    using caller = await RawCaller.open(world.port);
    const body = '{"stream":true}';
    caller.head("POST", "/v1/responses", {
      "content-type": "application/json",
      "content-length": String(body.length),
      "rivulet-topic": "t",
    });
    caller.send(body);
    const exchange = await world.provider.next();
    const packed = gzipSync("data: hello\n\n");
    await exchange.answer(200, {
      "content-encoding": "gzip",
      "content-type": type,
    }, packed);
    const head = await caller.see("\r\n\r\n");
    assert(/\r\ncontent-encoding: gzip\r\n/i.test(head), head);
    const start = head.indexOf("\r\n\r\n") + 4;
    const bytes = await caller.reach(start + packed.length);
    assertEquals([...bytes.subarray(start)], [...packed]);
    assertEquals(await world.ended("t"), {
      status: "failed",
      reason:
        `Expected an event stream, and the provider has answered 200 with gzip ${type}`,
    });
  }
});

for (const status of [301, 302, 303, 307, 308, 304, 204]) {
  Deno.test(`A ${status} is passed on, not followed`, async () => {
    await using world = await startGateway();
    const asked = world.request("/v1/models", { redirect: "manual" });
    const exchange = await world.provider.next();
    const location = "https://example.com/elsewhere?x=1";
    const hasBody = status !== 304 && status !== 204;
    await exchange.raw(
      `HTTP/1.1 ${status} X\r\nConnection: close\r\nLocation: ${location}\r\n` +
        (hasBody ? "Content-Length: 2\r\n\r\nhi" : "\r\n"),
    );
    exchange.close();
    const response = await asked;
    assertEquals(response.status, status);
    assertEquals(response.headers.get("location"), location);
    assertEquals(await response.text(), hasBody ? "hi" : "");
    assertEquals(world.provider.count, 1);
  });
}

Deno.test("A body of JSON arrives byte for byte", async () => {
  await using world = await startGateway();
  const body = '{ "stream" : false,\t"a":"\u00e4\\u0000 \u{1F600}" }\r\n';
  for (const type of ["application/json", "application/vnd.x+json"]) {
    const asked = world.request("/v1/embeddings", {
      method: "POST",
      body,
      headers: { "content-type": type },
    });
    const exchange = await world.provider.next();
    assertEquals(new TextDecoder().decode(await exchange.body()), body);
    await exchange.json(200, {});
    assertEquals(await (await asked).json(), {});
  }
});

Deno.test("A form arrives byte for byte", async () => {
  await using world = await startGateway();
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new File([new Uint8Array(70_000).fill(7)], "a.bin"));
  const { headers, body } = new Request("http://relay", {
    method: "POST",
    body: form,
  });
  const bytes = new Uint8Array(await new Response(body).arrayBuffer());
  const asked = world.request("/v1/files", {
    method: "POST",
    body: bytes,
    headers,
  });
  const exchange = await world.provider.next();
  assertEquals(exchange.header("content-type"), headers.get("content-type"));
  assertEquals(new Uint8Array(await exchange.body()), bytes);
  await exchange.json(200, {});
  await (await asked).text();
});

Deno.test("An upload is passed on as it comes, and waits for a provider that does not read", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  const size = 50 * 1024 * 1024;
  caller.head("POST", "/v1/files", { "content-length": String(size) });
  const exchange = await world.provider.next();
  // It is there before the body is.
  exchange.pause(true);
  const hash = createHash("sha256");
  for (let at = 0; at < size; at += 65_536) {
    const part = new Uint8Array(65_536).fill(at / 65_536);
    hash.update(part);
    caller.send(part);
  }
  await untilStill(() => caller.unsent, "the caller to be held up");
  // The bytes under way fill the buffers of four sockets and a few parts.
  assert(
    caller.unsent > size / 2,
    `the relay has taken all but ${caller.unsent}`,
  );
  exchange.pause(false);
  const body = await exchange.body();
  assertEquals(body.length, size);
  assertEquals(
    createHash("sha256").update(body).digest("hex"),
    hash.digest("hex"),
  );
  await exchange.answer(200, {}, "yes");
  await caller.see("\r\n\r\nyes");
});

Deno.test("A download waits for a caller that does not read, and is whole", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  caller.head("GET", "/v1/files/f/content");
  const exchange = await world.provider.next();
  caller.pause(true);
  const size = 40 * 1024 * 1024;
  await exchange.head(200, { "content-length": String(size) });
  let sent = 0;
  const sending = (async () => {
    for (; sent < size; sent += 65_536) {
      await exchange.write(new Uint8Array(65_536).fill(sent / 65_536));
    }
    await exchange.end();
  })();
  await untilStill(() => sent, "the provider to be held up");
  assert(sent < size / 2, `the relay has taken ${sent}`);
  caller.pause(false);
  const head = await caller.see("\r\n\r\n");
  const start = head.indexOf("\r\n\r\n") + 4;
  const bytes = (await caller.reach(start + size)).subarray(start);
  await sending;
  for (let at = 0; at < size; at += 65_536) {
    assertEquals(bytes[at], (at / 65_536) & 255);
  }
});

Deno.test("An answer that breaks off is cut off, not ended", async () => {
  await using world = await startGateway();
  for (const length of [undefined, "100"]) {
    const asked = world.request("/v1/models");
    const exchange = await world.provider.next();
    await exchange.head(200, {
      "content-type": "application/json",
      ...(length && { "content-length": length }),
    });
    await exchange.write('{"a":');
    const caller = new CallerStream(await asked);
    await caller.see('{"a":');
    exchange.close();
    assertEquals(await caller.rest(), { text: '{"a":', end: "cut" });
  }
});

Deno.test("A body of JSON that is too long is refused with 413, and not forwarded", async () => {
  await using world = await startGateway({ limits: { maxBody: 1_000 } });
  for (
    const [size, status] of [[1_000, 200], [1_001, 413], [
      300_000,
      413,
    ]] as const
  ) {
    using caller = await RawCaller.open(world.port);
    const isFine = status === 200;
    caller.head("POST", "/v1/embeddings", {
      "content-type": "application/json",
      // A body that is too large is refused before all of it has arrived.
      "content-length": String(isFine ? size : size + 1),
    });
    caller.send(`"${"a".repeat(size - 2)}"`);
    if (isFine) await (await world.provider.next()).json(200, {});
    const answer = await caller.see(isFine ? "{}" : "body_too_large");
    assert(answer.startsWith(`HTTP/1.1 ${status} `), answer);
    if (!isFine) await caller.closed();
  }
  assertEquals(world.provider.count, 1);
});

Deno.test("An upload that is too long is refused with 413, and the provider's connection closed", async () => {
  await using world = await startGateway({ gateway: { maxUpload: 100_000 } });
  using caller = await RawCaller.open(world.port);
  caller.head("POST", "/v1/files", { "transfer-encoding": "chunked" });
  caller.send("186a1\r\n0123456789");
  const exchange = await world.provider.next();
  caller.send(new Uint8Array(99_991));
  caller.send("\r\n0\r\n\r\n");
  const answer = await caller.see("body_too_large");
  assert(answer.startsWith("HTTP/1.1 413 "), answer);
  await goOn(caller);
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  assertEquals(world.provider.count, 1);
});

Deno.test("An upload that becomes too long while its answer streams ends the topic, and cuts the caller", async () => {
  await using world = await startGateway({ gateway: { maxUpload: 100_000 } });
  using caller = await RawCaller.open(world.port);
  caller.head("POST", "/v1/audio/transcriptions", {
    "transfer-encoding": "chunked",
    "rivulet-topic": "t",
  });
  caller.send("186a1\r\n0123456789");
  const exchange = await world.provider.next();
  await exchange.stream("data: a\n\n");
  await caller.see("data: a\n\n");
  caller.send(new Uint8Array(99_991));
  const { status, reason } = await world.ended("t");
  assertEquals(status, "truncated");
  assert(reason?.startsWith("Expected a body of at most"), reason);
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  await caller.closed();
  assert(!caller.text.includes("\r\n0\r\n"), caller.text);
});

for (const type of ["application/json", "application/octet-stream"]) {
  Deno.test(`A body that does not go on is refused with 408: ${type}`, async () => {
    const clock = new FakeClock();
    await using world = await startGateway({
      clock,
      limits: { bodyTimeout: 5_000 },
    });
    using caller = await RawCaller.open(world.port);
    caller.head("POST", "/v1/files", {
      "content-type": type,
      "content-length": "100",
    });
    caller.send("some of it");
    if (type !== "application/json") {
      const exchange = await world.provider.next();
      await until(
        () => exchange.received > 10 || undefined,
        LIMIT,
        "the body's beginning",
      );
    }
    const seen = caller.see("body_timeout");
    await until(
      async () => {
        await clock.advance(1_000);
        return caller.text !== "" || undefined;
      },
      LIMIT,
      "an answer",
    );
    assert((await seen).startsWith("HTTP/1.1 408 "), caller.text);
    caller.send(new Uint8Array(90));
    await goOn(caller);
    assert(clock.now() >= 5_000, `it was refused after ${clock.now()} ms`);
  });
}

Deno.test("A slow upload does not count as a provider's silence", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    gateway: { timeout: 3_000 },
  });
  using caller = await RawCaller.open(world.port);
  caller.head("POST", "/v1/files", { "content-length": "10" });
  const exchange = await world.provider.next();
  for (let i = 1; i <= 10; i++) {
    const before = exchange.received;
    caller.send("a");
    await until(
      () => exchange.received > before || undefined,
      LIMIT,
      "a byte of the body",
    );
    await clock.advance(2_000);
  }
  await exchange.answer(200, {}, "yes");
  await caller.see("\r\n\r\nyes");
});

Deno.test("An answer that comes before the body is whole is passed on", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  caller.head("POST", "/v1/files", { "content-length": "1000000" });
  caller.send("the beginning");
  const exchange = await world.provider.next();
  await exchange.json(401, { error: { message: "no" } });
  assert((await caller.see('"no"')).startsWith("HTTP/1.1 401 "));
  await caller.closed();
});

Deno.test("A caller that leaves within its body leaves nothing behind", async () => {
  for (const type of ["application/json", "application/octet-stream"]) {
    await using world = await startGateway();
    using caller = await RawCaller.open(world.port);
    caller.head("POST", "/v1/responses", {
      "content-type": type,
      "content-length": "100",
    });
    caller.send('{"stream"');
    const exchange = type === "application/json"
      ? undefined
      : await world.provider.next();
    caller[Symbol.dispose]();
    if (exchange) {
      await within(
        exchange.closed,
        LIMIT,
        "the provider's connection to close",
      );
    }
    assertEquals(await world.names(), []);
  }
});

Deno.test("A relay that is being drained forwards nothing", async () => {
  await using world = await startGateway();
  const { relay } = world;
  const follow = async (): Promise<CallerStream> =>
    new CallerStream(
      await world.request("/topics/t", {
        headers: { accept: "text/event-stream" },
      }),
    );
  // Of whom the first is sent away at once, and the second later.
  const followers = [await follow(), await follow()];
  const drained = relay.drain(60_000);
  for (const [path, method] of [["models", "GET"], ["responses", "POST"]]) {
    const response = await world.request(`/v1/${path}`, {
      method: method!,
      ...(method === "POST" && { body: "{}" }),
    });
    assertEquals(response.status, 503);
    assertEquals((await response.json()).code, "draining");
    assert(Number(response.headers.get("retry-after")) > 0);
  }
  for (const follower of followers) await follower.leave();
  await within(drained, LIMIT, "the drain");
  assertEquals(world.provider.count, 0);
});

Deno.test("The caller of what is no run is waited for no longer than it is there", async () => {
  await using world = await startGateway();
  for (const isAnswered of [false, true]) {
    const abort = new AbortController();
    const asked = world.request("/v1/embeddings", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
      signal: abort.signal,
    });
    const exchange = await world.provider.next();
    if (isAnswered) {
      await exchange.head(200);
      await exchange.write("{");
      const caller = new CallerStream(await asked);
      await caller.see("{");
      abort.abort();
      await caller.rest();
    } else {
      abort.abort();
      await asked.catch(() => {});
    }
    await within(exchange.closed, LIMIT, "the provider's connection to close");
  }
  assertEquals(world.provider.count, 2);
});
