// The answers to pages of other origins at each door, and the rules of their
// browsers.
import { assert, assertEquals } from "@std/assert";
import type { RelayOptions } from "../../../../../relay/options/relay_options.ts";
import {
  LIMIT,
  startGateway,
} from "../../../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../../../support/http/raw_caller.ts";
import {
  RawClient,
  requestUpgrade,
} from "../../../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../../../support/rights/token.ts";
import { within } from "../../../../support/within.ts";

const APP = "https://app.example.com";
const OTHER = "https://elsewhere.example";

/** Returns the headers of an answer that concern origins. */
function corsOf(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    [...headers].filter(([name]) => name.startsWith("access-control-")),
  );
}

/** Whether a cache is told that the answer depends on who asks. */
function varies(headers: Headers): boolean {
  return /\borigin\b/i.test(headers.get("vary") ?? "");
}

const STREAM = { accept: "text/event-stream" };

/** The requests that a page can make to a relay. */
// deno-fmt-ignore
const DOORS: readonly [method: string, path: string, headers?: Record<string, string>, body?: string][] = [
  ["GET", "/healthz"],
  ["GET", "/readyz"],
  ["GET", "/metrics"],
  ["GET", "/"],
  ["GET", "/nowhere"],
  ["GET", "/topics"],
  ["GET", "/topics/t", { accept: "application/json" }],
  ["GET", "/topics/t", STREAM],
  ["GET", "/topics/new", STREAM],
  ["GET", "/topics/t?raw", STREAM],
  ["GET", "/topics/t", { ...STREAM, "last-event-id": "start" }],
  ["HEAD", "/topics/t"],
  ["PUT", "/topics/new"],
  ["POST", "/topics/t", { "content-type": "text/plain" }, "new"],
  ["POST", "/topics/t", { "content-type": "application/json" }, '{"data":"new"}'],
  ["POST", "/topics/t", { "content-type": "text/event-stream" }, "data: new\n\n"],
  ["POST", "/topics/t/end", {}, "{}"],
  ["POST", "/topics/t/cancel", {}, "{}"],
  ["DELETE", "/topics/t"],
  ["OPTIONS", "/topics/t"],
  ["GET", "/v1/models"],
  ["OPTIONS", "/v1/models"],
  ["POST", "/v1/embeddings", { "content-type": "application/json" }, "{}"],
  ["POST", "/raw/v1/responses", { "content-type": "text/plain" }, '{"stream":true}'],
];

for (
  const [list, origin] of [
    [[], OTHER],
    [[], "null"],
    [[APP], OTHER],
    [[APP], "http://app.example.com"],
    [[APP, "https://*.example.com"], "https://evil-example.com"],
  ] as const
) {
  Deno.test(`Every door is closed to ${origin} with [${list}]`, async () => {
    await using world = await startGateway({ origins: list });
    const { relay, url, provider } = world;
    relay.topics.create("t").append([{ event: "message", data: "a", id: "" }]);
    for (const [method, path, headers, body = null] of DOORS) {
      const asked = world.request(path, {
        method,
        body,
        headers: { ...headers, origin },
      });
      const response = await within(asked, LIMIT, "the answer");
      const text = await response.text();
      assertEquals(response.status, 403, `${method} ${path}: ${text}`);
      assert(varies(response.headers));
      // The answer to HEAD has no body.
      if (method === "HEAD") continue;
      assertEquals(JSON.parse(text).code, "origin_not_allowed");
    }
    for (const path of ["/ws", "/topics/t", "/topics/new"]) {
      await using client = await RawClient.connect(url);
      const answer = await requestUpgrade(client, path, { Origin: origin });
      assertEquals(answer.status, 403, path);
      assertEquals(JSON.parse(answer.body).code, "origin_not_allowed");
    }
    const [topic, ...others] = relay.topics;
    assertEquals([topic?.name, others], ["t", []]);
    assertEquals([topic?.log.next, topic?.state.kind], [2, "open"]);
    assertEquals(provider.count, 0);
  });
}

