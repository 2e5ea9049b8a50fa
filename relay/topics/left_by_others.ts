import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import type { TopicRegistry } from "./registry.ts";
import type { Topic } from "./topic.ts";

/** The parts of a relay that leaves a topic to others. */
export interface LeavingRelay {
  readonly topics: TopicRegistry;
  readonly clock: Clock;
  /** Aborted when the relay closes. */
  readonly closing: AbortSignal;
}

/**
 * The time for which a relay that cannot go on with a topic leaves it to other relays, in
 * milliseconds: the store tells them of the topic twice in that time.
 */
const OTHERS_TIME = 30_000;

/** Returns a topic again that no other relay has gone on with in time, if there is one. */
export async function leftByOthers(
  { name, log: { epoch } }: Topic,
  { topics, clock, closing }: LeavingRelay,
): Promise<Topic | undefined> {
  try {
    await wait(OTHERS_TIME, clock, closing);
  } catch {
    return undefined; // the relay closes
  }
  await topics.prepare(name, { isFresh: true });
  const topic = topics.get(name, epoch);
  return topic?.verdict ? undefined : topic;
}
