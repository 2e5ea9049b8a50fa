/**
 * One topic, as one subscriber reads it, over all of its visits.
 *
 * @module
 */
import { z } from "zod";
import {
  DeliveryLedger,
  type LedgerAfter,
} from "../support/subscribers/delivery_ledger.ts";
import type { EndStatus } from "../../relay/topics/end.ts";
import type { Random } from "../support/random.ts";
import { DIGITS, FIXED_LENGTH } from "./content.ts";
import { CountingLedger, type Ledger } from "./counting_ledger.ts";
import type { Generation } from "./truth.ts";
import { count, type Settings, type World } from "./world.ts";

/** The ways in which a subscriber reads. */
export interface ReadingOptions {
  readonly mode: "all" | "merge" | "latest";
  /** In bytes. */
  readonly window: number | undefined;
  readonly snapshot: boolean;
  /** Whether events are only counted, but for some of them. */
  readonly isCounting: boolean;
}

/** One frame in this many is read whole where events are counted. */
const SAMPLE = 97;

/** An epoch that no log has. */
const NO_EPOCH = "AAAAAAAAAAAA";

const message = z.discriminatedUnion("type", [
  z.looseObject({
    type: z.literal("subscribed"),
    epoch: z.string(),
    first: z.number(),
    next: z.number(),
  }),
  z.looseObject({
    type: z.literal("snapshot"),
    offset: z.number(),
    value: z.looseObject({ first: z.number() }),
  }),
  z.looseObject({
    type: z.literal("events"),
    offset: z.number(),
    events: z.array(z.unknown()),
  }),
  z.looseObject({
    type: z.literal("merged"),
    offset: z.number(),
    to: z.number(),
  }),
  z.looseObject({
    type: z.literal("gap"),
    from: z.number(),
    to: z.number(),
    reason: z.string(),
  }),
  z.looseObject({ type: z.literal("live") }),
  z.looseObject({ type: z.literal("upstream") }),
  z.looseObject({
    type: z.literal("end"),
    offset: z.number(),
    status: z.string(),
    reason: z.string().optional(),
  }),
]);

/** A message that was sent and is not acknowledged yet. */
interface InFlight {
  readonly last: number;
  readonly bytes: number;
  /** The size, which may be larger than the window for one of them. */
  readonly units: number;
}

/** A reader of one topic: it throws where what comes is not what has to come. */
export class Reading {
  readonly topic: string;
  readonly options: ReadingOptions;
  readonly #who: string;
  readonly #world: World;
  readonly #prefix: Uint8Array;
  #ledger: Ledger | undefined;
  #after: LedgerAfter = "start";
  #generation: Generation | undefined;
  /**
   * The number of events in the log when the visit began, and the log's epoch.
   */
  #asked: { epoch: string; count: number } | undefined;
  #settings: Settings;
  #hasEnded = false;
  #frames = 0;
  #inFlight: InFlight[] = [];

