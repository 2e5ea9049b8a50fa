import type { Tally } from "./tally.ts";

/** A message is judged by its beginning, up to this many bytes. */
const HEAD = 160;

/**
 * Counts the events in what one subscriber gets.
 *
 * It looks at the beginning of a message and passes over the rest: the length
 * tells where the next one begins, which has to look like one. This costs well
 * under a microsecond a message, so that the kernel's part of a read, some 5 µs,
 * is what the load generator spends its time on.
 */
export abstract class MessageReader {
  /** The counts. */
  protected readonly tally: Tally;
  /** Set by {@linkcode MessageReader.judge} for a message that is wanted whole. */
  protected isWanted = false;
  /** The beginning of a message that was cut before it could be judged. */
  #head: Uint8Array | undefined;
  #headLength = 0;
  /** The bytes left of the message that has been judged. */
  #rest = 0;
  /** The message, where it is wanted whole. */
  #whole: Uint8Array | undefined;

  /** Makes a reader that has seen nothing. */
  constructor(tally: Tally) {
    this.tally = tally;
  }

  /**
   * Judges the message that begins at `at`, by the bytes before `end`: its header
   * and {@linkcode MessageReader.headLength} bytes, or all of it, if it is shorter.
   *
   * @returns Its whole length; 0 where more bytes are needed to say.
   */
  protected abstract judge(bytes: Uint8Array, at: number, end: number): number;

  /** Counts the message that was judged last: it has come, all of it. */
  protected abstract count(now: number): void;

  /** Reads a message that was wanted whole. */
  protected abstract readWhole(message: Uint8Array, now: number): void;

  /** The largest number of bytes that a judgement takes. */
  protected get headLength(): number {
    return HEAD;
  }

  /**
   * Takes what has come.
   *
   * @param bytes Not kept.
   * @param end How many of the bytes are meant.
   * @param now When they came, by the wall clock, in milliseconds.
   */
  push(bytes: Uint8Array, end: number, now: number): void {
    let at = 0;
    while (at < end) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, end - at);
        this.#take(bytes, at, taken, now);
        at += taken;
        continue;
      }
      if (this.#headLength > 0) {
        at += this.#resume(bytes, at, end, now);
        continue;
      }
      const length = this.judge(bytes, at, end);
      if (length > 0) {
        this.#expect(length);
        continue;
      }
      this.#head ??= new Uint8Array(HEAD);
      this.#head.set(bytes.subarray(at, end));
      this.#headLength = end - at;
      return;
    }
  }

  /** Goes on with a message that was cut; returns how many bytes were taken. */
  #resume(bytes: Uint8Array, at: number, end: number, now: number): number {
    const head = this.#head!; // it has been cut
    const before = this.#headLength;
    const added = Math.min(HEAD - before, end - at);
    head.set(bytes.subarray(at, at + added), before);
    const length = this.judge(head, 0, before + added);
    if (length === 0) {
      this.#headLength += added;
      return added;
    }
    this.#headLength = 0;
    this.#expect(length);
    const taken = Math.min(length, before + added);
    this.#take(head, 0, taken, now);
    return taken - before;
  }

  #expect(length: number): void {
    this.#rest = length;
    this.#whole = this.isWanted ? new Uint8Array(length) : undefined;
  }

  #take(bytes: Uint8Array, at: number, length: number, now: number): void {
    const whole = this.#whole;
    whole?.set(bytes.subarray(at, at + length), whole.length - this.#rest);
    this.#rest -= length;
    if (this.#rest > 0) return;
    this.#whole = undefined;
    this.count(now);
    if (whole) this.readWhole(whole, now);
  }
}
