// The topics of a list, their order, and their numbers: over each store, and as
// a stream.
import { assert, assertEquals } from "@std/assert";
import type { TopicDescription } from "../../../../../relay/topics/topic_description.ts";
import type { Topic } from "../../../../../relay/topics/topic.ts";
import { readEvents } from "../../../../../src/sse/read_events.ts";
import { FakeClock } from "../../../../../src/testing/fake_clock.ts";
import { lacksNats } from "../../../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../../../support/relay/relay.ts";
import { makeStorePlace } from "../../../../support/relay/stores.ts";
import { SECRET, signToken } from "../../../../support/rights/signed_token.ts";
import { LIMIT, until, within } from "../../../../support/within.ts";

interface List {
  readonly topics: readonly (TopicDescription & { readonly rate?: number })[];
  readonly next?: string;
  readonly gone?: readonly string[];
  readonly names?: readonly string[];
  readonly counts?: Readonly<Record<string, number | boolean>>;
}

function names({ topics }: List): string {
  return topics.map(({ name }) => name).join(" ");
}

async function fill(topic: Topic, count: number, size = 1): Promise<void> {
  for (let index = 0; index < count; index++) {
    await topic.append([{ data: "x".repeat(size) }]);
  }
}

const RUN = { kind: "run", endpoint: "responses" } as const;

/** Makes topics, a second after each other, which differ in all that lists are sorted by. */
async function makeTopics(relay: TestRelay, clock: FakeClock): Promise<void> {
  const { topics } = relay.relay;
  const make = async (name: string): Promise<Topic> => {
    await clock.advance(1_000);
    await topics.prepare(name, { makes: true });
    return topics.create(name);
  };
  await fill(await make("d-open"), 3);
  const failed = await make("a-run");
  failed.fillBy({ source: "p", filledBy: { ...RUN, provider: "p" } });
  await fill(failed, 1, 100);
  failed.end("failed", "why");
  const complete = await make("c-Run");
  complete.fillBy({ source: "q", filledBy: { ...RUN, provider: "q" } });
  await fill(complete, 7);
  complete.end("complete");
  const feed = await make("b-feed");
  feed.fillBy({ source: "u", filledBy: { kind: "sse", url: "http://u/" } });
  const pending = await make("e");
  await clock.advance(1_000);
  await fill(topics.get("d-open")!, 1); // it is there
  for (const topic of [failed, complete]) await topic.ended;
  await until(
    () =>
      [failed, complete, feed, pending].every((topic) => topic.isSettled) ||
      undefined,
    LIMIT,
    "all to be kept",
  );
}

/** Queries, and what they find. */
const LISTS: readonly (readonly [query: string, found: string])[] = [
  ["", "a-run b-feed c-Run d-open e"],
  ["sort=-name", "e d-open c-Run b-feed a-run"],
  ["sort=created", "d-open a-run c-Run b-feed e"],
  ["sort=-created", "e b-feed c-Run a-run d-open"],
  ["sort=-events", "c-Run d-open a-run b-feed e"],
  ["sort=events", "b-feed e a-run d-open c-Run"],
  ["sort=-bytes", "a-run c-Run d-open b-feed e"],
  ["sort=-lastEvent", "d-open c-Run a-run b-feed e"],
  // Unknown values come last in both.
  ["sort=lastEvent", "a-run c-Run d-open b-feed e"],
  ["sort=lag", "a-run b-feed c-Run d-open e"],
  ["sort=-followers", "a-run b-feed c-Run d-open e"],
  ["sort=-events&limit=2", "c-Run d-open"],
  ["sort=-events&limit=2&skip=2", "a-run b-feed"],
  ["sort=-events&skip=4", "e"],
  ["sort=-events&skip=5", ""],
  ["limit=2&skip=1", "b-feed c-Run"],
  ["limit=1&skip=1&after=b-feed", "d-open"],
  ["search=RUN", "a-run c-Run"],
  ["search=-", "a-run b-feed c-Run d-open"],
  ["search=-&prefix=a", "a-run"],
  ["source=run", "a-run c-Run"],
  ["source=sse", "b-feed"],
  ["source=none", "d-open e"],
  ["source=fixture", ""],
  ["provider=q", "c-Run"],
  ["provider=q&source=sse", ""],
  ["state=ended", "a-run c-Run"],
  ["status=failed", "a-run"],
  ["status=failed&state=open", ""],
  ["state=pending", "b-feed e"],
];

