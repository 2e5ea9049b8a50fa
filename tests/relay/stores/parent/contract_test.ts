import { storeContract } from "../../../../relay/testing/store_contract.ts";
import { LinkedStores, ROOTS } from "../../../support/links/linked_stores.ts";

const WAYS = [
  ["memory", 1],
  ["SQLite", 1],
  ["memory", 3],
] as const;

for (const [root, levels] of WAYS) {
  const checks = storeContract({
    open: (retention) => LinkedStores.open(ROOTS[root], retention, levels),
  });
  for (const { name, run } of checks) {
    Deno.test(`ParentStore (${root}, ${levels} levels) ${name}`, run);
  }
}
