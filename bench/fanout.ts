/**
 * The fan-out bench: one stream of events, a server on one core, subscribers that
 * count what comes on another; the relay beside what people use for the same.
 *
 * `deno task bench:fanout --help` says what can be asked for. Each server is a
 * process of its own, and fed in the simplest way that it is used in: the relay
 * and the servers in JavaScript read one SSE stream, nchan is sent a `POST` and
 * Redis a `PUBLISH` for each event, over one connection each. The servers are
 * measured in turn, round after round. Needs Linux.
 *
 * @module
 */
import { readOptions } from "./command_line.ts";
import { compare } from "./fanout/comparison.ts";
import { pinned } from "./fanout/load.ts";
import { type Options, parseOptions, USAGE } from "./fanout/options.ts";
import { killAll } from "./fanout/process.ts";
import { chart } from "./fanout/report/chart.ts";
import { machine } from "./fanout/report/machine.ts";
import { tables } from "./fanout/report/table.ts";
import { findServer } from "./fanout/servers/find.ts";
import type { Server } from "./fanout/servers/server.ts";

const RESULTS = new URL("./results/", import.meta.url);

async function run(options: Options, folder: string): Promise<void> {
  const servers: Server[] = [];
  const missing: string[] = [];
  for (const name of options.servers) {
    const server = await findServer(name, `${folder}/${name}`, options);
    if ("why" in server) missing.push(`Without ${name}: ${server.why}`);
    else servers.push(server);
  }
  for (const line of missing) console.error(line);

  const day = new Date().toISOString().slice(0, 10);
  const results = await compare(servers, options, console.error);
  const where = machine(day);
  const report = [
    "# Fan-out",
    `${where}. ${
      pinned
        ? "The server has one core, its feed and the subscribers another"
        : "Nothing was bound to a core: no taskset, or a single core"
    }. ${options.seconds} s each, after 2 s of warming up; medians of ${options.rounds}.`,
    ...missing,
    tables(results, servers, options),
  ].join("\n\n");
  console.log(report);
  if (!options.save) return;
  await Deno.mkdir(RESULTS, { recursive: true });
  const name = `fanout-${day}`;
  await Deno.writeTextFile(
    new URL(`${name}.md`, RESULTS),
    `${report}\n\n![The same as a picture](${name}.svg)\n\n` +
      `Made by \`deno task bench:fanout ${Deno.args.join(" ")}\`.\n`,
  );
  await Deno.writeTextFile(
    new URL(`${name}.svg`, RESULTS),
    chart(results, servers, options.idle, where),
  );
}

const options = readOptions(parseOptions, USAGE);
const folder = await Deno.makeTempDir({ prefix: "rivulet-bench-" });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    killAll();
    Deno.removeSync(folder, { recursive: true });
    Deno.exit(1);
  });
}
try {
  await run(options, folder);
} finally {
  killAll();
  await Deno.remove(folder, { recursive: true });
}
