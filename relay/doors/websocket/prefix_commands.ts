import type { Topic } from "../../topics/topic.ts";
import { hearOfNew } from "../new_topics.ts";
import type { SubscribeRequest } from "../subscription_request.ts";
import { isSubscribedTo, subscribe } from "./commands.ts";
import type { WebSocketPeer } from "./peer.ts";

/** The most of them on one connection: each new topic is compared with all. */
const MAX_PREFIXES = 8;

/**
 * Subscribes a peer to the topics that begin like this and have not ended, and to all that
 * are made from now on, as far as it may read them.
 */
export function subscribeToPrefix(
  peer: WebSocketPeer,
  { topic: pattern, after, ...options }: SubscribeRequest,
): void {
  const { prefixes, context } = peer;
  if (prefixes.has(pattern)) {
    return peer.refuse(
      "already_subscribed",
      "There is a subscription to this prefix already: unsubscribe first",
      pattern,
    );
  }
  if (prefixes.size >= MAX_PREFIXES) {
    return peer.refuse(
      "too_many_subscriptions",
      `Expected at most ${MAX_PREFIXES} prefixes on one connection`,
      pattern,
    );
  }
  const prefix = pattern.slice(0, -1);
  /** Returns whether there may be room for more topics. */
  const follow = (
    { name }: Topic,
    from: SubscribeRequest["after"],
  ): boolean => {
    if (!name.startsWith(prefix) || isSubscribedTo(peer, name)) return true;
    // A peer does not learn of a topic that it may not read.
    if (!peer.access.may("read", name)) return true;
    return subscribe(peer, { ...options, topic: name, after: from });
  };
  prefixes.add(
    pattern,
    hearOfNew(context, prefix, (topic) => {
      if (peer.isOpen) follow(topic, "start");
    }),
  );
  peer.answer({ type: "following", topic: pattern });
  for (const topic of context.topics) {
    if (topic.state.kind === "ended") continue;
    // Of those that there is no room for, one is told: there may be 100,000.
    if (!follow(topic, after)) break;
  }
}
