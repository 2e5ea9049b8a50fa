// Through three levels, readers are told what readers of the root are told.
import { assert, assertEquals } from "@std/assert";
import { append, ENDINGS } from "../../support/links/endings.ts";
import {
  LIVE_DOORS,
  READING_DOORS,
} from "../../support/links/reading_doors.ts";
import type { TestRelay } from "../../support/relay/relay.ts";
import { PrefixStream } from "../../support/subscribers/prefix_stream.ts";
import { Tree } from "../../support/links/tree.ts";
import { LIMIT, until, within } from "../../support/within.ts";

Deno.test("A tree of three levels tells every end at every door as its root does", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 10 } });
  const { root, leaf } = tree;
  for (const { name, fill, end } of ENDINGS) {
    const topic = root.relay.topics.create(name);
    topic.open();
    await fill(topic);
    topic.end(...end);
  }
  for (const { name } of ENDINGS) {
    const { epoch, next } = root.relay.topics.get(name)!.log; // just made
    const queries = [
      "",
      "?after=now",
      `?after=${epoch}:2`,
      `?after=${epoch}:${Math.max(1, next - 1)}`,
      `?after=${epoch}:${next}`,
      `?after=${epoch}:${next + 100}`,
      "?after=AAAAAAAAAAAA:3",
    ];
    const asked = Object.entries(READING_DOORS).flatMap(([door, read]) =>
      (["head", "info"].includes(door) ? [""] : queries).map(async (query) => {
        const what = `${name} at ${door} with '${query}'`;
        const told = Promise.all([
          read(leaf, name, query),
          read(root, name, query),
        ]);
        const [below, above] = await within(told, LIMIT, what);
        assertEquals(below, above, what);
      })
    );
    await Promise.all(asked);
  }
});

Deno.test("A tree tells readers as it happens what readers of the root are told", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 1_000 } });
  const { root, leaf } = tree;
  const doors = Object.entries(LIVE_DOORS);
  for (const { name, fill, end } of ENDINGS) {
    const topic = root.relay.topics.create(name);
    topic.open();
    const reading = [root, leaf].flatMap((relay) =>
      doors.map(([, read]) => read(relay, name))
    );
    const isFollowed = () =>
      [root, leaf].every(({ relay }) =>
        relay.topics.get(name)?.followers === doors.length
      ) || undefined;
    await until(isFollowed, LIMIT, "the readers");
    await fill(topic);
    topic.end(...end);
    const told = await within(Promise.all(reading), LIMIT, name);
    for (const [index, [door]] of doors.entries()) {
      const below = told[doors.length + index];
      assertEquals(below, told[index], `${name} at ${door}`);
    }
  }
});

Deno.test("A tree tells of former epochs what readers of the root are told", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 10 } });
  const { root, leaf } = tree;
  for (const { name, fill, end } of ENDINGS) {
    const former = root.relay.topics.create(name);
    former.open();
    await fill(former);
    former.end(...end);
    const { epoch } = former.log;
    const topic = root.relay.topics.renew(name);
    await append(topic, 1, 2);
    topic.end("complete", "renewed");
    for (const offset of [1, former.log.next - 1, former.log.next]) {
      if (offset === 0) continue;
      const query = `?after=${epoch}:${offset}`;
      await Promise.all(
        Object.entries(READING_DOORS).map(async ([door, read]) => {
          const what = `${name} at ${door} with '${query}'`;
          const told = Promise.all(
            [leaf, root].map((relay) => read(relay, name, query)),
          );
          const [below, above] = await within(told, LIMIT, what);
          assertEquals(below, above, what);
        }),
      );
    }
  }
});

