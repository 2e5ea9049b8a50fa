import type { Counts } from "./caller/main.ts";
import type { Setup } from "./setup.ts";
import { sleep } from "../sleep.ts";

/** The load to measure with. */
export interface Load {
  /** The number of runs at a time. */
  readonly runs: number;
  /** The number of followers of each. */
  readonly followers: number;
  /** In events a second, of each run. */
  readonly rate: number;
}

/** The server that callers call. */
export type Way = "direct" | "relay";

/**
 * One measurement. Shares are of one core's time; latencies in milliseconds.
 * Shares are of one core's time; latencies in milliseconds.
 */
export interface Measurement {
  /** From the moment at which the provider writes an event until the caller has it. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** From a request to the head of its answer. */
  readonly head: number;
  readonly headP99: number;
  /** From the moment at which the provider writes an event until a follower has it. */
  readonly followerP50: number;
  readonly followerP99: number;
  /** Events a second that the callers got. */
  readonly delivered: number;
  readonly relayShare: number;
  /**
   * The share of the time in which the relay waited for its core: others had
   * it.
   */
  readonly relayWaited: number;
  /** The provider's and the callers' together. */
  readonly loadShare: number;
  /** The share of the time in which these two waited, for each other too. */
  readonly loadWaited: number;
  /** Events that were missing, repeated or foreign. */
  readonly errors: number;
}

/** Until the runs are spread over time, in milliseconds. */
const WARM_UP = 1_000;

let measured = 0;

/** Measures one way, once. */
export async function measure(
  { relay, provider, caller }: Setup,
  way: Way,
  { runs, followers, rate }: Load,
  seconds: number,
): Promise<Measurement> {
  const { port } = way === "relay" ? relay : provider;
  const follows = way === "relay" ? followers : 0;
  const processes = [relay.process, provider.process, caller];
  const name = `bench-${measured++}`;
  await caller.say(`call ${port} ${runs} ${follows} ${rate} ${name}`);
  await sleep(WARM_UP);
  await caller.say("begin");
  const began = performance.now();
  const before = processes.map((process) => process.usage());
  await sleep(seconds * 1_000);
  const after = processes.map((process) => process.usage());
  const elapsed = (performance.now() - began) / 1_000;
  await caller.say("end");
  const [json] = await caller.hear(/^\{.*\}$/);
  const counts: Counts = JSON.parse(json);
  const share = (what: "cpu" | "waited", index: number): number =>
    ((after[index]?.[what] ?? NaN) - (before[index]?.[what] ?? NaN)) / elapsed;
  return {
    p50: counts.p50 ?? NaN,
    p99: counts.p99 ?? NaN,
    max: counts.max ?? NaN,
    head: counts.head ?? NaN,
    headP99: counts.headP99 ?? NaN,
    followerP50: counts.followerP50 ?? NaN,
    followerP99: counts.followerP99 ?? NaN,
    delivered: counts.events / elapsed,
    relayShare: share("cpu", 0),
    relayWaited: share("waited", 0),
    loadShare: share("cpu", 1) + share("cpu", 2),
    loadWaited: share("waited", 1) + share("waited", 2),
    errors: counts.errors,
  };
}
