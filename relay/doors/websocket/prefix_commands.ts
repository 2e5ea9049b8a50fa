import type { Topic } from "../../topics/topic.ts";
import { hearOfNew } from "../new_topics.ts";
import {
  formatPrefixPosition,
  parsePrefixPosition,
  type PrefixPosition,
} from "../prefix_position.ts";
import {
  beginningOf,
  knownTopics,
  type PrefixReader,
  prepareResumption,
  resumeTopic,
  topicsSince,
} from "../prefix_resumption.ts";
import type { SubscribeRequest } from "../subscription_request.ts";
import type { FieldsOf } from "./client_message.ts";
import { isSubscribedTo, makeSubscription, subscribe } from "./commands.ts";
import type { WebSocketPeer } from "./peer.ts";
import { prefixOf } from "./prefixes.ts";

/** The most of them on one connection: each new topic is compared with all. */
const MAX_PREFIXES = 8;

/** Returns the place of a peer that comes back; `undefined` if it has none, or no valid one. */
function placeIn(
  { topic, since }: FieldsOf<"subscribe">,
): PrefixPosition | undefined {
  return since === undefined
    ? undefined
    : parsePrefixPosition(since, prefixOf(topic));
}

/**
 * Has the topics of a prefix at hand.
 *
 * @returns `undefined` if there is nothing to wait for.
 */
export function preparePrefix(
  { access, context: { topics } }: WebSocketPeer,
  request: FieldsOf<"subscribe">,
): Promise<void> | undefined {
  const prefix = prefixOf(request.topic);
  const place = placeIn(request);
  return place
    ? prepareResumption({ prefix, access, topics }, place)
    : topics.prepareAll(prefix);
}

/**
 * Subscribes a peer to the topics that begin like this and have not ended, and to all that
 * are made from now on, as far as it may read them. A peer that comes back gets those that
 * have ended meanwhile, too.
 */
export function subscribeToPrefix(
  peer: WebSocketPeer,
  request: FieldsOf<"subscribe">,
): void {
  const { topic: pattern, since, ...options } = request;
  const { prefixes, context, access } = peer;
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
  const prefix = prefixOf(pattern);
  const { topics, clock } = context;
  const { ends } = prefixes;
  const left = placeIn(request);
  if (since !== undefined && !left) {
    return peer.refuse(
      "invalid_message",
      "Expected since to be a position of this prefix: subscribe without it to begin anew",
      pattern,
    );
  }
  // A topic that it has followed by its name may have ended since it is back.
  const resumed = left && {
    ...left,
    positions: new Map([...left.positions, ...ends.placesOf(prefix)]),
  };
  /** Returns whether there may be room for more topics. */
  const follow = (topic: Topic, after: SubscribeRequest["after"]): boolean => {
    const { name } = topic;
    if (isSubscribedTo(peer, name) || ends.has(topic)) return true;
    const request = { ...options, topic: name, after, wait: false };
    const isFollowed = subscribe(peer, request);
    if (isFollowed) ends.delete(name);
    return isFollowed;
  };
  const cancel = hearOfNew(context, prefix, (topic) => {
    // A peer does not learn of a topic that it may not read.
    if (!peer.isOpen || !peer.access.may("read", topic.name)) return;
    follow(topic, beginningOf(topic));
  });
  const place = resumed ?? { time: clock.now(), positions: new Map() };
  prefixes.add(pattern, place.time, cancel);
  peer.answer({
    type: "following",
    topic: pattern,
    position: formatPrefixPosition(place, prefix),
  });
  const reader = { prefix, access, topics };
  if (resumed) {
    resume(peer, { ...options, topic: pattern }, reader, resumed);
    for (const topic of topicsSince(reader, resumed)) {
      if (!follow(topic, beginningOf(topic))) break;
    }
    return;
  }
  for (const topic of knownTopics(reader)) {
    if (topic.state.kind === "ended") continue;
    // Of those that there is no room for, one is told: there may be 100,000.
    if (!follow(topic, options.after)) break;
  }
}

/** Goes on with the topics in which a peer has a place. */
function resume(
  peer: WebSocketPeer,
  options: SubscribeRequest,
  reader: PrefixReader,
  { positions }: PrefixPosition,
): void {
  for (const [name, after] of positions) {
    if (isSubscribedTo(peer, name)) continue;
    const resumed = resumeTopic(reader, name, after);
    if (resumed.kind === "refused") {
      peer.refuse(resumed.code, resumed.reason, name);
      continue;
    }
    const { topic } = resumed;
    const request = { ...options, topic: name, after, snapshot: false };
    if (resumed.kind === "follow") {
      subscribe(peer, { ...request, wait: false });
      continue;
    }
    peer.prefixes.ends.add(topic, after);
    if (options.stay || resumed.isRenewed) {
      peer.stay(makeSubscription(peer, topic, request));
    }
  }
}
