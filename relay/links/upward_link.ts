import type { Store } from "../topics/store.ts";

/** What a store that is another relay knows of the way to where the topics live. */
export interface UpwardLink {
  /** This relay, among all relays of the tree. */
  readonly id: string;
  /** The parent, its own parent, and so on, as far as is known. */
  readonly path: readonly string[];
  /** How long what is appended where the topics live takes to this relay, in milliseconds. */
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
