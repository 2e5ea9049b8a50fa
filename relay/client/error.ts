// This module is browser compatible.

/**
 * The reason why a subscription broke off: the topic has `failed`, or its
 * stream was `truncated`; the relay has `refused` it; the connection was lost
 * (`disconnected`), or the relay sent something that the client does not
 * understand (`protocol`), and no further attempt is allowed.
 *
 * @example Which of them are worth another try
 * ```ts
 * import type { SubscriptionErrorCode } from "@rivulet/rivulet/client";
 *
 * const again: SubscriptionErrorCode[] = ["disconnected", "protocol"];
 * ```
 */
export type SubscriptionErrorCode =
  | "failed"
  | "truncated"
  | "refused"
  | "disconnected"
  | "protocol";

/**
 * The facts of a subscription that broke off.
 *
 * @example What a relay without the topic says
 * ```ts
 * import type { SubscriptionErrorFacts } from "@rivulet/rivulet/client";
 *
 * const facts: SubscriptionErrorFacts = { relayCode: "unknown_topic" };
 * ```
 */
export interface SubscriptionErrorFacts {
  /** The reason, in the words of the relay or of the topic's source. */
  readonly reason?: string | undefined;
  /** The `code` of the relay's `error` message, if that is what refused. */
  readonly relayCode?: string | undefined;
  /** The code that the WebSocket was closed with, if that is what happened. */
  readonly closeCode?: number | undefined;
  /** The error underneath, if there is one. */
  readonly cause?: unknown;
}

/**
 * A subscription broke off, or its topic has failed or was truncated.
 *
 * @example Tell a topic that failed from a relay that is away
 * ```ts
 * import { subscribe, SubscriptionError } from "@rivulet/rivulet/client";
 * import { assert, assertEquals, assertRejects } from "@std/assert";
 *
 * // Nothing listens there.
 * const subscription = subscribe("ws://127.0.0.1:9/topics/news", {
 *   reconnect: false,
 * });
 * const error = await assertRejects(() => subscription.next());
 * assert(error instanceof SubscriptionError);
 * assertEquals([error.code, error.topic], ["disconnected", "news"]);
 * await subscription.close();
 * ```
 */
export class SubscriptionError extends Error implements SubscriptionErrorFacts {
  /** The error's code, for programs. */
  declare readonly code: SubscriptionErrorCode;
  /** The topic. */
  declare readonly topic: string;
  /** The last position that was taken, as `<epoch>:<offset>`: what to resume after. */
  declare readonly position: string | undefined;
  /**
   * The status with which the topic ended, if it has: `failed` or `truncated`.
   */
  declare readonly status: "failed" | "truncated" | undefined;
  /** The reason, in the words of the relay or of the topic's source. */
  declare readonly reason: string | undefined;
  /** The `code` of the relay's `error` message, if that is what refused. */
  declare readonly relayCode: string | undefined;
  /** The code that the WebSocket was closed with, if that is what happened. */
  declare readonly closeCode: number | undefined;

  /**
   * Makes an error.
   *
   * @param code The error's code.
   * @param topic The topic.
   * @param position The last position that was taken.
   * @param facts The other facts.
   */
  constructor(
    code: SubscriptionErrorCode,
    topic: string,
    position: string | undefined,
    facts: SubscriptionErrorFacts,
  ) {
    const { reason, relayCode, closeCode, cause } = facts;
    const details = [relayCode ?? closeCode, reason ?? cause].filter(Boolean)
      .join(" ");
    super(`Topic '${topic}' ${code}${details && `: ${details}`}`, { cause });
    // The fields are declared above, and not defined there: this is shorter in a bundle.
    Object.assign(this, {
      name: "SubscriptionError",
      code,
      topic,
      position,
      status: code === "failed" || code === "truncated" ? code : undefined,
      reason,
      relayCode,
      closeCode,
    });
  }
}
