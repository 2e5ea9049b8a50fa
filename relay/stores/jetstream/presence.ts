import type { Msg } from "@nats-io/transport-node";
import type { Clock } from "../../../src/fetch/clock.ts";
import type { Connection } from "./connection.ts";

/** The time between two heartbeats of a relay, in milliseconds. */
const BEAT_INTERVAL = 500;

/** The silence after which a relay is gone, in milliseconds. */
const GONE_AFTER = 3_000;

/** The time without a beat of its own after which a relay was itself away, in milliseconds. */
const AWAY_AFTER = 1_500;

/**
 * The difference of clocks that is told, in milliseconds: a beat that is late makes the
 * clock of its relay look slow, and never fast.
 */
const TOLD_AHEAD = 5_000;

/** The events that presence reports to its store. */
export interface PresenceEvents {
  /** The clock of a relay is ahead of this one's, by some milliseconds: told once of each. */
  onAhead?(relay: string, duration: number): void;
  /** A relay is not heard of any more. */
  onGone(relay: string): void;
}

/**
 * The relays of a cluster that are alive. Each says so by a message that is not
 * stored, so that it takes neither a leader nor a disk.
 *
 * A relay that does not hear itself hears of nobody: it takes nobody for gone then.
 */
export class Presence implements Disposable {
  /** The name of this relay. */
  readonly self: string = crypto.randomUUID();
  readonly #subject: string;
  readonly #clock: Clock;
  readonly #events: PresenceEvents;
  readonly #heardAt = new Map<string, number>();
  /** The relays of which it was told that their clocks are ahead. */
  readonly #ahead = new Set<string>();
  #connection: Connection | undefined;
  #hearing: Disposable | undefined;
  #cancelBeat: () => void = () => {};
  /**
   * The time at which this relay last heard itself, and the time since when it
   * has done so without a break.
   */
  #selfAt = 0;
  #since = Infinity;
  #interruptions = 0;
  /** The time from a beat until this relay has heard it, in milliseconds, and when it waits for one. */
  #lag = 0;
  #unheardAt: number | undefined;

  constructor(subject: string, clock: Clock, events: PresenceEvents) {
    this.#subject = subject;
    this.#clock = clock;
    this.#events = events;
  }

  /** The number of times that others may have taken this relay for gone. */
  get interruptions(): number {
    return this.#interruptions;
  }

  /** The time that a message takes to NATS and back, in milliseconds. */
  get lag(): number {
    const waiting = this.#unheardAt === undefined
      ? 0
      : performance.now() - this.#unheardAt;
    return Math.max(this.#lag, waiting);
  }

  /** The relays that are there, this one among them. */
  get relays(): readonly string[] {
    return [this.self, ...this.#heardAt.keys()];
  }

  /** Whether this relay is the one that does what one relay has to do. */
  get isFirst(): boolean {
    return this.relays.every((relay) => relay >= this.self);
  }

  /** Begins to say that this relay is there, and to hear of others. */
  start(connection: Connection): void {
    this.#connection = connection;
    this.#hearing = connection.hear(
      this.#subject,
      (message) => this.#heard(message),
    );
    this.#beat();
  }

  /**
   * Whether a relay is there: it was heard of a moment ago, or this one has not listened
   * for long enough to say that it is not.
   */
  isThere(relay: string): boolean {
    return relay === this.self || this.#heardAt.has(relay) ||
      !(this.#clock.now() - this.#since >= GONE_AFTER);
  }

  /** Whether this relay has listened for long enough to know who is there. */
  get isSettled(): boolean {
    return this.#clock.now() - this.#since >= GONE_AFTER;
  }

  /** Says that this relay is gone, so that nobody has to wait to find out. */
  leave(): void {
    this.#say(`${this.self} gone`);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.#cancelBeat();
    this.#hearing?.[Symbol.dispose]();
    this.#hearing = undefined;
  }

  #beat(): void {
    const now = performance.now();
    this.#unheardAt ??= now;
    this.#say(`${this.self} ${now} ${this.#clock.now()}`);
    this.#look();
    this.#cancelBeat = this.#clock.setTimeout(
      () => this.#beat(),
      BEAT_INTERVAL,
    );
  }

  #say(text: string): void {
    const nats = this.#connection?.isClosed === false
      ? this.#connection.connected.nats
      : undefined;
    if (nats && !nats.isClosed()) nats.publish(this.#subject, text);
  }

  #heard(message: Msg): void {
    const now = this.#clock.now();
    const [relay = "", word, theirs] = message.string().split(" ");
    if (relay === this.self) {
      if (now - this.#selfAt > AWAY_AFTER) this.#cameBack(now);
      this.#selfAt = now;
      this.#unheardAt = undefined;
      this.#lag = performance.now() - Number(word);
    } else if (word === "gone") {
      if (this.#heardAt.delete(relay)) this.#events.onGone(relay);
    } else {
      this.#heardAt.set(relay, now);
      // A relay of an older release does not say it.
      if (theirs !== undefined) this.#compare(relay, Number(theirs) - now);
    }
  }

  #compare(relay: string, ahead: number): void {
    if (!(ahead >= TOLD_AHEAD) || this.#ahead.has(relay)) return;
    this.#ahead.add(relay);
    this.#events.onAhead?.(relay, ahead);
  }

  /** Nobody was heard of for a while: what that means for others shows from now on. */
  #cameBack(now: number): void {
    if (this.#since !== Infinity) this.#interruptions++;
    this.#since = now;
    for (const relay of this.#heardAt.keys()) this.#heardAt.set(relay, now);
  }

  #look(): void {
    const now = this.#clock.now();
    if (!(now - this.#selfAt <= AWAY_AFTER) || !this.isSettled) return;
    for (const [relay, heardAt] of this.#heardAt) {
      if (now - heardAt < GONE_AFTER) continue;
      this.#heardAt.delete(relay);
      this.#events.onGone(relay);
    }
  }
}
