import { getLogger } from "@logtape/logtape";
import type { PublishRequest } from "./client_message.ts";
import type { PublishResult, WebSocketCaller } from "./connection.ts";
import {
  type Published,
  type Publisher,
  PublishError,
} from "../../sources/publish.ts";
import { TopicLimitError, type TopicRegistry } from "../../topics/registry.ts";
import { type Topic, TopicEndedError } from "../../topics/topic.ts";

const logger = getLogger(["rivulet", "relay", "websocket"]);

function published(result: Published): PublishResult {
  return { kind: "published", ...result };
}

function refused(error: unknown): PublishResult {
  if (error instanceof TopicEndedError) {
    const { code, message: reason } = error;
    return { kind: "refused", code, reason, retryable: false };
  }
  if (error instanceof TopicLimitError) {
    const { code, message: reason } = error;
    return { kind: "refused", code, reason, retryable: true };
  }
  if (error instanceof PublishError) {
    const { message: reason } = error;
    // What is the body of a request is a part of the message here.
    const code = error.code === "invalid_body" ? "invalid_message" : error.code;
    const retryable = error.code === "key_in_use" ||
      error.code === "publish_rate";
    return { kind: "refused", code, reason, retryable };
  }
  logger.error("Cannot publish: {error}", { error });
  return {
    kind: "refused",
    code: "internal",
    reason: "Something went wrong in the relay; its log says what",
    retryable: false,
  };
}

/**
 * Publishes what came in a WebSocket's frame, as `POST` does with a body
 * (PROTOCOL.md, section 2): the topic is made if there is none.
 *
 * @returns What came of it; never throws nor rejects.
 */
export function publishFrame(
  { topic: name, events, id }: PublishRequest,
  topics: TopicRegistry,
  publisher: Publisher,
  { access, network }: WebSocketCaller,
): PublishResult | Promise<PublishResult> {
  const before = topics.get(name);
  const isNew = !before || topics.isAwaited(before);
  let topic: Topic;
  try {
    topic = topics.create(name, access.identity);
  } catch (error) {
    return refused(error);
  }
  try {
    const client = access.identity || network;
    const result = publisher.add(topic, events, { key: id, client });
    return result instanceof Promise
      ? result.then(published, refused)
      : published(result);
  } catch (error) {
    if (isNew) topics.release(topic);
    return refused(error);
  }
}
