import { configurationText } from "../../relay/options/configuration_text.ts";
import { commandOptions } from "../../relay/options/schema.ts";
import type { RelayOptions } from "../../relay/mod.ts";
import { childrenOf, usageOf } from "../fanout/process.ts";
import { startAndHear } from "../fanout/servers/program.ts";
import { startRelay } from "../fanout/servers/relay.ts";
import type { RunningServer } from "../fanout/servers/server.ts";
import type { Shape } from "./options.ts";

/** As `deno task relay` is started. */
const V8_FLAGS = "--max-semi-space-size=8";

/** The processes that serve one port. */
export interface StartedShape extends AsyncDisposable {
  readonly port: number;
  /** The processes that have connections. */
  readonly pids: readonly number[];
  /** The processor time of the process that has the topics, in seconds; NaN if it is one of these. */
  storeCpu(): number;
}

/** Returns the options of the relay of an index, or of the only one. */
export type OptionsOf = (index: number) => RelayOptions;

/** The limits of the bench, which has one address. */
const LIMITS = {
  maxConnections: 65_536,
  maxConnectionsPerAddress: 65_536,
  maxUpstreams: 65_536,
  maxUpstreamsPerClient: 65_536,
  maxPublishRate: 10_000_000,
  maxTopics: 1_000_000,
};

function withLimits(options: RelayOptions): RelayOptions {
  return { port: 0, ...options, limits: LIMITS };
}

/** Starts the command line. */
async function startCommand(
  options: RelayOptions,
  args: readonly string[],
): Promise<RunningServer> {
  const path = await Deno.makeTempFile({ suffix: ".json" });
  try {
    const parsed = commandOptions.parse({
      ...withLimits(options),
      logLevel: "warning",
    });
    await Deno.writeTextFile(path, configurationText(parsed));
    return await startRelay("relay/main.ts", V8_FLAGS, { core: undefined }, [
      ...["--config", path, ...args],
    ]);
  } finally {
    await Deno.remove(path);
  }
}

/** Starts relays that share a port and nothing else of their own. */
async function startSharing(
  options: readonly RelayOptions[],
  above: RunningServer | undefined,
): Promise<StartedShape> {
  await using started = new AsyncDisposableStack();
  if (above) started.use(above);
  const servers: RunningServer[] = [];
  for (const each of options) {
    const port = servers[0]?.port ?? 0;
    const json = JSON.stringify({ ...withLimits(each), port });
    const server = await startAndHear(
      [
        ...[Deno.execPath(), "run", "-A", `--v8-flags=${V8_FLAGS}`],
        ...[new URL("sharing_relay.ts", import.meta.url).pathname, json],
      ],
      { core: undefined },
      /^Relay on http:\/\/\S+:([0-9]+)$/,
    );
    servers.push(started.use(server));
  }
  const kept = started.move();
  return {
    port: servers[0]!.port, // there is one at least
    pids: servers.map(({ process }) => process.pid),
    storeCpu: () => above ? above.process.usage().cpu : NaN,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Starts a shape. */
export async function startShape(
  shape: Shape,
  count: number,
  optionsOf: OptionsOf,
): Promise<StartedShape> {
  const indexes = Array.from({ length: count }, (_, index) => index);
  if (shape === "relays") {
    return startSharing(indexes.map(optionsOf), undefined);
  }
  if (shape === "edges") {
    const root = await startCommand({ ...optionsOf(0), links: true }, []);
    const store = `http://127.0.0.1:${root.port}`;
    const { sources: _, ...below } = optionsOf(0);
    return startSharing(indexes.map(() => ({ ...below, store })), root);
  }
  const args = shape === "workers" ? ["--workers", `${count}`] : [];
  const relay = await startCommand(optionsOf(0), args);
  const { port, process: { pid } } = relay;
  const pids = shape === "workers" ? childrenOf(pid) : [pid];
  return {
    port,
    pids,
    storeCpu: () =>
      shape === "workers"
        ? pids.reduce((sum, each) => sum - usageOf(each).cpu, usageOf(pid).cpu)
        : NaN,
    [Symbol.asyncDispose]: () => relay[Symbol.asyncDispose](),
  };
}
