// This module is browser compatible.
import type { SubscriptionMessage } from "./message.ts";
import type { TopicEnd } from "./topic_end.ts";

/**
 * The state of a subscription: `idle` before the first `next`; `connecting`;
 * `open`, the relay has answered; `waiting` for the next attempt; `closed`,
 * nothing more will come from the relay.
 *
 * @example Show that nothing comes at the moment
 * ```ts
 * import type { SubscriptionState } from "@rivulet/rivulet/client";
 *
 * const isAway = (state: SubscriptionState) =>
 *   state === "connecting" || state === "waiting";
 * isAway("open");
 * ```
 */
export type SubscriptionState =
  | "idle"
  | "connecting"
  | "open"
  | "waiting"
  | "closed";

/**
 * The events of a topic, and the messages about them, to be iterated once.
 *
 * It ends with the topic: normally, or with a `SubscriptionError` for one that
 * `failed` or was `truncated`; with `stay`, it goes on. Leaving the loop closes it.
 *
 * @example Remember how far one has come
 * ```ts
 * import type { Subscription } from "@rivulet/rivulet/client";
 *
 * async function follow(subscription: Subscription): Promise<string> {
 *   for await (const message of subscription) {
 *     if (message.type === "event") console.log(message.position);
 *   }
 *   return subscription.end?.status ?? "closed";
 * }
 * if (typeof follow !== "function") throw new Error("unreachable");
 * ```
 *
 * @example Stop what fills the topic, for everybody
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const topic = relay.topics.create("run");
 * topic.append([{ event: "message", data: "too much", id: "" }]);
 *
 * await using subscription = subscribe(`${url}/topics/run`);
 * for await (const message of subscription) {
 *   if (message.type === "event") subscription.cancel("enough");
 * }
 * assertEquals(subscription.end, { status: "cancelled", reason: "enough" });
 * assertEquals(subscription.end, await topic.ended);
 * ```
 */
export interface Subscription
  extends AsyncIterableIterator<SubscriptionMessage>, AsyncDisposable {
  /** The topic. */
  readonly topic: string;
  /** The last position that was taken, as `<epoch>:<offset>`: what to resume after. */
  readonly position: string | undefined;
  /** The state of the subscription. */
  readonly state: SubscriptionState;
  /**
   * The end of the topic, once everything before it was taken. A subscription
   * that stays goes on: it yields each end.
   */
  readonly end: TopicEnd | undefined;
  /** Connects, if need be, and waits for the next message. */
  next(): Promise<IteratorResult<SubscriptionMessage, undefined>>;
  /** Ends it, as leaving a loop does. */
  return(): Promise<IteratorResult<SubscriptionMessage, undefined>>;
  /**
   * Stops what fills the topic, for everybody who follows it: it ends as
   * `cancelled`, here too, after what was sent before. Closing does not do that.
   *
   * It connects, if need be. What cannot be said at once is said when there is a
   * connection again, as long as this is not closed. A topic that has ended stays
   * as it is, and so does one that was begun anew meanwhile.
   *
   * @param reason The reason, in words for those who follow: at most 1,000
   * characters.
   * @throws {RangeError} If the reason is longer.
   */
  cancel(reason?: string): void;
  /** Returns itself. */
  [Symbol.asyncIterator](): this;
  /**
   * Ends it: what was received and not taken is dropped.
   *
   * @returns Resolves when its connection, if that was its own, has closed, or
   * after a second.
   */
  close(): Promise<void>;
  /** Ends it, as `close` does. */
  [Symbol.asyncDispose](): Promise<void>;
}