Deno.test("A reader of a prefix comes back at another level to what it would be told at the root", async () => {
  await using tree = await Tree.start(3, { retention: { maxEvents: 10 } });
  const { root, leaf } = tree;
  const { topics } = root.relay;
  await append(topics.create("p:open"), 1, 3);
  await using stream = await PrefixStream.open(root.url, "p:*");
  await stream.message("live");
  for (const { name, fill, end } of ENDINGS) {
    const topic = topics.create(`p:${name}`);
    topic.open();
    await fill(topic);
    topic.end(...end);
  }
  await append(topics.get("p:open")!, 4, 5); // made above
  topics.get("p:open")!.end("complete");
  const names = new Set(["p:open", ...ENDINGS.map(({ name }) => `p:${name}`)]);
  const [below, above] = await Promise.all([leaf, root].map(async ({ url }) => {
    await using again = await PrefixStream.open(url, "p:*", {
      "Last-Event-ID": stream.id,
    });
    const told = new Map<string, unknown[]>();
    for (let left = names.size; left > 0;) {
      const message = await again.next();
      const { topic, type } = message;
      if (type === "end") left--;
      told.set(topic, [...told.get(topic) ?? [], message]);
    }
    return told;
  }));
  assertEquals(new Set(above?.keys()), names);
  assertEquals(below, above);
});

Deno.test("A tree tells how the upstream is, lists what there is, and how far it is behind", async () => {
  await using tree = await Tree.start(3);
  const { root, leaf } = tree;
  const topic = root.relay.topics.create("t");
  topic.open();
  topic.setUpstream({ state: "retrying", attempt: 2, retryIn: 5, status: 503 });
  const socket = new WebSocket(`${leaf.url.replace("http", "ws")}/topics/t`);
  const upstreams: unknown[] = [];
  socket.onmessage = ({ data }) => {
    const { type, topic: _topic, ...message } = JSON.parse(data);
    if (type === "upstream") upstreams.push(message);
  };
  await until(() => upstreams.length === 1 || undefined, LIMIT, "its state");
  topic.setUpstream({ state: "open" });
  await until(
    () => upstreams.length === 2 || undefined,
    LIMIT,
    "its next state",
  );
  assertEquals(upstreams, [
    { state: "retrying", attempt: 2, retryIn: 5, status: 503 },
    { state: "open" },
  ]);
  const list = async ({ request }: TestRelay): Promise<unknown> =>
    await (await request("/topics")).json();
  const [above, below] = await Promise.all([list(root), list(leaf)]);
  assert(JSON.stringify(above).includes('"t"'));
  assertEquals(
    JSON.stringify(below).replace(/"(subscribers|lag)":\d+,?/g, ""),
    JSON.stringify(above).replace(/"(subscribers|lag)":\d+,?/g, ""),
  );
  const lag = await until(
    async () => {
      const text = await (await leaf.request("/metrics")).text();
      const [, seconds] = /^rivulet_store_lag_seconds (.*)$/m.exec(text) ?? [];
      return Number(seconds) > 0 ? Number(seconds) : undefined;
    },
    LIMIT,
    "the lag",
  );
  assert(lag < 10);
  const closed = Promise.withResolvers<void>();
  socket.onclose = () => closed.resolve();
  topic.end("complete");
  await within(closed.promise, LIMIT, "the end");
});

Deno.test("An edge that is behind gets what a position asks for before it says anything", async () => {
  await using tree = await Tree.start(2);
  const { root, leaf } = tree;
  const topic = root.relay.topics.create("t");
  await append(topic, 1, 3);
  const { topics } = leaf.relay;
  await topics.prepare("t");
  const below = topics.get("t");
  assert(below);
  const { epoch } = topic.log;
  await append(topic, 4, 9);
  // It has not heard of these: there was no turn of the loop.
  assertEquals(below.log.next, 4);
  assertEquals(topics.prepare("t", { after: { epoch, offset: 2 } }), undefined);
  assertEquals(topics.prepare("t", { after: "now" }), undefined);
  await topics.prepare("t", { after: { epoch, offset: 8 } });
  assertEquals(below.log.next, 10);
  const page = await leaf.request(`/topics/t?after=${epoch}:8`, {
    headers: { Accept: "application/json" },
  });
  assertEquals((await page.json()).events.length, 1);
  topic.end("complete");
});
