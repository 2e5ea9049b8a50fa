/**
 * Runs the chaos for as long as one likes:
 * `deno run -A tests/chaos/main.ts --seconds 600 --deliveries 100000000 --seed 7`
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type ChaosResult, runChaos } from "./chaos.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string" },
    steps: { type: "string" },
    deliveries: { type: "string" },
    seed: { type: "string" },
    exact: { type: "string", default: "40" },
    counting: { type: "string", default: "40" },
  },
});

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!(number >= 0)) throw new TypeError(`Expected a number: got '${text}'`);
  return number;
}

const isBounded = values.steps !== undefined || values.deliveries !== undefined;
const seed = values.seed !== undefined
  ? Number(values.seed)
  : crypto.getRandomValues(new Uint32Array(1))[0]!; // of length 1

const print = (result: ChaosResult): void => {
  const { deliveries, seconds, steps } = result;
  const { rss, heapUsed } = Deno.memoryUsage();
  console.log(
    `${seconds.toFixed(1)} s: ${deliveries} deliveries, ${steps} steps, ` +
      `${(rss / 2 ** 20).toFixed(0)} MiB, ${
        (heapUsed / 2 ** 20).toFixed(0)
      } MiB of heap`,
  );
};

console.log(`seed ${seed}`);
try {
  const result = await runChaos({
    seed,
    seconds: numberOf(values.seconds) ?? (isBounded ? Infinity : 20),
    steps: numberOf(values.steps) ?? Infinity,
    deliveries: numberOf(values.deliveries) ?? Infinity,
    exact: numberOf(values.exact) ?? 0,
    counting: numberOf(values.counting) ?? 0,
    onProgress: print,
  });
  print(result);
  console.log(JSON.stringify(result, undefined, 2));
} catch (error) {
  console.error(`To repeat it: --seed=${seed}`);
  throw error;
}
