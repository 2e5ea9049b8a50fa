import type { Candidate } from "../../proxies/candidates.ts";
import { launch } from "../../proxies/launch.ts";
import type { Counts, Plan } from "./plan.ts";

/**
 * One measurement. Shares are of one core's time; latencies in milliseconds.
 * Shares are of one core's time; latencies in milliseconds.
 */
export interface ShortMeasurement {
  /** Answers a second. */
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  /** The relay's or the proxy's, in µs. */
  readonly cpuPerRequest: number;
  readonly share: number;
  /** The share of the time in which it waited for its core: others had it. */
  readonly waited: number;
  /** The provider's and the callers' together. */
  readonly generatorShare: number;
  readonly errors: number;
}

/** Measures one candidate with short requests of a kind, once. */
export async function measureShort(
  candidate: Candidate,
  plan: Omit<Plan, "port">,
): Promise<ShortMeasurement> {
  await using launched = await launch(
    candidate,
    new URL("generator.ts", import.meta.url),
  );
  const { generator, port } = launched;
  const whole: Plan = { ...plan, port };
  await generator.say(JSON.stringify(whole));
  await generator.hear(/^measuring$/, plan.warmUp * 1_000);
  const before = launched.usage();
  const [json] = await generator.hear(/^\{.*\}$/, plan.seconds * 1_000);
  const after = launched.usage();
  const counts: Counts = JSON.parse(json); // as the generator has written it
  const elapsed = after.time - before.time;
  const cpu = after.server.cpu - before.server.cpu;
  return {
    requests: counts.requests / counts.seconds,
    p50: counts.p50 ?? NaN,
    p99: counts.p99 ?? NaN,
    cpuPerRequest: cpu * 1e6 / counts.requests,
    share: cpu / elapsed,
    waited: (after.server.waited - before.server.waited) / elapsed,
    generatorShare: (after.generator.cpu - before.generator.cpu) / elapsed,
    errors: counts.errors,
  };
}
