import type { Subscription } from "../delivery/subscription.ts";
import type { Stays } from "../delivery/stays.ts";
import type { NextStart } from "../topics/start.ts";

/** The subscriptions of a peer that have ended, and wait for the next epoch of their topic. */
export class Staying implements Disposable {
  /** By topic, what waits no more. */
  readonly #cancels = new Map<string, () => void>();

  /** The number of subscriptions. */
  get size(): number {
    return this.#cancels.size;
  }

  /** The topics. */
  get names(): Iterable<string> {
    return this.#cancels.keys();
  }

  /** Whether a subscription to a topic waits. */
  has(name: string): boolean {
    return this.#cancels.has(name);
  }

  /**
   * Has a subscription wait that has ended.
   *
   * @param stays Those of all peers.
   * @param goOn Called with the subscription to the next epoch.
   */
  add(
    subscription: Subscription,
    stays: Stays,
    goOn: (next: Subscription) => void,
  ): void {
    const { topic } = subscription;
    const { name } = topic;
    const onNext = (start: NextStart): void => {
      this.#cancels.delete(name);
      goOn(subscription.goOn(start));
    };
    this.#cancels.set(name, stays.wait(topic, onNext));
  }

  /** Takes a subscription out; whether it was there. */
  delete(name: string): boolean {
    this.#cancels.get(name)?.();
    return this.#cancels.delete(name);
  }

  /** Takes all out. */
  [Symbol.dispose](): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }
}