  constructor(
    who: string,
    topic: string,
    options: ReadingOptions,
    world: World,
  ) {
    this.#who = `${who} of '${topic}'`;
    this.topic = topic;
    this.options = options;
    this.#world = world;
    this.#settings = world.settings;
    this.#prefix = new TextEncoder().encode(
      `{"type":"events","topic":"${topic}","offset":`,
    );
  }

  /** Whether the relay has answered this visit. */
  get isSubscribed(): boolean {
    return this.#generation !== undefined;
  }

  /** Whether the end has come, in this visit. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The last offset that was accounted for. */
  get seen(): number {
    return this.#ledger?.seen ?? 0;
  }

  /** The place at which this visit began. */
  get after(): LedgerAfter {
    return this.#after;
  }

  /** Whether there is something that has to come, if it is let. */
  get isWaiting(): boolean {
    const generation = this.#generation;
    if (!generation) return true;
    return !this.#hasEnded &&
      (this.seen < generation.known || generation.isEnded);
  }

  /**
   * Whether its log has ended, or is about to: then it may be deleted, or expire. One that
   * was only asked for may be forgotten by others while its relay is cut off from them.
   */
  get mayBeGone(): boolean {
    // Before it is subscribed, the log can be any that its topic has had.
    if (!this.#generation) return true;
    const { verdict, known } = this.#generation;
    return verdict !== undefined || known === 0;
  }

  /** The missing events, for the message of a wait that failed. */
  get state(): string {
    const { epoch, first, next, count = 0, verdict } = this.#generation ?? {};
    return `${this.#who}: ${this.seen}/${count} of ${epoch}` +
      ` (${first}-${next})` +
      `${verdict ? ` ${verdict.status}` : ""}` +
      `${this.#hasEnded ? " ended" : ""} asked ${JSON.stringify(this.#after)} ${
        JSON.stringify(this.options)
      } in flight ${JSON.stringify(this.#inFlight)}`;
  }

  /** Says where to begin the next visit. */
  choose(random: Random): LedgerAfter {
    const [first, second, third] = [random.next(), random.next(), random];
    const position = this.#ledger?.position;
    if (position && (first < 0.7 || this.#world.isCalm)) {
      const { epoch, offset } = position;
      return {
        epoch,
        offset: offset + (this.#hasEnded ? third.integer(0, 1) : 0),
      };
    }
    if (second < 0.4 || this.#world.isCalm) return "start";
    if (second < 0.55) return "now";
    const generation = this.#world.truth.newest(this.topic);
    const epoch = generation?.epoch;
    if (epoch === undefined || second < 0.65) {
      return { epoch: NO_EPOCH, offset: third.integer(1, 1_000) };
    }
    const offset = third.integer(1, (generation?.count ?? 0) + 3);
    return { epoch, offset };
  }

  /** A subscription is asked for. */
  begin(after: LedgerAfter): void {
    const own = this.#ledger?.position;
    const kind = typeof after === "string"
      ? after
      : after.epoch === own?.epoch && after.offset === own.offset
      ? "own position"
      : "other position";
    count(this.#world.tally.visits, kind);
    this.#after = after;
    this.#generation = undefined;
    this.#settings = this.#world.settings;
    const generation = this.#world.truth.current(this.topic);
    this.#asked = generation &&
      { epoch: generation.epoch, count: generation.known };
    this.#hasEnded = false;
    this.#inFlight = [];
    const { mode, snapshot, isCounting } = this.options;
    this.#ledger = isCounting
      ? new CountingLedger(this.#who, after)
      : new DeliveryLedger({
        who: this.#who,
        mode,
        snapshot,
        after,
        eventAt: (_epoch, offset) => this.#generation?.eventAt(offset),
      });
  }

  /** Takes a frame by its beginning, where that is enough: returns whether it is. */
  takeFrame(payload: Uint8Array, bytes: number): boolean {
    const prefix = this.#prefix;
    if (!this.options.isCounting || payload.length < prefix.length) {
      return false;
    }
    for (let index = 0; index < prefix.length; index++) {
      if (payload[index] !== prefix[index]) return false;
    }
    if (this.#frames++ % SAMPLE === 0) return false;
    let at = prefix.length;
    let offset = 0;
    for (; payload[at] !== 0x2C && at < payload.length; at++) {
      offset = offset * 10 + payload[at]! - 0x30; // there is one at `at`
    }
    // The closing `]}` is one more than the comma that the last is without.
    const events = (payload.length - at - `,"events":[`.length - 1) /
      FIXED_LENGTH;
    const ledger = this.#ledger;
    if (!(ledger instanceof CountingLedger)) return false;
    ledger.takeEvents(offset, events);
    const { tally } = this.#world;
    tally.deliveries += events;
    tally.counted += events;
    this.#send(ledger.seen, bytes, events);
    return true;
  }

  /** Takes a message; `bytes` is its length on the wire. */
  take(value: unknown, bytes: number): void {
    const ledger = this.#ledger;
    const parsed = message.safeParse(value);
    if (!ledger || !parsed.success) {
      return this.#fail(`did not expect ${JSON.stringify(value)}`);
    }
    const { data } = parsed;
    if (data.type === "subscribed") this.#onSubscribed(data);
    // The next message must be of something published by then.
    const before = ledger.seen;
    ledger.take(value);
    const generation = this.#generation;
    if (!generation) return this.#fail(`${data.type} came too early`);
    const { tally } = this.#world;
    const expect = (condition: boolean): void => {
      if (!condition) this.#fail(`did not expect ${JSON.stringify(value)}`);
    };
    switch (data.type) {
      case "subscribed":
        expect(data.first <= generation.first && data.next <= generation.next);
        return expect(
          this.#after !== "now" || data.epoch !== this.#asked?.epoch ||
            this.#world.isBehind || data.next > this.#asked.count,
        );
      case "snapshot": {
        const events = data.offset - data.value.first + 1;
        tally.snapshots++;
        tally.inSnapshots += events;
        tally.deliveries += events;
        return this.#send(data.offset, bytes, 1);
      }
      case "events": {
        const { length } = data.events;
        tally.deliveries += length;
        if (generation.kind === "fixed" && this.options.isCounting) {
          this.#checkFixed(generation, data.offset, data.events);
        }
        return this.#send(data.offset + length - 1, bytes, length);
      }
      case "merged": {
        const events = data.to - data.offset + 1;
        tally.deliveries += events;
        tally.merged += events;
        return this.#send(data.to, bytes, events);
      }
      case "gap":
        count(tally.gaps, data.reason);
        count(tally.missed, data.reason, data.to - data.from + 1);
        if (data.reason === "evicted" || data.reason === "epoch") {
          expect(data.to < generation.first);
          expect(
            data.reason === "evicted" || !this.#wasKnown(generation.epoch),
          );
        } else if (data.reason === "slow") {
          // It may be the next relay that has answered.
          expect(
            [this.#settings, this.#world.settings].some((
              { slowTimeout, onSlow },
            ) => slowTimeout < Infinity && onSlow === "gap"),
          );
        }
        return expect(data.to <= generation.count && data.to >= before - 1);
      case "live":
        tally.lives++;
        return;
      case "upstream":
        tally.upstreams++;
        return;
      case "end": {
        this.#hasEnded = true;
        count(tally.ends, data.status);
        const { count: events, known } = generation;
        const { offset, status, reason } = data;
        return expect(
          offset > known && offset <= events + 1 && offset > before &&
            generation.mayEndAs({
              status: status as EndStatus, // compared with one
              ...reason !== undefined && { reason },
            }),
        );
      }
    }
  }

  /** Says up to where it has taken what came, where that is of any use. */
  ack(offset: number): void {
    this.#inFlight = this.#inFlight.filter(({ last }) => last > offset);
  }

  /** The offset that can be acknowledged next, and the one that can be at last. */
  get unacknowledged(): { first: number; last: number } | undefined {
    const first = this.#inFlight[0];
    const last = this.#inFlight.at(-1);
    return first && last && { first: first.last, last: last.last };
  }

  #onSubscribed({ epoch }: { epoch: string }): void {
    const generation = this.#world.truth.seen(this.topic, epoch);
    if (!generation || generation.name !== this.topic) {
      return this.#fail(`there is no log ${epoch}`);
    }
    this.#generation = generation;
  }

  /** Whether this log had the position when it was asked for. */
  #wasKnown(epoch: string): boolean {
    const after = this.#after;
    return typeof after !== "string" && after.epoch === epoch &&
      this.#asked?.epoch === epoch && after.offset <= this.#asked.count;
  }

  #checkFixed(
    generation: Generation,
    offset: number,
    events: readonly unknown[],
  ): void {
    for (const [index, event] of events.entries()) {
      const expected = { data: generation.eventAt(offset + index)?.data };
      if (JSON.stringify(event) !== JSON.stringify(expected)) {
        this.#fail(
          `event ${offset + index} (${DIGITS} digits) is ${
            JSON.stringify(event)
          }`,
        );
      }
    }
  }

  #send(last: number, bytes: number, units: number): void {
    const { window } = this.options;
    if (window === undefined) return;
    this.#inFlight.push({ last, bytes, units });
    const sum = this.#inFlight.reduce((sum, { bytes }) => sum + bytes, 0);
    const all = this.#inFlight.reduce((sum, { units }) => sum + units, 0);
    if (sum > window && all > 1) {
      this.#fail(`${sum} bytes and ${all} events are in flight`);
    }
  }

  #fail(what: string): never {
    throw new Error(`${this.state}: ${what}`);
  }
}
