// Two relays of one process that share a store are one relay to whoever uses them.
import { assert, assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { subscribe, SubscriptionError } from "../../../../relay/client/mod.ts";
import type { RelayOptions } from "../../../../relay/options/relay_options.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { RawHttp } from "../../../support/http/raw_http.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { DEFAULT_RETENTION } from "../../../support/retention.ts";
import {
  letter,
  numbered,
  ReconnectingUpstream,
} from "../../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until, within } from "../../../support/within.ts";
import type { Store } from "../../../../relay/topics/store.ts";
import { ArrayStore } from "./array_store.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { FetchedStore } from "./fetched_store.ts";

/** A store of two relays at once. */
class SharedStore extends ArrayStore {
  readonly isShared = true;
  override readonly isLasting: boolean;

  constructor(isLasting = false) {
    super(DEFAULT_RETENTION, systemClock);
    this.isLasting = isLasting;
  }
}

/**
 * The ways in which relays share a store: all topics at hand, or fetched, or in
 * JetStream.
 */
const WAYS = ["at hand", "fetched", "JetStream"] as const;

type Way = typeof WAYS[number];

/** The store that several relays share. */
class Shared implements AsyncDisposable {
  readonly #way: Way;
  readonly #store: SharedStore;
  readonly #server: NatsServer | undefined;

  private constructor(
    way: Way,
    isLasting: boolean,
    server: NatsServer | undefined,
  ) {
    this.#way = way;
    this.#store = new SharedStore(isLasting);
    this.#server = server;
  }

  static async start(way: Way, isLasting = false): Promise<Shared> {
    const server = way === "JetStream" ? await NatsServer.start() : undefined;
    return new Shared(way, isLasting, server);
  }

  /** The store of one more relay. */
  get store(): Store | string {
    if (this.#server) return `nats://${this.#server.host}`;
    return this.#way === "fetched"
      ? new FetchedStore(this.#store)
      : this.#store;
  }

  /** A relay deletes a topic without an end, as it does with one that nobody waits for. */
  async forget(name: string, epoch: string): Promise<void> {
    if (!this.#server) return this.#store.delete(name, epoch);
    await using store = await openStore(this.#server.host);
    await store.delete(name, epoch);
  }

  /** NATS has lost all leases. Another store of these has nobody to tell of them. */
  async loseLeases(): Promise<void> {
    if (!this.#server) return;
    const nats = await connect({ servers: this.#server.host });
    try {
      const manager = await jetstreamManager(nats);
      await manager.streams.purge("KV_rivulet_leases");
    } finally {
      await nats.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }
}

const lacks = lacksNats();

/** Registers a test of relays that have their store in each way. */
function each(name: string, run: (way: Way) => Promise<void>): void {
  for (const way of WAYS) {
    const ignore = way === "JetStream" && lacks;
    Deno.test({ name: `${name} (${way})`, ignore, fn: () => run(way) });
  }
}

/** Two relays on one store. */
class Pair implements AsyncDisposable {
  readonly shared: Shared;
  readonly one: TestRelay;
  readonly other: TestRelay;

  private constructor(shared: Shared, one: TestRelay, other: TestRelay) {
    this.shared = shared;
    this.one = one;
    this.other = other;
  }

  static async start(way: Way, options: RelayOptions = {}): Promise<Pair> {
    const shared = await Shared.start(way);
    const start = () => startRelay({ ...options, store: shared.store });
    return new Pair(shared, await start(), await start());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.one[Symbol.asyncDispose]();
    await this.other[Symbol.asyncDispose]();
    await this.shared[Symbol.asyncDispose]();
  }
}

function post(
  { request }: TestRelay,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function statusOf(answer: Promise<Response>): Promise<number> {
  const { status, body } = await answer;
  await body?.cancel();
  return status;
}

/** Follows a topic to its end; returns its data and its end. */
async function follow(relay: TestRelay, name: string): Promise<string[]> {
  const seen: string[] = [];
  await using subscription = subscribe(`${relay.url}/topics/${name}`);
  try {
    for await (const message of subscription) {
      if (message.type === "event") seen.push(message.data);
    }
  } catch (error) {
    if (!(error instanceof SubscriptionError)) throw error;
  }
  const { status, reason } = subscription.end ?? {};
  return [...seen, `${status}: ${reason}`];
}

async function hasFollower(relay: TestRelay, name: string): Promise<void> {
  await until(
    () => (relay.relay.topics.get(name)?.followers ?? 0) > 0 || undefined,
    LIMIT,
    `a follower of ${name}`,
  );
}

/** Waits until a relay shows so many events of a topic. */
async function shown(relay: TestRelay, name: string, next: number) {
  await until(
    async () => {
      const { topics } = relay.relay;
      await topics.prepare(name);
      return topics.get(name)?.log.next === next || undefined;
    },
    LIMIT,
    `event ${next - 1} of ${name}`,
  );
}

each(
  "What one relay is sent, the subscribers of another get, and its end",
  async (way) => {
    await using pair = await Pair.start(way);
    const { one, other } = pair;
    assertEquals(await statusOf(post(one, "/topics/t", { data: "a" })), 200);
    const followed = follow(other, "t");
    await hasFollower(other, "t");
    // Each relay may append: they take turns.
    assertEquals(await statusOf(post(other, "/topics/t", { data: "b" })), 200);
    assertEquals(await statusOf(post(one, "/topics/t", { data: "c" })), 200);
    assertEquals(
      await statusOf(
        post(one, "/topics/t/end", { status: "failed", reason: "why" }),
      ),
      200,
    );
    assertEquals(await within(followed, LIMIT, "the end"), [
      "a",
      "b",
      "c",
      "failed: why",
    ]);
    assertEquals(await statusOf(post(other, "/topics/t", { data: "d" })), 409);
  },
);

each("A cancel at one relay stops the source of another", async (way) => {
  await using upstream = await ReconnectingUpstream.start(
    (connection) => connection.write(numbered(1, 2)),
  );
  await using pair = await Pair.start(way, {
    rights: {
      allowAddresses: ["127.0.0.1"],
      allowSources: [`${upstream.url}?*`],
    },
  });
  const { one, other } = pair;
  for (const way of ["cancel", "delete"]) {
    const put = (relay: TestRelay) =>
      statusOf(relay.request(`/topics/${way}`, {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ source: { url: `${upstream.url}?x` } }),
      }));
    assertEquals(await put(one), 201);
    await shown(other, way, 3);
    assertEquals(await put(other), 200, "it is there");
    assertEquals([
      one.relay.topics.leases.size,
      other.relay.topics.leases.size,
    ], [1, 0]);
    const filled = one.relay.topics.get(way);
    assert(filled);
    const followed = follow(other, way);
    await hasFollower(other, way);
    if (way === "cancel") {
      const cancelled = post(other, `/topics/${way}/cancel`, { reason: "no" });
      assertEquals(await statusOf(cancelled), 200);
      assertEquals(await within(followed, LIMIT, "the end"), [
        letter(1),
        letter(2),
        "cancelled: no",
      ]);
    } else {
      const { body } = await other.request(`/topics/${way}`, {
        method: "DELETE",
      });
      await body?.cancel();
      await within(followed, LIMIT, "the end");
      const head = { method: "HEAD" };
      assertEquals(await statusOf(other.request(`/topics/${way}`, head)), 404);
      await until(
        () => one.relay.topics.get(way) === undefined || undefined,
        LIMIT,
        "the topic to be gone",
      );
    }
    assertEquals((await filled.ended).status, "cancelled");
    await until(
      () => one.relay.topics.leases.size === 0 || undefined,
      LIMIT,
      "the source to stop",
    );
  }
});

each("A relay that joins another leaves alone what that fills", async (way) => {
  await using upstream = await ReconnectingUpstream.start(
    (connection) => connection.write(numbered(1, 1)),
  );
  await using pair = await Pair.start(way, {
    sources: [{ name: "news", url: upstream.url }],
  });
  const { one, other } = pair;
  await shown(other, "news", 2);
  assertEquals(upstream.given.length, 1, "one relay reads the upstream");
  assertEquals([
    one.relay.topics.leases.size,
    other.relay.topics.leases.size,
  ], [1, 0]);
  // A subscriber that waits at one relay for a topic keeps it.
  const waiting = follow(one, "later");
  const awaited = await until(
    () => one.relay.topics.get("later") ?? undefined,
    LIMIT,
    "the topic",
  );
  await using third = await startRelay({ store: pair.shared.store });
  const put = await third.request("/topics/later", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: "{}",
  });
  await put.body?.cancel();
  assertEquals(put.status, 201, "it was only asked for");
  assertEquals(one.relay.topics.isAwaited(awaited), false);
  assertEquals(
    await statusOf(post(third, "/topics/later", { data: "a" })),
    200,
  );
  await statusOf(post(third, "/topics/later/end", {}));
  assertEquals(await within(waiting, LIMIT, "the end"), [
    "a",
    "complete: undefined",
  ]);
  assertEquals(one.relay.topics.get("news")?.state.kind, "open");
});

each(
  "A subscriber waits on for a topic that another relay has forgotten",
  async (way) => {
    await using pair = await Pair.start(way);
    const { one, other } = pair;
    const waiting = follow(other, "later");
    await hasFollower(other, "later");
    const forgotten = other.relay.topics.get("later");
    assert(forgotten);
    await pair.shared.forget("later", forgotten.log.epoch);
    await until(() => forgotten.isLost || undefined, LIMIT, "the loss");
    await hasFollower(other, "later");
    assertEquals(
      await statusOf(post(one, "/topics/later", { data: "a" })),
      200,
    );
    assertEquals(await statusOf(post(one, "/topics/later/end", {})), 200);
    assertEquals(await within(waiting, LIMIT, "the end"), [
      "a",
      "complete: undefined",
    ]);
  },
);

each(
  "The spare of a source looks for itself whether anybody reads it",
  async (way) => {
    await using upstream = await ReconnectingUpstream.start(
      (connection) => connection.write(numbered(1, 1)),
      (connection) => connection.write(numbered(2, 2)),
    );
    const clock = new FakeClock();
    await using shared = await Shared.start(way);
    const sources = [{ name: "news", url: upstream.url }];
    const one = await startRelay({ store: shared.store, sources });
    await using other = await startRelay({
      store: shared.store,
      sources,
      clock,
    });
    await shown(other, "news", 2);
    await clock.advance(15_000);
    // No store tells of a lease that it does not have.
    await shared.loseLeases();
    await one[Symbol.asyncDispose]();
    await clock.advance(15_000);
    await shown(other, "news", 3);
    assertEquals(upstream.given, [undefined, "1"], "one relay reads at a time");
  },
);

each(
  "A run of one relay is cancelled at another, and no other run fills its topic",
  async (way) => {
    await using shared = await Shared.start(way);
    await using one = await startGateway({ store: shared.store });
    await using other = await startGateway({ store: shared.store });
    const headers = { "Rivulet-Topic": "run" };
    const { exchange, answer } = await one.begin({ headers });
    await exchange.stream();
    await using caller = await answer;
    await exchange.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n');
    await shown(other, "run", 2);
    const second = await other.ask({ headers });
    assertEquals(second.status, 409);
    assertEquals((await second.problem())["code"], "topic_exists");
    const followed = follow(other, "run");
    await hasFollower(other, "run");
    assertEquals(
      await statusOf(post(other, "/topics/run/cancel", { reason: "no" })),
      200,
    );
    const [, end] = await within(followed, LIMIT, "the end");
    assertEquals(end, "cancelled: no");
    await within(exchange.closed, LIMIT, "the provider to be left");
    // Its last word is the relay's.
    assertEquals((await caller.rest()).end, "whole");
    await until(
      () => one.relay.topics.leases.size === 0 || undefined,
      LIMIT,
      "the run to stop",
    );
  },
);

each(
  "A retry that reaches another relay joins the run, and gets its rest",
  async (way) => {
    await using shared = await Shared.start(way, true);
    await using one = await startGateway({ store: shared.store });
    await using other = await startGateway({ store: shared.store });
    const headers = { "Idempotency-Key": "k" };
    const { exchange, answer } = await one.begin({ headers });
    await exchange.stream();
    await using caller = await answer;
    await exchange.write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n');
    const retried = await other.ask({ headers });
    assertEquals(retried.header("idempotent-replayed"), "true");
    await exchange.end("data: [DONE]\n\n");
    const dataOf = (text: string) => text.match(/^data: .*$/gm);
    const all = dataOf((await caller.rest()).text);
    assertEquals(all?.length, 2);
    assertEquals(dataOf((await retried.rest()).text), all);
  },
);

each("A relay lists what another one has", async (way) => {
  await using pair = await Pair.start(way);
  const { one, other } = pair;
  for (const name of ["b", "a", "c"]) {
    assertEquals(
      await statusOf(post(one, `/topics/${name}`, { data: name })),
      200,
    );
  }
  const listed = await (await other.request("/topics?limit=2")).json();
  assertEquals(listed.topics.map(({ name }: { name: string }) => name), [
    "a",
    "b",
  ]);
  assertEquals(listed.next, "b");
  const unknown = await other.request("/topics/d", { method: "HEAD" });
  assertEquals(unknown.status, 404);
});

each(
  "A relay that is drained sends subscribers to the others at once",
  async (way) => {
    await using pair = await Pair.start(way);
    const { one, other } = pair;
    one.relay.topics.create("t");
    await using socket = await RawWebSocket.open(one.url, "/topics/t");
    await socket.message("subscribed");
    const drained = one.relay.drain(60_000);
    const { reconnectIn } = await socket.message("goodbye");
    assertEquals(reconnectIn, [0, 1_000]);
    const refused = await post(one, "/topics/t", { data: "a" });
    assertEquals(
      [refused.status, refused.headers.get("Retry-After")],
      [503, "1"],
    );
    await refused.body?.cancel();
    assertEquals(await statusOf(post(other, "/topics/t", { data: "a" })), 200);
    await socket[Symbol.asyncDispose]();
    await drained;
  },
);

/** Publishes an event over a WebSocket under a key, again for as long as that is in use. */
async function publishOnce(
  socket: RawWebSocket,
  id: string,
): Promise<Record<string, unknown>> {
  for (;;) {
    const events = [{ data: id }];
    await socket.say({ type: "publish", topic: "t", id, events });
    const answer = await socket.next();
    if (answer?.["type"] === "published") return answer;
    assertEquals(
      [answer?.["code"], answer?.["retryable"], answer?.["id"]],
      ["key_in_use", true, id],
    );
  }
}

each(
  "What a WebSocket sends to two relays under one key is there once",
  async (way) => {
    await using pair = await Pair.start(way);
    const { one, other } = pair;
    const open = async (relay: TestRelay) => {
      const socket = await RawWebSocket.open(relay.url, "/ws");
      await socket.message("welcome");
      return socket;
    };
    await using here = await open(one);
    await using there = await open(other);
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`);
    for (const key of keys) {
      const answers = await Promise.all([
        publishOnce(here, key),
        publishOnce(there, key),
      ]);
      const [first, second] = answers.map(({ first, next }) => [first, next]);
      assertEquals(first, second, key);
    }
    await shown(other, "t", keys.length + 1);
    const followed = follow(other, "t");
    const ended = post(one, "/topics/t/end", { status: "complete" });
    assertEquals(await statusOf(ended), 200);
    assertEquals(await within(followed, LIMIT, "the end"), [
      ...keys,
      "complete: undefined",
    ]);
  },
);

each(
  "A publisher that goes on at another relay in time is waited for",
  async (way) => {
    const clock = new FakeClock();
    await using pair = await Pair.start(way, { clock });
    const { one, other } = pair;
    const publish = (relay: TestRelay, query: string) =>
      statusOf(post(relay, `/topics/t${query}`, { data: "a" }));
    assertEquals(await publish(one, "?within=1000"), 200);
    await shown(other, "t", 2);
    const topic = one.relay.topics.get("t")!; // it was made there
    const there = other.relay.topics.get("t")!; // it is shown there
    let told = topic.log.next;
    topic.observe({ changed: () => void (told = topic.log.next) });
    // NATS tells a relay of its own writes, too. If the message arrived while the clock
    // advances, the relay would count it as a later sign.
    const isTold = (next: number) =>
      until(
        () => told === next && there.log.next === next || undefined,
        LIMIT,
        `event ${next - 1}`,
      );
    await clock.advance(900);
    // It says nothing of a time: that of before holds.
    assertEquals(await publish(other, ""), 200);
    await isTold(3);
    await clock.advance(900);
    assertEquals(topic.verdict, undefined);
    // A stream that says nothing for longer goes on, too.
    await using http = await RawHttp.open(other.url);
    await http.send(
      "POST /topics/t HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
        "Content-Type: text/event-stream\r\n" +
        "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: b\n\n\r\n",
    );
    await isTold(4);
    for (let time = 0; time < 3_000; time += 500) {
      const { facts } = topic.log;
      const { facts: factsThere } = there.log;
      await clock.advance(500);
      await until(
        async () => {
          // The relay may only now have learnt that the other one has the lease. Its timer
          // is due at once then.
          await clock.advance(0);
          return topic.log.facts !== facts && there.log.facts !== factsThere ||
            undefined;
        },
        LIMIT,
        `a sign of the other relay after ${time} ms`,
      );
    }
    assertEquals(topic.verdict, undefined);
    await http.send("0\r\n\r\n");
    assertEquals((await http.answer())?.status, 200);
    await clock.advance(1_001);
    assertEquals(await within(topic.ended, LIMIT, "the end"), {
      status: "truncated",
      reason: "Its publisher has not gone on within 1000 ms",
    });
  },
);
