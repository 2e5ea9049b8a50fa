// This module is browser compatible.
import {
  ConnectionError,
  ConnectTimeoutError,
  HttpStatusError,
  IdleTimeoutError,
} from "./errors.ts";
import {
  type CompleteRetryPolicy,
  completeRetryPolicy,
  parseRetryAfter,
  retryAfterDelay,
  retryDelay,
  type RetryPolicy,
} from "./retry.ts";

/**
 * The decision about a connection that is over: wait and connect again, end the
 * stream without an error, or end it with an error.
 *
 * @example In three seconds
 * ```ts
 * import type { ReconnectDecision } from "@rivulet/rivulet/fetch";
 *
 * const decision: ReconnectDecision = { action: "retry", delay: 3_000 };
 * ```
 */
export type ReconnectDecision =
  | { readonly action: "retry"; readonly delay: number }
  | { readonly action: "done" }
  | { readonly action: "fail" };

/**
 * The reason why a connection is over: the server ended it, or something went
 * wrong.
 *
 * @example Tell them apart
 * ```ts
 * import type { DisconnectReason } from "@rivulet/rivulet/fetch";
 *
 * const why = (reason: DisconnectReason): string =>
 *   reason.kind === "end" ? "the server ended it" : String(reason.error);
 * why({ kind: "end" });
 * ```
 */
export type DisconnectReason =
  | { readonly kind: "end" }
  | { readonly kind: "error"; readonly error: unknown };

/**
 * The facts on which to decide what follows a connection that is over.
 *
 * @example Nothing but an error of the server is worth another attempt
 * ```ts
 * import {
 *   HttpStatusError,
 *   type ReconnectContext,
 *   type ReconnectDecision,
 * } from "@rivulet/rivulet/fetch";
 *
 * function decide(
 *   { reason, decision }: ReconnectContext,
 * ): ReconnectDecision {
 *   const worth = reason.kind === "error" &&
 *     reason.error instanceof HttpStatusError && reason.error.status >= 500;
 *   return worth ? decision : { action: "fail" };
 * }
 * ```
 */
export interface ReconnectContext {
  /** The reason why the connection is over. */
  readonly reason: DisconnectReason;
  /** The number of failures in a row, this one counted. */
  readonly failures: number;
  /** The time since the first of these failures, in milliseconds. */
  readonly elapsed: number;
  /** The `Last-Event-ID` of the next request; `""` for none. */
  readonly lastEventId: string;
  /** The decision of the policy. */
  readonly decision: ReconnectDecision;
}

/**
 * The policy by which a stream is connected to again.
 *
 * @example Come back after at least two seconds, and give up after five minutes
 * ```ts
 * import type { ReconnectPolicy } from "@rivulet/rivulet/fetch";
 *
 * const reconnect: ReconnectPolicy = { minTimeout: 2_000, maxElapsed: 300_000 };
 * ```
 */
export interface ReconnectPolicy extends RetryPolicy {
  /**
   * The time that a connection must have been open for the count of failures to
   * start again at zero, in milliseconds. The count also starts again when the
   * server itself ends a connection that brought events.
   *
   * @default {10_000}
   */
  resetAfter?: number | undefined;
  /**
   * The action when the server ends a stream. A feed goes on; the answer of a
   * language model does not.
   *
   * @default {"reconnect"}
   */
  onCleanEnd?: "reconnect" | "done" | undefined;
  /**
   * Decides otherwise: called for every connection that is over, with what
   * would be done; to return nothing leaves it at that. It is to be a pure
   * function of its argument. A delay that it asks for is not changed.
   */
  decide?:
    | ((context: ReconnectContext) => ReconnectDecision | undefined)
    | undefined;
}

/** A {@linkcode ReconnectPolicy} that says everything. */
export interface CompleteReconnectPolicy extends CompleteRetryPolicy {
  readonly resetAfter: number;
  readonly onCleanEnd: "reconnect" | "done";
  readonly decide: NonNullable<ReconnectPolicy["decide"]>;
}