for (const kind of ["memory", "sqlite", "JetStream"] as const) {
  Deno.test({
    name: `GET /topics sorts, searches and counts (${kind})`,
    ignore: kind === "JetStream" && lacksNats(),
    async fn() {
      await using place = await makeStorePlace(kind);
      const store = place.address;
      const clock = new FakeClock(Date.now());
      const options = { store, clock };
      const check = async (relay: TestRelay): Promise<void> => {
        const ask = async (query: string): Promise<List> =>
          await (await relay.request(`/topics?${query}`)).json();
        for (const [query, found] of LISTS) {
          const list = await ask(query);
          assertEquals(names(list), found, query);
          assertEquals(list.counts, undefined);
        }
        assertEquals((await ask("limit=2")).next, "b-feed");
        assertEquals((await ask("limit=2&sort=created")).next, undefined);
        for (
          const [query, counts] of [
            ["counts", [2, 1, 2, 5]],
            ["counts=false", undefined],
            ["counts&limit=1", [2, 1, 2, 5]],
            ["counts&limit=1&sort=-bytes&skip=3", [2, 1, 2, 5]],
            ["counts&state=ended", [2, 1, 2, 2]],
            ["counts&status=failed", [2, 1, 2, 1]],
            ["counts&source=run&state=open", [0, 0, 2, 0]],
            ["counts&search=run", [0, 0, 2, 2]],
            ["counts&prefix=zzz", [0, 0, 0, 0]],
          ] as const
        ) {
          const { counts: found } = await ask(query);
          assertEquals(found && Object.values(found), counts && [...counts]);
        }
      };
      {
        await using relay = await startRelay(options);
        await makeTopics(relay, clock);
        await check(relay);
        if (place.isShared) {
          await using other = await startRelay(options);
          await check(other);
        }
      }
      if (kind !== "sqlite") return;
      // Topics that are in no memory.
      await using next = await startRelay(options);
      await check(next);
    },
  });
}

Deno.test("GET /topics refuses orders, filters and places that there are not", async () => {
  await using relay = await startRelay();
  for (
    const query of [
      "sort=size",
      "sort=--name",
      "sort=",
      "skip=10001",
      "skip=-1",
      "skip=1e2",
      "status=ok",
      "source=file",
      "counts=7",
      `search=${"x".repeat(129)}`,
      `provider=${"x".repeat(129)}`,
      "sort=-name&after=a",
      "sort=bytes&after=a",
      "sort=rate",
    ]
  ) {
    const response = await relay.request(`/topics?${query}`);
    const { code } = await response.json();
    assertEquals([response.status, code], [400, "invalid_query"], query);
  }
});

/** A reader of an event stream of lists. */
class ListReader {
  readonly #events: AsyncIterator<{ event: string; data: string }>;

  private constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.#events = readEvents(body)[Symbol.asyncIterator]();
  }

  static async open(
    relay: TestRelay,
    path: string,
    token?: string,
  ): Promise<ListReader> {
    const { body, status } = await relay.request(path, {
      headers: {
        Accept: "text/event-stream",
        ...(token && { Authorization: `Bearer ${token}` }),
      },
    });
    assert(body && status === 200, `${status}`);
    return new ListReader(body);
  }

  /** The next event: a snapshot, or changes. */
  async next(): Promise<List> {
    const { value } = await within(this.#events.next(), LIMIT, "an event");
    assert(value?.event.startsWith("rivulet."));
    return JSON.parse(value.data);
  }

  async close(): Promise<void> {
    await this.#events.return?.();
  }
}

Deno.test("A stream of topics keeps to its order, its window and its counts", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { topics } = relay.relay;
  for (const [index, name] of ["a", "b", "c", "d"].entries()) {
    topics.create(name);
    await fill(topics.get(name)!, 4 - index);
  }
  const reader = await ListReader.open(
    relay,
    "/topics?sort=-events&limit=2&skip=1&counts",
  );
  const snapshot = await reader.next();
  assertEquals([names(snapshot), snapshot.counts], ["b c", {
    ...{ pending: 0, open: 4, ended: 0, matching: 4 },
  }]);
  // The same topics in another order.
  await fill(topics.get("c")!, 1);
  topics.get("a")!.end("complete");
  await fill(topics.get("c")!, 1);
  await clock.advance(500);
  const moved = await reader.next();
  assertEquals([names(moved), moved.gone, moved.names, moved.counts], [
    "c",
    [],
    ["c", "b"],
    { pending: 0, open: 3, ended: 1, matching: 4 },
  ]);
  // Outside of the window, only the counts change.
  topics.create("z");
  await clock.advance(500);
  const counted = await reader.next();
  assertEquals(
    [counted.topics, counted.gone, counted.names, counted.counts?.pending],
    [[], [], undefined, 1],
  );
  await reader.close();
});

