// A relay learns through others that retention has passed what it reads.
import { assertEquals, assertRejects } from "@std/assert";
import { UNBOUNDED } from "../../../relay/testing/contract_world.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { LinkedStores, ROOTS } from "../../support/links/linked_stores.ts";

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
