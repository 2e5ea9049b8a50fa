import type { TopicPrepareOptions } from "../../topics/registry.ts";
import type { ClientMessage } from "./client_message.ts";
import type { WebSocketPeer } from "./peer.ts";
import { preparePrefix } from "./prefix_commands.ts";
import { isPrefix } from "./prefixes.ts";
import { refusalOf } from "./publishing.ts";

/**
 * Has the topic at hand that a message is about, if the peer may do what it asks for.
 *
 * @returns `undefined` if there is nothing to wait for.
 */
export function prepare(
  peer: WebSocketPeer,
  message: ClientMessage,
): Promise<void> | undefined {
  const { access, context: { topics, awaitTopics } } = peer;
  if (message.type === "subscribe" && isPrefix(message.topic)) {
    return preparePrefix(peer, message);
  }
  if (!topics.areShared) return undefined;
  const prepare = (
    right: "read" | "write" | "cancel",
    name: string,
    options: TopicPrepareOptions,
  ) =>
    access.may(right, name)
      ? topics.prepare(name, { ...options, owner: access.identity })
      : undefined;
  switch (message.type) {
    case "subscribe": {
      const { topic, wait = true, after } = message;
      return prepare("read", topic, { makes: awaitTopics && wait, after });
    }
    case "publish": {
      const { topic, id, ifEnded } = message;
      const publications = id !== undefined;
      const renews = ifEnded === "renew";
      return prepare("write", topic, { makes: true, publications, renews });
    }
    case "cancel":
      return prepare("cancel", message.topic, { isFresh: true });
    default:
      return undefined;
  }
}

/** Answers a message whose topic cannot be had now. */
export function refuse(
  peer: WebSocketPeer,
  message: ClientMessage,
  error: unknown,
): void {
  const { code, message: text, retryable = false } = refusalOf(error);
  const topic = "topic" in message ? message.topic : undefined;
  const id = "id" in message ? message.id : undefined;
  peer.refuse(code, text, topic, { id, retryable });
}
