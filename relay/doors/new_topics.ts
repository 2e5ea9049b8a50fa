import type { Clock } from "../../src/fetch/clock.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";

/**
 * The time for which a topic that has ended is news, in milliseconds: relays that share a
 * store hear late of each other's topics, and their clocks differ.
 */
export const NEWS = 5_000;

/** The parts of a relay that tell of new topics. */
export interface NewTopicsContext {
  /** The topics. */
  readonly topics: Pick<TopicRegistry, "onNew" | "expectAll">;
  /** The source of time. */
  readonly clock: Clock;
}

/** Whether a topic has not ended, or only after a time. */
export function isNews({ state }: Topic, since: number): boolean {
  return state.kind !== "ended" || state.at > since;
}

/**
 * Tells a listener of each topic that begins from now on and whose name begins so, at
 * whichever relay.
 *
 * @returns Stops that.
 */
export function hearOfNew(
  { topics, clock }: NewTopicsContext,
  prefix: string,
  listener: (topic: Topic) => void,
): () => void {
  const begun = clock.now();
  let isOver = false;
  const forget = topics.onNew((topic) => {
    if (!topic.name.startsWith(prefix)) return;
    // An old topic is taken into memory, too, where relays share a store.
    if (!isNews(topic, Math.max(begun, clock.now() - NEWS))) return;
    // Its maker goes on with it first.
    queueMicrotask(() => {
      if (!isOver) listener(topic);
    });
  });
  const stop = topics.expectAll(prefix);
  return () => {
    isOver = true;
    forget();
    stop();
  };
}