Deno.test("Every verb is refused from a page that is not listed, and told nothing that lets it read", async () => {
  await using relay = await startRelay({ origins: [APP] });
  for (const path of ["/topics", "/topics/t", "/nowhere", "/v1/models"]) {
    for (
      const method of [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
      ]
    ) {
      const response = await relay.request(path, {
        method,
        headers: { origin: OTHER, "access-control-request-method": "GET" },
      });
      await response.body?.cancel();
      assertEquals(response.status, 403, `${method} ${path}`);
      assertEquals(corsOf(response.headers), {});
      assert(varies(response.headers));
    }
  }
});

const EXPOSED =
  "*, Idempotent-Replayed, Link, Location, Retry-After, Rivulet-End, Rivulet-Epoch, Rivulet-Next, Rivulet-State, Rivulet-Topic, Rivulet-Upstream, WWW-Authenticate";

const READABLE = { "access-control-expose-headers": EXPOSED };

for (
  const [list, origin, expected] of [
    [[APP], APP, {
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
    }],
    [["https://*.example.com"], APP, { "access-control-allow-origin": APP }],
    [["null"], "null", { "access-control-allow-origin": "null" }],
    [["*"], APP, { "access-control-allow-origin": "*" }],
    [["*"], "null", { "access-control-allow-origin": "*" }],
    [["*", APP], APP, {
      "access-control-allow-origin": APP,
      "access-control-allow-credentials": "true",
    }],
    [["*", APP], OTHER, { "access-control-allow-origin": "*" }],
  ] as const
) {
  Deno.test(`A page of ${origin} can read with [${list}], with credentials if it is listed by itself`, async () => {
    await using relay = await startRelay({ origins: list });
    const { headers, body } = await relay.request("/topics", {
      headers: { origin },
    });
    await body?.cancel();
    assertEquals(corsOf(headers), { ...expected, ...READABLE });
    assert(varies(headers));
    const preflight = await relay.request("/topics/t", {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type",
      },
    });
    assertEquals([preflight.status, await preflight.text()], [204, ""]);
    assertEquals(corsOf(preflight.headers), {
      ...expected,
      "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
      "access-control-allow-headers": "authorization,content-type",
      "access-control-max-age": "600",
    });
    assertEquals(
      preflight.headers.get("vary"),
      "Origin, Access-Control-Request-Headers",
    );
  });
}

Deno.test("Answers to nobody's page and to the relay's own are as they were, but for caches", async () => {
  for (const [origins, isVarying] of [[[], false], [[APP], true]] as const) {
    await using relay = await startRelay({ origins });
    for (const headers of [{}, { origin: relay.url }]) {
      const response = await relay.request("/topics", { headers });
      assertEquals(await response.json(), { topics: [] });
      assertEquals(corsOf(response.headers), {});
      assertEquals(varies(response.headers), isVarying);
    }
  }
});

Deno.test("OPTIONS that is no preflight is answered as any other verb", async () => {
  await using relay = await startRelay({ origins: [APP] });
  for (
    const headers of [
      {},
      { origin: APP },
      { origin: relay.url, "access-control-request-method": "GET" },
      { "access-control-request-method": "GET" },
    ]
  ) {
    const response = await relay.request("/topics", {
      method: "OPTIONS",
      headers,
    });
    assertEquals(response.status, 405);
    assertEquals((await response.json()).code, "method_not_allowed");
  }
});

