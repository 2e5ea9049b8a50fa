/**
 * The place of a subscription with the lane of its topic:
 * - `waiting`: it has said all there is;
 * - `ready`: its turn is to come;
 * - `out`: it has had its turn, and is expected back;
 * - `away`: it is new, it was not expected back, or it was given up.
 */
export type Place = "waiting" | "ready" | "out" | "away";

/** The state of a subscription with the lane of its topic, which alone changes it. */
export class Turn {
  /** Its place. A subscription stands in one line of its lane at most. */
  place: Place = "away";
  /** The time at which it was woken, while it is out, in milliseconds. */
  wokenAt = 0;
  /** Whether it did not come back in time, and has not caught up since. */
  isStuck = false;
  /** The number of the lane's hold that waits for it; 0 for none. */
  awaitedBy = 0;
}
