import type { Clock } from "../../src/fetch/clock.ts";

/** The bounds of a log, as far as the pace of its readers needs them. */
export interface PacedLog {
  readonly first: number;
  readonly next: number;
  readonly bytes: number;
}

/**
 * Returns the bounds of a log together with what is about to be kept, as readers are
 * behind that, too.
 *
 * @param log The log.
 * @param next Returns the offset after all of it.
 */
export function withWaiting(log: PacedLog, next: () => number): PacedLog {
  return {
    get first() {
      return log.first;
    },
    get next() {
      return next();
    },
    get bytes() {
      return log.bytes;
    },
  };
}

/**
 * The most that a log may be ahead of a relay that reads it over a link: less than the
 * relay holds in memory, and enough for 20,000 events/s over 100 ms.
 */
const AHEAD = { events: 2_048, bytes: 512 * 1024 };

/** The number of events by which a log may be ahead while retention has passed none. */
const AHEAD_AT_FIRST = 384;

/**
 * The time for which writers wait for a reader that takes nothing, in milliseconds:
 * once, until it has caught up. A relay on a busy machine has its turn within it.
 */
const PATIENCE = 2_000;

/**
 * Returns the number of events by which a log may be ahead of its readers: at most half
 * of what is retained, so that retention does not outrun them.
 */
export function maxAhead({ first, next, bytes }: PacedLog): number {
  const retained = next - first;
  const half = first === 1
    ? Math.max(AHEAD_AT_FIRST, retained / 2)
    : retained / 2;
  const size = retained > 0 ? bytes / retained : 0;
  const fits = size > 0 ? AHEAD.bytes / size : Infinity;
  return Math.max(1, Math.floor(Math.min(half, AHEAD.events, fits)));
}

/** A reader of a log, by the offset before which it has taken all events. */
export interface Pacer {
  place: number;
  /** The time at which it has last taken something, or was first waited for. */
  since: number;
  /** Whether nobody waits for it until it has caught up. */
  isStuck: boolean;
}

/** The places of those who read one log: its writers must not outrun them. */
export class Pace {
  readonly #log: PacedLog;
  readonly #clock: Clock;
  readonly #readers = new Set<Pacer>();
  /** The end of the log before which no reader can be too far behind. */
  #freeUntil = 0;
  #caughtUp: PromiseWithResolvers<void> | undefined;
  #cancelLook: () => void = () => {};

  /** Begins without readers. */
  constructor(log: PacedLog, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** The place of the reader that is furthest behind; the end of the log if there is none. */
  get place(): number {
    let place = this.#log.next;
    for (const reader of this.#readers) {
      if (reader.place < place) place = reader.place;
    }
    return place;
  }

  /** Resolves once more can be appended; `undefined` if it can be now. */
  get caughtUp(): Promise<void> | undefined {
    if (this.#caughtUp) return this.#caughtUp.promise;
    if (this.#log.next < this.#freeUntil || !this.#isAhead()) return undefined;
    const now = this.#clock.now();
    for (const reader of this.#readers) reader.since = now;
    this.#scheduleLook();
    this.#caughtUp = Promise.withResolvers();
    return this.#caughtUp.promise;
  }

  /** Takes up a reader. */
  join(place: number): Pacer {
    const reader = { place, since: this.#clock.now(), isStuck: false };
    this.#freeUntil = 0;
    this.#readers.add(reader);
    return reader;
  }

  /** Lets a reader go. */
  leave(reader: Pacer): void {
    this.#readers.delete(reader);
    this.#settle();
  }

  /** Takes note of a reader that has taken all events before an offset. */
  took(reader: Pacer, place: number): void {
    if (place <= reader.place) return;
    reader.place = place;
    reader.since = this.#clock.now();
    if (reader.isStuck) reader.isStuck = this.#isBehind(reader);
    this.#settle();
  }

  /** Waits for nobody any more. */
  close(): void {
    this.#readers.clear();
    this.#settle();
  }

  #isBehind({ place }: Pacer): boolean {
    return this.#log.next - place >= maxAhead(this.#log);
  }

  #isAhead(): boolean {
    const { next } = this.#log;
    const most = maxAhead(this.#log);
    let behind = 0;
    for (const { isStuck, place } of this.#readers) {
      if (!isStuck) behind = Math.max(behind, next - place);
    }
    // It is looked for again when half of what is left is used up.
    this.#freeUntil = next + Math.ceil((most - behind) / 2);
    return behind >= most;
  }

  #settle(): void {
    if (!this.#caughtUp || this.#isAhead()) return;
    this.#cancelLook();
    this.#caughtUp.resolve();
    this.#caughtUp = undefined;
  }

  #scheduleLook(): void {
    this.#cancelLook = this.#clock.setTimeout(() => {
      const before = this.#clock.now() - PATIENCE;
      for (const reader of this.#readers) {
        if (reader.since <= before && this.#isBehind(reader)) {
          reader.isStuck = true;
        }
      }
      this.#settle();
      if (this.#caughtUp) this.#scheduleLook();
    }, PATIENCE);
  }
}
