// A relay lets go of a topic that was only asked for, and never of what has come of one.
import { assert, assertEquals } from "@std/assert";
import {
  message,
  UNBOUNDED,
} from "../../../../relay/testing/contract_world.ts";
import type { Log } from "../../../../relay/topics/log.ts";
import type { Store } from "../../../../relay/topics/store.ts";
import { LinkedStores, ROOTS } from "../../../support/links/linked_stores.ts";
import { STORE_PAIRS } from "../../../support/relay/store_pairs.ts";
import { LIMIT, until } from "../../../support/within.ts";

const AWAITED = { isOpen: false, isAwaited: true } as const;

async function makeAwaited(store: Store): Promise<Log> {
  const log = store.create("t", AWAITED);
  await log.settled();
  return log;
}

for (const [what, ignore, open] of STORE_PAIRS) {
  Deno.test({
    name: `A topic that was only asked for goes when ${what} lets go of it`,
    ignore,
    async fn() {
      await using pair = await open();
      const { store, other } = pair;
      const log = await makeAwaited(store);
      const { epoch } = log;
      log[Symbol.dispose]();
      await store.letGo?.("t", epoch);
      await other.prepare?.("t", { isFresh: true });
      using left = other.find("t");
      assertEquals(left, undefined);
    },
  });

  Deno.test({
    name:
      `A topic that another relay has filled stays when ${what} takes it for one that was only asked for`,
    ignore,
    async fn() {
      await using pair = await open();
      const { store, other } = pair;
      const log = await makeAwaited(store);
      const { epoch } = log;
      await other.prepare?.("t", { isFresh: true });
      {
        using theirs = other.find("t");
        await theirs?.update({ isOpen: false }, {
          changes: { isAwaited: undefined },
        });
        await theirs?.append([message("a")]);
      }
      // It has not heard of that.
      await log.update(AWAITED, { changes: AWAITED });
      log[Symbol.dispose]();
      await store.letGo?.("t", epoch);
      await other.prepare?.("t", { isFresh: true });
      using kept = other.find("t");
      assert(kept);
      assertEquals([kept.next, kept.epoch], [2, epoch]);
    },
  });
}

Deno.test("An edge whose facts of a topic came too late is told those that stand", async () => {
  await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED, 1);
  const { store, root } = world;
  using log = await makeAwaited(store);
  using theirs = root.find("t");
  assert(theirs);
  await theirs.update({ isOpen: true, source: "theirs" });
  await theirs.append([message("a")]);
  await log.update(AWAITED);
  await until(
    () => log.facts.source === "theirs" || undefined,
    LIMIT,
    "the facts",
  );
  assertEquals(theirs.facts, { isOpen: true, source: "theirs" });
  assertEquals(log.facts, theirs.facts);
});
