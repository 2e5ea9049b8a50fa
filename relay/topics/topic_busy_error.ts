/**
 * A topic cannot be renewed because it has not ended: it is open, or about to
 * be filled.
 *
 * @example One turn at a time
 * ```ts
 * import { createRelay, TopicBusyError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const topic = relay.topics.create("chat");
 * topic.open();
 * assertThrows(() => relay.topics.renew("chat"), TopicBusyError);
 * topic.end("complete");
 * relay.topics.renew("chat");
 * ```
 */
export class TopicBusyError extends Error {
  /** The error's code, for programs. */
  readonly code = "topic_busy";
  /** The topic. */
  readonly topic: string;

  /** Names the topic. */
  constructor(topic: string) {
    super(
      `Expected a topic that has ended: '${topic}' is being filled. Wait for its end, or cancel it`,
    );
    this.name = "TopicBusyError";
    this.topic = topic;
  }
}
