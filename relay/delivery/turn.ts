import { Place } from "../line.ts";

/**
 * The line of its lane in which a subscription stands:
 * - `waiting`: it has said all there is;
 * - `ready`: its turn is to come;
 * - `out`: it has had its turn, and is expected back;
 * - `away`: it is new, it was not expected back, or it was given up.
 */
export type Standing = "waiting" | "ready" | "out" | "away";

/** The state of a subscription with the lane of its topic, which alone changes it. */
export class Turn<T> extends Place<T> {
  /** Where it stands. */
  standing: Standing = "away";
  /** The time at which it was woken, while it is out, in milliseconds. */
  wokenAt = 0;
  /** Whether it did not come back in time, and has not caught up since. */
  isStuck = false;
  /** The number of the lane's hold that waits for it; 0 for none. */
  awaitedBy = 0;
}
