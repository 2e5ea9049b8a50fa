// Writers of a store that relays share wait for readers of what is about to be kept.
import { assert } from "@std/assert";
import { UNBOUNDED } from "../../../../relay/testing/contract_world.ts";
import { LinkedStores, ROOTS } from "../../../support/links/linked_stores.ts";
import { LIMIT, within } from "../../../support/within.ts";

Deno.test("A log that relays share is ahead of its readers by what is about to be kept", async () => {
  await using world = await LinkedStores.open(ROOTS.SQLite, UNBOUNDED);
  using log = world.root.create("t", { isOpen: true });
  await log.settled();
  log.taken?.(1);
  const event = { event: "message", data: "x", id: "" };
  const appended = log.append(Array.from({ length: 500 }, () => event));
  const { caughtUp } = log;
  assert(caughtUp, "The next append waits before this one is in the file");
  await appended;
  log.taken?.(501);
  await within(caughtUp, LIMIT, "the reader");
});
