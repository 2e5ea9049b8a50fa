import type { Candidate } from "../proxies/candidates.ts";
import { launch } from "../proxies/launch.ts";
import type { Counts, Plan } from "./generator/plan.ts";
import type { Load } from "./load.ts";

/**
 * One measurement. Shares are of one core's time; latencies in milliseconds.
 */
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
  /**
   * The share of the time in which the relay waited for its core: others had
   * it.
   */
  readonly waited: number;
  /** The provider's, the callers' and the followers' together. */
  readonly generatorShare: number;
  readonly generatorWaited: number;
  /** In bytes, when the last event that is measured has been sent. */
  readonly rss: number;
  /** The most memory until then, in bytes. */
  readonly peak: number;
}

/** The way of measuring. */
export interface Method {
  readonly warmUp: number;
  readonly seconds: number;
}

/** The time after which late events do not come any more, in milliseconds. */
const PATIENCE = 10_000;

/** Measures one candidate with a load, once. */
export async function measure(
  candidate: Candidate,
  load: Load,
  { warmUp, seconds }: Method,
): Promise<Measurement> {
  await using launched = await launch(
    candidate,
    new URL("generator/main.ts", import.meta.url),
  );
  const { generator, port } = launched;
  const plan: Plan = {
    port,
    load,
    warmUp: warmUp * load.rate,
    events: seconds * load.rate,
    patience: PATIENCE,
  };
  await generator.say(JSON.stringify(plan));
  await generator.hear(/^measuring$/, warmUp * 10_000);
  const before = launched.usage();
  await generator.hear(/^measured$/, seconds * 10_000);
  const sent = launched.usage();
  const [json] = await generator.hear(/^\{.*\}$/, PATIENCE);
  const after = launched.usage();

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
