// Relays change facts of one topic at once: none undoes what another one does.
import { assert, assertEquals } from "@std/assert";
import type { TopicFacts } from "../../../../relay/topics/log.ts";
import { STORE_PAIRS } from "../../../support/relay/store_pairs.ts";
import { LIMIT, until } from "../../../support/within.ts";

const FACTS: TopicFacts = { isOpen: false, isAwaited: true, owner: "alice" };

const RUN = { askedAt: 1, attempts: 2 };

for (const [what, ignore, open] of STORE_PAIRS) {
  Deno.test({
    name: `Facts stand that ${what} changes while another relay changes others`,
    ignore,
    async fn() {
      await using pair = await open();
      const { store, other } = pair;
      using log = store.create("t", FACTS);
      await log.settled();
      await other.prepare?.("t", { isFresh: true });
      using theirs = other.find("t");
      assert(theirs);
      const change = (one: typeof log, changes: Partial<TopicFacts>) =>
        one.update({ ...FACTS, ...changes }, { changes });
      await Promise.all([
        change(log, { filling: "mine" }),
        change(log, { isOpen: true, isAwaited: undefined }),
        change(theirs, { source: "theirs" }),
        change(theirs, { run: RUN }),
      ]);
      const expected: TopicFacts = {
        ...{ isOpen: true, owner: "alice" },
        ...{ filling: "mine", source: "theirs", run: RUN },
      };
      for (const one of [log, theirs]) {
        await until(
          () => one.facts.run && one.facts.filling !== undefined || undefined,
          LIMIT,
          "the facts of both",
        );
        assertEquals(JSON.parse(JSON.stringify(one.facts)), expected);
      }
    },
  });
}
