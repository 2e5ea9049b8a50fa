// This module is browser compatible.

/** An event of the wire that adds text to one place, taken apart. */
export interface WireDelta {
  /** The event's name. */
  readonly name: string;
  /** The field that has the text. */
  readonly field: string;
  /** The event's data as JSON without what may differ between deltas that merge. */
  readonly rest: string;
  /** The text that the delta adds. */
  readonly text: string;
  /** The number of the event, where it has one. */
  readonly sequenceNumber?: number;
  /** The time at which the chunk was made, if it says so. */
  readonly created?: number;
  /** The log probabilities of its tokens, where it has such. */
  readonly logprobs?: readonly unknown[];
}
