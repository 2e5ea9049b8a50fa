import type { Clock } from "../../../src/fetch/clock.ts";
import type { CancelAnswer, Lease, LeaseRequest } from "../../topics/lease.ts";
import type { LogName } from "../../topics/store.ts";
import { PrivateLeases } from "../private_leases.ts";

/** The settings of leases, and the call that reports fillers that are gone. */
export interface TrackedLeasesOptions {
  readonly clock: Clock;
  /** Called with the log of a holder that has said nothing more, and has not given up its lease. */
  readonly onOrphan: (log: LogName) => void;
}

/** The leases of relays that share a store of this process: it is noticed if one is not renewed. */
export class TrackedLeases {
  readonly #clock: Clock;
  readonly #onOrphan: TrackedLeasesOptions["onOrphan"];
  readonly #leases: PrivateLeases;
  /** The leases on whole topics, by their logs. */
  readonly #whole = new Map<string, TrackedLease>();

  constructor({ clock, onOrphan }: TrackedLeasesOptions) {
    this.#clock = clock;
    this.#onOrphan = onOrphan;
    this.#leases = new PrivateLeases(clock);
  }

  /** Takes a lease, as `Store.hold` has it. */
  hold(request: LeaseRequest): Lease {
    const lease = new TrackedLease(request, this.#leases.hold(request), {
      onReleased: () => this.#forget(lease),
      onAbandoned: () => {
        if (request.part !== undefined) return;
        this.#onOrphan({ name: request.topic, epoch: request.epoch });
      },
    });
    if (request.part === undefined) {
      this.#whole.set(keyOf(request.topic, request.epoch), lease);
    }
    return lease;
  }

  /** Tells the holder of a lease to stop, as `Store.cancel` has it. */
  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): CancelAnswer | Promise<CancelAnswer> {
    return this.#leases.cancel(name, epoch, reason);
  }

  /** Whether somebody fills a topic. */
  isHeld({ name, epoch }: LogName): boolean {
    const lease = this.#whole.get(keyOf(name, epoch));
    return lease !== undefined && lease.isHeld &&
      lease.expires > this.#clock.now();
  }

  /**
   * Looks for holders that are gone: those that are late at two looks in a row. After
   * this process has stood still, all are late, and renewed before the next look.
   */
  look(): void {
    const now = this.#clock.now();
    for (const [key, lease] of this.#whole) {
      const wasLate = lease.isLate;
      lease.isLate = lease.expires <= now;
      if (!wasLate || !lease.isLate) continue;
      this.#whole.delete(key);
      const { topic, epoch } = lease.request;
      this.#onOrphan({ name: topic, epoch });
    }
  }

  #forget(lease: TrackedLease): void {
    const { topic, epoch } = lease.request;
    const key = keyOf(topic, epoch);
    if (this.#whole.get(key) === lease) this.#whole.delete(key);
  }
}

interface TrackedLeaseEvents {
  readonly onReleased: () => void;
  readonly onAbandoned: () => void;
}

class TrackedLease implements Lease {
  readonly request: LeaseRequest;
  /** Whether it was over at the last look. */
  isLate = false;
  readonly #lease: Lease;
  readonly #events: TrackedLeaseEvents;

  constructor(request: LeaseRequest, lease: Lease, events: TrackedLeaseEvents) {
    this.request = request;
    this.#lease = lease;
    this.#events = events;
  }

  get isHeld(): boolean {
    return this.#lease.isHeld;
  }

  get expires(): number {
    return this.#lease.expires;
  }

  renew(): void {
    void this.#lease.renew();
  }

  release(): void {
    void this.#lease.release();
    this.#events.onReleased();
  }

  abandon(): void {
    const { isHeld } = this;
    this.release();
    if (isHeld) this.#events.onAbandoned();
  }
}

function keyOf(name: string, epoch: string): string {
  return `${name}/${epoch}`;
}
