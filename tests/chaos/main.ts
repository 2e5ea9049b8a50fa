/**
 * Runs the chaos for as long as one likes:
 * `deno run -A tests/chaos/main.ts --seconds 600 --deliveries 100000000 --seed 7`
 *
 * With `--relay workers` or `--relay tree`, the relays are processes, which are killed;
 * `--store memory` or `--store sqlite` is where their topics live, and `--callers` make runs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type ChaosResult, runChaos } from "./chaos.ts";
import { runFarChaos } from "./far_chaos.ts";
import { GROUND_STORES, GROUNDS } from "./grounds.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string" },
    steps: { type: "string" },
    deliveries: { type: "string" },
    seed: { type: "string" },
    exact: { type: "string", default: "40" },
    counting: { type: "string", default: "40" },
    callers: { type: "string", default: "6" },
    relay: { type: "string" },
    store: { type: "string", default: "sqlite" },
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

function oneOf<const Name extends string>(
  names: readonly Name[],
  text: string,
): Name {
  const name = names.find((one) => one === text);
  if (name !== undefined) return name;
  throw new TypeError(`Expected one of ${names.join(", ")}: got '${text}'`);
}

const print = (
  result: Pick<ChaosResult, "deliveries" | "seconds" | "steps">,
): void => {
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
  const audience = {
    exact: numberOf(values.exact) ?? 0,
    counting: numberOf(values.counting) ?? 0,
  };
  const seconds = numberOf(values.seconds) ?? (isBounded ? Infinity : 20);
  const result = values.relay !== undefined
    ? await runFarChaos({
      relays: oneOf(GROUNDS, values.relay),
      store: oneOf(GROUND_STORES, values.store),
      seed,
      seconds,
      callers: numberOf(values.callers) ?? 0,
      ...audience,
      onProgress: print,
    })
    : await runChaos({
      seed,
      seconds,
      steps: numberOf(values.steps) ?? Infinity,
      deliveries: numberOf(values.deliveries) ?? Infinity,
      ...audience,
      onProgress: print,
    });
  print(result);
  console.log(JSON.stringify(result, undefined, 2));
} catch (error) {
  console.error(`To repeat it: --seed=${seed}`);
  throw error;
}
