import type { Clock } from "../../src/fetch/clock.ts";
import {
  type CancelAnswer,
  type Lease,
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
} from "../topics/lease.ts";

/** The number of leases at which those that have expired are looked for. */
const MIN_SWEEP = 1_000;

/**
 * The leases on the topics of a store that one process has to itself. They are gone with
 * the process, and so is whoever has held them.
 */
export class PrivateLeases {
  readonly #clock: Clock;
  readonly #leases = new Map<string, PrivateLease>();
  #sweepAt = MIN_SWEEP;

  /** Begins without leases. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The number of leases. */
  get size(): number {
    return this.#leases.size;
  }

  /** Takes a lease, as `Store.hold` has it. */
  hold(request: LeaseRequest): Lease {
    const { topic, epoch, part, holder, resumes = false } = request;
    const key = keyOf(topic, epoch, part);
    const before = this.#leases.get(key);
    if (before && before.expires > this.#clock.now()) {
      const { request: { holder: other } } = before;
      if (!resumes || other !== holder) throw new LeaseHeldError(topic, other);
    }
    if (this.#leases.size >= this.#sweepAt) this.#sweep();
    const lease = new PrivateLease(key, request, this.#leases, this.#clock);
    this.#leases.set(key, lease);
    return lease;
  }

  /** Tells the holder of a lease to stop, as `Store.cancel` has it. */
  cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): CancelAnswer | Promise<CancelAnswer> {
    const lease = this.#leases.get(keyOf(name, epoch));
    if (!lease || lease.expires <= this.#clock.now()) return "unheld";
    const { promise, resolve, reject } = Promise.withResolvers<CancelAnswer>();
    let stopWaiting = (): void => {};
    const look = (): void => {
      const left = lease.expires - this.#clock.now();
      if (!lease.isHeld || left <= 0) resolve("unheld");
      else stopWaiting = this.#clock.setTimeout(look, left);
    };
    lease.request.onCancel(reason).then(() => resolve("stopped"), reject);
    look();
    return promise.finally(() => stopWaiting());
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const [key, { expires, request }] of this.#leases) {
      if (expires + request.ttl <= now) this.#leases.delete(key);
    }
    this.#sweepAt = Math.max(2 * this.#leases.size, MIN_SWEEP);
  }
}

/** A lease, which is held for as long as it is among the others. */
class PrivateLease implements Lease {
  readonly request: LeaseRequest;
  readonly #key: string;
  readonly #leases: Map<string, PrivateLease>;
  readonly #clock: Clock;
  #expires: number;

  constructor(
    key: string,
    request: LeaseRequest,
    leases: Map<string, PrivateLease>,
    clock: Clock,
  ) {
    this.request = request;
    this.#key = key;
    this.#leases = leases;
    this.#clock = clock;
    this.#expires = clock.now() + request.ttl;
  }

  get isHeld(): boolean {
    return this.#leases.get(this.#key) === this;
  }

  get expires(): number {
    return this.#expires;
  }

  renew(): void {
    if (!this.isHeld) throw new LeaseLostError(this.request.topic);
    this.#expires = this.#clock.now() + this.request.ttl;
  }

  release(): void {
    if (this.isHeld) this.#leases.delete(this.#key);
  }
}

function keyOf(topic: string, epoch: string, part = ""): string {
  return `${topic}\0${epoch}\0${part}`;
}
