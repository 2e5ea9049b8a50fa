import { createHash } from "node:crypto";
import type { Msg } from "@nats-io/transport-node";
import { z } from "zod";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";
import {
  type CancelAnswer,
  type Lease,
  LeaseHeldError,
  LeaseLostError,
  type LeaseRequest,
} from "../../topics/lease.ts";
import type { LogName } from "../../topics/store.ts";
import { PrivateLeases } from "../private_leases.ts";
import { Bucket, bucketStream, bucketSubject } from "./bucket.ts";
import { atMost, type Connection } from "./connection.ts";
import { Consumption } from "./consume.ts";
import { encodeName, type Names } from "./names.ts";
import type { Presence } from "./presence.ts";

const held = z.object({
  v: z.literal(1),
  /** The relay that has it, for as long as that is heard of. */
  relay: z.string(),
  holder: z.string(),
  topic: z.string(),
  epoch: z.string(),
  /** Whether it is that of the topic, and not of a part. */
  isWhole: z.boolean(),
});

type Held = z.output<typeof held>;

const asked = z.object({
  name: z.string(),
  epoch: z.string(),
  reason: z.string().optional(),
});

const answered = z.object({
  answer: z.enum(["stopped", "unheld"]).optional(),
  error: z.string().optional(),
});

/** The time that the holder of a lease may take to stop, in milliseconds. */
const STOP_TIMEOUT = 60_000;

/** The time between two looks for a holder, in milliseconds. */
const LOOK_INTERVAL = 250;

/** The time after which a lease of this relay counts as nobody's that is not held here, in milliseconds. */
const STRAY_AFTER = 5_000;

/** The time after which NATS has lost a lease of which it knows an older holder alone, in milliseconds. */
const LOST_AFTER = 5_000;

/** The leases that are removed at a time. */
const AT_A_TIME = 32;

/** The parts of a store that leases use. */
export interface SharedLeasesOptions {
  readonly connection: Connection;
  readonly names: Names;
  readonly clock: Clock;
  readonly presence: Presence;
  /**
   * Has nobody go on with a log who had the lease before: its number is the newest there.
   *
   * @param isFirst Whether nobody is known to have had it.
   */
  fence(log: LogName, lease: number, isFirst: boolean): Promise<void>;
}

/** A lease that the store knows of, under a number that only grows. */
export class SharedLease implements Lease {
  #number: number;
  readonly #own: Lease;
  readonly #request: LeaseRequest;
  readonly #leases: SharedLeases;
  readonly #key: string;
  readonly #presence: Presence;
  readonly #clock: Clock;
  #isLost = false;
  /** The number of interruptions at the time when it was seen to be held. */
  #seen: number;
  /** The time since when NATS knows of an older holder alone. */
  #behindSince: number | undefined;

  constructor(
    leases: SharedLeases,
    { key, number, own, request, presence, clock }: {
      readonly key: string;
      readonly number: number;
      readonly own: Lease;
      readonly request: LeaseRequest;
      readonly presence: Presence;
      readonly clock: Clock;
    },
  ) {
    this.#leases = leases;
    this.#key = key;
    this.#number = number;
    this.#own = own;
    this.#request = request;
    this.#presence = presence;
    this.#clock = clock;
    this.#seen = presence.interruptions;
  }

  /** Its number: of two leases on a topic, the later one has the larger. */
  get number(): number {
    return this.#number;
  }

  get isHeld(): boolean {
    return !this.#isLost && this.#own.isHeld;
  }

  get expires(): number {
    return this.#own.expires;
  }

