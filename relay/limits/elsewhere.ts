/** The things that workers count together. */
export type CountedThing =
  | "connections"
  | "connections_of_network"
  | "upstreams"
  | "upstreams_of_client";

/** The things that workers limit by a rate together, and that they tell each other once. */
export type RatedThing =
  | "published"
  | "body_bytes"
  | "body_chunks"
  | "cancelled_session";

/** Called with what a client has taken elsewhere. */
export type SpentListener = (client: string, count: number) => void;

/**
 * The counts of the other workers of a relay, for limits in all. A change takes
 * some milliseconds to reach them: so many may be counted beyond a limit as come within
 * that time.
 */
export interface Elsewhere {
  /** Returns the number that others have. */
  count(thing: CountedThing, of: string): number;
  /** Tells others that there are more, or fewer, here. */
  add(thing: CountedThing, of: string, more: number): void;
  /** Tells others what a client has taken here. */
  spent(thing: RatedThing, client: string, count: number): void;
  /** Calls a listener with what clients take elsewhere. */
  onSpent(thing: RatedThing, listener: SpentListener): void;
}

/** For a relay that is one process. */
export const NOWHERE: Elsewhere = {
  count: () => 0,
  add() {},
  spent() {},
  onSpent() {},
};
