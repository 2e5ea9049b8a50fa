import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import type { Retention } from "../../../relay/topics/log.ts";
import { type ContractWorld, testStore } from "./contract.ts";
import { testStoreModel } from "./model.ts";
import { testSharing } from "./sharing_contract.ts";

async function open(retention: Retention): Promise<ContractWorld> {
  const clock = new FakeClock(1_000_000);
  const store = new MemoryStore(retention, clock);
  await store.open();
  return {
    store,
    clock,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

testStore({ name: "MemoryStore", test: Deno.test, open });
testSharing({ name: "MemoryStore", test: Deno.test, open });
testStoreModel({ name: "MemoryStore", test: Deno.test, open }, 50);
