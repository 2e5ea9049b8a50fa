/**
 * Fills topics of a store that has a bound, one after the other, for as long as it lives,
 * and says each that has ended: `deno run bound_program.ts PATH BYTES`.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { SqliteStore } from "../../../../relay/stores/sqlite/sqlite_store.ts";
import { message } from "../../../../relay/testing/contract_world.ts";

const [path = "", bytes = ""] = Deno.args;

await using store = new SqliteStore({
  path,
  sync: "normal",
  retention: { maxEvents: Infinity, maxBytes: Infinity, maxAge: Infinity },
  maxBytes: Number(bytes),
  clock: systemClock,
});
await store.open();

const query = { after: "", prefix: "", limit: 10_000 };
const last = store.list(query).at(-1)?.name ?? "t00000";
for (let number = Number(last.slice(1));; number++) {
  const name = `t${String(number).padStart(5, "0")}`;
  // The last process may have been killed in the middle of it.
  const log = store.find(name) ?? store.create(name, { isOpen: true });
  while (!log.ended && log.next <= 20) {
    await log.append([message(`${name}:${log.next}`.padEnd(4_000, "x"))]);
  }
  await log.end({ status: "complete", isWhole: true, at: number });
  writeSync(1, new TextEncoder().encode(`${name} ${log.epoch}\n`));
  log[Symbol.dispose]();
}
