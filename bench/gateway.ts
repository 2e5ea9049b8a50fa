/**
 * The gateway bench: what the relay adds to the time that an event takes from a
 * provider of language models to a caller, beside a direct call.
 *
 * `deno task bench:gateway --help` says what can be asked for. The provider, the
 * relay and the callers are processes of their own. Callers go to the provider
 * and to the relay in turn, at the same rate, round after round. Needs Linux.
 *
 * @module
 */
import { readOptions } from "./command_line.ts";
import { pinned } from "./fanout/load.ts";
import { runAndKill } from "./fanout/process.ts";
import { machine } from "./fanout/report/machine.ts";
import { compare } from "./gateway/comparison.ts";
import { type Options, parseOptions, USAGE } from "./gateway/options.ts";
import { Setup } from "./gateway/setup.ts";
import { table } from "./gateway/table.ts";

async function run(options: Options): Promise<void> {
  const { rate, rounds, seconds, v8Flags } = options;
  await using setup = await Setup.start(options);
  const comparisons = await compare(setup, options, console.error);
  const day = new Date().toISOString().slice(0, 10);
  const flags = v8Flags === "" ? "" : `, ${v8Flags}`;
  console.log([
    "# Gateway",
    `${machine(day)}, Deno ${Deno.version.deno}${flags}. ${
      pinned
        ? "The relay has one core, the provider and the callers another"
        : "Nothing was bound to a core: no taskset, or a single core"
    }. Runs of ${rate} events/s; ${seconds} s each, after 1 s of warming up; medians of ${rounds}.`,
    table(comparisons),
  ].join("\n\n"));
}

const options = readOptions(parseOptions, USAGE);
await runAndKill(() => run(options));
