import type { Subscription } from "./subscription.ts";

/**
 * The subscriptions of a subscriber that may have something to say, each once, in the
 * order of their writes.
 *
 * Most subscribers have one subscription: a `Set` for it takes 200 bytes of an idle
 * connection, and costs each write an iterator.
 */
export class Speakers {
  #only: Subscription | undefined;
  #many: Set<Subscription> | undefined;

  /** The subscription whose turn it is, if there is one. */
  get first(): Subscription | undefined {
    if (!this.#many) return this.#only;
    for (const first of this.#many) return first;
    return undefined;
  }

  /** Adds a subscription at the end, unless it is there. */
  add(subscription: Subscription): void {
    if (this.#many) this.#many.add(subscription);
    else if (!this.#only) this.#only = subscription;
    else if (this.#only !== subscription) {
      this.#many = new Set([this.#only, subscription]);
      this.#only = undefined;
    }
  }

  /** Takes a subscription out, if it is there. */
  delete(subscription: Subscription): void {
    if (this.#only === subscription) this.#only = undefined;
    else this.#many?.delete(subscription);
  }
}
