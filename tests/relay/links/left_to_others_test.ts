// A topic of a tree whose relay has left it is gone on with by a relay that can.
import { assertEquals, assertMatch } from "@std/assert";
import { writeFilling } from "../../../relay/topics/filling.ts";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { readRemoteTopic } from "../../support/relay/remote_topic.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { Upstream } from "../../support/upstreams/upstream.ts";
import { LIMIT, until } from "../../support/within.ts";

const RESPONSE = writeFilling({
  kind: "response",
  provider: "raw",
  path: "responses",
  query: "",
  headers: {},
  id: "resp_1",
});

const EVENTS = ["response.created", "response.completed"].map((
  type,
  sequence_number,
) => ({
  event: type,
  data: JSON.stringify({
    type,
    sequence_number,
    response: { id: "resp_1", background: true, status: "completed" },
  }),
}));

/** Leaves a topic in a file as a relay does that is killed before its first event. */
async function leave(store: string, filling: string): Promise<void> {
  await using relay = await startRelay({ store }, "process");
  const topic = relay.relay.topics.create("t");
  topic.open();
  topic.filling = filling;
  await topic.log.settled();
}

/** Lets time pass at a relay until a topic has ended. */
async function endOf(
  url: string,
  clock: FakeClock,
  most: number,
): Promise<TopicEnd | undefined> {
  return await until(
    async () => {
      if (clock.now() < most) await clock.advance(1_000);
      return (await readRemoteTopic(url, "t"))?.end;
    },
    LIMIT,
    "the end of the topic",
  );
}

Deno.test("A root without the provider of a background response leaves it to an edge that has it", async () => {
  await using folder = new TemporaryFolder();
  await using provider = await RawProvider.start();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, RESPONSE);
  const clock = new FakeClock();
  await using root = await startRelay({ store, clock, links: true }, "process");
  await using edge = await startRelay({
    store: root.url,
    gateway: { providers: [{ name: "raw", url: `${provider.url}/v1` }] },
  }, "process");
  const ended = endOf(edge.url, clock, 12_000);
  const rest = await provider.next();
  await rest.stream(
    EVENTS.map(({ event, data }) => `event: ${event}\ndata: ${data}\n\n`)
      .join(""),
  );
  await rest.end();
  assertEquals(await ended, { status: "complete" });
});

Deno.test("A background response whose provider no relay of a tree has is truncated", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, RESPONSE);
  const clock = new FakeClock();
  await using root = await startRelay({ store, clock, links: true }, "process");
  assertEquals(await endOf(root.url, clock, Infinity), {
    status: "truncated",
    reason: "The relay was restarted: there is no provider 'raw' any more",
  });
});

function sourceAt(url: string): string {
  return writeFilling({
    kind: "source",
    url,
    reconnect: false,
    repeats: "keep",
  });
}

Deno.test("A root that may not ask a source leaves it to an edge that may", async () => {
  await using folder = new TemporaryFolder();
  await using upstream = await Upstream.start();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, sourceAt(upstream.add("s", { body: "data: 1\n\n" })));
  const clock = new FakeClock();
  await using root = await startRelay({ store, clock, links: true }, "process");
  await using edge = await startRelay({
    store: root.url,
    rights: {
      allowSources: [upstream.origin],
      allowAddresses: ["127.0.0.0/8"],
    },
  }, "process");
  assertEquals(await endOf(edge.url, clock, 12_000), { status: "complete" });
  const topic = await readRemoteTopic(root.url, "t");
  assertEquals(topic?.events.map(({ data }) => data), ["1"]);
});

Deno.test("A source that no relay of a tree may ask fails", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, sourceAt("http://127.0.0.1:1/s"));
  const clock = new FakeClock();
  await using root = await startRelay({ store, clock, links: true }, "process");
  const end = await endOf(root.url, clock, Infinity);
  assertEquals(end?.status, "failed");
  assertMatch(end?.reason ?? "", /\(--allow-source\)$/);
});
