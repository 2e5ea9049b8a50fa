import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import type { StoreContractWorld } from "../../../relay/testing/contract_world.ts";
import { storeContract } from "../../../relay/testing/store_contract.ts";
import type { Retention } from "../../../relay/topics/log.ts";
import { testStoreModel } from "./model.ts";

async function open(retention: Retention): Promise<StoreContractWorld> {
  const clock = new FakeClock(1_000_000);
  const store = new MemoryStore(retention, clock);
  await store.open();
  return {
    store,
    clock,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

for (const { name, run } of storeContract({ open })) {
  Deno.test(`MemoryStore ${name}`, run);
}
testStoreModel({ name: "MemoryStore", test: Deno.test, open }, 50);
