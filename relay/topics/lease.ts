import type { Stored } from "./stored.ts";

/**
 * Another relay or source fills the topic already: it holds the lease.
 *
 * @example Its code
 * ```ts
 * import { LeaseHeldError } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new LeaseHeldError("t", "relay-1").code, "lease_held");
 * ```
 */
export class LeaseHeldError extends Error {
  /** The error's code, for programs. */
  readonly code = "lease_held";
  /** The topic. */
  readonly topic: string;
  /** The holder of the lease, in its own words. */
  readonly holder: string;

  /** Names the topic and the holder. */
  constructor(topic: string, holder: string) {
    super(
      `Cannot fill topic '${topic}' as '${holder}' fills it: wait until its lease has ended`,
    );
    this.name = "LeaseHeldError";
    this.topic = topic;
    this.holder = holder;
  }
}

/**
 * A lease has ended, and the store knows of it: another filler may have it.
 *
 * @example Its code
 * ```ts
 * import { LeaseLostError } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(new LeaseLostError("t").code, "lease_lost");
 * ```
 */
export class LeaseLostError extends Error {
  /** The error's code, for programs. */
  readonly code = "lease_lost";
  /** The topic. */
  readonly topic: string;

  /** Names the topic. */
  constructor(topic: string) {
    super(
      `Cannot fill topic '${topic}' any more as the lease on it has ended: stop, or ask for a new lease`,
    );
    this.name = "LeaseLostError";
    this.topic = topic;
  }
}

/**
 * A request for a lease.
 *
 * @example Nothing to stop
 * ```ts
 * import type { LeaseRequest } from "@rivulet/rivulet/relay";
 *
 * const request: LeaseRequest = {
 *   topic: "t",
 *   epoch: "Zm9vYmFyYmF6",
 *   holder: "relay-1",
 *   ttl: 5_000,
 *   onCancel: async () => {},
 * };
 * ```
 */
export interface LeaseRequest {
  /** The name of the topic. */
  readonly topic: string;
  /** The log of the topic. */
  readonly epoch: string;
  /** The holder, in words that no other holder has. */
  readonly holder: string;
  /** The time for which it is held, from now and from each renewal on, in milliseconds. */
  readonly ttl: number;
  /**
   * The part of the topic that is filled: leases of several parts do not
   * exclude each other. Default: everything outside the named parts, which is
   * what a cancel stops.
   */
  readonly part?: string | undefined;
  /**
   * Whether the holder has had the lease before, and asks for it over another way: it is
   * taken from the same holder, which may not use it over the first way any more. Only a
   * store that other relays are linked to is asked so.
   *
   * @default {false}
   */
  readonly resumes?: boolean | undefined;
  /**
   * Called when somebody wants the holder to stop.
   *
   * @param reason The reason in words, if one was given.
   * @returns Resolves once the holder has stopped.
   */
  readonly onCancel: (reason: string | undefined) => Promise<void>;
}

/**
 * The right to fill a topic, until it expires.
 *
 * A holder that is late can still renew it for the same time after that, unless
 * another holder has taken it.
 *
 * @example Hold it a little longer
 * ```ts
 * import type { Lease } from "@rivulet/rivulet/relay";
 *
 * const keep = async (lease: Lease): Promise<void> => await lease.renew();
 * keep;
 * ```
 */
export interface Lease {
  /** Whether nobody else has it, as far as this process knows. */
  readonly isHeld: boolean;
  /** The time when it expires, in milliseconds since the epoch. */
  readonly expires: number;
  /**
   * Holds it for its time again.
   *
   * @throws {LeaseLostError} If somebody else has taken it, or it was given up.
   * @throws {StoreError} If the store cannot say so now.
   */
  renew(): Stored<void>;
  /** Gives it up. One that is not held any more stays as it is. */
  release(): Stored<void>;
  /**
   * Gives it up for a holder that is known to be gone without a word: the store tells of
   * what it has left (`Store.orphans`). Not there in a store of one relay.
   */
  abandon?(): Stored<void>;
}

/**
 * The outcome of a cancel: its holder has stopped, or there is no holder.
 *
 * @example Nobody is there
 * ```ts
 * import type { CancelAnswer } from "@rivulet/rivulet/relay";
 *
 * const answer: CancelAnswer = "unheld";
 * ```
 */
export type CancelAnswer = "stopped" | "unheld";
