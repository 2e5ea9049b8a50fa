const CR = 13;
const LF = 10;
const COLON = 58;

const NOTHING = new Uint8Array();

/** U+FEFF, which may stand before the first line. */
const BOM: readonly number[] = [0xEF, 0xBB, 0xBF];

/** `data`: a block is an event if it has such a line. */
const DATA: readonly number[] = [100, 97, 116, 97];

/**
 * Holds back the bytes of an event until it is whole, so that nothing is lost of
 * an event stream that breaks off within one and is gone on with by another
 * answer.
 *
 * Comments that stand by themselves go through as their lines end, and blocks
 * that are no events, since they have no data, as they end.
 */
export class EventGate {
  #isOpen = false;
  #held: Uint8Array = NOTHING;
  /** Where what is held is put together, once it is of more than one piece. */
  #room = new ArrayBuffer(0);
  /** How much of what is held has been looked at. */
  #seen = 0;
  /** Up to where it holds nothing but comments and whole blocks. */
  #whole = 0;
  /** Whether one of these is an event. */
  #hasEvents = false;
  #isInBlock = false;
  #hasData = false;
  /** Where the line that is being looked at begins. */
  #line = 0;
  #isFirstLine = true;
  #wasCr = false;

  /** Whether nothing is held back any more. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Takes bytes; returns those that may go on at once. From the end of an event
   * on these are none: somebody has to look at it first, and then to call
   * {@linkcode release} or {@linkcode open}.
   */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#isOpen) return bytes;
    this.#append(bytes);
    this.#look();
    return this.#hasEvents ? NOTHING : this.release();
  }

  /** Returns what is held of whole events, and the comments around them. */
  release(): Uint8Array {
    return this.#cut(this.#whole);
  }

  /** Returns all that is held, and holds nothing back from now on. */
  open(): Uint8Array {
    this.#isOpen = true;
    return this.#cut(this.#held.length);
  }

  /** Forgets what is held: the stream goes on with another answer. */
  reset(): void {
    this.#held = NOTHING;
    this.#seen = 0;
    this.#whole = 0;
    this.#hasEvents = false;
    this.#isInBlock = false;
    this.#hasData = false;
    this.#line = 0;
    this.#isFirstLine = true;
    this.#wasCr = false;
  }

  #append(bytes: Uint8Array): void {
    const held = this.#held;
    if (held.length === 0) {
      this.#held = bytes;
      return;
    }
    const length = held.length + bytes.length;
    let from = held.byteOffset;
    if (
      held.buffer !== this.#room || from + length > this.#room.byteLength
    ) {
      // Twice as much: an event of many pieces is not to be copied for each.
      this.#room = new ArrayBuffer(2 * length);
      new Uint8Array(this.#room).set(held);
      from = 0;
    }
    // What was returned before is in front of it, and stays as it is.
    this.#held = new Uint8Array(this.#room, from, length);
    this.#held.set(bytes, held.length);
  }

  #look(): void {
    const held = this.#held;
    for (; this.#seen < held.length; this.#seen++) {
      const byte = held[this.#seen];
      const isPair = byte === LF && this.#wasCr;
      this.#wasCr = byte === CR;
      if (isPair) {
        // The second half of a line end that was seen already.
        this.#line = this.#seen + 1;
        if (!this.#isInBlock) this.#whole = this.#line;
      } else if (byte === LF || byte === CR) this.#endLine();
    }
  }

  #endLine(): void {
    let start = this.#line;
    if (this.#isFirstLine && this.#isAt(start, BOM)) start += BOM.length;
    this.#isFirstLine = false;
    if (start === this.#seen) {
      this.#hasEvents ||= this.#hasData;
      this.#isInBlock = false;
      this.#hasData = false;
    } else if (this.#held[start] !== COLON) {
      this.#isInBlock = true;
      const end = start + DATA.length;
      this.#hasData ||= this.#isAt(start, DATA) &&
        (end === this.#seen || this.#held[end] === COLON);
    }
    this.#line = this.#seen + 1;
    if (!this.#isInBlock) this.#whole = this.#line;
  }

  #isAt(at: number, bytes: readonly number[]): boolean {
    return bytes.every((byte, index) => this.#held[at + index] === byte);
  }

  #cut(length: number): Uint8Array {
    const bytes = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    this.#seen -= length;
    this.#line -= length;
    this.#whole -= length;
    this.#hasEvents = false;
    return bytes;
  }
}
