// This module is browser compatible.
import type { TopicEnd } from "./topic_end.ts";

/**
 * An event of the topic.
 *
 * @example An event with everything
 * ```ts
 * import type { EventMessage } from "@rivulet/rivulet/client";
 *
 * const message: EventMessage = {
 *   type: "event",
 *   topic: "news",
 *   epoch: "x8Jc0mQ2vLrT",
 *   offset: 7,
 *   position: "x8Jc0mQ2vLrT:7",
 *   event: "message",
 *   data: "hello",
 *   id: "",
 * };
 * ```
 */
export interface EventMessage {
  /** The type of the message. */
  readonly type: "event";
  /** The topic. */
  readonly topic: string;
  /** The log that the offset is of. */
  readonly epoch: string;
  /** The number of the event in its log: 1 for the first, one more for each. */
  readonly offset: number;
  /** `<epoch>:<offset>`: given as `after`, it resumes after this event. */
  readonly position: string;
  /** The type that the upstream gave it; `message` if none. */
  readonly event: string;
  /** The data that the upstream sent, byte for byte. */
  readonly data: string;
  /** The upstream's own id; empty if none. */
  readonly id: string;
}

/**
 * Deltas of one item that were folded into one, in mode `merge`.
 *
 * @example Three deltas
 * ```ts
 * import type { MergedMessage } from "@rivulet/rivulet/client";
 *
 * const message: MergedMessage = {
 *   type: "merged",
 *   topic: "run",
 *   epoch: "x8Jc0mQ2vLrT",
 *   offset: 7,
 *   to: 9,
 *   position: "x8Jc0mQ2vLrT:9",
 *   event: "response.output_text.delta",
 *   data: '{"type":"response.output_text.delta","delta":"abc"}',
 * };
 * ```
 */
export interface MergedMessage {
  /** The type of the message. */
  readonly type: "merged";
  /** The topic. */
  readonly topic: string;
  /** The log that the offsets are of. */
  readonly epoch: string;
  /** The offset of the first event in it. */
  readonly offset: number;
  /** The offset of the last. */
  readonly to: number;
  /** `<epoch>:<to>`: given as `after`, it resumes after these events. */
  readonly position: string;
  /** The type that all of them have. */
  readonly event: string;
  /** The first one's JSON, with the deltas of all. */
  readonly data: string;
}

/**
 * Events that will not come: `evicted`, the relay no longer has them; `epoch`,
 * the log was begun anew; `slow`, the reader stayed behind for too long;
 * `skipped`, mode `latest` has left them out.
 *
 * @example Two events that are gone
 * ```ts
 * import type { GapMessage } from "@rivulet/rivulet/client";
 *
 * const message: GapMessage = {
 *   type: "gap",
 *   topic: "news",
 *   from: 8,
 *   to: 9,
 *   reason: "evicted",
 * };
 * ```
 */
export interface GapMessage {
  /** The type of the message. */
  readonly type: "gap";
  /** The topic. */
  readonly topic: string;
  /** The offset of the first event that is missing. */
  readonly from: number;
  /** The offset of the last; `from - 1` if none is known to be. */
  readonly to: number;
  /** The reason. */
  readonly reason: "evicted" | "epoch" | "slow" | "skipped";
}

/**
 * A change in the state of the topic's source.
 *
 * @example It tries again in a second
 * ```ts
 * import type { UpstreamMessage } from "@rivulet/rivulet/client";
 *
 * const message: UpstreamMessage = {
 *   type: "upstream",
 *   topic: "news",
 *   state: "retrying",
 *   attempt: 2,
 *   retryIn: 1_000,
 * };
 * ```
 */
export interface UpstreamMessage {
  /** The type of the message. */
  readonly type: "upstream";
  /** The topic. */
  readonly topic: string;
  /** The state of the source. */
  readonly state: "connecting" | "open" | "retrying" | "lost";
  /** The status that it has answered with, if that is what went wrong. */
  readonly status?: number;
  /**
   * The number of the attempt in a row, under way or next: 2 after a first
   * failure.
   */
  readonly attempt?: number;
  /** The time until the next attempt, in milliseconds. */
  readonly retryIn?: number;
}

/**
 * Events in short: adjacent deltas of one item are folded into one.
 *
 * @example The first events of a topic
 * ```ts
 * import type { TopicSnapshot } from "@rivulet/rivulet/client";
 *
 * const snapshot: TopicSnapshot = { first: 1, events: [{ data: "hello" }] };
 * ```
 */
export interface TopicSnapshot {
  /** The offset of the first event in it. */
  readonly first: number;
  /** The events; `event` is left out for `message`, `id` where empty. */
  readonly events: readonly {
    readonly event?: string;
    readonly data: string;
    readonly id?: string;
  }[];
}

