// A process that has stood still takes nobody for gone whose link is there.
import { assertEquals } from "@std/assert";
import { UNBOUNDED } from "../../../../relay/testing/contract_world.ts";
import type { LogName, Store } from "../../../../relay/topics/store.ts";
import { LinkedStores, ROOTS } from "../../../support/links/linked_stores.ts";
import { LIMIT, until } from "../../../support/within.ts";

/** The fillers that are told to be gone. */
class Orphans implements AsyncDisposable {
  readonly told: LogName[] = [];
  readonly #abort = new AbortController();
  readonly #over: Promise<void>;

  constructor(store: Store) {
    this.#over = this.#follow(store);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#over;
  }

  async #follow(store: Store): Promise<void> {
    const { signal } = this.#abort;
    try {
      for await (const log of store.orphans?.(signal) ?? []) {
        this.told.push(log);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}

/** A look for fillers that are gone is due sooner than the next renewal. */
const BEFORE_LOOK = 950;

for (const stall of [6_000, 20_000]) {
  Deno.test(`Relays that have stood still for ${stall} ms leave a topic to the relay that fills it`, async () => {
    await using world = await LinkedStores.open(ROOTS.memory, UNBOUNDED, 2);
    const { clock, root, store } = world;
    await using orphans = new Orphans(root);
    using log = store.create("t", { isOpen: true });
    await log.settled();
    const lease = await store.hold({
      topic: "t",
      epoch: log.epoch,
      holder: "edge",
      ttl: 5_000,
      onCancel: () => Promise.resolve(),
    });
    await clock.advance(BEFORE_LOOK);
    clock.stall(stall);
    await clock.advance(400);
    await lease.renew();
    await clock.advance(2_000);
    await log.append([{ event: "message", data: "1", id: "" }], { lease });
    assertEquals([log.next, orphans.told], [2, []]);
    // Without its link, it is gone.
    const { epoch } = log;
    world.cut();
    await store[Symbol.asyncDispose]();
    await until(
      async () => {
        await clock.advance(500);
        return orphans.told.length > 0 || undefined;
      },
      LIMIT,
      "the topic to be told to be nobody's",
    );
    assertEquals(orphans.told[0], { name: "t", epoch });
  });
}
