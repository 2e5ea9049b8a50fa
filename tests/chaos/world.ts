/**
 * The facts of a run that all who take part share.
 *
 * @module
 */
import type { Published } from "./truth.ts";

/** The settings of the running relay, as far as they show. */
export interface Settings {
  readonly maxEvents: number;
  readonly maxBytes: number;
  readonly maxAge: number;
  readonly endedTtl: number;
  readonly awaitedTtl: number;
  readonly heartbeat: number;
  readonly slowTimeout: number;
  readonly onSlow: "gap" | "close";
  readonly awaitTopics: boolean;
}

/** The counts of a run. */
export interface Tally {
  /** Events that came, each counted for each that it came to. */
  deliveries: number;
  /** The number that were counted by the beginnings of their frames. */
  counted: number;
  /** The number that came as part of `merged`, or of a `snapshot`. */
  merged: number;
  inSnapshots: number;
  snapshots: number;
  lives: number;
  upstreams: number;
  heartbeats: number;
  /** Gaps, and events in them, by their reason. */
  readonly gaps: Record<string, number>;
  readonly missed: Record<string, number>;
  /** Ends that were told, by their status. */
  readonly ends: Record<string, number>;
  /** Subscriptions, by where they began. */
  readonly visits: Record<string, number>;
  /** The numbers of departures, by kind. */
  readonly departures: Record<string, number>;
  /** The numbers of connections that the relay has closed, by kind. */
  readonly closings: Record<string, number>;
  stalls: number;
  restarts: number;
  drains: number;
}

/** Counts something of a kind. */
export function count(
  counts: Record<string, number>,
  kind: string,
  by = 1,
): void {
  counts[kind] = (counts[kind] ?? 0) + by;
}

/** Makes a tally of nothing. */
export function emptyTally(): Tally {
  return {
    deliveries: 0,
    counted: 0,
    merged: 0,
    inSnapshots: 0,
    snapshots: 0,
    lives: 0,
    upstreams: 0,
    heartbeats: 0,
    gaps: {},
    missed: {},
    ends: {},
    visits: {},
    departures: {},
    closings: {},
    stalls: 0,
    restarts: 0,
    drains: 0,
  };
}

/** A relay that subscribers can connect to. */
export interface Door {
  readonly port: number;
  /** The number of the relay: one more for each restart. */
  readonly incarnation: number;
  /** Whether the relay is closing, closed, or about to be. */
  readonly isGoing: boolean;
  /** Whether the relay where the topics live is away, or may be. */
  readonly isAlone: boolean;
  /** The number of times that it went away or came back. */
  readonly absences: number;
}

/** A run, as its subscribers see it. */
export interface World {
  /** The number of steps made. */
  readonly tick: number;
  readonly doors: readonly [Door, ...Door[]];
  readonly truth: Published;
  readonly tally: Tally;
  /** Of the relay that runs, or ran last. */
  readonly settings: Settings;
  /** Whether a relay may not have heard yet of what was published elsewhere. */
  readonly isBehind: boolean;
  /** Whether there is to be nothing but reading to the end. */
  readonly isCalm: boolean;
  /** Ends the run: something was wrong. */
  fail(error: unknown): void;
}
