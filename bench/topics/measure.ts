import { pinned } from "../fanout/load.ts";
import { BenchProcess } from "../fanout/process.ts";
import type { Candidate } from "./candidates.ts";
import type { Counts, Plan } from "./generator/plan.ts";
import type { Load } from "./load.ts";

/** What was measured once. Shares are of one core's time; latencies in milliseconds. */
export interface Measurement {
  /** Events a second that the provider, or the publishers, sent. */
  readonly sent: number;
  readonly callerP50: number;
  readonly callerP99: number;
  readonly followerP50: number;
  readonly followerP99: number;
  /** Events that callers and followers should have got, and did not in time. */
  readonly late: number;
  readonly errors: number;
  /** The relay's, in µs, until the last event has come. */
  readonly cpuPerEvent: number;
  /** The same for each event that a caller or a follower got. */
  readonly cpuPerDelivery: number;
  readonly share: number;
  /** How much of the time the relay waited for its core: others had it. */
  readonly waited: number;
  /** The provider's, the callers' and the followers' together. */
  readonly generatorShare: number;
  readonly generatorWaited: number;
  /** In bytes, when the last event that is measured has been sent. */
  readonly rss: number;
  /** The most memory until then, in bytes. */
  readonly peak: number;
}

/** How it is measured. */
export interface Method {
  readonly warmUp: number;
  readonly seconds: number;
}

/** What has not come by then does not come, in milliseconds. */
const PATIENCE = 10_000;

const RELAY_CORE = 0;
const LOAD_CORE = 1;

/** Measures one candidate with a load, once. */
export async function measure(
  candidate: Candidate,
  load: Load,
  { warmUp, seconds }: Method,
): Promise<Measurement> {
  const { pathname } = new URL("generator/main.ts", import.meta.url);
  await using generator = new BenchProcess(
    [Deno.execPath(), "run", "-A", pathname],
    pinned ? { core: LOAD_CORE } : {},
  );
  const upstream = Number((await generator.hear(/^[0-9]+$/))[0]);
  await using server = candidate.kind === "direct"
    ? undefined
    : await candidate.start({
      core: pinned ? RELAY_CORE : undefined,
      upstream,
    });
  const usage = () => ({
    server: (server?.process ?? generator).usage(),
    generator: generator.usage(),
    time: performance.now() / 1_000,
  });

  const plan: Plan = {
    port: server?.port ?? upstream,
    load,
    warmUp: warmUp * load.rate,
    events: seconds * load.rate,
    patience: PATIENCE,
  };
  await generator.say(JSON.stringify(plan));
  await generator.hear(/^measuring$/, warmUp * 10_000);
  const before = usage();
  await generator.hear(/^measured$/, seconds * 10_000);
  const sent = usage();
  const [json] = await generator.hear(/^\{.*\}$/, PATIENCE);
  const after = usage();

  const counts: Counts = JSON.parse(json); // as the generator has written it
  const { callers, followers } = counts;
  const elapsed = sent.time - before.time;
  const events = load.topics * plan.events;
  const cpu = (after.server.cpu - before.server.cpu) * 1e6;
  return {
    sent: events / counts.sending,
    callerP50: callers.p50 ?? NaN,
    callerP99: callers.p99 ?? NaN,
    followerP50: followers.p50 ?? NaN,
    followerP99: followers.p99 ?? NaN,
    late: callers.due - callers.arrived + followers.due - followers.arrived,
    errors: counts.errors,
    cpuPerEvent: cpu / events,
    cpuPerDelivery: cpu / (callers.arrived + followers.arrived),
    share: (sent.server.cpu - before.server.cpu) / elapsed,
    waited: (sent.server.waited - before.server.waited) / elapsed,
    generatorShare: (sent.generator.cpu - before.generator.cpu) / elapsed,
    generatorWaited: (sent.generator.waited - before.generator.waited) /
      elapsed,
    rss: sent.server.rss,
    peak: sent.server.peak,
  };
}
