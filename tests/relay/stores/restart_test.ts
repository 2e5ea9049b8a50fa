// A relay continues the topics of a file where another relay has stopped.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import {
  letter,
  numbered,
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until } from "../../support/within.ts";

/** A file that relays use one after the other. */
class Restarts extends TemporaryFolder {
  /** The store of their topics. */
  readonly store = `sqlite:${this.path}/relay.db`;

  start(options: RelayOptions = {}): Promise<TestRelay> {
    return startRelay({ store: this.store, ...options });
  }
}

type Json = Readonly<Record<string, unknown>>;

async function json(response: Promise<Response>): Promise<Json> {
  return await (await response).json();
}

const post = (relay: TestRelay, path: string, body: Json, key?: string) =>
  json(relay.request(path, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(key && { "Idempotency-Key": key }),
    },
    body: JSON.stringify(body),
  }));

const page = (relay: TestRelay, name: string, query = "") =>
  json(relay.request(`/topics/${name}${query}`, {
    headers: { Accept: "application/json" },
  }));

async function dataOf(relay: TestRelay, name: string): Promise<unknown[]> {
  const { events } = await page(relay, name);
  assert(Array.isArray(events));
  return events.map(({ data }) => data);
}

Deno.test("A topic has its epoch, its events, its key and its end after a restart", async () => {
  await using file = new Restarts();
  let first: Json;
  {
    await using relay = await file.start();
    first = await post(relay, "/topics/t", { data: "a" }, "k");
    await post(relay, "/topics/t", { data: "b" });
    await relay.request("/topics/named", {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    }).then((response) => response.body?.cancel());
  }
  {
    await using relay = await file.start();
    assertEquals(await post(relay, "/topics/t", { data: "a" }, "k"), first);
    assertEquals(
      (await post(relay, "/topics/t", { data: "x" }, "k"))["code"],
      "idempotency_mismatch",
    );
    assertEquals((await page(relay, "named"))["state"], "pending");
    assertEquals(
      await post(relay, "/topics/t", { data: "c" }),
      { epoch: first["epoch"], first: 3, next: 4 },
    );
    const { state } = await post(relay, "/topics/t/end", {
      status: "failed",
      reason: "why",
    });
    assertEquals(state, "ended");
  }
  await using relay = await file.start();
  const { epoch, events, end } = await page(
    relay,
    "t",
    `?after=${first["epoch"]}:1`,
  );
  assertEquals(epoch, first["epoch"]);
  assertEquals(events, [{ data: "b" }, { data: "c" }]);
  assertEquals(end, { offset: 4, status: "failed", reason: "why" });
  const { topics } = await json(relay.request("/topics"));
  assert(Array.isArray(topics));
  assertEquals(topics.map(({ name, state }) => [name, state]), [
    ["named", "pending"],
    ["t", "ended"],
  ]);
  await using socket = await RawWebSocket.open(
    relay.url,
    `/topics/t?after=${first["epoch"]}:2`,
  );
  const told = await socket.message("events");
  assertEquals([told["offset"], told["events"]], [3, [{ data: "c" }]]);
});

Deno.test("A publication as an event stream goes on under its key after a restart", async () => {
  await using file = new Restarts();
  const stream = (relay: TestRelay, body: string): Promise<Json> =>
    json(relay.request("/topics/t", {
      method: "POST",
      headers: { "Content-Type": "text/event-stream", "Idempotency-Key": "k" },
      body,
    }));
  let first: Json;
  {
    await using relay = await file.start();
    first = await stream(relay, "data: a\n\ndata: b\n\n");
  }
  await using relay = await file.start();
  assertEquals(await stream(relay, "data: a\n\ndata: b\n\n"), first);
  assertEquals(await dataOf(relay, "t"), ["a", "b"]);
});

