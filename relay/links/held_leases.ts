import type { Clock } from "../../src/fetch/clock.ts";
import type { Lease, LeaseRequest } from "../topics/lease.ts";
import type { Store } from "../topics/store.ts";

/** A lease that this relay holds for another one, under a number that only grows. */
export interface HeldLease {
  readonly key: string;
  number: number;
  readonly lease: Lease;
  /** The time for which the relay has it once its link is gone, in milliseconds. */
  readonly ttl: number;
  /** The time when that is over, in milliseconds since the epoch. */
  expires: number;
  /** Has the holder stop, over the link that there was when it asked last. */
  onCancel: StopHolder;
  /** Whether it was over at the last look. */
  isLate: boolean;
}

/**
 * Has a holder stop.
 *
 * @param number The number of its lease.
 * @returns Whether it has.
 */
export type StopHolder = (
  number: number,
  reason: string | undefined,
) => Promise<boolean>;

/**
 * The time between two renewals of leases for relays that are alive, in
 * milliseconds.
 */
export const RENEW_INTERVAL = 300;

/**
 * The time for which a lease outlasts the relays between its holder and the store, in
 * milliseconds: the lease of a filler, and the longest wait before its relay connects again.
 */
const OUTLAST = 15_000;

/**
 * The leases of a relay that is linked to this one. They are renewed here for as long as
 * there is a link: a relay with a thousand runs need not say each second that it has them.
 */
export class HeldLeases {
  readonly #store: Pick<Store, "hold">;
  readonly #clock: Clock;
  readonly #minTtl: number;
  readonly #byKey = new Map<string, HeldLease>();
  readonly #byNumber = new Map<number, HeldLease>();

  /**
   * Begins without leases.
   *
   * @param store The store that knows of them.
   * @param clock The clock to use.
   * @param outlasts Whether the relay may go on without this process, linked to the one that
   * takes its place: that is given some time by the relay that this one is linked to.
   */
  constructor(store: Pick<Store, "hold">, clock: Clock, outlasts: boolean) {
    this.#store = store;
    this.#clock = clock;
    this.#minTtl = outlasts ? OUTLAST : 0;
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
   * @param onCancel Called when somebody wants the holder to stop.
   */
  async hold(
    request: Omit<LeaseRequest, "onCancel">,
    number: number,
    onCancel: StopHolder,
  ): Promise<void> {
    const key = keyOf(request);
    const { ttl } = request;
    const expires = this.#clock.now() + ttl;
    const before = this.#byKey.get(key);
    if (before?.lease.isHeld) {
      this.#byNumber.delete(before.number);
      before.number = number;
      before.onCancel = onCancel;
      before.expires = expires;
      this.#byNumber.set(number, before);
      await before.lease.renew();
      return;
    }
    if (before) this.#drop(before);
    const held: { current?: HeldLease } = {};
    const lease = await this.#store.hold({
      ...request,
      ttl: Math.max(ttl, this.#minTtl),
      onCancel: async (reason) => {
        const { current } = held;
        if (await current?.onCancel(current.number, reason)) return;
        await current?.lease.release();
        // There is no holder: that is seen by the lease, which is over or ends.
        await new Promise(() => {});
      },
    });
    const own = held.current = {
      ...{ key, number, lease, ttl, expires },
      onCancel,
      isLate: false,
    };
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

  /**
   * Renews all leases while the relay is there. Otherwise takes note of those that are over
   * at two looks in a row: after this process has stood still, all are, and the relay may be
   * back before the next look.
   */
  look(isThere: boolean): void {
    const now = this.#clock.now();
    for (const held of [...this.#byNumber.values()]) {
      const { lease, isLate } = held;
      if (!lease.isHeld) this.#drop(held);
      else if (isThere) {
        held.expires = now + held.ttl;
        // A lease that cannot be renewed now is renewed with the next look.
        void (async () => await lease.renew())().catch(() => {});
      } else {
        held.isLate = held.expires <= now;
        if (held.isLate && isLate) {
          void this.abandon(held.number).catch(() => {});
        }
      }
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
