import type { TopicLog } from "./log.ts";
import type { EndStatus, TopicEnd } from "./end.ts";
import type { EventInput, TopicState } from "./topic.ts";
import type { UpstreamState } from "./upstream_state.ts";

/**
 * A named log with a life (pending, open, ended with a verdict), as the program
 * that embeds the relay sees it.
 *
 * @example From its first event to its end
 * ```ts
 * import { createRelay, type Topic } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic: Topic = relay.topics.create("t");
 * assertEquals(topic.state.kind, "pending");
 * topic.append([{ event: "message", data: "a", id: "" }]);
 * assertEquals(topic.state.kind, "open");
 * topic.end("failed", "out of tokens");
 * assertEquals((await topic.ended).reason, "out of tokens");
 * ```
 */
export interface Topic {
  /** The name that subscribers ask for. */
  readonly name: string;
  /** The events that are retained. */
  readonly log: TopicLog;
  /**
   * The upstream that fills the topic, in words that are safe to show: a URL
   * without its secrets, or the name of a file. `undefined` without one.
   */
  readonly source: string | undefined;
  /** The number of subscriptions that follow the topic. */
  readonly followers: number;
  /** The stage of the topic's life. */
  readonly state: TopicState;
  /** The state of the upstream, if it has told one. */
  readonly upstream: UpstreamState | undefined;
  /** Resolves when the topic has ended. */
  readonly ended: Promise<TopicEnd>;
  /** Opens the topic before its first event. An open or ended topic stays as it is. */
  open(): void;
  /**
   * Resolves when more can be added without outrunning the subscribers and the store;
   * `undefined` if that is now. Whoever adds many events waits for it in between.
   */
  readonly ready: Promise<void> | undefined;
  /**
   * Adds events, one at least, after those of earlier calls: many calls can be under
   * way.
   *
   * @returns The offset of the first of them, once the log keeps them.
   * @throws {TopicEndedError} If the topic has ended.
   * @throws {TypeError} If there is no event, or one is not as {@linkcode EventInput}
   * has it, or a name or an id has a CR or an LF, or data a CR.
   */
  append(events: readonly EventInput[]): number | Promise<number>;
  /**
   * Ends the topic, after all events that were added. The first verdict stands: a later one changes nothing.
   *
   * @returns Whether this call ended it.
   * @throws {TypeError} If the status is none.
   */
  end(status: EndStatus, reason?: string): boolean;
}

/**
 * All topics of a relay by name, as the program that embeds the relay sees them.
 * An iteration yields the oldest topic first.
 *
 * @example Make, find and delete a topic
 * ```ts
 * import { createRelay, type TopicRegistry } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topics: TopicRegistry = relay.topics;
 * const topic = topics.create("t");
 * assertEquals(topics.get("t"), topic);
 * assertEquals([...topics], [topic]);
 * topics.delete("t");
 * assertEquals((await topic.ended).status, "cancelled");
 * ```
 */
export interface TopicRegistry extends Iterable<Topic> {
  /** The number of topics. */
  readonly size: number;
  /** Returns the topic of this name, if there is one. */
  get(name: string): Topic | undefined;
  /**
   * Returns the topic of this name, and makes it if there is none.
   *
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  create(name: string): Topic;
  /**
   * Begins a new epoch of a topic that has ended: an empty log under its name. Those
   * who read the one before get the rest of it first. Without such a topic, or if nothing
   * fills it yet, it is what {@linkcode TopicRegistry.create} returns.
   *
   * @throws {TopicBusyError} If the topic is open, or about to be filled.
   * @throws {InvalidTopicNameError} If no topic may have that name.
   * @throws {TopicLimitError} If it would be one too many.
   */
  renew(name: string): Topic;
  /**
   * Forgets a topic. If it has not ended, it ends as `cancelled`.
   *
   * @returns Whether there was one.
   */
  delete(name: string): boolean;
}