  renew(): void | Promise<void> {
    if (!this.isHeld) throw new LeaseLostError(this.#request.topic);
    void this.#own.renew();
    // This relay was not heard of for a while: another one may have it.
    if (this.#seen !== this.#presence.interruptions) return this.#verify();
  }

  async release(): Promise<void> {
    const { isHeld } = this;
    await this.#own.release();
    this.#leases.forget(this.#key, this.#own);
    if (isHeld) await this.#leases.remove(this.#key, this.#number);
  }

  /** NATS keeps it, as of a holder that is gone: it is found as one that nobody has. */
  async abandon(): Promise<void> {
    await this.#own.release();
    this.#leases.forget(this.#key, this.#own);
  }

  /** Takes note that another one has it. */
  lose(): void {
    this.#isLost = true;
  }

  async #verify(): Promise<void> {
    const seen = this.#presence.interruptions;
    const now = await this.#leases.numberOf(this.#key);
    if (now === undefined) {
      // Somebody has had it and given it up, or NATS has lost it: nobody would miss it.
      const again = await this.#leases.takeAgain(this.#request);
      if (again !== undefined) this.#number = again;
      // A leader that was elected a moment ago did not know of it.
      else if (await this.#leases.numberOf(this.#key) !== this.#number) {
        this.lose();
      }
    } else if (now > this.#number) this.lose();
    else if (now < this.#number && !await this.#catchUp(now)) return;
    this.#behindSince = undefined;
    if (this.#isLost) throw new LeaseLostError(this.#request.topic);
    this.#seen = seen;
  }

  /**
   * Has NATS know of this holder again, and not of the one before: numbers only grow. At
   * first it is asked again, of a leader that may know by then.
   *
   * @returns Whether it does.
   */
  async #catchUp(older: number): Promise<boolean> {
    this.#behindSince ??= this.#clock.now();
    if (this.#clock.now() - this.#behindSince < LOST_AFTER) return false;
    const again = await this.#leases.takeAgain(this.#request, older);
    // If others have written meanwhile, the next look shows what.
    if (again === undefined) return false;
    this.#number = again;
    return true;
  }
}

/** A lease of which the holder is not there any more. */
interface Left {
  readonly key: string;
  readonly number: number;
  readonly lease: Held;
}

/**
 * The leases on topics that several relays fill. A lease is held for as long as its
 * relay is heard of, so that a relay says once, and not for each, that it is there.
 */
export class SharedLeases {
  readonly #options: SharedLeasesOptions;
  readonly #own: PrivateLeases;
  readonly #bucket: Bucket;
  /** The leases that are held here, or asked for, by their keys in the bucket. */
  readonly #held = new Map<string, Lease>();
  /**
   * The leases of this relay that nobody here holds, and the time of the first look: NATS
   * has kept what it did not answer.
   */
  #strays = new Map<string, number>();
  /** The leases that were found last of holders that are not there any more. */
  #left: Left[] = [];
  /** The leases on logs, at the last look. */
  #seen = new Map<string, Held>();
  /** Those of them that are gone, and did not come again. */
  readonly #missing = new Map<string, Held>();

  constructor(options: SharedLeasesOptions) {
    this.#options = options;
    this.#own = new PrivateLeases(options.clock);
    this.#bucket = new Bucket(options.connection, options.names.leases);
  }

  /** Takes a lease, as `Store.hold` has it. */
  async hold(request: LeaseRequest): Promise<SharedLease> {
    const { topic, epoch, part } = request;
    const { presence, clock } = this.#options;
    const own = this.#own.hold(request);
    const key = keyOf(topic, epoch, part);
    this.#held.set(key, own);
    try {
      const value = this.#valueOf(request);
      const first = await this.#bucket.put(key, value, 0);
      const number = first ?? await this.#takeOver(key, value, request);
      await this.#fence(request, number, first !== undefined);
      const made = { key, number, own, request, presence, clock };
      return new SharedLease(this, made);
    } catch (error) {
      await own.release();
      this.forget(key, own);
      throw error;
    }
  }

  /** Takes note that a lease is not held here any more. */
  forget(key: string, own: Lease): void {
    if (this.#held.get(key) === own) this.#held.delete(key);
  }

  /**
   * Takes a lease again that nobody has any more, for who has had it.
   *
   * @param before The number of an older lease that NATS knows of. Default: it knows of
   * none.
   * @returns Its new number; `undefined` if another one was first.
   */
  async takeAgain(
    request: LeaseRequest,
    before = 0,
  ): Promise<number | undefined> {
    const { topic, epoch, part } = request;
    const value = this.#valueOf(request);
    const key = keyOf(topic, epoch, part);
    const number = await this.#bucket.put(key, value, before);
    if (number !== undefined) await this.#fence(request, number, false);
    return number;
  }

  /** Has the holder of a lease stop, as `Store.cancel` has it. */
  async cancel(
    name: string,
    epoch: string,
    reason: string | undefined,
  ): Promise<CancelAnswer> {
    const here = await this.#own.cancel(name, epoch, reason);
    if (here === "stopped") return here;
    const lease = await this.#read(keyOf(name, epoch));
    const { presence } = this.#options;
    if (!lease || lease.relay === presence.self) return "unheld";
    if (!presence.isThere(lease.relay)) return "unheld";
    return await this.#ask(lease.relay, { name, epoch, reason });
  }

  /** Answers another relay that wants a holder here to stop. */
  async answer(message: Msg): Promise<void> {
    let reply: z.output<typeof answered>;
    try {
      const { name, epoch, reason } = asked.parse(message.json());
      reply = { answer: await this.#own.cancel(name, epoch, reason) };
    } catch (error) {
      reply = { error: messageOf(error) };
    }
    message.respond(JSON.stringify(reply));
  }

  /** Forgets a lease, unless another one has it. */
  remove(key: string, number: number): Promise<void> {
    return this.#bucket.remove(key, number);
  }

  /** Returns the number under which a lease is held. */
  async numberOf(key: string): Promise<number | undefined> {
    return (await this.#bucket.get(key))?.revision;
  }

  /** Returns the logs whose holders are not there any more. */
  async orphans(): Promise<readonly LogName[]> {
    const { connection, names } = this.#options;
    const found: LogName[] = [];
    const left: Left[] = [];
    const doubtful: string[] = [];
    const seen = new Map<string, Held>();
    const prefix = bucketSubject(names.leases, "");
    const stream = bucketStream(names.leases);
    const done = Promise.withResolvers<void>();
    await connection.ask(async (connected) => {
      using consumption = await Consumption.start(connected, {
        stream,
        filter: bucketSubject(names.leases, ">"),
        from: "last of each",
        onMessage: ({ data, subject, pending }) => {
          const lease = parse(new TextDecoder().decode(data));
          const key = subject.slice(prefix.length);
          if (!lease || !this.#isFilled(key, lease)) doubtful.push(key);
          if (lease?.isWhole) seen.set(key, lease);
          if (pending === 0) done.resolve();
        },
        onIdle: done.resolve,
        onBroken: done.reject,
      });
      if (consumption.waiting === 0) done.resolve();
      await done.promise;
    });
    for (const [key, lease] of this.#seen) this.#missing.set(key, lease);
    for (const key of seen.keys()) this.#missing.delete(key);
    this.#seen = seen;
    const strays = this.#strays;
    this.#strays = new Map();
    // The last message of a key may be void: another one counts.
    for (let at = 0; at < doubtful.length; at += AT_A_TIME) {
      const some = doubtful.slice(at, at + AT_A_TIME);
      await Promise.all(some.map(async (key) => {
        const entry = await this.#bucket.get(key);
        const lease = entry && parse(entry.value);
        if (!lease || !this.#isOrphaned(key, lease, strays)) return;
        const log = { name: lease.topic, epoch: lease.epoch };
        if (lease.isWhole) found.push(log);
        left.push({ key, number: entry.revision, lease });
      }));
    }
    this.#left = left;
    return found;
  }

  /**
   * Returns the logs whose leases were seen at an earlier look and are gone, as their
   * holders are. Most were given up; of the others, NATS has lost the lease. A holder that
   * is there takes it again.
   *
   * @param isOpen Returns whether a log has not ended, as far as that can be told at once.
   * @param isOver Returns whether there is nothing to go on with in a log.
   */
  async lost(
    isOpen: (log: LogName) => boolean,
    isOver: (log: LogName) => Promise<boolean>,
  ): Promise<readonly LogName[]> {
    const lost: LogName[] = [];
    for (const [key, { topic: name, epoch, relay }] of this.#missing) {
      const log = { name, epoch };
      if (!isOpen(log)) this.#missing.delete(key);
      else if (this.#options.presence.isThere(relay)) continue;
      else if (await isOver(log)) this.#missing.delete(key);
      // A server that lags behind may not have told of it.
      else if (await this.numberOf(key) === undefined) lost.push(log);
    }
    return lost;
  }

  /**
   * Removes the leases that were found last of holders that are not there any more, and
   * that nobody is going to take over: those on parts, and those on logs that are over.
   *
   * @param isOver Returns whether there is nothing to go on with in a log.
   */
  async removeLeft(isOver: (log: LogName) => Promise<boolean>): Promise<void> {
    const { presence } = this.#options;
    const left = this.#left.splice(0).filter(({ lease: { relay } }) =>
      // One relay does it for those that are gone.
      relay === presence.self || presence.isFirst
    );
    for (let at = 0; at < left.length; at += AT_A_TIME) {
      const some = left.slice(at, at + AT_A_TIME);
      await Promise.all(some.map(async ({ key, number, lease }) => {
        const log = { name: lease.topic, epoch: lease.epoch };
        if (!lease.isWhole || await isOver(log)) await this.remove(key, number);
      }));
    }
  }

  /** Returns whether somebody fills what a lease is for. */
  #isFilled(key: string, { relay }: Held): boolean {
    const { clock, presence } = this.#options;
    if (relay !== presence.self) return presence.isThere(relay);
    const own = this.#held.get(key);
    return own !== undefined && own.isHeld && own.expires > clock.now();
  }

  /** Returns whether nobody fills what a lease is for. */
  #isOrphaned(
    key: string,
    lease: Held,
    strays: ReadonlyMap<string, number>,
  ): boolean {
    const { clock, presence } = this.#options;
    if (this.#isFilled(key, lease)) return false;
    if (lease.relay !== presence.self) return true;
    // It may be about to be given up.
    const since = strays.get(key) ?? clock.now();
    this.#strays.set(key, since);
    return clock.now() - since >= STRAY_AFTER;
  }

  #valueOf({ topic, epoch, holder, part }: LeaseRequest): string {
    return JSON.stringify(
      {
        v: 1,
        relay: this.#options.presence.self,
        holder,
        topic,
        epoch,
        isWhole: part === undefined,
      } satisfies Held,
    );
  }

  async #fence(
    { topic, epoch, part }: LeaseRequest,
    number: number,
    isFirst: boolean,
  ): Promise<void> {
    // A part has no filler whose events could be mixed with those of another.
    if (part !== undefined) return;
    await this.#options.fence({ name: topic, epoch }, number, isFirst);
  }

  async #takeOver(
    key: string,
    value: string,
    { topic, holder, resumes = false }: LeaseRequest,
  ): Promise<number> {
    const { presence } = this.#options;
    const entry = await this.#bucket.get(key);
    const before = entry && parse(entry.value);
    const isOwn = resumes && before?.holder === holder;
    if (before && before.relay !== presence.self && !isOwn) {
      if (presence.isThere(before.relay)) {
        throw new LeaseHeldError(topic, before.holder);
      }
    }
    const number = await this.#bucket.put(key, value, entry?.revision ?? 0);
    if (number !== undefined) return number;
    throw new LeaseHeldError(topic, "another relay");
  }

  async #read(key: string): Promise<Held | undefined> {
    const entry = await this.#bucket.get(key);
    return entry && parse(entry.value);
  }

  /** Asks another relay, for as long as it is there. */
  async #ask(
    relay: string,
    what: z.output<typeof asked>,
  ): Promise<CancelAnswer> {
    const { connection, names, presence } = this.#options;
    let isOver = false;
    const asking = connection.ask(async ({ nats }) => {
      const message = await nats.request(
        names.cancelOf(relay),
        JSON.stringify(what),
        { timeout: STOP_TIMEOUT },
      );
      return answered.parse(message.json());
    }).finally(() => void (isOver = true));
    asking.catch(() => {});
    while (!isOver) {
      await atMost(LOOK_INTERVAL, asking.catch(() => {}));
      if (!isOver && !presence.isThere(relay)) return "unheld";
    }
    const { answer, error } = await asking;
    if (answer) return answer;
    throw new Error(`The relay that fills the topic has failed: ${error}`);
  }
}

function keyOf(topic: string, epoch: string, part?: string): string {
  const whole = `${encodeName(topic)}.${epoch}`;
  if (part === undefined) return whole;
  // A part may be called anything, as its publisher likes.
  return `${whole}.${createHash("sha256").update(part).digest("hex")}`;
}

function parse(text: string): Held | undefined {
  try {
    return held.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
