import { TOPIC_NAME_RULE } from "./topic_name.ts";

/**
 * The name of a topic is invalid.
 *
 * @example A space is not allowed
 * ```ts
 * import { createRelay, InvalidTopicNameError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * assertThrows(() => relay.topics.create("a b"), InvalidTopicNameError);
 * ```
 */
export class InvalidTopicNameError extends RangeError {
  /** The error's code, for programs. */
  readonly code = "invalid_topic";

  /** Says what came and what is allowed. */
  constructor(name: string) {
    super(
      `Expected a topic name of ${TOPIC_NAME_RULE}: got ${
        JSON.stringify(name.slice(0, 200))
      }`,
    );
    this.name = "InvalidTopicNameError";
  }
}

/**
 * The limit for topics is reached: for all, or for one owner.
 *
 * @example No room for a second one
 * ```ts
 * import { createRelay, TopicLimitError } from "@rivulet/rivulet/relay";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0, limits: { maxTopics: 1 } });
 * relay.topics.create("a");
 * const error = assertThrows(() => relay.topics.create("b"), TopicLimitError);
 * assertEquals(error.code, "too_many_topics");
 * ```
 */
export class TopicLimitError extends Error {
  /** The limit that was reached. */
  readonly code: "too_many_topics" | "too_many_topics_of_token";

  /** Names the limit. */
  constructor(code: TopicLimitError["code"], message: string) {
    super(message);
    this.name = "TopicLimitError";
    this.code = code;
  }
}
