/**
 * Kills, stops and cuts off relays and NATS servers for as long as one likes:
 * `deno task test:cluster --rounds 10 --seed 7`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { Random } from "../support/random.ts";
import { FAULTS, runCluster } from "./cluster.ts";
import { faultTable, HEADING, rowOf } from "./fault_table.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "5" },
    seed: { type: "string" },
    publishers: { type: "string", default: "50" },
    sources: { type: "string", default: "20" },
    callers: { type: "string", default: "30" },
    followers: { type: "string", default: "300" },
    // A folder for what the relays say.
    logs: { type: "string" },
  },
});

const seed = values.seed !== undefined
  ? Number(values.seed)
  : crypto.getRandomValues(new Uint32Array(1))[0]!; // of length 1
const random = new Random(seed);
const faults = Array.from(
  { length: Number(values.rounds) },
  () => random.shuffle(FAULTS),
).flat();
console.log(`seed ${seed}`);
console.log(HEADING);
try {
  const result = await runCluster({
    seed,
    faults,
    publishers: Number(values.publishers),
    sources: Number(values.sources),
    callers: Number(values.callers),
    followers: Number(values.followers),
    logs: values.logs,
    onFault: (row) => console.log(rowOf(row.fault, [row])),
  });
  console.log(`\n${faultTable(result.rows)}\n`);
  console.log(JSON.stringify(result, undefined, 2));
} catch (error) {
  console.error(`To repeat it: --seed=${seed}`);
  throw error;
}
