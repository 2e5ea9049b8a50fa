import type { LoadRun } from "./load_run.ts";

/** The counts of all readers together. */
export interface Counts {
  /** Events that came. */
  events: number;
  /** Reads, frames or chunks that brought them. */
  messages: number;
  /** The first things that should not be, in words. */
  readonly errors: string[];
  /** Is told how long an event took, in milliseconds. */
  onLatency(latency: number): void;
}

/** More would say the same. */
const MAX_ERRORS = 5;

/** Checks what one socket brings, to the letter. */
export abstract class Reader {
  /** Whether all has come, and nothing else is to come. */
  isDone = false;
  /**
   * The time at which the bytes were read that are being looked at, in
   * milliseconds.
   */
  #now = 0;
  #next = 1;
  #rest: Uint8Array = new Uint8Array();
  readonly #who: string;
  readonly #run: LoadRun;
  readonly #counts: Counts;
  readonly #onTime = (time: number): void =>
    this.#counts.onLatency(this.#now - time);

  /** Makes a reader that has got nothing. */
  constructor(who: string, run: LoadRun, counts: Counts) {
    this.#who = who;
    this.#run = run;
    this.#counts = counts;
  }

  /** The number of events that have come. */
  get seen(): number {
    return this.#next - 1;
  }

  /**
   * Takes what was read.
   *
   * @param bytes Not kept.
   * @param now When, in milliseconds.
   */
  push(bytes: Uint8Array, now: number): void {
    this.#now = now;
    let all = bytes;
    if (this.#rest.length > 0) {
      all = new Uint8Array(this.#rest.length + bytes.length);
      all.set(this.#rest);
      all.set(bytes, this.#rest.length);
    }
    let at = 0;
    while (at < all.length && !this.isDone) {
      const length = this.read(all, at);
      if (length === 0) break;
      at += length;
    }
    this.#rest = all.slice(at);
  }

  /** Takes note that the server has closed the connection. */
  cut(): void {
    this.fail("the connection was closed");
  }

  /**
   * Reads a message; returns its length, or 0 where it is not there to its end.
   */
  protected abstract read(bytes: Uint8Array, at: number): number;

  /** Counts a message that brings events. */
  protected countMessage(): void {
    this.#counts.messages++;
  }

  /** Takes the event that should be next; returns where it ends, or -1. */
  protected takeEvent(text: string, at: number): number {
    if (this.#next > this.#run.length) return -1;
    const end = this.#run.match(this.#next, text, at, this.#onTime);
    if (end < 0) return -1;
    this.#next++;
    this.#counts.events++;
    return end;
  }

  /** All should have come. */
  protected finish(): void {
    if (this.#next <= this.#run.length) this.fail("the end");
    this.isDone = true;
  }

  /** Says that something should not be there. */
  protected fail(what: string): void {
    const { errors } = this.#counts;
    if (errors.length < MAX_ERRORS) {
      errors.push(
        `${this.#who}, where event ${this.#next} was to come: ${what}`,
      );
    }
    this.isDone = true;
  }
}