for (const kind of ["of the operator", "of a request"] as const) {
  Deno.test(`A source ${kind} goes on after its last id in another relay, and takes nothing twice`, async () => {
    await using file = new Restarts();
    await using upstream = await ReconnectingUpstream.start(
      (connection) => connection.write(numbered(1, 3)),
      // The server begins one event too early, to be on the safe side.
      (connection) => connection.write(numbered(3, 5)),
    );
    const isOwn = kind === "of the operator";
    const start = () =>
      file.start(
        isOwn ? { sources: [{ name: "t", url: upstream.url }] } : {
          rights: {
            allowAddresses: ["127.0.0.1"],
            allowSources: [`${upstream.url}?*`],
          },
        },
      );
    const put = (relay: TestRelay) =>
      relay.request("/topics/t", {
        method: "PUT",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ source: { url: `${upstream.url}?chat=7` } }),
      });
    const has = async (relay: TestRelay, count: number): Promise<unknown[]> =>
      await until(
        async () => {
          const data = await dataOf(relay, "t");
          return data.length === count ? data : undefined;
        },
        LIMIT,
        `${count} events`,
      );
    let epoch: unknown;
    {
      await using relay = await start();
      if (!isOwn) {
        const response = await put(relay);
        assertEquals(response.status, 201, await response.text());
      }
      await has(relay, 3);
      epoch = (await page(relay, "t"))["epoch"];
    }
    await using relay = await start();
    // Whoever got no answer asks again.
    if (!isOwn) {
      const { status, body } = await put(relay);
      await body?.cancel();
      assertEquals(status, 200);
    }
    assertEquals(await has(relay, 5), [1, 2, 3, 4, 5].map(letter));
    assertEquals(upstream.given, [undefined, "3"]);
    assertEquals((await page(relay, "t"))["epoch"], epoch);
  });
}

for (const kind of ["without an owner", "of one owner"] as const) {
  Deno.test(`Sources ${kind} count for their client after a restart`, async () => {
    await using file = new Restarts();
    await using upstream = await ReconnectingUpstream.start(
      (connection) => connection.write(numbered(1, 1)),
    );
    const isOwned = kind === "of one owner";
    const start = (limits: RelayOptions["limits"] = {}) =>
      file.start({
        limits,
        rights: {
          ...(isOwned && { jwtKey: JWT_KEY }),
          allowAddresses: ["127.0.0.1"],
          allowSources: [`${upstream.url}?*`],
        },
      });
    const headers = isOwned
      ? {
        Authorization: `Bearer ${await mintToken({
          sub: "alice",
          read: ["*"],
          write: ["*"],
        })}`,
      }
      : undefined;
    {
      await using relay = await start();
      for (const name of ["one", "two"]) {
        const { status, body } = await relay.request(`/topics/${name}`, {
          method: "PUT",
          headers: { "Content-Type": "application/json", ...headers },
          body: JSON.stringify({ source: { url: `${upstream.url}?${name}` } }),
        });
        await body?.cancel();
        assertEquals(status, 201);
      }
    }
    await using relay = await start({ maxUpstreamsPerClient: 1 });
    const ended = ["one", "two"].filter((name) =>
      relay.relay.topics.get(name)?.verdict
    );
    assertEquals(ended, isOwned ? ["two"] : []);
  });
}

Deno.test("A source that the operator has taken away leaves its topic truncated", async () => {
  await using file = new Restarts();
  await using upstream = await ReconnectingUpstream.start((connection) =>
    connection.write(numbered(1, 1))
  );
  {
    const sources = [{ name: "t", url: upstream.url }];
    await using relay = await file.start({ sources });
    await until(
      async () => {
        const data = await dataOf(relay, "t");
        return data.length === 1 || undefined;
      },
      LIMIT,
      "an event",
    );
  }
  await using relay = await file.start();
  const end = await until(
    async () => {
      const topic = await page(relay, "t");
      return topic["end"];
    },
    LIMIT,
    "an end",
  );
  assertEquals(end, {
    offset: 2,
    status: "truncated",
    reason: "The relay was restarted",
  });
});

