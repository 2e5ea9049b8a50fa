import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { MemoryStore } from "../../../../relay/stores/memory_store.ts";
import { shareStore } from "../../../../relay/stores/shared/share_store.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import type { StoreContractWorld } from "../../../../relay/testing/contract_world.ts";
import { storeContract } from "../../../../relay/testing/store_contract.ts";
import type { Retention } from "../../../../relay/topics/log.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";

async function inMemory(retention: Retention): Promise<StoreContractWorld> {
  const clock = new FakeClock(1_000_000);
  const store = shareStore(new MemoryStore(retention, clock), { clock });
  await store.open();
  return {
    store,
    clock,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function inFile(retention: Retention): Promise<StoreContractWorld> {
  const clock = new FakeClock(1_000_000);
  const folder = new TemporaryFolder();
  const path = `${folder.path}/store.db`;
  const make = async () => {
    const file = new SqliteStore({ path, sync: "full", retention, clock });
    const store = shareStore(file, { clock });
    await store.open();
    return store;
  };
  let store = await make();
  return {
    get store() {
      return store;
    },
    clock,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await make();
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

for (const { name, run } of storeContract({ open: inMemory })) {
  Deno.test(`SharedStore (memory) ${name}`, run);
}
for (const { name, run } of storeContract({ open: inFile })) {
  Deno.test(`SharedStore (SQLite) ${name}`, run);
}
