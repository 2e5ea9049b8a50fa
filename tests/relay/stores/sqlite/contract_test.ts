import { storeContract } from "../../../../relay/testing/store_contract.ts";
import { SqliteWorld } from "../../../support/relay/sqlite_world.ts";
import { testStoreModel } from "../model.ts";

const checks = storeContract({
  open: (retention) => SqliteWorld.open({ retention }),
});
for (const { name, run } of checks) Deno.test(`SqliteStore ${name}`, run);

const strict = storeContract({
  open: (retention) =>
    SqliteWorld.open({ retention, sync: "normal", windowBytes: 0 }),
});
for (const { name, run } of strict) {
  Deno.test(`SqliteStore (normal, without memory) ${name}`, run);
}

testStoreModel({
  name: "SqliteStore",
  test: Deno.test,
  open: (retention) => SqliteWorld.open({ retention, windowBytes: 20_000 }),
}, 5);