Deno.test("A preflight allows the headers that it names, and only names", async () => {
  await using relay = await startRelay({ origins: [APP] });
  for (
    const [names, allowed] of [
      ["authorization", true],
      ["Authorization, x-stainless-os ,\tlast-event-id", true],
      [Array(64).fill("a").join(","), true],
      ["a".repeat(64), true],
      ["", false],
      ["a b", false],
      ["a,", false],
      [",a", false],
      ["a: b", false],
      ["a;b", false],
      ["*", true],
      ["a\u00e4", false],
      ["a".repeat(65), false],
      [Array(65).fill("a").join(","), false],
    ] as const
  ) {
    using caller = await RawCaller.open(relay.port);
    caller.send(Uint8Array.from(
      "OPTIONS /topics HTTP/1.1\r\nHost: localhost\r\n" +
        `Origin: ${APP}\r\nAccess-Control-Request-Method: GET\r\n` +
        `Access-Control-Request-Headers: ${names}\r\n\r\n`,
      (character) => character.charCodeAt(0),
    ));
    const head = await caller.see("\r\n\r\n");
    assert(head.startsWith("HTTP/1.1 204 "), head);
    const [, told] = /^access-control-allow-headers: (.*)\r$/im.exec(head) ??
      [];
    assertEquals(told, allowed ? names : undefined, names);
  }
});

Deno.test("A page that may read reads every answer, whoever writes it", async (t) => {
  await using world = await startGateway({
    origins: [APP],
    rights: { jwtKey: JWT_KEY },
    limits: { maxTopicsPerToken: 2 },
  });
  const { relay, provider, request } = world;
  const claims = { sub: "s", read: ["*"], write: ["*"] };
  const authorization = `Bearer ${await mintToken(claims)}`;
  const weak = `Bearer ${await mintToken({ sub: "s", read: ["other"] })}`;
  const json = { accept: "application/json" };
  const stream = { accept: "text/event-stream" };
  const run = { "content-type": "application/json" };
  const topic = relay.topics.create("t");
  topic.append([{ event: "message", data: "a", id: "" }]);
  const ended = relay.topics.create("ended");
  ended.end("complete");
  const atEnd = `${ended.log.epoch}:${ended.log.next}`;
  // deno-fmt-ignore
  const answers: [name: string, status: number, path: string, init?: RequestInit, provider?: () => Promise<void>][] = [
    ["a list", 200, "/topics"],
    ["a page", 200, "/topics/t", { headers: json }],
    ["HEAD", 200, "/topics/t", { method: "HEAD" }],
    ["a new topic", 201, "/topics/first", { method: "PUT" }],
    ["an event stream", 200, "/topics/t", { headers: stream }],
    ["an event stream at its end", 204, "/topics/ended", { headers: { ...stream, "last-event-id": atEnd } }],
    ["no token", 401, "/topics/t", { headers: { ...json, authorization: "" } }],
    ["a bad token", 401, "/topics/t", { headers: { ...json, authorization: "Bearer x" } }],
    ["a weak token", 403, "/topics/t", { headers: { ...json, authorization: weak } }],
    ["an unknown topic", 404, "/topics/unknown", { headers: json }],
    ["an unknown path", 404, "/nowhere"],
    ["another verb", 405, "/topics", { method: "DELETE" }],
    ["no type that there is", 406, "/topics/t", { headers: { accept: "image/png" } }],
    ["an ended topic", 409, "/topics/ended", { method: "POST", body: "x", headers: { "content-type": "text/plain" } }],
    ["a provider's answer", 418, "/v1/models", {}, async () => {
      const exchange = await provider.next();
      await exchange.answer(418, { "vary": "Accept" }, "tea");
    }],
    ["a run", 200, "/v1/responses", { method: "POST", body: '{"stream":true}', headers: { ...run, "rivulet-topic": "run" } }, async () => {
      const exchange = await provider.next();
      await exchange.body();
      await exchange.answer(200, { "content-type": "text/event-stream" }, "data: [DONE]\n\n");
    }],
    ["a call that cannot be passed on", 400, "/v1/responses", { method: "POST", body: "{}", headers: { ...run, "rivulet-topic": ".x" } }],
    ["one topic too many", 429, "/topics/second", { method: "PUT" }],
  ];
  for (const [name, status, path, init = {}, answer] of answers) {
    await t.step(name, async () => {
      const headers = new Headers({ authorization, origin: APP });
      for (const [name, value] of new Headers(init.headers)) {
        headers.set(name, value);
      }
      if (headers.get("authorization") === "") headers.delete("authorization");
      const asked = request(path, { ...init, headers });
      await answer?.();
      const response = await within(asked, LIMIT, "the answer");
      await response.body?.cancel();
      assertEquals(response.status, status);
      assertEquals(corsOf(response.headers), {
        "access-control-allow-origin": APP,
        "access-control-allow-credentials": "true",
        ...READABLE,
      });
      assert(varies(response.headers), response.headers.get("vary") ?? "");
    });
  }
});

