// Each limit of the relay, met over real sockets: what is told, and what is counted.
import { assertEquals, assertMatch } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { passTime } from "../../support/pass_time.ts";
import {
  OPCODE,
  RawClient,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { LIMIT, until } from "../../support/within.ts";

/** A limit, how it is met, and what is told then: a status and a code, or how a WebSocket is closed. */
interface Case {
  /** Under which it is counted. */
  readonly reason: string;
  readonly options: RelayOptions;
  readonly told: string;
  meet(relay: TestRelay): Promise<string>;
}

/** The status, and the code of the problem. */
async function told(response: Response | Promise<Response>): Promise<string> {
  const { status, body, headers } = await response;
  const { code } = await new Response(body).json();
  assertEquals(headers.get("content-type"), "application/problem+json");
  return `${status} ${code}`;
}

/** Asks for two sources, where there is a slot for one of them only. */
async function tellLateSource(relay: TestRelay): Promise<string> {
  // It answers nothing, so that a source of it counts. A name that no resolver has
  // would do too, but its look-up goes on when the test is over.
  using upstream = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = upstream.addr as Deno.NetAddr; // it listens on TCP
  const put = (topic: string) =>
    relay.request(`/topics/${topic}`, {
      method: "PUT",
      body: JSON.stringify({ source: { url: `http://127.0.0.1:${port}/` } }),
    });
  const answers = await Promise.all([put("a"), put("b")]);
  const [late] = answers.filter(({ status }) => status !== 201);
  for (const { status, body } of answers) {
    if (status === 201) await body?.cancel();
  }
  return await told(late!); // one of two has no slot
}

function post(
  relay: TestRelay,
  topic: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return relay.request(`/topics/${topic}`, { method: "POST", headers, body });
}

/** Sends raw bytes, and returns the answer up to the end of the connection. */
async function raw(
  { url }: TestRelay,
  bytes: string,
): Promise<string> {
  await using client = await RawClient.connect(url);
  await client.send(bytes);
  await client.closed;
  const all = await client.take(({ length }) => length, "an answer");
  const text = new TextDecoder().decode(all);
  const [, status] = /^HTTP\/1\.1 ([0-9]+) /.exec(text) ?? [];
  const [, code] = /"code":"([a-z_]+)"/.exec(text) ?? [];
  return `${status} ${code}`;
}

const CASES: Readonly<Record<string, Case>> = {
  "connections in all": {
    reason: "too_many_connections",
    options: { limits: { maxConnections: 1 } },
    told: "503 too_many_connections",
    async meet(relay) {
      await using _first = await RawClient.connect(relay.url);
      return await raw(relay, "");
    },
  },
  "connections of an address": {
    reason: "too_many_connections_of_address",
    options: { limits: { maxConnectionsPerAddress: 1 } },
    told: "429 too_many_connections_of_address",
    async meet(relay) {
      await using _first = await RawClient.connect(relay.url);
      return await raw(relay, "");
    },
  },
  "subscriptions of a connection": {
    reason: "too_many_subscriptions",
    options: { limits: { maxSubscriptions: 1 } },
    told: "error too_many_subscriptions",
    async meet({ url }) {
      await using socket = await RawWebSocket.open(url, "/ws");
      for (const topic of ["a", "b"]) {
        await socket.say({ type: "subscribe", topic });
      }
      return `error ${(await socket.message("error"))["code"]}`;
    },
  },
  "the size of a message": {
    reason: "message_too_large",
    options: { limits: { maxMessage: 100 } },
    told: "close 1009",
    async meet({ url }) {
      await using socket = await RawWebSocket.open(url, "/ws");
      await socket.send(OPCODE.text, "x".repeat(101));
      return `close ${await socket.closeCode()}`;
    },
  },
  "messages in a second": {
    reason: "message_rate",
    options: { limits: { maxMessageRate: 2 }, clock: new FakeClock() },
    told: "close 4429",
    async meet({ url }) {
      await using socket = await RawWebSocket.open(url, "/ws");
      for (let i = 0; i < 3; i++) await socket.say({ type: "heartbeat" });
      return `close ${await socket.closeCode()}`;
    },
  },
  "pings in a second": {
    reason: "message_rate",
    options: { limits: { maxMessageRate: 2 }, clock: new FakeClock() },
    told: "close 4429",
    async meet({ url }) {
      await using socket = await RawWebSocket.open(url, "/ws");
      for (let i = 0; i < 3; i++) await socket.send(OPCODE.ping, "");
      return `close ${await socket.closeCode()}`;
    },
  },
  "bytes of messages in a second": {
    reason: "message_rate",
    options: { limits: { maxMessageBytesRate: 100 }, clock: new FakeClock() },
    told: "close 4429",
    async meet({ url }) {
      await using socket = await RawWebSocket.open(url, "/ws");
      for (let i = 0; i < 2; i++) {
        await socket.say({ type: "heartbeat", padding: "x".repeat(50) });
      }
      return `close ${await socket.closeCode()}`;
    },
  },
  "the head of a request": {
    reason: "head_too_large",
    options: { limits: { maxHead: 1_000 } },
    told: "431 head_too_large",
    meet: (relay) =>
      raw(
        relay,
        `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(1_000)}\r\n\r\n`,
      ),
  },
  "how long a head may take": {
    reason: "head_timeout",
    options: { limits: { headTimeout: 100 } },
    told: "408 head_timeout",
    meet: (relay) => raw(relay, "GET / HTTP/1.1\r\n"),
  },
  "the body of a request": {
    reason: "body_too_large",
    options: { limits: { maxBody: 10 } },
    told: "413 body_too_large",
    meet: (relay) => told(post(relay, "t", "x".repeat(11))),
  },
  "how long a body may pause": {
    reason: "body_timeout",
    options: { limits: { bodyTimeout: 10 }, clock: new FakeClock() },
    told: "408 body_timeout",
    async meet(relay) {
      const { clock } = this.options;
      if (!(clock instanceof FakeClock)) throw new Error("It is given above");
      await using client = await RawClient.connect(relay.url);
      await client.send(
        "POST /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
          "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nx",
      );
      const answer = client.take(
        (received) =>
          new TextDecoder().decode(received).includes("}")
            ? received.length
            : undefined,
        "an answer",
      );
      const text = new TextDecoder().decode(await passTime(clock, answer, 5));
      const [, code] = /"code":"([a-z_]+)"/.exec(text) ?? [];
      // Without the rest of it the server would wait, by the machine's time.
      await client.send("yyyy");
      return `${text.split(" ")[1]} ${code}`;
    },
  },
  "topics": {
    reason: "too_many_topics",
    options: { limits: { maxTopics: 1 } },
    told: "503 too_many_topics",
    async meet(relay) {
      await (await post(relay, "a", "x")).body?.cancel();
      return await told(post(relay, "b", "x"));
    },
  },
  "topics of a token": {
    reason: "too_many_topics_of_token",
    options: { limits: { maxTopicsPerToken: 1 }, rights: { jwtKey: JWT_KEY } },
    told: "429 too_many_topics_of_token",
    async meet(relay) {
      const token = await mintToken({ write: ["*"], sub: "a" });
      const headers = { authorization: `Bearer ${token}` };
      await (await post(relay, "a", "x", headers)).body?.cancel();
      return await told(post(relay, "b", "x", headers));
    },
  },
  "the size of an event": {
    reason: "event_too_large",
    options: { limits: { maxEvent: 10 } },
    told: "413 event_too_large",
    meet: (relay) => told(post(relay, "t", "x".repeat(11))),
  },
  "events that are published in a second": {
    reason: "publish_rate",
    options: { limits: { maxPublishRate: 1 }, clock: new FakeClock() },
    told: "429 publish_rate",
    async meet(relay) {
      await (await post(relay, "t", "x")).body?.cancel();
      return await told(post(relay, "t", "x"));
    },
  },
  "upstreams": {
    reason: "too_many_upstreams",
    options: {
      limits: { maxUpstreams: 1 },
      rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
    },
    told: "503 too_many_upstreams",
    meet: tellLateSource,
  },
  "upstreams of a client": {
    reason: "too_many_upstreams_of_client",
    options: {
      limits: { maxUpstreams: 4, maxUpstreamsPerClient: 1 },
      rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
    },
    told: "429 too_many_upstreams_of_client",
    meet: tellLateSource,
  },
};

/**
 * Returns how often it was counted; `undefined` while there is no room to ask.
 */
async function counted(
  relay: TestRelay,
  reason: string,
): Promise<number | undefined> {
  const token = await mintToken({ admin: true });
  const response = await relay.request("/metrics", {
    headers: { authorization: `Bearer ${token}` },
  });
  const text = await response.text();
  return response.ok
    ? new Exposition(text).by("rivulet_refusals_total", "reason")[reason]
    : undefined;
}

for (const [what, limit] of Object.entries(CASES)) {
  Deno.test(`The limit of ${what} has an answer of its own, and is counted`, async () => {
    await using relay = await startRelay(limit.options);
    assertEquals(await limit.meet(relay), limit.told);
    let asked = 0;
    const count = await until(
      async () => {
        asked++;
        return await counted(relay, limit.reason) || undefined;
      },
      LIMIT,
      `${limit.reason} to be counted`,
    );
    // If the limit is for connections, the request for the count was refused,
    // too.
    assertEquals(count, asked);
  });
}

Deno.test("A token whose runs outlive it keeps no other token out (A7)", async () => {
  await using world = await startGateway({
    limits: { maxUpstreams: 10 },
    rights: { jwtKey: JWT_KEY },
  }, { key: "relay-key" });
  const headersOf = async (sub: string, exp?: number) => ({
    "rivulet-token": await mintToken({
      write: ["*"],
      sub,
      ...(exp !== undefined && { exp }),
    }),
  });
  const begun = [];
  for (let i = 0; i < 5; i++) {
    // Each with a token of its own of the same subject.
    const headers = await headersOf("heavy", Date.now() / 1_000 + 1_000 + i);
    const leaving = new AbortController();
    begun.push(await world.begin({ headers, signal: leaving.signal }));
    leaving.abort();
  }
  for (let i = 0; i < 3; i++) {
    const refused = await world.ask({ headers: await headersOf("heavy") });
    assertEquals(refused.status, 429);
    assertMatch(refused.header("retry-after") ?? "", /^[0-9]+$/);
    assertEquals(
      (await refused.problem())["code"],
      "too_many_upstreams_of_client",
    );
  }
  const { exchange, answer } = await world.begin({
    headers: await headersOf("other"),
  });
  for (const { exchange: one } of [...begun, { exchange }]) {
    await one.stream("data: [DONE]\n\n");
    await one.end();
  }
  assertEquals((await (await answer).rest()).end, "whole");
});

Deno.test("A run more than there may be upstreams is refused, and the next one is not", async () => {
  await using world = await startGateway({ limits: { maxUpstreams: 1 } });
  const first = await world.begin();
  const refused = await world.ask();
  assertEquals(refused.status, 503);
  assertMatch(refused.header("retry-after") ?? "", /^[0-9]+$/);
  assertMatch((await refused.rest()).text, /"code":"too_many_upstreams"/);
  await first.exchange.stream("data: [DONE]\n\n");
  await first.exchange.end();
  await (await first.answer).rest();
  await until(
    async () => {
      const again = world.begin();
      const exchange = await again.then(({ exchange }) => exchange);
      await exchange.stream("data: [DONE]\n\n");
      await exchange.end();
      return (await (await (await again).answer).rest()).end === "whole" ||
        undefined;
    },
    LIMIT,
    "room for another run",
  );
});

Deno.test("What one client publishes is not counted as another's", async () => {
  await using relay = await startRelay({
    rights: { jwtKey: JWT_KEY },
    limits: { maxPublishRate: 1 },
    clock: new FakeClock(Date.now()),
  });
  const publish = async (sub: string): Promise<number> => {
    const token = await mintToken({ write: ["*"], sub });
    const { status, body } = await post(relay, "t", "x", {
      authorization: `Bearer ${token}`,
    });
    await body?.cancel();
    return status;
  };
  assertEquals(await publish("a"), 200);
  assertEquals(await publish("a"), 429);
  assertEquals(await publish("b"), 200);
});
