import { BenchProcess } from "../../../../bench/fanout/process.ts";
import type { RelayOptions } from "../../../../relay/options/relay_options.ts";
import { until } from "../../within.ts";
import type { ClientCounts } from "./clients.ts";

/** What is asked of a relay. */
export interface GatewayLoadOptions {
  /** How many runs there are at a time. */
  readonly runs: number;
  /** Events a second, of each run. */
  readonly rate: number;
  /** How many follow each run, besides its caller. */
  readonly subscribers: number;
  /** How long each run takes. */
  readonly seconds: number;
  /** How often all of that is done, one after the other. */
  readonly rounds: number;
}

/** What a round has shown. Shares are of one core's time. */
export interface GatewayLoadRound extends ClientCounts {
  readonly relayShare: number;
  /** How much of the time the relay was ready to run, and had no core. */
  readonly relayWaitShare: number;
  readonly providerShare: number;
  readonly clientsShare: number;
  /** What the relay's memory is after it, without garbage, in bytes. */
  readonly memory: Deno.MemoryUsage;
}

/** What all rounds have shown. */
export interface GatewayLoadReport {
  readonly rounds: readonly GatewayLoadRound[];
  /** How many requests the provider got. */
  readonly requests: number;
  /** How many events each run has. */
  readonly eventsPerRun: number;
  /** What the relay's memory was before, in bytes. */
  readonly memory: Deno.MemoryUsage;
}

/** How long a topic is kept that has ended, in milliseconds: who follows it keeps it for longer. */
const ENDED_TTL = 1_000;

/** How much later than planned a round may end, in milliseconds: it is no test of time. */
const PATIENCE = 60_000;

/** Of what a relay may have of something; JSON knows no infinity. */
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