Deno.test("A browser asks whether it may send a token before it sends one", async () => {
  await using relay = await startRelay({
    origins: [APP],
    rights: { jwtKey: JWT_KEY },
  });
  for (const path of ["/topics", "/topics/t", "/metrics", "/v1/responses"]) {
    const response = await relay.request(path, {
      method: "OPTIONS",
      headers: { origin: APP, "access-control-request-method": "POST" },
    });
    assertEquals([response.status, await response.text()], [204, ""]);
  }
});

Deno.test("An upgrade is for listed pages, the relay's own, and no page", async () => {
  await using relay = await startRelay({
    origins: [APP, "https://*.below.example"],
  });
  relay.relay.topics.create("t");
  for (const path of ["/ws", "/topics/t"]) {
    for (
      const [headers, status] of [
        [{}, 101],
        [{ Origin: APP }, 101],
        [{ Origin: "https://a.below.example" }, 101],
        [{ Origin: `http://localhost:${relay.port}` }, 101],
        [{ Origin: `https://localhost:${relay.port}` }, 101],
        [{ Origin: OTHER }, 403],
        [{ Origin: "null" }, 403],
        [{ Origin: "" }, 403],
        [{ Origin: `${APP}\r\nOrigin: ${APP}` }, 403],
        [{ Origin: `http://127.0.0.1:${relay.port}` }, 403],
        [{ "Sec-Fetch-Site": "cross-site" }, 403],
      ] as const
    ) {
      await using client = await RawClient.connect(relay.url);
      const answer = await requestUpgrade(client, path, {
        Host: `localhost:${relay.port}`,
        ...headers,
      });
      assertEquals(answer.status, status, JSON.stringify(headers));
      if (status === 101) continue;
      assertEquals(JSON.parse(answer.body).code, "origin_not_allowed");
      assertEquals(
        answer.headers.get("content-type"),
        "application/problem+json",
      );
    }
  }
});

const KEYLESS: RelayOptions = {};

for (
  const [name, options, host, isAnswered] of [
    ["a relay without a key", KEYLESS, "evil.example:8787", false],
    ["a relay without a key", KEYLESS, "localhost", true],
    ["a relay without a key", KEYLESS, "[::1]:8787", true],
    [
      "a relay behind a proxy",
      { origins: ["https://relay.example"] },
      "relay.example",
      true,
    ],
    [
      "a relay with a key",
      { rights: { jwtKey: JWT_KEY } },
      "evil.example:8787",
      true,
    ],
    [
      "a relay that is open on purpose",
      { rights: { insecureOpen: true } },
      "evil.example:8787",
      true,
    ],
  ] as const
) {
  Deno.test(`${name} ${isAnswered ? "answers" : "does not answer"} for ${host}`, async () => {
    await using relay = await startRelay(options);
    for (const path of ["/healthz", "/topics", "/v1/models", "/nowhere"]) {
      using caller = await RawCaller.open(relay.port);
      // The headers that a browser would send for a page of this host.
      caller.head("POST", path, { host, origin: `http://${host}` });
      const head = await caller.see("\r\n\r\n");
      assertEquals(head.startsWith("HTTP/1.1 421 "), !isAnswered, head);
      if (isAnswered) continue;
      await caller.see('"code":"host_not_allowed"');
    }
    await using client = await RawClient.connect(relay.url);
    const { status } = await requestUpgrade(client, "/ws", { Host: host });
    const answered = name === "a relay with a key" ? 401 : 101;
    assertEquals(status, isAnswered ? answered : 421);
  });
}