/**
 * Fills in what a policy leaves out, and refuses what makes no sense.
 *
 * @throws {RangeError} If a number is out of its range.
 * @throws {TypeError} If `onCleanEnd` is neither `"reconnect"` nor `"done"`.
 */
export function completeReconnectPolicy(
  policy: ReconnectPolicy,
): CompleteReconnectPolicy {
  const { resetAfter = 10_000, onCleanEnd = "reconnect" } = policy;
  if (!(resetAfter >= 0)) {
    throw new RangeError(
      `Cannot reconnect as 'resetAfter' must be 0 or more: current value is ${resetAfter}`,
    );
  }
  if (onCleanEnd !== "reconnect" && onCleanEnd !== "done") {
    throw new TypeError(
      `Cannot reconnect as 'onCleanEnd' must be "reconnect" or "done": current value is ${onCleanEnd}`,
    );
  }
  return {
    ...completeRetryPolicy(policy, "reconnect"),
    resetAfter,
    onCleanEnd,
    decide: policy.decide ?? (() => undefined),
  };
}

/** The facts of a connection that is over. */
export interface Disconnection {
  /** The reason. */
  readonly reason: DisconnectReason;
  /** The number of failures in a row, this one counted. */
  readonly failures: number;
  /** The time since the first of these failures, in milliseconds. */
  readonly elapsed: number;
  /** The wait that the stream has asked for with `retry:`, in milliseconds. */
  readonly reconnectionTime: number | undefined;
  /** The last event id. */
  readonly lastEventId: string;
  /** The time that the calendar says, in milliseconds since the epoch. */
  readonly now: number;
}

/** Decides what to do about a connection that is over. */
export function decideReconnection(
  policy: CompleteReconnectPolicy,
  disconnection: Disconnection,
): ReconnectDecision {
  const { reason, failures, elapsed, lastEventId } = disconnection;
  const decision = byPolicy(policy, disconnection);
  const context = { reason, failures, elapsed, lastEventId, decision };
  return policy.decide(context) ?? decision;
}

/** Statuses below 500 that say "later" rather than "never". */
const LATER = new Set([408, 425, 429]);

function byPolicy(
  policy: CompleteReconnectPolicy,
  { reason, failures, elapsed, reconnectionTime, now }: Disconnection,
): ReconnectDecision {
  if (reason.kind === "end" && policy.onCleanEnd === "done") {
    return { action: "done" };
  }
  const giveUp: ReconnectDecision = {
    action: reason.kind === "end" ? "done" : "fail",
  };
  let retryAfter: number | undefined;
  if (reason.kind === "error") {
    const { error } = reason;
    // "204 No Content" is how a server tells a client to stop (section 9.2.1).
    if (error instanceof HttpStatusError && error.status === 204) {
      return { action: "done" };
    }
    if (!isTransient(error)) return { action: "fail" };
    if (
      error instanceof HttpStatusError &&
      (error.status === 429 || error.status === 503)
    ) retryAfter = parseRetryAfter(error.headers, now);
  }
  if (failures >= policy.maxAttempts) return giveUp;
  if (retryAfter !== undefined && retryAfter > policy.maxRetryAfter) {
    return giveUp;
  }
  const delay = retryAfter === undefined
    ? retryDelay(failures, reconnectionTime ?? policy.minTimeout, policy)
    : retryAfterDelay(retryAfter, policy);
  return elapsed + delay > policy.maxElapsed
    ? giveUp
    : { action: "retry", delay };
}

/** Whether another attempt may do better. */
function isTransient(error: unknown): boolean {
  if (error instanceof HttpStatusError) {
    return error.status >= 500 || LATER.has(error.status);
  }
  return error instanceof ConnectionError ||
    error instanceof ConnectTimeoutError || error instanceof IdleTimeoutError;
}
