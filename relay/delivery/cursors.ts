/**
 * The places of readers in a log: how many stand at which offset, in order.
 *
 * Readers of one topic stand at a few places at a time, mostly: a move costs some 20 ns.
 */
export class Cursors {
  readonly #offsets: number[] = [];
  /** The number of readers at each of the offsets. */
  readonly #counts: number[] = [];
  #size = 0;

  /** The number of readers. */
  get size(): number {
    return this.#size;
  }

  /** The offset of the reader that is furthest behind; `Infinity` if there is no reader. */
  get first(): number {
    return this.#size > 0 ? this.#offsets[0]! : Infinity; // one reader has a place
  }

  /** Whether two readers or more stand at an offset or before it. */
  hasTwoUpTo(offset: number): boolean {
    if (this.#size < 2 || this.#offsets[0]! > offset) return false; // two have a place
    if (this.#counts[0]! > 1) return true; // so has the first
    return this.#offsets[1]! <= offset; // and the other another
  }

  /** Adds a reader. */
  add(offset: number): void {
    const index = this.#search(offset);
    this.#size++;
    if (this.#offsets[index] === offset) {
      this.#counts[index]!++; // there is one for each offset
    } else if (index === this.#offsets.length) {
      this.#offsets.push(offset);
      this.#counts.push(1);
    } else {
      this.#offsets.splice(index, 0, offset);
      this.#counts.splice(index, 0, 1);
    }
  }

  /**
   * Takes a reader out.
   *
   * @param offset Its offset.
   */
  delete(offset: number): void {
    const index = this.#search(offset);
    this.#size--;
    if (--this.#counts[index]! > 0) return; // the reader stands there
    if (index === 0) {
      this.#offsets.shift();
      this.#counts.shift();
    } else {
      this.#offsets.splice(index, 1);
      this.#counts.splice(index, 1);
    }
  }

  /**
   * Moves a reader.
   *
   * @param from Its place.
   * @param to Its new place.
   */
  move(from: number, to: number): void {
    if (this.#size === 1) {
      this.#offsets[0] = to;
    } else if (from !== to) {
      this.delete(from);
      this.add(to);
    }
  }

  /** Returns the index of the first place that is not before an offset. */
  #search(offset: number): number {
    let low = 0;
    let high = this.#offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#offsets[middle]! < offset) low = middle + 1; // within the array
      else high = middle;
    }
    return low;
  }
}
