// A relay that loses its link, or closes it, leaves to its parent what the parent does by itself.
import { UNBOUNDED } from "../../../../relay/testing/contract_world.ts";
import {
  holdAsFiller,
  LinkedStores,
  ROOTS,
} from "../../../support/links/linked_stores.ts";

Deno.test("ParentStore is closed in the middle of a look at what has ended, and of a release", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED);
  const store = await world.sibling();
  using log = store.create("t", { isOpen: true });
  const lease = await holdAsFiller(store, "t", log);
  const looked = store.deleteEnded(0);
  const released = lease.release();
  await store[Symbol.asyncDispose]();
  await Promise.all([looked, released]);
});
