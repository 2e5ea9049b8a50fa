import type { TopicEnd } from "./end.ts";
import type { RunFacts } from "./run_facts.ts";
import type { FilledBy } from "./topic_source.ts";
import type { TopicState } from "./topic.ts";
import type { UpstreamState } from "./upstream_state.ts";

/**
 * The facts that are public about the run of a topic.
 *
 * @example The tokens of a second
 * ```ts
 * import type { RunDescription } from "@rivulet/rivulet/relay";
 *
 * const rate = ({ usage, duration }: RunDescription): number | undefined =>
 *   usage && duration && usage.outputTokens / duration * 1_000;
 * rate;
 * ```
 */
export interface RunDescription extends RunFacts {
  /** The time from the run's beginning to the topic's end, in milliseconds. */
  readonly duration: number | undefined;
}

/**
 * A description of a topic: `GET /topics`, `GET /topics/{topic}/info` (PROTOCOL.md,
 * section 4). Times are milliseconds since the epoch.
 *
 * @example Ask for it
 * ```ts
 * import { createRelay, type TopicDescription } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * relay.topics.create("t").append([{ data: "a" }]);
 * const response = await fetch(`${url}/topics/t/info`);
 * const topic: TopicDescription = await response.json();
 * assertEquals([topic.state, topic.next, topic.bytes], ["open", 2, 8]);
 * ```
 */
export interface TopicDescription {
  /** Its name. */
  readonly name: string;
  /** The state of the topic. */
  readonly state: TopicState["kind"];
  /** Its log. */
  readonly epoch: string;
  /** The offset of the oldest event that is retained; `next` if none is. */
  readonly first: number;
  /** The offset that the next event will have. */
  readonly next: number;
  /** The bytes of the events that are retained. */
  readonly bytes: number;
  /** The time when the topic was made. */
  readonly createdAt: number;
  /** The time of the first event, if it is known. */
  readonly firstEventAt: number | undefined;
  /** The time of the newest event, if it is known. */
  readonly lastEventAt: number | undefined;
  /** The time when the topic has ended. */
  readonly endedAt: number | undefined;
  /** The number of subscriptions of this relay that follow the topic. */
  readonly subscribers: number;
  /** The number of events that the slowest of these has not been given yet. */
  readonly lag: number | undefined;
  /** The source that fills the topic, in words; `null` if only requests do. */
  readonly source: string | null;
  /** The same as data. */
  readonly filledBy: FilledBy | undefined;
  /** The state of its upstream, while events may still come from one. */
  readonly upstream: UpstreamState | undefined;
  /** The end of the topic, if it has ended. */
  readonly end: TopicEnd | undefined;
  /** The facts of the run that fills it, or has filled it. */
  readonly run: RunDescription | undefined;
}
