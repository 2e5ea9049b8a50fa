/**
 * Figures that only grow while a relay runs.
 *
 * @example The events of a delivery, on average
 * ```ts
 * import type { RelayTotals } from "@rivulet/rivulet/relay";
 *
 * const size = ({ deliveredEvents, deliveredMessages }: RelayTotals): number =>
 *   deliveredEvents / deliveredMessages;
 * size;
 * ```
 */
export interface RelayTotals {
  /** Events that clients have published. */
  readonly publishedEvents: number;
  /** The bytes of their data. */
  readonly publishedBytes: number;
  /** Events that were written to subscribers. */
  readonly deliveredEvents: number;
  /** The messages of subscriptions that were written. */
  readonly deliveredMessages: number;
  /** The bytes of these messages. */
  readonly deliveredBytes: number;
  /** Connections that were opened to get events. */
  readonly connections: number;
  /** Subscriptions that were begun. */
  readonly subscriptions: number;
  /** Connections that were closed as nothing was read. */
  readonly slowCloses: number;
  /** Gaps in what subscribers were sent. */
  readonly gaps: number;
  /** Requests and messages that were refused. */
  readonly refusals: number;
}

/**
 * The delays of the event loop in the last 10 s, in milliseconds.
 *
 * @example The longest time for which nobody was served
 * ```ts
 * import type { RelayLoopDelay } from "@rivulet/rivulet/relay";
 *
 * const longest = ({ max }: RelayLoopDelay): number => max;
 * longest({ p50: 0.1, p99: 2, max: 7 });
 * ```
 */
export interface RelayLoopDelay {
  /** Half of the time it is at most so late. */
  readonly p50: number;
  /** 99 % of the time it is at most so late. */
  readonly p99: number;
  /** It is never later. */
  readonly max: number;
}

/**
 * The state of a relay: `GET /status` (PROTOCOL.md, section 4). Times are
 * milliseconds since the epoch.
 *
 * @example Ask for it
 * ```ts
 * import { createRelay, type RelayStatus } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const status: RelayStatus = await (await fetch(`${url}/status`)).json();
 * assertEquals([status.ready, status.store.kind], [true, "memory"]);
 * ```
 */
export interface RelayStatus {
  /** The version of the package. */
  readonly version: string;
  /** The runtime, and its version. */
  readonly runtime: string;
  /** The time of this answer. */
  readonly time: number;
  /** The time when the relay began to listen. */
  readonly startedAt: number;
  /** The time since then, in milliseconds. */
  readonly uptime: number;
  /** The number of processes that serve the relay's port. */
  readonly workers: number;
  /** The time that is left, in milliseconds, if the relay is being drained. */
  readonly draining?: { readonly left: number };
  /** Whether the relay is ready for requests. */
  readonly ready: boolean;
  /** The reason why it is not. */
  readonly problem?: { readonly code: string; readonly detail: string };
  /**
   * The callers that it serves: the holders of tokens, everybody, or everybody
   * on this machine.
   */
  readonly access: "tokens" | "everybody" | "localhost";
  /** The store. */
  readonly store: {
    /** Its kind; `own` if the program that embeds the relay has given it. */
    readonly kind: string;
    /** Whether topics outlive the process. */
    readonly isLasting: boolean;
    /** Whether other relays have the same topics. */
    readonly isShared: boolean;
    /** The kind of failure, if it keeps nothing now. */
    readonly failure?: string;
  };
  /** The connections that are open: all of them, those of subscribers, and the most there may be. */
  readonly connections: {
    readonly tcp: number;
    readonly websocket: number;
    readonly sse: number;
    readonly lists: number;
    readonly max: number;
  };
  /** The subscriptions, by the kind of their connection. */
  readonly subscriptions: { readonly websocket: number; readonly sse: number };
  /** The topics in the memory of this relay. */
  readonly topics: {
    readonly pending: number;
    readonly open: number;
    readonly ended: number;
  };
  /** The requests to providers that are under way. */
  readonly runs: number;
  /** The topics that SSE upstreams fill, or have filled. */
  readonly upstreams: number;
  /** The events that the topics in memory retain. */
  readonly log: { readonly events: number; readonly bytes: number };
  /** The events that the slowest follower was not given yet, and its topic. */
  readonly lag: { readonly max: number; readonly topic?: string };
  /** The totals since the start. */
  readonly totals: RelayTotals;
  /** The same in a second, of the last 5 to 10 s. */
  readonly rates: RelayTotals;
  /** Refusals by the code of the answer: those that there were. */
  readonly refusals: Readonly<Record<string, number>>;
  /** Topics that have ended, by the status: those that there were. */
  readonly ends: Readonly<Record<string, number>>;
  /** Memory, in bytes. */
  readonly memory: {
    /** The memory that the process occupies. */
    readonly rss: number;
    /** The memory that its objects occupy, garbage among them. */
    readonly heap: number;
    /** The memory that the process may use. */
    readonly max: number;
    /** The bytes that clients were sent and have not read. */
    readonly queued: number;
    /** The bytes that clients have sent and the relay holds. */
    readonly received: number;
    /** Whether new work is refused, as the memory is nearly used up. */
    readonly isAtEdge: boolean;
  };
  /** The delays of the event loop. */
  readonly loopDelay: RelayLoopDelay;
}
