import type { Clock } from "../../../src/fetch/clock.ts";
import type { Channel } from "../../links/channel.ts";
import { numberAt, textAt } from "../../links/wire.ts";
import {
  type CancelAnswer,
  type Lease,
  LeaseLostError,
  type LeaseRequest,
} from "../../topics/lease.ts";
import { StoreError } from "../../topics/store.ts";
import { PrivateLeases } from "../private_leases.ts";

/** The parts of a store that leases use. */
export interface ParentLeasesOptions {
  readonly clock: Clock;
  /** Returns the link. */
  channel(): Channel;
  /** Returns the link, if there is one. */
  readonly link: () => Channel | undefined;
  /** Called once a lease is confirmed over a new link, or over. */
  onSettled(lease: ParentLease): void;
}

/** A lease that the parent holds for this relay, for as long as they are linked. */
export class ParentLease implements Lease {
  readonly request: LeaseRequest;
  /** The number under which the parent has it now. */
  number: number;
  /** Whether the parent has yet to confirm the lease over the current link. */
  isPending = false;
  /** Whether nobody had renewed it at the last look. */
  wasLate = false;
  readonly #own: Lease;
  readonly #leases: ParentLeases;
  #isLost = false;

  constructor(
    leases: ParentLeases,
    request: LeaseRequest,
    number: number,
    own: Lease,
  ) {
    this.#leases = leases;
    this.request = request;
    this.number = number;
    this.#own = own;
  }

  get isHeld(): boolean {
    return !this.#isLost && this.#own.isHeld;
  }

  get expires(): number {
    return this.#own.expires;
  }

  renew(): void {
    if (!this.isHeld) throw new LeaseLostError(this.request.topic);
    void this.#own.renew();
  }

  async release(): Promise<void> {
    void this.#own.release();
    await this.#leases.over(this, "free");
  }

  async abandon(): Promise<void> {
    void this.#own.release();
    await this.#leases.over(this, "lapse");
  }

  /** Takes note that another relay has it. */
  lose(): void {
    this.#isLost = true;
    void this.#own.release();
  }
}

/**
 * The leases on topics of the parent. They are renewed here: to the parent, a lease is
 * held for as long as the link is there.
 */
export class ParentLeases {
  readonly #options: ParentLeasesOptions;
  readonly #own: PrivateLeases;
  readonly #held = new Set<ParentLease>();
  /** The leases that the parent is being asked to confirm. */
  readonly #asked = new Set<ParentLease>();
  /** The numbers of leases whose holders were missed while there was no link. */
  #lapsed: number[] = [];

  constructor(options: ParentLeasesOptions) {
    this.#options = options;
    this.#own = new PrivateLeases(options.clock);
  }

  /** Takes a lease, as `Store.hold` has it. */
  async hold(request: LeaseRequest): Promise<ParentLease> {
    const own = this.#own.hold(request);
    try {
      const number = await ask(this.#options.channel(), request);
      const lease = new ParentLease(this, request, number, own);
      this.#held.add(lease);
      return lease;
    } catch (error) {
      await own.release();
      throw error;
    }
  }

  /** Has the holder of a lease stop, as `Store.cancel` has it. */
  async cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    const here = await this.#own.cancel(name, epoch, reason);
    if (here === "stopped") return here;
    const channel = this.#options.channel();
    const asked = [name, epoch, reason ?? null];
    const answer = textAt(await channel.ask("cancel", asked), 2);
    return answer === "stopped" ? answer : "unheld";
  }

  /** Has a holder here stop, for another relay. */
  async stop(
    number: number,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    for (const { number: own, request: { topic, epoch } } of this.#held) {
      if (own === number) return await this.#own.cancel(topic, epoch, reason);
    }
    return "unheld";
  }

  /** There is no link any more. */
  onDown(): void {
    for (const lease of this.#held) lease.isPending = true;
    this.#asked.clear();
  }

  /** There is a link again: the parent is told which leases there still are. */
  async resume(channel: Channel): Promise<void> {
    // Of all others, the parent takes it that they were given up.
    for (const number of this.#lapsed.splice(0)) {
      channel.send(["lapse", number]);
    }
    channel.send(["keeps", [...this.#held].map(({ number }) => number)]);
    await this.#askAgain(channel);
  }

  async #askAgain(channel: Channel): Promise<void> {
    const pending = [...this.#held].filter((lease) =>
      lease.isPending && !this.#asked.has(lease)
    );
    await Promise.all(pending.map((lease) => this.#resume(lease, channel)));
  }

  async #resume(lease: ParentLease, channel: Channel): Promise<void> {
    this.#asked.add(lease);
    try {
      lease.number = await ask(channel, { ...lease.request, resumes: true });
      // It was given up meanwhile.
      if (!this.#held.has(lease)) channel.send(["lapse", lease.number]);
    } catch (error) {
      // The next link asks again.
      if (!channel.isOpen) return;
      // The parent's own parent is away: the next look asks again.
      if (error instanceof StoreError && error.failure === "away") return;
      this.#held.delete(lease);
      lease.lose();
    } finally {
      if (channel.isOpen) this.#asked.delete(lease);
    }
    this.#settled(lease);
  }

  #settled(lease: ParentLease): void {
    if (!lease.isPending) return;
    lease.isPending = false;
    this.#options.onSettled(lease);
  }

  /** Takes note of a lease that was given up. */
  async over(lease: ParentLease, how: "free" | "lapse"): Promise<void> {
    if (!this.#held.delete(lease)) return;
    this.#settled(lease);
    const channel = this.#options.link();
    if (how === "lapse") return this.#lapse(lease.number);
    // Without the link, the parent has it expire by itself.
    await channel?.askWhileOpen("free", [lease.number]);
  }

  /**
   * Asks the parent again to confirm leases, and gives up leases that no holder renews any
   * more: those that are late at two looks in a row. After this process has stood still, all are late, and renewed before the next look.
   */
  look(): void {
    const channel = this.#options.link();
    if (channel) void this.#askAgain(channel);
    const now = this.#options.clock.now();
    for (const lease of this.#held) {
      const { isHeld, expires, request: { ttl }, number, wasLate } = lease;
      lease.wasLate = expires + ttl <= now;
      if (isHeld && !(wasLate && lease.wasLate)) continue;
      this.#held.delete(lease);
      this.#settled(lease);
      // Another one here may have it: to the parent, that is a lease of another number.
      this.#lapse(number);
    }
  }

  /** Tells the parent that a holder is gone without a word, now or with the next link. */
  #lapse(number: number): void {
    const channel = this.#options.link();
    if (channel) channel.send(["lapse", number]);
    else this.#lapsed.push(number);
  }
}

async function ask(
  channel: Channel,
  { topic, epoch, part, holder, ttl, resumes }: LeaseRequest,
): Promise<number> {
  const asked: unknown[] = [topic, epoch, part ?? null, holder, ttl];
  if (resumes) asked.push(1);
  return numberAt(await channel.ask("hold", asked), 2);
}
