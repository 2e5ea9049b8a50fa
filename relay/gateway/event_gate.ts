const CR = 13;
const LF = 10;
const COLON = 58;

const NOTHING = new Uint8Array();

/** U+FEFF, which may precede the first line. */
const BOM: readonly number[] = [0xEF, 0xBB, 0xBF];

/** `data`: a block with such a line is an event. */
const DATA: readonly number[] = [100, 97, 116, 97];

/**
 * Holds back the bytes of an event until the event is whole. If the event stream
 * breaks off within an event, another answer can then continue it without loss.
 *
 * Comments between blocks go through at the end of their line. Blocks without data,
 * which are no events, go through at their end.
 */
export class EventGate {
  #isOpen = false;
  #held: Uint8Array = NOTHING;
  /** The buffer of the held bytes, once they come from more than one piece. */
  #room = new ArrayBuffer(0);
  /** The number of held bytes that were scanned. */
  #seen = 0;
  /** The number of held bytes that are comments and whole blocks. */
  #whole = 0;
  /** Whether one of these blocks is an event. */
  #hasEvents = false;
  #isInBlock = false;
  #hasData = false;
  /** The index at which the current line begins. */
  #line = 0;
  #isFirstLine = true;
  #wasCr = false;

  /** The number of bytes that are held back. */
  get held(): number {
    return this.#held.length;
  }

  /** Whether the gate holds nothing back any more. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Takes bytes, and returns those that may go on at once. After the end of an event
   * it returns none: the caller looks at the event first, and then calls
   * {@linkcode release} or {@linkcode open}.
   */
  push(bytes: Uint8Array): Uint8Array {
    if (this.#isOpen) return bytes;
    this.#append(bytes);
    this.#look();
    return this.#hasEvents ? NOTHING : this.release();
  }

  /** Returns the held bytes of whole events, and of the comments around them. */
  release(): Uint8Array {
    return this.#cut(this.#whole);
  }

  /** Returns all held bytes, and holds nothing back from now on. */
  open(): Uint8Array {
    this.#isOpen = true;
    return this.#cut(this.#held.length);
  }

  /** Forgets the held bytes: another answer continues the stream. */
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
      // Twice as much, so that an event of many pieces is not copied for each piece.
      this.#room = new ArrayBuffer(2 * length);
      new Uint8Array(this.#room).set(held);
      from = 0;
    }
    // Bytes that were returned before lie in front of these, and stay as they are.
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
        // The LF of a CRLF, whose CR has ended the line.
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