Deno.test("A stream of topics that is sorted by their rates has the busiest first", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { topics } = relay.relay;
  for (const name of ["a", "b", "c"]) topics.create(name);
  await fill(topics.get("a")!, 100);
  const reader = await ListReader.open(relay, "/topics?sort=-rate&limit=2");
  // Events from before are no rate.
  assertEquals(names(await reader.next()), "a b");
  await clock.advance(500);
  await fill(topics.get("c")!, 30);
  await fill(topics.get("b")!, 10);
  const found = await until(
    async () => {
      await clock.advance(500);
      const list = await reader.next();
      return list.names?.[0] === "c" ? list : undefined;
    },
    LIMIT,
    "the busiest topic",
  );
  assertEquals(found.topics.map(({ name, rate }) => [name, rate]), [
    ["c", 60],
    ["b", 20],
  ]);
  await reader.close();
});

Deno.test("Readers of lists see what they may read, however they look", async () => {
  const clock = new FakeClock(Date.now());
  await using relay = await startRelay({ clock, rights: { jwtKey: SECRET } });
  const { topics } = relay.relay;
  for (const name of ["a-1", "a-2", "b-1", "secret"]) topics.create(name);
  const tokenFor = (read: string[], seconds = 600): string =>
    signToken({
      exp: Math.floor(clock.now() / 1_000) + seconds,
      rivulet: { read },
    });
  const all = await ListReader.open(
    relay,
    "/topics?counts&sort=-events",
    tokenFor(["*"]),
  );
  const some = await ListReader.open(
    relay,
    "/topics?counts&sort=-events",
    tokenFor(["a-*", "b-*"]),
  );
  assertEquals((await all.next()).counts?.matching, 4);
  const seen = await some.next();
  assertEquals([names(seen), seen.counts?.matching], ["a-1 a-2 b-1", 3]);
  await fill(topics.get("secret")!, 9);
  topics.create("secret-2");
  await fill(topics.get("b-1")!, 1);
  await clock.advance(500);
  assertEquals((await all.next()).names?.[0], "secret");
  const changed = await some.next();
  assertEquals([names(changed), changed.names, changed.counts], ["b-1", [
    ...["b-1", "a-1", "a-2"],
  ], { pending: 2, open: 1, ended: 0, matching: 3 }]);
  assert(!JSON.stringify(changed).includes("secret"));
  // A topic by itself: for who may read it.
  const forbidden = await relay.request("/topics/secret/info", {
    headers: {
      Accept: "text/event-stream",
      Authorization: `Bearer ${tokenFor(["a-*"])}`,
    },
  });
  assertEquals([forbidden.status, (await forbidden.json()).code], [
    403,
    "forbidden",
  ]);
  await all.close();
  await some.close();
});

Deno.test("Information about a topic as a stream begins before the topic, and follows its epochs", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { topics } = relay.relay;
  topics.create("t-1");
  const reader = await ListReader.open(relay, "/topics/t/info");
  assertEquals((await reader.next()).topics, []);
  assertEquals(topics.size, 1);
  const next = async (): Promise<List> => {
    await clock.advance(500);
    return await reader.next();
  };
  await fill(topics.create("t"), 1);
  const [made] = (await next()).topics;
  assertEquals([made?.state, made?.next], ["open", 2]);
  topics.get("t")!.end("complete");
  const [ended] = (await next()).topics;
  assertEquals([ended?.state, ended?.end?.status], ["ended", "complete"]);
  topics.renew("t");
  const [renewed] = (await next()).topics;
  assert(renewed?.state === "pending" && renewed.epoch !== made?.epoch);
  topics.delete("t");
  await until(
    async () => {
      const { topics: [former], gone } = await next();
      return former === undefined && gone?.includes("t") || undefined;
    },
    LIMIT,
    "the topic to be gone",
  );
  await reader.close();
});

Deno.test("A reader of a list that is behind gets all changes as one, and holds up nobody", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { slowTimeout: Infinity },
  });
  const { topics } = relay.relay;
  // Lists that are not read do not fit into a socket.
  for (let index = 0; index < 1_000; index++) topics.create(`u-${index}`);
  const path = "/topics?limit=1000";
  const quick = await ListReader.open(relay, path);
  const behind = await ListReader.open(relay, path);
  const rounds = 60;
  /** Reads on until a reader knows of all events; returns how often it was told of them. */
  const catchUp = async (reader: ListReader, at: number): Promise<number> => {
    for (let told = 1;; told++) {
      const next = reader.next();
      const { topics: [changed] } = await until(
        async () => {
          await clock.advance(500);
          return await Promise.race([next, undefined]);
        },
        LIMIT,
        "changes",
      );
      if (changed?.next === at) return told;
    }
  };
  await quick.next();
  for (let round = 1; round <= rounds; round++) {
    for (const topic of topics) topic.append([{ data: "x" }]);
    await catchUp(quick, round + 1);
  }
  const told = await catchUp(behind, rounds + 1);
  assert(told < rounds / 2, `${told} changes were kept`);
  for (const reader of [quick, behind]) await reader.close();
});
