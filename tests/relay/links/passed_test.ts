// A relay learns through others that retention has passed what it reads.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { LinkedStores, ROOTS } from "../../support/links/linked_stores.ts";
import { startRelay } from "../../support/relay/relay.ts";

const EVENTS = 20;

Deno.test("A relay two levels below learns that retention has passed what it reads", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED, 2);
  using log = world.store.create("t", { isOpen: true });
  await log.settled();
  // More than relays hold in memory of a topic.
  const data = "x".repeat(100_000);
  for (let number = 0; number < EVENTS; number++) {
    await log.append([{ event: "message", data, id: `${number}` }]);
  }
  using root = world.root.find("t");
  root?.clear?.();
  const read = async () => await log.read(1, { events: 1, bytes: 1 });
  assertEquals(log.first, 1);
  // Whoever reads looks where the log begins then.
  await assertRejects(read, StoreError, "does not have the event");
  assertEquals(log.first, EVENTS + 1);
});

Deno.test("A page of a relay below has what retention has left", async () => {
  await using root = await startRelay({ links: true }, "process");
  await using below = await startRelay({ store: root.url }, "process");
  // More than relays hold in memory of a topic.
  const events = Array.from({ length: EVENTS }, (_, number) => ({
    data: `${number}`.padEnd(100_000, "x"),
  }));
  for (const event of events) {
    const published = await below.request("/topics/t", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(event),
    });
    assertEquals(published.status, 200);
    await published.body?.cancel();
  }
  const log = below.relay.topics.get("t")?.log;
  assert(log);
  const read = log.read.bind(log);
  log.read = (from, budget) => {
    // After the relay below has looked where the log begins.
    root.relay.topics.get("t")?.log.clear?.();
    return read(from, budget);
  };
  const page = await below.request("/topics/t", {
    headers: { accept: "application/json" },
  });
  assertEquals(page.status, 200);
  const { offset, next, recovered, events: left } = await page.json();
  assertEquals({ offset, next, recovered, left }, {
    offset: EVENTS + 1,
    next: EVENTS + 1,
    recovered: true,
    left: [],
  });
});
