// This module is browser compatible.

/** The number of signs of life that may be missed before a stream counts as lost. */
const MISSED = 3;

/**
 * For how many times its own length a gap between signs of life is remembered;
 * the longest of these counts. By time, not by number: a burst of events must
 * not make a stream forget that its comments come every fifteen seconds.
 */
const MEMORY = 8;

/** The number of gaps that have to be known before anything is expected. */
const LEARNED = 2;

/**
 * The allowed silence of a stream, learned from its past: three times the
 * longest of the last gaps between its comments and events.
 */
export class AdaptiveTimeout {
  readonly #floor: number;
  /** The gaps that are remembered: each is shorter than those before. */
  #gaps: { readonly length: number; readonly until: number }[] = [];
  #known = 0;
  /** The time that connections have been open, as far as is known. */
  #time = 0;
  #last: number | undefined;

  /**
   * Makes one that knows nothing yet, and so expects nothing.
   *
   * @param floor The shortest timeout it gives, in milliseconds.
   */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** In milliseconds; `Infinity` until the rhythm is known. */
  get timeout(): number {
    const [longest] = this.#gaps;
    return this.#known < LEARNED || !longest
      ? Infinity
      : Math.max(this.#floor, MISSED * longest.length);
  }

  /** A sign of life has come, at this time in milliseconds. */
  beat(now: number): void {
    if (this.#last !== undefined && now > this.#last) {
      this.#add(now - this.#last);
    }
    this.#last = now;
  }

  /**
   * A silence was held against a connection. It counts as a gap: if the rhythm
   * has become slower, that is learned by the connections after it.
   */
  missed(): void {
    this.#add(this.timeout);
  }

  #add(length: number): void {
    this.#known++;
    this.#time += length;
    const time = this.#time;
    this.#gaps = this.#gaps.filter((gap) =>
      gap.length > length && gap.until > time
    );
    this.#gaps.push({ length, until: time + MEMORY * length });
  }

  /** A connection begins: the gap before its first sign of life says nothing. */
  restart(): void {
    this.#last = undefined;
  }
}