Deno.test("An operator's source begins its topic anew if that has ended", async () => {
  await using file = new Restarts();
  await using upstream = await ReconnectingUpstream.start((connection) =>
    connection.refuse(204)
  );
  const sources = [{ name: "t", url: upstream.url }];
  const ended = async (relay: TestRelay): Promise<Json> =>
    await until(
      async () => {
        const topic = await page(relay, "t");
        return topic["state"] === "ended" ? topic : undefined;
      },
      LIMIT,
      "an end",
    );
  let before: Json;
  {
    await using relay = await file.start({ sources });
    before = await ended(relay);
  }
  await using relay = await file.start({ sources });
  const after = await ended(relay);
  assert(before["epoch"] !== after["epoch"]);
  assertEquals(upstream.given.length, 2);
});

Deno.test("A run that a relay leaves is truncated, and one that was over is joined by its key", async () => {
  await using file = new Restarts();
  const { path, start, delta, ends } = WIRE_FORMATS["Anthropic"]!;
  const whole = start + delta("a") + ends[0]![1];
  const asked = (topic: string) => ({
    path,
    headers: { "idempotency-key": topic, "rivulet-topic": topic },
  });
  {
    await using world = await startGateway({ store: file.store });
    const over = await world.begin(asked("over"));
    await over.exchange.stream(whole);
    await over.exchange.end();
    assertEquals((await (await over.answer).rest()).text, whole);
    const open = await world.begin(asked("open"));
    await open.exchange.stream(start);
    const caller = await open.answer;
    await caller.see(start);
    await caller.leave();
  }
  await using world = await startGateway({ store: file.store });
  assertEquals(await world.ended("open"), {
    status: "truncated",
    reason: "The relay was closed",
  });
  const joined = await world.ask(asked("over"));
  assertEquals(joined.header("idempotent-replayed"), "true");
  // It gets positions, too, to come back with.
  assertEquals((await joined.rest()).text.replaceAll(/^id: .*\n/gm, ""), whole);
  assertEquals(world.provider.count, 0);
});

Deno.test("A topic that was only asked for is forgotten with its relay", async () => {
  await using file = new Restarts();
  {
    await using relay = await file.start();
    await using socket = await RawWebSocket.open(relay.url, "/topics/t");
    await socket.message("subscribed");
  }
  await using relay = await file.start();
  const { topics } = await json(relay.request("/topics"));
  assertEquals(topics, []);
});

Deno.test("An ended topic that nobody follows needs no memory, and is there all the same", async () => {
  await using file = new Restarts();
  const clock = new FakeClock();
  await using relay = await file.start({ clock });
  await post(relay, "/topics/t", { data: "a" });
  await post(relay, "/topics/t/end", { status: "complete" });
  assertEquals(relay.relay.topics.size, 1);
  await clock.advance(12_000);
  assertEquals(relay.relay.topics.size, 0);
  assertEquals(await dataOf(relay, "t"), ["a"]);
});

Deno.test("A file that is full gives up the topics that ended first, and they are gone at once", async () => {
  await using log = await LogCapture.start();
  await using file = new Restarts();
  await using relay = await file.start({
    retention: { maxStore: 1024 * 1024 },
  });
  const data = "x".repeat(100_000);
  const isThere = async (name: string): Promise<boolean> => {
    const response = await relay.request(`/topics/${name}`, {
      headers: { Accept: "application/json" },
    });
    await response.body?.cancel();
    return response.status === 200;
  };
  let count = 0;
  // The last one may be refused until there is room.
  while (count < 3 || await isThere("t0")) {
    const { code } = await post(relay, `/topics/t${count}`, { data });
    if (code !== undefined) {
      assertEquals(code, "store_failed");
      continue;
    }
    await post(relay, `/topics/t${count++}/end`, { status: "complete" });
    assert(count < 40, "nothing is given up");
  }
  assert(count > 4, `only ${count} found room`);
  assert(await isThere(`t${count - 1}`));
  assertMatch(log.text, /store is full: [^\n]*t0/);
});
