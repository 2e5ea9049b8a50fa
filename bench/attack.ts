/**
 * The attack bench: how long a relay on one core takes to say that it is healthy,
 * while somebody attacks it, and how much memory it takes. Beside it stands
 * the floor: what the runtime takes if nothing is done with the bytes of the attack.
 *
 * `deno task bench:attack --help` says what can be asked for. The relay, the prober
 * and the attacker are processes of their own. Needs Linux.
 *
 * @module
 */
import { type Options, parseOptions, USAGE } from "./attack/options.ts";
import { ATTACKS } from "./attack/attacks.ts";
import {
  type Effect,
  type Load,
  measure,
  measureFloor,
} from "./attack/measure.ts";
import { readOptions } from "./command_line.ts";
import { pinned } from "./fanout/load.ts";
import { runAndKill } from "./fanout/process.ts";
import { machine } from "./fanout/report/machine.ts";

/** The p99 to reach, in milliseconds. */
const TARGET = 100;

const HEADER = [
  "| attack | input | p50, ms | p99, ms | max, ms | failed | CPU, waited for it | floor: p50, p99, ms | MiB before, peak, after |",
  "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
].join("\n");

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function row(
  name: string,
  input: string,
  effect: Effect,
  floor: Load | undefined,
): string {
  const { p50, p99, max, asked, failed, cpu, waited, before, peak, after } =
    effect;
  const cells = [
    name,
    input,
    p50.toFixed(1),
    `${p99.toFixed(1)}${p99 > TARGET ? " !" : ""}`,
    max.toFixed(0),
    `${failed} of ${asked}${effect.lives ? "" : ", and dead after it"}`,
    `${percent(cpu)}, ${percent(waited)}`,
    floor ? `${floor.p50.toFixed(1)}, ${floor.p99.toFixed(1)}` : "–",
    [before, peak, after].map(mebibytes).join(", "),
  ];
  return `| ${cells.join(" | ")} |`;
}

async function run({ attacks, floor, ...method }: Options): Promise<void> {
  const day = new Date().toISOString().slice(0, 10);
  console.log([
    "# Attacks",
    `${machine(day)}, Deno ${Deno.version.deno}. ${
      pinned
        ? "The relay has one core, everybody else the other"
        : "Nothing was bound to a core: no taskset, or a single core"
    }. ${method.seconds} s each; p99 to reach: ${TARGET} ms.`,
    HEADER,
  ].join("\n\n"));
  for (const attack of ATTACKS) {
    if (!attacks.some((name) => attack.name.startsWith(name))) continue;
    const effect = await measure(attack, method);
    const least = floor ? await measureFloor(attack, method) : undefined;
    console.log(row(attack.name, attack.input, effect, least));
  }
}

const options = readOptions(parseOptions, USAGE);
await runAndKill(() => run(options));
