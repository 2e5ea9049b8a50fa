/**
 * Renews a topic of a store for as long as it lives, takes some renewals back, and says
 * each epoch that the file has: `deno run renew_program.ts PATH`.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import { message } from "../../../../relay/testing/contract_world.ts";

const [path = ""] = Deno.args;

await using store = new SqliteStore({
  path,
  sync: "full",
  retention: { maxEvents: Infinity, maxBytes: Infinity, maxAge: Infinity },
  clock: systemClock,
});
await store.open();

let log = store.find("a") ?? store.create("a", { isOpen: false });
for (let turn = 0;; turn++) {
  if (!log.ended) {
    await log.append([message(log.epoch)]);
    await log.end({ status: "complete", isWhole: true, at: 0 });
  }
  const next = store.create("a", { isOpen: false, follows: log.epoch });
  if (turn % 3 === 0) {
    await store.delete("a", next.epoch);
    continue;
  }
  await next.settled();
  writeSync(1, new TextEncoder().encode(`${next.epoch}\n`));
  log = next;
}
