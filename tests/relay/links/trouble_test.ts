// A tree of relays when a part of it is away, comes back, or was never right.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { subscribe } from "../../../relay/client/mod.ts";
import { parseParentAddress } from "../../../relay/stores/parent/parent_address.ts";
import { ParentStore } from "../../../relay/stores/parent/parent_store.ts";
import { message, UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import type { Log } from "../../../relay/topics/log.ts";
import type { Stored } from "../../../relay/topics/stored.ts";
import { LeaseHeldError } from "../../../relay/topics/lease.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { freePort } from "../../support/http/free_port.ts";
import {
  holdAsFiller,
  LinkedStores,
  ROOTS,
} from "../../support/links/linked_stores.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { LIMIT, until, within } from "../../support/within.ts";

for (const root of ["memory", "SQLite"] as const) {
  Deno.test(`A link that is cut again and again loses and doubles nothing (${root})`, async () => {
    await using world = await LinkedStores.open(ROOTS[root], UNBOUNDED, 2);
    const { store } = world;
    using log = store.create("t", { isOpen: true });
    await log.settled();
    const lease = await holdAsFiller(store, "t", log);
    const appends: Stored<unknown>[] = [];
    const expected: string[] = [];
    for (let round = 0; round < 8; round++) {
      for (let index = 0; index < 50; index++) {
        const data = `${round}-${index % 7}`;
        expected.push(data);
        appends.push(
          log.append([{ event: "message", data, id: "" }], { lease }),
        );
        if (index === 25) await appends.at(-25);
      }
      world.cut(round % 2);
    }
    const results = await within(Promise.all(appends), LIMIT, "the appends");
    assertEquals(
      results.map((result) => (result as { first: number }).first),
      expected.map((_, index) => index + 1),
    );
    await log.end({ status: "complete", isWhole: true, at: 1 });
    using kept = world.root.find("t");
    assert(kept);
    assertEquals([kept.next, kept.ended?.status], [401, "complete"]);
    const found: string[] = [];
    while (found.length < 400) {
      const from = found.length + 1;
      const { entries } = await kept.read(from, { events: 500, bytes: 1e6 });
      found.push(...entries.map(({ event }) => event.data));
    }
    assertEquals(found, expected);
    await lease.release();
  });
}

/**
 * Has a filler append events to a log of the root, which loses its link before it can say
 * that it has kept the third of five.
 *
 * @param hole The number of offsets that are left out before the third.
 * @param onLost Called when the link is lost, before there is another one.
 * @returns The data that the log was given, and that is retained.
 */
async function fillOver(
  levels: number,
  hole: number,
  onLost: (world: LinkedStores, kept: Log) => void,
): Promise<{ next: number; data: string[] }> {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED, levels);
  const { root, store } = world;
  using log = store.create("t", { isOpen: true });
  await log.settled();
  const lease = await holdAsFiller(store, "t", log);
  using kept = root.find("t");
  assert(kept);
  let isLost = false;
  const stop = kept.onChange?.(() => {
    if (isLost || kept.next !== 4 + hole) return;
    isLost = true;
    world.cut();
    onLost(world, kept);
  });
  const append = (data: string) => log.append([message(data)], { lease });
  const appended = ["1", "1"].map(append);
  if (hole > 0) log.skip?.(hole, "evicted");
  appended.push(append("2"));
  await until(() => isLost || undefined, LIMIT, "the loss of the link");
  appended.push(...["2", "3"].map(append));
  await within(Promise.all(appended), LIMIT, "the appends");
  stop?.();
  await lease.release();
  const { next, first } = kept;
  const { entries } = await kept.read(first, { events: 10, bytes: 1e6 });
  return { next, data: entries.map(({ event }) => event.data) };
}

for (const levels of [1, 2]) {
  Deno.test(`A filler ${levels} levels below sends nothing twice that retention passes before it can look`, async () => {
    for (const hole of [0, 2]) {
      const filled = await fillOver(levels, hole, (_, kept) => kept.clear?.());
      assertEquals(filled, { next: 6 + hole, data: ["2", "3"] });
    }
  });

  Deno.test(`A filler ${levels} levels below sends nothing twice if its link is lost while it looks`, async () => {
    let cuts = 0;
    const filled = await fillOver(levels, 0, (world) => {
      const { root } = world;
      const find = root.find.bind(root);
      root.find = (...log) => {
        const found = find(...log);
        const read = found?.read.bind(found);
        if (!found || !read) return found;
        found.read = (...range) => {
          if (cuts++ < 2) world.cut();
          return read(...range);
        };
        return found;
      };
    });
    assertEquals(filled, { next: 6, data: ["1", "1", "2", "2", "3"] });
    assert(cuts > 1);
  });
}

