import type { Clock } from "../../src/fetch/clock.ts";
import type { Lease, LeaseRequest } from "../topics/lease.ts";
import type { Store } from "../topics/store.ts";

/** A lease that this relay holds for another one, under a number that only grows. */
export interface HeldLease {
  readonly key: string;
  number: number;
  readonly lease: Lease;
}

/**
 * The time between two renewals of leases for relays that are alive, in
 * milliseconds.
 */
export const RENEW_INTERVAL = 300;

/**
 * The leases of a relay that is linked to this one. They are renewed here for as long as
 * there is a link: a relay with a thousand runs need not say each second that it has them.
 */
export class HeldLeases {
  readonly #store: Pick<Store, "hold">;
  readonly #clock: Clock;
  readonly #byKey = new Map<string, HeldLease>();
  readonly #byNumber = new Map<number, HeldLease>();

  constructor(store: Pick<Store, "hold">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** The number of leases. */
  get size(): number {
    return this.#byKey.size;
  }

  /** Returns the lease under a number, if the relay still has it. */
  get(number: number): Lease | undefined {
    return this.#byNumber.get(number)?.lease;
  }

  /** Whether the relay has the lease on a topic. */
  has(topic: string, epoch: string): boolean {
    return this.#byKey.get(keyOf({ topic, epoch }))?.lease.isHeld === true;
  }

  /**
   * Takes a lease, or goes on with the one that the relay has: whoever had it there may
   * write no more.
   *
   * @param number Its number from now on.
   * @param onCancel Called with the number that it has then.
   */
  async hold(
    request: Omit<LeaseRequest, "onCancel">,
    number: number,
    onCancel: (number: number, reason: string | undefined) => Promise<boolean>,
  ): Promise<void> {
    const key = keyOf(request);
    const before = this.#byKey.get(key);
    if (before?.lease.isHeld) {
      this.#byNumber.delete(before.number);
      before.number = number;
      this.#byNumber.set(number, before);
      await before.lease.renew();
      return;
    }
    if (before) this.#drop(before);
    const held: { current?: HeldLease } = {};
    const lease = await this.#store.hold({
      ...request,
      onCancel: async (reason) => {
        const { current } = held;
        if (current && await onCancel(current.number, reason)) return;
        await current?.lease.release();
        // There is no holder: that is seen by the lease, which is over or ends.
        await new Promise(() => {});
      },
    });
    const own = held.current = { key, number, lease };
    this.#byKey.set(key, own);
    this.#byNumber.set(number, own);
  }

  /** Gives a lease up. */
  async release(number: number): Promise<void> {
    const held = this.#byNumber.get(number);
    if (!held) return;
    this.#drop(held);
    await held.lease.release();
  }

  /** Gives up all but some: the relay has given them up while there was no link. */
  async keepOnly(numbers: ReadonlySet<number>): Promise<void> {
    const others = [...this.#byNumber.keys()].filter((number) =>
      !numbers.has(number)
    );
    await Promise.allSettled(others.map((number) => this.release(number)));
  }

  /** Takes note that a holder is gone without a word. */
  async abandon(number: number): Promise<void> {
    const held = this.#byNumber.get(number);
    if (!held) return;
    this.#drop(held);
    await (held.lease.abandon ? held.lease.abandon() : held.lease.release());
  }

  /** Takes note that the relay is gone without a word. */
  async abandonAll(): Promise<void> {
    await Promise.allSettled(
      [...this.#byNumber.keys()].map((number) => this.abandon(number)),
    );
  }

  /** Renews all leases, or forgets those that have ended. */
  look(isThere: boolean): void {
    const now = this.#clock.now();
    for (const held of this.#byNumber.values()) {
      const { lease } = held;
      if (isThere && lease.isHeld) {
        // A lease that cannot be renewed now is renewed with the next look.
        void (async () => await lease.renew())().catch(() => {});
      } else if (!lease.isHeld || lease.expires <= now) this.#drop(held);
    }
  }

  #drop(held: HeldLease): void {
    if (this.#byKey.get(held.key) === held) this.#byKey.delete(held.key);
    this.#byNumber.delete(held.number);
  }
}

function keyOf(
  { topic, epoch, part = "" }: Pick<LeaseRequest, "topic" | "epoch" | "part">,
): string {
  return `${topic}\0${epoch}\0${part}`;
}
