// A background response that a relay of a tree has left is gone on with by one that has its provider.
import { assertEquals } from "@std/assert";
import { writeFilling } from "../../../relay/topics/filling.ts";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { readRemoteTopic } from "../../support/relay/remote_topic.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until } from "../../support/within.ts";

const FILLING = writeFilling({
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
async function leave(store: string): Promise<void> {
  await using relay = await startRelay({ store }, "process");
  const topic = relay.relay.topics.create("t");
  topic.open();
  topic.filling = FILLING;
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
  await leave(store);
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
  await leave(store);
  const clock = new FakeClock();
  await using root = await startRelay({ store, clock, links: true }, "process");
  assertEquals(await endOf(root.url, clock, Infinity), {
    status: "truncated",
    reason: "The relay was restarted: there is no provider 'raw' any more",
  });
});
