/**
 * Kills a relay as often as one likes:
 * `deno run -A tests/crash/main.ts --kills 300 --seed 7`
 *
 * With `--full`, its disk is full now and then, which takes root. With `--renewals`,
 * there are chats alone, whose topics are renewed turn by turn.
 *
 * It fails at the first thing that is wrong, and in the end if a relay took more than 2 s
 * from its start to tell all ends: a busy machine may be the cause of that alone.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { SmallDisk } from "../support/relay/small_disk.ts";
import { type CrashResult, runCrash } from "./crash.ts";
import { runRenewals } from "./renewals.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    kills: { type: "string", default: "300" },
    seed: { type: "string" },
    workers: { type: "string", default: "1" },
    signals: { type: "string", default: "SIGKILL" },
    sync: { type: "string", default: "full" },
    repetition: { type: "string", default: "tail" },
    publishers: { type: "string", default: "50" },
    sources: { type: "string", default: "20" },
    callers: { type: "string", default: "20" },
    followers: { type: "string", default: "200" },
    full: { type: "boolean", default: false },
    renewals: { type: "boolean", default: false },
  },
});

function numberOf(text: string): number {
  const number = Number(text);
  if (!(number >= 0)) throw new TypeError(`Expected a number: got '${text}'`);
  return number;
}

function oneOf<const Name extends string>(
  names: readonly Name[],
  text: string,
): Name {
  const name = names.find((one) => one === text);
  if (name !== undefined) return name;
  throw new TypeError(`Expected one of ${names.join(", ")}: got '${text}'`);
}

const print = (
  {
    kills,
    seconds,
    acknowledged,
    deliveries,
    topics,
    start,
    readable,
    recovery,
  }: CrashResult,
): void =>
  console.log(
    `${seconds} s: ${kills} kills, ${acknowledged} events acknowledged, ` +
      `${deliveries} deliveries, ${topics} topics; at most ${start} ms to listen, ` +
      `${readable} to all ends, ${recovery.followers} more to the last follower`,
  );

const seed = values.seed !== undefined
  ? Number(values.seed)
  : crypto.getRandomValues(new Uint32Array(1))[0]!; // of length 1
console.log(`seed ${seed}`);
const folder = Deno.makeTempDirSync();
using disk = values.full ? SmallDisk.mount(folder, "size=256m") : undefined;
if (values.full && !disk) {
  throw new Error("Expected to be root, and to be let mount a disk");
}
const sync = oneOf(["full", "normal"], values.sync);
const kills = numberOf(values.kills);
try {
  if (values.renewals) {
    const size = { chats: 10, followers: 5 };
    const result = await runRenewals({ seed, kills, sync, ...size });
    console.log(JSON.stringify(result, undefined, 2));
  } else {
    const result = await runCrash({
      seed,
      kills,
      signals: oneOf(["SIGKILL", "SIGTERM", "both"], values.signals),
      workers: numberOf(values.workers),
      disk,
      sync,
      repetition: oneOf(["key", "tail"], values.repetition),
      publishers: numberOf(values.publishers),
      sources: numberOf(values.sources),
      callers: numberOf(values.callers),
      followers: numberOf(values.followers),
      onProgress: print,
    });
    console.log(JSON.stringify(result, undefined, 2));
    const { inTime, late } = result;
    console.log(
      `After ${inTime} of ${inTime + late} starts, all ends were told ` +
        "within 2 s of the start of the process",
    );
    if (late > 0) Deno.exitCode = 1;
  }
} catch (error) {
  console.error(`To repeat it: --seed=${seed}`);
  throw error;
}
