import { type Delivery, Subscription } from "../../delivery/subscription.ts";
import { TopicLimitError } from "../../topics/topic_errors.ts";
import type { Topic } from "../../topics/topic.ts";
import type { SubscribeRequest } from "../subscription_request.ts";
import { refusalOf } from "./publishing.ts";
import type { FieldsOf } from "./client_message.ts";
import { websocketFormat } from "./format.ts";
import { forbid, refuseAtEdge, type WebSocketPeer } from "./peer.ts";

/**
 * Finds a peer's subscription to a topic. One of which the end was written is none,
 * though it is taken out only at its next turn: the peer may know of the end by then.
 */
function subscriptionTo(
  { subscriber }: WebSocketPeer,
  name: string,
): Subscription | undefined {
  return subscriber.subscriptions.find(({ topic, ended }) =>
    topic.name === name && !ended
  );
}

/** Finds a peer's subscription to a topic, also one that has ended and is about to wait for the next epoch. */
function keptSubscriptionTo(
  { subscriber }: WebSocketPeer,
  name: string,
): Subscription | undefined {
  return subscriber.subscriptions.find(({ topic, ended, stays }) =>
    topic.name === name && (!ended || stays)
  );
}

/** Whether a peer follows a topic, or waits for its next epoch. */
export function isSubscribedTo(peer: WebSocketPeer, name: string): boolean {
  return keptSubscriptionTo(peer, name) !== undefined ||
    peer.staying?.has(name) === true;
}

/**
 * Subscribes a peer to a topic (the message `subscribe`).
 *
 * @returns Whether it is subscribed: otherwise it was told why not.
 */
export function subscribe(
  peer: WebSocketPeer,
  request: SubscribeRequest,
): boolean {
  const { topic: name, wait } = request;
  const { access, context: { maxSubscriptions }, subscriber, staying } = peer;
  if (!access.may("read", name)) {
    forbid(peer, "read", name);
    return false;
  }
  if (isSubscribedTo(peer, name)) {
    peer.refuse(
      "already_subscribed",
      "There is a subscription to this topic already: unsubscribe first",
      name,
    );
    return false;
  }
  const count = subscriber.subscriptions.length + (staying?.size ?? 0);
  if (count >= maxSubscriptions) {
    peer.refuse(
      "too_many_subscriptions",
      `Expected at most ${maxSubscriptions} subscriptions on one connection`,
      name,
    );
    return false;
  }
  if (refuseAtEdge(peer, name)) return false;
  const topic = findTopic(peer, name, wait);
  if (!topic) return false;
  subscriber.add(makeSubscription(peer, topic, request));
  return true;
}

/** The delivery that most peers ask for: one object for all of them. */
const PLAIN: Delivery = {};

/** Makes a peer's subscription to a topic, in the epoch of its position. */
export function makeSubscription(
  { context: { topics, frames, mergedFrames } }: WebSocketPeer,
  topic: Topic,
  { after, mode, window, snapshot, stay }: SubscribeRequest,
): Subscription {
  return new Subscription(
    topics.at(topic, after),
    after ?? topic.from,
    websocketFormat,
    mode === "merge" ? mergedFrames : frames,
    mode === "latest" || window !== undefined || snapshot || stay
      ? {
        latest: mode === "latest",
        ...(window !== undefined && { window }),
        ...(snapshot !== undefined && { snapshot }),
        ...(stay !== undefined && { stays: stay }),
      }
      : PLAIN,
  );
}

/** Finds the topic that a peer wants to read; refuses a topic that it cannot have. */
function findTopic(
  peer: WebSocketPeer,
  name: string,
  wait = true,
): Topic | undefined {
  const { access, context: { topics, awaitTopics } } = peer;
  try {
    const topic = awaitTopics && wait
      ? topics.await(name, access.identity)
      : topics.get(name);
    if (topic) return topic;
    refuseUnknown(peer, name);
  } catch (error) {
    if (!(error instanceof TopicLimitError)) throw error;
    peer.refuse(error.code, error.message, name, { retryable: true });
  }
  return undefined;
}

function refuseUnknown(peer: WebSocketPeer, name: string): void {
  peer.refuse("unknown_topic", "There is no such topic", name);
}

/** Ends a peer's subscription to a topic (the message `unsubscribe`). */
export function unsubscribe(peer: WebSocketPeer, name: string): void {
  const subscription = keptSubscriptionTo(peer, name);
  if (subscription) return peer.subscriber.remove(subscription);
  if (peer.staying?.delete(name) || peer.prefixes.delete(name)) return;
  peer.refuse(
    "not_subscribed",
    "There is no subscription to this topic",
    name,
  );
}

/** Takes note of what a peer has taken (the message `ack`). */
export function acknowledge(
  peer: WebSocketPeer,
  { topic: name, offset, epoch }: FieldsOf<"ack">,
): void {
  const subscription = subscriptionTo(peer, name);
  // An ack that has crossed an end on its way is nobody's mistake.
  if (!subscription) return;
  if (epoch !== undefined && epoch !== subscription.topic.log.epoch) return;
  if (peer.subscriber.ack(subscription, offset)) return;
  peer.refuse(
    "invalid_ack",
    `Event ${offset} was not sent yet: acknowledge what was taken`,
    name,
  );
}

/** Stops what fills a topic (the message `cancel`). */
export function cancel(
  peer: WebSocketPeer,
  { topic: name, reason, epoch }: FieldsOf<"cancel">,
): void {
  if (!peer.access.may("cancel", name)) return forbid(peer, "cancel", name);
  // The topic that this peer follows, though it may have been deleted since: a
  // newer topic of that name is not meant.
  const followed = subscriptionTo(peer, name)?.topic;
  const isMeant = epoch === undefined || followed?.log.epoch === epoch;
  const topic = followed && isMeant
    ? followed
    : peer.context.topics.get(name, epoch);
  if (!topic && epoch !== undefined) {
    return peer.refuse("topic_ended", "This epoch is over", name);
  }
  if (!topic) return refuseUnknown(peer, name);
  void stop(peer, topic, reason);
}

async function stop(
  peer: WebSocketPeer,
  topic: Topic,
  reason: string | undefined,
): Promise<void> {
  const { name } = topic;
  try {
    const { status } = await peer.context.topics.leases.cancel(topic, reason);
    // To repeat a verdict is no error.
    if (status === "cancelled") return;
    peer.refuse("topic_ended", `The topic has ended already: ${status}`, name);
  } catch (error) {
    const { code, message, retryable = false } = refusalOf(error);
    peer.refuse(code, message, name, { retryable });
  }
}
