// This module is browser compatible.
import type { Clock } from "../../src/fetch/clock.ts";
import type { SubscriptionErrorFacts } from "./error.ts";
import type { SubscriptionState } from "./subscription.ts";

/**
 * The delays between attempts to connect, and the limits for them. The delay
 * before the nth attempt in a row is random, between 0 and
 * `minTimeout * 2 ** (n - 1)`, at most `maxTimeout`; or it is the one that the
 * relay asks for. The count starts again when a subscription receives something
 * new.
 *
 * @example Give up after five attempts in a row
 * ```ts
 * import type { ReconnectPolicy } from "@rivulet/rivulet/client";
 *
 * const policy: ReconnectPolicy = { maxAttempts: 5 };
 * ```
 */
export interface ReconnectPolicy {
  /**
   * The longest first wait, in milliseconds.
   *
   * @default {500}
   */
  minTimeout?: number | undefined;
  /**
   * The longest wait, in milliseconds.
   *
   * @default {30_000}
   */
  maxTimeout?: number | undefined;
  /**
   * The number of attempts in a row that may fail, including the first.
   *
   * @default {Infinity}
   */
  maxAttempts?: number | undefined;
  /**
   * The time for which attempts in a row may fail, in milliseconds. No attempt
   * is made later.
   *
   * @default {Infinity}
   */
  maxElapsed?: number | undefined;
}

/**
 * A handler of an event of a {@linkcode WebSocketLike}, whatever else its event has.
 *
 * @typeParam Event The part of the event that is read.
 *
 * @example Of the platform's
 * ```ts
 * import type { WebSocketHandler } from "@rivulet/rivulet/client";
 *
 * const handler: WebSocketHandler<{ code: number }> = (event: CloseEvent) =>
 *   console.log(event.code);
 * if (!handler) throw new Error("unreachable");
 * ```
 */
export type WebSocketHandler<Event> =
  // A method's parameters may be narrower: each platform has its own events.
  | { handle(event: Event): unknown }["handle"]
  | null;

/**
 * The part of a WebSocket that this library uses: that of any browser or
 * runtime, or of the package `ws`.
 *
 * @example Say something
 * ```ts
 * import type { WebSocketLike } from "@rivulet/rivulet/client";
 *
 * function say(socket: WebSocketLike, text: string): void {
 *   if (socket.readyState === 1) socket.send(text);
 * }
 * if (typeof say !== "function") throw new Error("unreachable");
 * ```
 */
export interface WebSocketLike {
  /** 1 while it is open. */
  readonly readyState: number;
  /** Called when it has opened. */
  onopen: WebSocketHandler<unknown>;
  /** Called for each message. */
  onmessage: WebSocketHandler<{ readonly data: unknown }>;
  /** Called when it has closed. */
  onclose: WebSocketHandler<{ readonly code: number; readonly reason: string }>;
  /** Called when it has failed. */
  onerror: WebSocketHandler<unknown>;
  /** Sends a text. */
  send(text: string): void;
  /** Closes it. */
  close(code?: number): void;
}

/**
 * A change in the state of a connection to a relay.
 *
 * @example Tell the user after three attempts
 * ```ts
 * import type { StateChange } from "@rivulet/rivulet/client";
 *
 * function onStateChange({ state, failures, reason }: StateChange): void {
 *   if (state === "waiting" && failures >= 3) console.warn(reason);
 * }
 * onStateChange({ state: "open", failures: 0 });
 * ```
 */
export interface StateChange extends SubscriptionErrorFacts {
  /** The state: `waiting` for the next attempt, `idle` without a subscription. */
  readonly state: SubscriptionState;
  /** The number of attempts in a row that have failed. */
  readonly failures: number;
  /** The time until the next attempt, in milliseconds. */
  readonly retryIn?: number | undefined;
}

/**
 * The ways to reach a relay: token, retries, clock.
 *
 * @example A token that is asked for at every attempt
 * ```ts
 * import type { ConnectOptions } from "@rivulet/rivulet/client";
 *
 * const options: ConnectOptions = {
 *   token: async () => await (await fetch("/token")).text(),
 * };
 * if (!options.token) throw new Error("unreachable");
 * ```
 */
export interface ConnectOptions {
  /**
   * The token for the relay, or a function that returns one before every
   * attempt. It travels as a second offered subprotocol.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** Ends everything: whoever waits gets its reason. */
  signal?: AbortSignal | undefined;
  /**
   * The policy for reconnection; `false` for none.
   *
   * A browser does not tell a relay that refuses from one that is away: both are
   * asked again, as often as this says, and `onStateChange` is told.
   *
   * @default {true}
   */
  reconnect?: boolean | ReconnectPolicy | undefined;
  /**
   * Called when the state of the connection changes, with the reason if it was
   * lost.
   *
   * @default {undefined}
   */
  onStateChange?: ((change: StateChange) => void) | undefined;
  /**
   * The WebSocket to use, if the runtime has none, as Node 20.
   *
   * @default {globalThis.WebSocket}
   */
  WebSocket?:
    | (new (url: string, protocols: string[]) => WebSocketLike)
    | undefined;
  /** The clock to use. */
  clock?: Clock | undefined;
}

/**
 * The place at which to begin with a topic, and the form in which to receive
 * it.
 *
 * @example From now on, and only the newest when there is much
 * ```ts
 * import type { TopicOptions } from "@rivulet/rivulet/client";
 *
 * const options: TopicOptions = { after: "now", mode: "latest" };
 * ```
 */
export interface TopicOptions {
  /**
   * The place to begin at: after a position (`<epoch>:<offset>`), at the
   * `start` of the retained events, or `now`. Without it, the relay chooses,
   * mostly `start`.
   */
  after?: string | undefined;
  /**
   * The events that a subscriber receives when it falls behind: `all` of them;
   * `merge`, with adjacent deltas of one item joined; `latest`, the newest
   * event only.
   *
   * @default {"all"}
   */
  mode?: "all" | "merge" | "latest" | undefined;
  /**
   * Whether to begin with a snapshot instead of the events that it stands for.
   *
   * @default {false}
   */
  snapshot?: boolean | undefined;
  /**
   * Whether to wait for a topic that the relay does not know. If not, such a
   * subscription is `refused` with the code `unknown_topic`, also when it comes
   * back to a relay that was restarted and has lost the topic.
   *
   * @default {true}
   */
  wait?: boolean | undefined;
  /**
   * Whether to stay when the topic ends, for the next epoch of its name, such as
   * the next turn of a chat. The beginning and the end of each epoch are then
   * the messages `subscribed` and `end`, and a topic that has failed or was
   * truncated is no error.
   *
   * @default {false}
   */
  stay?: boolean | undefined;
  /**
   * The number of bytes that the relay may send ahead of what was taken.
   *
   * @default {262_144}
   */
  window?: number | undefined;
  /** Ends the subscription: whoever waits gets its reason. */
  signal?: AbortSignal | undefined;
}

/**
 * The options of `subscribe`: those of the connection, and those of the topic.
 *
 * @example A topic by name
 * ```ts
 * import type { SubscribeOptions } from "@rivulet/rivulet/client";
 *
 * const options: SubscribeOptions = { topic: "news", reconnect: false };
 * ```
 */
export interface SubscribeOptions extends ConnectOptions, TopicOptions {
  /** The topic, where the URL is that of `/ws` and so names none. */
  topic?: string | undefined;
}
