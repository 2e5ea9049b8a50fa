import type { Store } from "../topics/store.ts";

/**
 * The way from this relay to the one where the topics live, as a store in
 * another relay knows it.
 */
export interface UpwardLink {
  /** This relay, among all relays of the tree. */
  readonly id: string;
  /** The parent, its own parent, and so on, as far as is known. */
  readonly path: readonly string[];
  /**
   * The time that an event takes from where the topics live to this relay, in
   * milliseconds.
   */
  readonly lag: number;
  /**
   * Calls a listener when the path is another one.
   *
   * @returns Stops that.
   */
  onPath(listener: () => void): () => void;
}

/** A store that is another relay. */
export type LinkedStore = Store & { readonly upward: UpwardLink };

/** Returns what a store knows of the way to where the topics live, if that is another relay. */
export function upwardOf(store: Store): UpwardLink | undefined {
  return "upward" in store ? (store as LinkedStore).upward : undefined; // only such a store has it
}
