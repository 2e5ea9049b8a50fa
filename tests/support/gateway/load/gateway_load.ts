import { BenchProcess } from "../../../../bench/fanout/process.ts";
import type { RelayOptions } from "../../../../relay/options/relay_options.ts";
import { until } from "../../within.ts";
import type { ClientCounts } from "./clients.ts";

/** The load on a relay. */
export interface GatewayLoadOptions {
  /** The number of runs at a time. */
  readonly runs: number;
  /** Events a second, of each run. */
  readonly rate: number;
  /** The number of subscribers of each run, besides its caller. */
  readonly subscribers: number;
  /** The duration of each run, in seconds. */
  readonly seconds: number;
  /** The number of rounds, one after the other. */
  readonly rounds: number;
}

/**
 * The measurements of a round. Shares are of one core's time. Shares are of one
 * core's time.
 */
export interface GatewayLoadRound extends ClientCounts {
  readonly relayShare: number;
  /**
   * The share of the time in which the relay was ready to run, and had no core.
   */
  readonly relayWaitShare: number;
  readonly providerShare: number;
  readonly clientsShare: number;
  /** The relay's memory after it, without garbage, in bytes. */
  readonly memory: Deno.MemoryUsage;
}

/** The measurements of all rounds. */
export interface GatewayLoadReport {
  readonly rounds: readonly GatewayLoadRound[];
  /** The number of requests that the provider got. */
  readonly requests: number;
  /** The number of events in each run. */
  readonly eventsPerRun: number;
  /** The relay's memory before, in bytes. */
  readonly memory: Deno.MemoryUsage;
}

/**
 * The time for which an ended topic is kept, in milliseconds. Its subscribers
 * keep it for longer.
 */
const ENDED_TTL = 1_000;

/**
 * The time by which a round may end later than planned, in milliseconds: this
 * is no test of time.
 */
const PATIENCE = 60_000;

/** The limit of everything that a relay may have; JSON has no infinity. */
const NO_LIMIT = 1_000_000;

function start(
  module: string,
  args: readonly unknown[],
  v8Flags = "",
): BenchProcess {
  const path = new URL(module, import.meta.url).pathname;
  const flags = v8Flags === "" ? [] : [`--v8-flags=${v8Flags}`];
  return new BenchProcess([
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    ...flags,
    path,
    ...args.map(String),
  ]);
}

async function memoryOf(relay: BenchProcess): Promise<Deno.MemoryUsage> {
  await relay.say("memory");
  const [json] = await relay.hear(/^\{.*\}$/);
  return JSON.parse(json);
}

/** Runs through a relay, with callers and subscribers that check every byte: Linux only. */
export async function runGatewayLoad(
  { runs, rate, subscribers, seconds, rounds }: GatewayLoadOptions,
): Promise<GatewayLoadReport> {
  const deltas = rate * seconds;
  await using provider = start("provider.ts", [rate, deltas]);
  const [providerPort] = await provider.hear(/^[0-9]+$/);
  const options: RelayOptions = {
    port: 0,
    retention: { endedTtl: ENDED_TTL },
    // As many as are asked for.
    limits: {
      maxConnections: NO_LIMIT,
      maxConnectionsPerAddress: NO_LIMIT,
      maxTopics: NO_LIMIT,
      maxUpstreams: NO_LIMIT,
    },
    gateway: {
      providers: [{ name: "load", url: `http://127.0.0.1:${providerPort}/v1` }],
    },
  };
  await using relay = start(
    "../../relay/relay_process.ts",
    [JSON.stringify(options)],
    // As `deno task relay` has it.
    "--expose-gc,--max-semi-space-size=4",
  );
  const [url] = await relay.hear(/^http:.*$/);
  const before = await memoryOf(relay);
  const done: GatewayLoadRound[] = [];
  for (let round = 0; round < rounds; round++) {
    const limit = seconds * 1_000 + PATIENCE;
    await using clients = start("clients.ts", [
      new URL(url).port,
      runs,
      deltas,
      subscribers,
      limit,
      `round-${round}`,
    ]);
    await clients.hear(/^subscribed$/, limit);
    const usage = () =>
      [relay, provider, clients].map((process) => process.usage());
    const [began, first] = [performance.now(), usage()];
    // It has not ended when it has said what there is to say of it.
    const counts: ClientCounts = JSON.parse(
      (await clients.hear(/^\{.*\}$/, limit))[0],
    );
    const [ended, last] = [performance.now(), usage()];
    const share = (index: number, what: "cpu" | "waited"): number =>
      ((last[index]?.[what] ?? NaN) - (first[index]?.[what] ?? NaN)) /
      (ended - began) * 1_000;
    await until(
      async () => {
        const response = await fetch(`${url}/topics`);
        const { topics } = await response.json();
        return topics.length === 0 || undefined;
      },
      // A subscriber that came after the end has asked for its topic anew, which is
      // forgotten after a minute by itself.
      ENDED_TTL + 2 * PATIENCE,
      "the topics to be forgotten",
    );
    done.push({
      ...counts,
      relayShare: share(0, "cpu"),
      relayWaitShare: share(0, "waited"),
      providerShare: share(1, "cpu"),
      clientsShare: share(2, "cpu"),
      memory: await memoryOf(relay),
    });
  }
  await provider.say("requests");
  const [, requests] = await provider.hear(/^requests ([0-9]+)$/);
  return {
    rounds: done,
    requests: Number(requests),
    eventsPerRun: deltas + 2,
    memory: before,
  };
}
