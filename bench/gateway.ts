/**
 * The gateway bench: what the relay adds to the time that an event takes from a
 * provider of language models to a caller, beside a direct call.
 *
 * `deno task bench:gateway --help` says what can be asked for. The provider, the
 * relay and the callers are processes of their own. Callers go to the provider
 * and to the relay in turn, at the same rate, round after round. Needs Linux.
 *
 * Short requests, which are answered with JSON, are measured beside plain proxies:
 * the provider and the callers are then one process, whose own processor time is
 * shown.
 *
 * @module
 */
import { readOptions } from "./command_line.ts";
import { pinned } from "./fanout/load.ts";
import { runAndKill } from "./fanout/process.ts";
import { machine } from "./fanout/report/machine.ts";
import { compare } from "./gateway/comparison.ts";
import { type Options, parseOptions, USAGE } from "./gateway/options.ts";
import { compareShort } from "./gateway/short/comparison.ts";
import { findCandidates, titles } from "./proxies/candidates.ts";
import { Setup } from "./gateway/setup.ts";
import { table } from "./gateway/table.ts";

async function run(options: Options, folder: string): Promise<void> {
  const { rate, rounds, seconds, v8Flags } = options;
  const day = new Date().toISOString().slice(0, 10);
  const flags = v8Flags === "" ? "" : `, ${v8Flags}`;
  console.log([
    "# Gateway",
    `${machine(day)}, Deno ${Deno.version.deno}${flags}. ${
      pinned
        ? "The relay has one core, the provider and the callers another"
        : "Nothing was bound to a core: no taskset, or a single core"
    }. Runs of ${rate} events/s; ${seconds} s each, after 1 s of warming up; medians of ${rounds}.`,
  ].join("\n\n"));
  for (const module of options.runs.length === 0 ? [] : options.relays) {
    await using setup = await Setup.start(module, options);
    const comparisons = await compare(setup, options, console.error);
    console.log(`\n## Event streams: ${module}\n\n${table(comparisons)}`);
  }
  if (options.short.length === 0) return;
  const candidates = await findCandidates(options, folder);
  const short = await compareShort(candidates, options, console.error);
  console.log(`\n## Short requests\n\n${titles(candidates)}\n\n${short}`);
}

const options = readOptions(parseOptions, USAGE);
const folder = await Deno.makeTempDir({ prefix: "rivulet-bench-" });
try {
  await runAndKill(() => run(options, folder));
} finally {
  await Deno.remove(folder, { recursive: true });
}
