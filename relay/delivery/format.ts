import type { GapReason, LogEntry, LogRange } from "../topics/log.ts";
import type { FoldedEvent } from "./fold.ts";
import type { Topic } from "../topics/topic.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";

export type { GapReason };

/** A message of a subscription that is not an event (PROTOCOL.md, section 2). */
export type SubscriptionNotice =
  | {
    readonly type: "subscribed";
    readonly topic: string;
    readonly epoch: string;
    readonly first: number;
    readonly next: number;
    readonly after: number;
    readonly recovered: boolean;
    readonly state: "pending" | "open" | "ended";
  }
  | { readonly type: "live"; readonly topic: string; readonly next: number }
  | {
    readonly type: "gap";
    readonly topic: string;
    readonly from: number;
    readonly to: number;
    readonly reason: GapReason;
  }
  | ({
    readonly type: "upstream";
    readonly topic: string;
  } & UpstreamState)
  | {
    readonly type: "end";
    readonly topic: string;
    readonly offset: number;
    readonly status: string;
    readonly reason?: string;
  };

/** Events of a log, from the first that is retained on, in one piece. */
export interface Snapshot {
  /** The offset of the first of them. */
  readonly first: number;
  /** The offset of the last of them. */
  readonly offset: number;
  /** The events that they fold into. */
  readonly events: readonly FoldedEvent[];
}

/** The first of some events, as many as a reader has room for. */
export interface FittingEvents {
  /** The number of events: at least one. */
  readonly count: number;
  /** The encoded events. */
  readonly bytes: Uint8Array;
}

/** The encoding of a door: the bytes that its subscribers receive. */
export interface Format {
  /** Writes consecutive events: the same bytes for every subscriber. */
  events(topic: Topic, range: LogRange): Uint8Array;
  /**
   * Writes an event that is too long to be encoded at once, as {@linkcode events}
   * does, in parts of some 100 KiB at most. Without it, it is encoded at once.
   *
   * @returns The bytes in front of all parts, if they depend on those.
   */
  longEvent?(
    topic: Topic,
    offset: number,
    entry: LogEntry,
  ): Iterator<Uint8Array, Uint8Array | undefined, void>;
  /** Writes a snapshot of one such event in the same way. */
  longSnapshot?(
    topic: Topic,
    offset: number,
    entry: LogEntry,
  ): Iterator<Uint8Array, Uint8Array | undefined, void>;
  /**
   * Writes as many of consecutive events, from the first on, as fit into some
   * bytes. Without it their number is guessed, until it is right.
   *
   * @returns `undefined` if the first event does not fit.
   */
  eventsWithin?(
    topic: Topic,
    range: LogRange,
    room: number,
  ): FittingEvents | undefined;
  /**
   * Writes the fold of all events that are retained, up to an offset; not there
   * where this door has none.
   */
  snapshot?(topic: Topic, snapshot: Snapshot): Uint8Array;
  /** Writes what is not an event; `undefined` where this door does not say it. */
  message(message: SubscriptionNotice, topic: Topic): Uint8Array | undefined;
  /**
   * Returns the bytes of a heartbeat, sent when nothing else was for a while.
   */
  heartbeat(time: number): Uint8Array;
}
