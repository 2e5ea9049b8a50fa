import { SqliteWorld } from "../../../support/relay/sqlite_world.ts";
import { testStore } from "../contract.ts";
import { testStoreModel } from "../model.ts";
import { testSharing } from "../sharing_contract.ts";

testStore({
  name: "SqliteStore",
  test: Deno.test,
  open: (retention) => SqliteWorld.open({ retention }),
});

testStore({
  name: "SqliteStore (normal, without memory)",
  test: Deno.test,
  open: (retention) =>
    SqliteWorld.open({ retention, sync: "normal", windowBytes: 0 }),
});

testSharing({
  name: "SqliteStore",
  test: Deno.test,
  open: (retention) => SqliteWorld.open({ retention }),
});

testStoreModel({
  name: "SqliteStore",
  test: Deno.test,
  open: (retention) => SqliteWorld.open({ retention, windowBytes: 20_000 }),
}, 5);
