import type { Connection } from "./connection.ts";
import { removeMessages } from "./remove.ts";

/** The number of messages that retention has passed, from which on they are removed. */
const REMOVE_AT = 64;

/** The number of them from which on a relay that does not write forgets them. */
const FORGET_AT = 1_024;

/** A message of a log. */
export interface LoggedMessage {
  /** Its place in the stream. */
  readonly seq: number;
  /** The places of the messages that have the beginning of its body. */
  readonly parts: readonly number[];
  /** The bytes of its body. */
  readonly bytes: number;
  /** The offset that follows it. */
  readonly next: number;
}

/** Messages of a log that follow each other. */
export interface MessageRange {
  /** The place of the first of them, or of its first part. */
  readonly from: number;
  readonly last: number;
  /** The places of all of them, and of their parts: what is between these is void. */
  readonly places: ReadonlySet<number>;
}

/** The messages of a log in the stream, and which of them retention has passed. */
export class LoggedMessages {
  /** Of each message, in order: numbers take far less memory than objects do. */
  readonly #seqs: number[] = [];
  readonly #nexts: number[] = [];
  readonly #bytes: number[] = [];
  /** Those that have parts, by their places. */
  readonly #parts = new Map<number, readonly number[]>();
  #isRemoving = false;

  /** Takes note of the next message. */
  add({ seq, parts, bytes, next }: LoggedMessage): void {
    this.#seqs.push(seq);
    this.#nexts.push(next);
    this.#bytes.push(bytes);
    if (parts.length > 0) this.#parts.set(seq, parts);
  }

  /**
   * Returns the messages in which events are, from an offset on.
   *
   * @param bytes The approximate size of them.
   * @returns `undefined` if there is none.
   */
  around(offset: number, bytes: number): MessageRange | undefined {
    let [low, high] = [0, this.#nexts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#nexts[middle]! <= offset) low = middle + 1; // within the array
      else high = middle;
    }
    const first = this.#seqs[low];
    if (first === undefined) return undefined;
    const places = new Set<number>();
    let last = first;
    for (let at = low, size = 0; at < this.#seqs.length; at++) {
      size += this.#bytes[at]!; // within the array
      if (size > bytes && places.size > 0) break;
      last = this.#seqs[at]!;
      for (const part of this.#parts.get(last) ?? []) places.add(part);
      places.add(last);
    }
    return { from: this.#parts.get(first)?.[0] ?? first, last, places };
  }

  /** Returns the offset at which the first message begins that is there from a place on. */
  offsetFrom(place: number): number | undefined {
    const at = this.#seqs.findIndex((seq) =>
      place <= (this.#parts.get(seq)?.[0] ?? seq)
    );
    return at > 0 ? this.#nexts[at - 1] : undefined;
  }

  /**
   * Forgets what another relay removes that writes into the log.
   *
   * @param first The offset of the first event that is retained.
   */
  forget(first: number): void {
    const far = this.#nexts[FORGET_AT];
    if (far !== undefined && far <= first) this.#cut(this.#passed(first));
  }

  /**
   * Returns the place before which messages may be removed; `undefined` unless they are
   * many.
   */
  removable(first: number): number | undefined {
    const count = this.#passed(first);
    return count < REMOVE_AT || this.#isRemoving
      ? undefined
      : this.#seqs[count];
  }

  /** Removes what retention has passed. */
  async remove(
    first: number,
    connection: Connection,
    stream: string,
  ): Promise<void> {
    const places = this.#seqs.slice(0, this.#passed(first))
      .flatMap((seq) => [...this.#parts.get(seq) ?? [], seq]);
    const last = places.at(-1);
    if (last === undefined) return;
    this.#isRemoving = true;
    try {
      await removeMessages(connection, stream, places);
      const kept = this.#seqs.findIndex((seq) => seq > last);
      this.#cut(kept < 0 ? this.#seqs.length : kept);
    } catch {
      // The next ones that are removed take these with them.
    } finally {
      this.#isRemoving = false;
    }
  }

  #cut(count: number): void {
    for (const seq of this.#seqs.splice(0, count)) this.#parts.delete(seq);
    this.#nexts.splice(0, count);
    this.#bytes.splice(0, count);
  }

  /** The number that retention has passed. The last one stays: it says where the log goes on. */
  #passed(first: number): number {
    const count = this.#nexts.findIndex((next) => next > first);
    return count < 0 ? Math.max(0, this.#nexts.length - 1) : count;
  }
}
