// Whoever takes a lease over goes on after all that the holder before it has appended.
import { assert, assertEquals } from "@std/assert";
import { message } from "../../../../relay/testing/contract_world.ts";
import { holdAsFiller } from "../../../support/links/linked_stores.ts";
import { STORE_PAIRS } from "../../../support/relay/store_pairs.ts";

for (const [what, ignore, open] of STORE_PAIRS) {
  Deno.test({
    name: `A relay that takes over from ${what} knows all that was appended`,
    ignore,
    async fn() {
      await using pair = await open();
      const { store, other } = pair;
      using log = store.create("t", { isOpen: true });
      await log.settled();
      await other.prepare?.("t", { isFresh: true });
      using theirs = other.find("t");
      assert(theirs);
      let expected = 1;
      for (let round = 0; round < 10; round++) {
        const lease = await holdAsFiller(store, "t", log);
        const appended = Promise.resolve(
          log.append([message(`${round}`)], { lease }),
        ).then(() => true, () => false);
        // The holder does not wait for what it has sent.
        await lease.release();
        const taken = await holdAsFiller(other, "t", theirs);
        const { next } = theirs;
        // With NATS, what was not on its way yet is refused.
        if (await appended) expected++;
        assertEquals(next, expected);
        await taken.release();
      }
    },
  });
}
