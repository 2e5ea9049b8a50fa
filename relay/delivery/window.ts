/** Of a reader that acknowledges nothing at most this much is remembered. */
const MAX_WRITES = 1_024;

/** A write that is not acknowledged yet. */
interface Write {
  /** The offset of its last event. */
  readonly last: number;
  readonly bytes: number;
}

/** The bytes on their way to a reader, and the limit for them. */
export class Window {
  /** The window of all readers without a limit: it counts nothing. */
  static readonly UNLIMITED: Window = new Window(Infinity);
  readonly #size: number;
  /** The oldest first. */
  #writes: Write[] = [];
  #inFlight = 0;

  /**
   * Makes an empty window.
   *
   * @param size The most bytes in flight; `Infinity` for any number.
   */
  constructor(size: number) {
    this.#size = size;
  }

  /** The number of bytes that may be sent now. */
  get room(): number {
    return this.#size - this.#inFlight;
  }

  /** Whether nothing is in flight: then even what is larger than the window may go. */
  get isEmpty(): boolean {
    return this.#inFlight === 0;
  }

  /**
   * Counts a write.
   *
   * @param last The offset of its last event.
   * @param bytes Its length.
   */
  send(last: number, bytes: number): void {
    if (this.#size === Infinity) return;
    if (this.#writes.length === MAX_WRITES) {
      this.#writes = inPairs(this.#writes);
    }
    this.#writes.push({ last, bytes });
    this.#inFlight += bytes;
  }

  /**
   * Takes off what the reader has.
   *
   * @param offset The last event that it has.
   * @returns Whether there is more room now.
   */
  ack(offset: number): boolean {
    let taken = 0;
    for (const { last, bytes } of this.#writes) {
      if (last > offset) break;
      taken++;
      this.#inFlight -= bytes;
    }
    this.#writes.splice(0, taken);
    return taken > 0;
  }
}

/** Two writes are acknowledged as one when the second is: later, and never too early. */
function inPairs(writes: readonly Write[]): Write[] {
  const pairs: Write[] = [];
  for (let index = 0; index < writes.length; index += 2) {
    const a = writes[index]!; // the list has an even length
    const b = writes[index + 1]!;
    pairs.push({ last: b.last, bytes: a.bytes + b.bytes });
  }
  return pairs;
}