Deno.test("A reader waits for a link that is lost again while its topic comes back", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED);
  const { root, store } = world;
  using log = store.create("t", { isOpen: true });
  await log.append([{ event: "message", data: "1", id: "" }]);
  await using other = await world.sibling();
  await other.prepare("t", {});
  // It has no events in memory yet.
  using read = other.find("t");
  assert(read);
  let cuts = 0;
  const hear = root.hear?.bind(root);
  root.hear = (name, listener) => {
    // The link goes before the answer does.
    if (cuts++ < 4) world.cut();
    return hear?.(name, listener) ?? (() => {});
  };
  world.cut();
  await until(
    () => other.failure !== undefined || undefined,
    LIMIT,
    "the loss of the link",
  );
  const { entries } = await within(
    Promise.resolve(read.read(1, { events: 10, bytes: 1e6 })),
    LIMIT,
    "the events",
  );
  assertEquals(entries.map(({ event }) => event.data), ["1"]);
  assert(cuts > 1);
});

Deno.test("Topics come back to a parent a hundred at a time, those with work to do first", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED);
  const { root, store } = world;
  const names = Array.from({ length: 350 }, (_, index) => `t-${index}`);
  const logs = names.map((name) => store.create(name, { isOpen: true }));
  await Promise.all(logs.map((log) => log.settled()));
  // The parent hears of each name that comes back, once.
  const back: string[] = [];
  const hear = root.hear?.bind(root);
  root.hear = (name, listener) => {
    back.push(name);
    return hear?.(name, listener) ?? (() => {});
  };
  world.cut();
  // The parent does not answer any more.
  const busy = logs.slice(-20);
  const kept = busy.map((log, index) =>
    log.update({ isOpen: true, source: `source ${index}` })
  );
  await until(() => back.length > 0 || undefined, LIMIT, "the first");
  for (const count of [100, 200, 300, 350, 350]) {
    // The answer comes behind those of all that was asked before.
    await store.get("b", "k");
    assertEquals(back.length, count);
    await world.clock.advance(25);
  }
  assertEquals(new Set(back).size, 350);
  assertEquals(
    new Set(back.slice(0, 20)),
    new Set(names.slice(-20)),
  );
  await Promise.all(kept);
  for (const log of logs) log[Symbol.dispose]();
});

Deno.test("A relay whose link is gone for longer than its leases has lost them", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED);
  const one = world.store as ParentStore; // what the world makes
  await using other = await world.sibling();
  using log = one.create("t", { isOpen: true, filling: "{}" });
  await log.settled();
  const { epoch } = log;
  const request = { topic: "t", epoch, ttl: 1_000, onCancel: async () => {} };
  await one.hold({ ...request, holder: "one" });
  const takes = () => other.hold({ ...request, holder: "other" });
  await assertRejects(takes, LeaseHeldError);
  // It renews nothing itself, and is there: the parent holds its leases.
  const stop = new AbortController();
  const orphans = other.orphans(stop.signal);
  const orphan = orphans.next();
  await one[Symbol.asyncDispose]();
  let told: unknown;
  void orphan.then(({ value }) => told = value);
  // Until it is noticed that the link is gone, the lease is renewed.
  await until(
    async () => {
      await world.clock.advance(500);
      return told;
    },
    LIMIT,
    "the orphan",
  );
  assertEquals(told, { name: "t", epoch });
  const lease = await takes();
  assert(lease.isHeld);
  stop.abort();
  await assertRejects(() => orphans.next());
});

/** Opens a store on an address, which rejects if the parent does not want it. */
async function failureOf(text: string, token?: string): Promise<string> {
  const address = parseParentAddress(text)!; // it is one
  await using store = new ParentStore({ address, token, clock: systemClock });
  const error = await assertRejects(() => store.open(), StoreError);
  assert(token === undefined || !error.message.includes(token));
  return error.failure;
}

Deno.test("A relay that may not be linked, or to a relay that takes no links, says so", async () => {
  await using closed = await startRelay();
  assertEquals(await failureOf(closed.url), "foreign");
  const rights = { jwtKey: JWT_KEY };
  await using guarded = await startRelay({ links: true, rights });
  assertEquals(await failureOf(guarded.url), "denied");
  const reader = await mintToken({ read: ["*"], write: ["*"] });
  assertEquals(await failureOf(guarded.url, reader), "denied");
  const storeToken = await mintToken({ link: true });
  await using edge = await startRelay({
    store: guarded.url,
    storeToken,
    rights,
  });
  const token = await mintToken({ read: ["*"], write: ["*"] });
  const headers = { Authorization: `Bearer ${token}` };
  const posted = await edge.request("/topics/t", {
    method: "POST",
    headers: { ...headers, "Content-Type": "text/plain" },
    body: "hello",
  });
  assertEquals((await posted.json()).first, 1);
  const page = await guarded.request("/topics/t", {
    headers: { ...headers, Accept: "application/json" },
  });
  assertEquals((await page.json()).events, [{ data: "hello" }]);
});

