// The record in a store of a background response that a relay has left, in the
// states between two writes.
import { assert, assertEquals } from "@std/assert";
import { tailOf } from "../../../relay/gateway/kept_response.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import { readFilling, writeFilling } from "../../../relay/topics/filling.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";

const FILLING = writeFilling({
  kind: "response",
  provider: "raw",
  path: "responses",
  query: "?x=y",
  headers: { "openai-beta": "b" },
  id: "resp_1",
});

interface Event {
  readonly type: string;
  readonly sequence_number?: number;
  readonly response?: unknown;
}

const created: Event = {
  type: "response.created",
  sequence_number: 0,
  response: { id: "resp_1", background: true },
};

const completed: Event = {
  type: "response.completed",
  sequence_number: 1,
  response: { id: "resp_1", background: true, status: "completed" },
};

const messageOf = (event: Event) => ({
  event: event.type,
  data: JSON.stringify(event),
});

/** Leaves a topic in a file as a relay does that is killed after these events. */
async function leave(store: string, events: readonly Event[]): Promise<void> {
  await using relay = await startRelay({ store });
  const topic: Topic = relay.relay.topics.create("t");
  topic.open();
  topic.filling = FILLING;
  if (events.length > 0) await topic.append(events.map(messageOf));
  await topic.log.settled();
}

Deno.test("A background response whose last event is stored has its end without its provider", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, [created, completed]);
  await using world = await startGateway({ store });
  assertEquals(await world.ended("t"), { status: "complete" });
  assertEquals(world.provider.count, 0);
  assertEquals((await world.events("t")).length, 2);
});

Deno.test("A background response of which no event is stored is told from its start", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/relay.db`;
  await leave(store, []);
  await using world = await startGateway({ store }, { key: "relay-key" });
  const rest = await world.provider.next();
  assertEquals(
    [rest.method, rest.target, rest.header("openai-beta")],
    ["GET", "/base/v1/responses/resp_1?x=y&stream=true", "b"],
  );
  assertEquals(rest.header("authorization"), "Bearer relay-key");
  await rest.stream(
    [created, completed].map((event) =>
      `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
    ).join(""),
  );
  await rest.end();
  assertEquals(await world.ended("t"), { status: "complete" });
  assertEquals(
    (await world.events("t")).map(({ data }) => JSON.parse(data)),
    [created, completed],
  );
});

Deno.test("A background response whose events have no numbers is truncated", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/relay.db`;
  const { response } = created;
  await leave(store, [{ type: "response.created", response }]);
  await using world = await startGateway({ store });
  assertEquals(await world.ended("t"), {
    status: "truncated",
    reason:
      "The relay was restarted: the events of the response have no numbers",
  });
  assertEquals(world.provider.count, 0);
});

Deno.test("A background response whose last events are not retained cannot be gone on with", async () => {
  const clock = new FakeClock();
  const store = new MemoryStore({ ...UNBOUNDED, maxAge: 5_000 }, clock);
  using log = store.create("t", { isOpen: true });
  await log.append([messageOf(created)].map((event) => ({ ...event, id: "" })));
  const filling = readFilling(FILLING);
  assert(filling?.kind === "response");
  assertEquals((await tailOf(log, filling)).kind, "open");
  await clock.advance(6_000);
  log.trim();
  assertEquals(await tailOf(log, filling), {
    kind: "unknown",
    why: "the last events of the response are not retained any more",
  });
});
