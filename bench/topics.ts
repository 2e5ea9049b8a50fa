/**
 * The topics bench: many topics with few followers each, as products have them.
 *
 * `deno task bench:topics --help` says what can be asked for. The relay has one
 * core. The provider, the callers, the publishers and the followers are one
 * process on another core, whose own processor time is shown. Relays, plain proxies
 * and the floor (a server of the bare runtime that reads and writes the same bytes) are
 * measured in turn, round after round. Needs Linux.
 *
 * @module
 */
import { readOptions } from "./command_line.ts";
import { pinned } from "./fanout/load.ts";
import { runAndKill } from "./fanout/process.ts";
import { machine } from "./fanout/report/machine.ts";
import { findCandidates, titles } from "./proxies/candidates.ts";
import { compare } from "./topics/comparison.ts";
import { type Options, parseOptions, USAGE } from "./topics/options.ts";
import { table } from "./topics/table.ts";

async function run(options: Options, folder: string): Promise<void> {
  const { bound, rounds, seconds, warmUp } = options;
  const candidates = await findCandidates(options, folder);
  const rows = await compare(candidates, options, console.error);
  const day = new Date().toISOString().slice(0, 10);
  console.log([
    "# Topics",
    `${machine(day)}. ${
      pinned
        ? "The relay has one core, the generator another"
        : "Nothing was bound to a core: no taskset, or a single core"
    }. ${seconds} s each, after ${warmUp} s of warming up; medians of ${rounds}.`,
    titles(candidates),
    table(rows, bound),
  ].join("\n\n"));
}

const options = readOptions(parseOptions, USAGE);
const folder = await Deno.makeTempDir({ prefix: "rivulet-bench-" });
try {
  await runAndKill(() => run(options, folder));
} finally {
  await Deno.remove(folder, { recursive: true });
}