Deno.test("A relay does not become its own parent, however long the way is", async () => {
  const ports = [freePort(), freePort(), freePort()];
  const start = (index: number) =>
    startRelay({
      port: ports[index]!,
      links: true,
      store: `http://127.0.0.1:${ports[(index + 1) % 3]}`,
    });
  await using one = await start(0);
  await using two = await start(1);
  const ready = async ({ request }: typeof one) => {
    const { status, body } = await request("/readyz");
    await body?.cancel();
    return status;
  };
  // The third one closes the circle: it cannot start, or another one is told.
  const third = await start(2).catch(() => undefined);
  const states = () =>
    Promise.all([one, two, third].map((relay) => relay ? ready(relay) : 503));
  await until(
    async () => (await states()).includes(503) || undefined,
    LIMIT,
    "one of them to be refused",
  );
  await third?.[Symbol.asyncDispose]();
});

Deno.test("Subscribers of an edge stay while its parent is away, and publishers are told", async () => {
  await using folder = new TemporaryFolder();
  const port = freePort();
  const root = () =>
    startRelay({ port, links: true, store: `sqlite:${folder.path}/s.db` });
  const parents = [await root()];
  await using edge = await startRelay({ store: parents[0]!.url });
  const publish = async (relay: typeof edge, body: string) => {
    const answer = await relay.request("/topics/t", {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body,
    });
    return { ...await answer.json(), status: answer.status, answer };
  };
  assertEquals((await publish(edge, "1")).status, 200);
  const socket = new WebSocket(`${edge.url.replace("http", "ws")}/topics/t`);
  const told: string[] = [];
  const closed = Promise.withResolvers<void>();
  socket.onclose = () => closed.resolve();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "events") {
      for (const event of message.events) told.push(event.data);
    } else if (message.type === "upstream") told.push(message.state);
    else if (message.type === "end") told.push(message.status);
  };
  const says = (what: string) =>
    until(
      () => told.includes(what) || undefined,
      LIMIT,
      () => `${what}: ${told}`,
    );
  await says("1");
  const { topics } = edge.relay;
  const filled = topics.create("filled");
  const isLost = { lost: false };
  using hold = topics.leases.hold(filled, {
    onLost: () => void (isLost.lost = true),
  });
  await hold.ready;
  await parents[0]!.relay.close();
  await says("retrying");
  const refused = await publish(edge, "lost");
  assertEquals(refused.status, 503);
  assert(Number(refused.answer.headers.get("retry-after")) > 0);
  assertEquals(refused.failure, "away");
  const ready = await edge.request("/readyz");
  assertEquals([ready.status, (await ready.json()).code], [
    503,
    "store_failed",
  ]);
  const appended = filled.append([{ data: "kept" }], { lease: hold.lease });
  parents.push(await root());
  await says("open");
  // The filler of a topic has waited, and its lease is held again.
  assertEquals([await appended, isLost.lost], [1, false]);
  assertEquals((await publish(edge, "2")).status, 200);
  await publish(parents[1]!, "3");
  await says("3");
  await (await parents[1]!.request("/topics/t/end", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ status: "failed", reason: "enough" }),
  })).body?.cancel();
  await within(closed.promise, LIMIT, "the end");
  assertEquals(told, ["1", "retrying", "open", "2", "3", "failed"]);
  for (const parent of parents.toReversed()) {
    await parent[Symbol.asyncDispose]();
  }
});

Deno.test("Subscribers of an edge are told of a parent that has lost its memory as of a gap", async () => {
  const port = freePort();
  const root = () => startRelay({ port, links: true });
  const first = await root();
  await using middle = await startRelay({ store: first.url, links: true });
  await using edge = await startRelay({ store: middle.url });
  first.relay.topics.create("t").append([{ data: "old" }]);
  const told: unknown[] = [];
  const stop = new AbortController();
  const reading = (async () => {
    const url = `${edge.url}/topics/t`;
    for await (
      const message of subscribe(url, { signal: stop.signal })
    ) {
      if (message.type === "event") told.push(message.data);
      if (message.type === "gap") told.push(message.reason);
      if (told.includes("new")) return;
    }
  })();
  await until(() => told.length > 0 || undefined, LIMIT, "the first event");
  await first[Symbol.asyncDispose]();
  await using second = await root();
  await until(
    () => second.relay.topics.get("t") ? true : undefined,
    LIMIT,
    "the reader to come back",
  );
  await second.relay.topics.create("t").append([{ data: "new" }]);
  await within(reading, LIMIT, () => `the new event: ${told}`);
  assertEquals(told, ["old", "epoch", "new"]);
  stop.abort();
});