/**
 * The events so far, if `snapshot` was asked for. The events after it follow.
 *
 * @example Everything up to event 7
 * ```ts
 * import type { SnapshotMessage } from "@rivulet/rivulet/client";
 *
 * const message: SnapshotMessage = {
 *   type: "snapshot",
 *   topic: "run",
 *   offset: 7,
 *   value: { first: 1, events: [{ data: "hello" }] },
 *   position: "x8Jc0mQ2vLrT:7",
 * };
 * ```
 */
export interface SnapshotMessage {
  /** The type of the message. */
  readonly type: "snapshot";
  /** The topic. */
  readonly topic: string;
  /** The offset of the last event in it. */
  readonly offset: number;
  /** The events. */
  readonly value: TopicSnapshot;
  /** `<epoch>:<offset>`: given as `after`, it resumes after these events. */
  readonly position: string;
}

/**
 * All earlier events have come; the events that follow are new. It comes again
 * after a reconnect.
 *
 * @example The next event will be the eighth
 * ```ts
 * import type { LiveMessage } from "@rivulet/rivulet/client";
 *
 * const message: LiveMessage = { type: "live", topic: "news", next: 8 };
 * ```
 */
export interface LiveMessage {
  /** The type of the message. */
  readonly type: "live";
  /** The topic. */
  readonly topic: string;
  /** The offset that the next event will have. */
  readonly next: number;
}

/**
 * An epoch of the topic begins, as far as this subscription goes: only with `stay`, or of a
 * topic of a prefix.
 *
 * @example A turn of a chat
 * ```ts
 * import type { SubscribedMessage } from "@rivulet/rivulet/client";
 *
 * const message: SubscribedMessage = {
 *   type: "subscribed",
 *   topic: "chat-7",
 *   epoch: "x8Jc0mQ2vLrT",
 *   state: "open",
 * };
 * ```
 */
export interface SubscribedMessage {
  /** The type of the message. */
  readonly type: "subscribed";
  /** The topic. */
  readonly topic: string;
  /** The log whose events follow. */
  readonly epoch: string;
  /** The state of the topic: `pending` has no events yet. */
  readonly state: "pending" | "open" | "ended";
}

/**
 * An epoch of the topic has ended: only with `stay`, or of a topic of a prefix.
 *
 * @example The end of a turn
 * ```ts
 * import type { EndMessage } from "@rivulet/rivulet/client";
 *
 * const message: EndMessage = {
 *   type: "end",
 *   topic: "chat-7",
 *   epoch: "x8Jc0mQ2vLrT",
 *   offset: 8,
 *   position: "x8Jc0mQ2vLrT:8",
 *   status: "complete",
 * };
 * ```
 */
export interface EndMessage extends TopicEnd {
  /** The type of the message. */
  readonly type: "end";
  /** The topic. */
  readonly topic: string;
  /** The log that has ended. */
  readonly epoch: string;
  /** The offset of the end: one more than that of the last event. */
  readonly offset: number;
  /** `<epoch>:<offset>`: given as `after`, it resumes with the next epoch. */
  readonly position: string;
}

/**
 * A topic of a prefix of which nothing more comes: the relay has refused it. It is gone, for
 * example (`unknown_topic`), or there is no room for it (`too_many_subscriptions`).
 *
 * @example A topic that is gone
 * ```ts
 * import type { RefusedMessage } from "@rivulet/rivulet/client";
 *
 * const message: RefusedMessage = {
 *   type: "refused",
 *   topic: "agent:7:1",
 *   code: "unknown_topic",
 *   reason: "There is no such topic",
 * };
 * ```
 */
export interface RefusedMessage {
  /** The type of the message. */
  readonly type: "refused";
  /** The topic. */
  readonly topic: string;
  /** The `code` of the relay's `error` message. */
  readonly code: string;
  /** The reason, in the words of the relay. */
  readonly reason: string;
}

/**
 * The messages that a subscription yields, by `type`. More types may be added.
 *
 * @example Only the events
 * ```ts
 * import type { SubscriptionMessage } from "@rivulet/rivulet/client";
 *
 * function show(message: SubscriptionMessage): void {
 *   if (message.type === "event") console.log(message.data);
 * }
 * show({ type: "live", topic: "news", next: 1 });
 * ```
 */
export type SubscriptionMessage =
  | EventMessage
  | MergedMessage
  | GapMessage
  | UpstreamMessage
  | SnapshotMessage
  | LiveMessage
  | SubscribedMessage
  | EndMessage
  | RefusedMessage;
