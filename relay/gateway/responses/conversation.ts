import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";

/** The most responses that one connection can go on from. */
const MAX_RESPONSES = 64;

/** The most ids that are known to be forgotten. */
const MAX_FORGOTTEN = 1_024;

/** Begins the ids of responses that the relay has made itself. */
const OWN_PREFIX = "resp_rivulet_";

/** Returns the refusal to go on from a response that is not kept: clients send everything then. */
export function notFound(id: string | undefined): Problem {
  return new Problem(
    STATUS_CODE.BadRequest,
    "previous_response_not_found",
    `Previous response with id '${id}' not found on this connection. Send the whole input.`,
  );
}

/**
 * The input and output of the responses that were made on one connection, in bytes of
 * JSON. They are the connection's: a provider that is asked with `store: false` keeps
 * nothing, and one that is asked by POST would not know of a warm-up.
 */
export class Conversation {
  readonly #maxBytes: number;
  readonly #onBytes: (bytes: number) => void;
  /** The items up to the end of each response, in pieces that responses share. */
  readonly #items = new Map<string, readonly Uint8Array[]>();
  readonly #uses = new Map<Uint8Array, number>();
  readonly #forgotten = new Set<string>();
  #bytes = 0;

  /**
   * Keeps nothing yet.
   *
   * @param maxBytes The most bytes that are kept.
   * @param onBytes Called with the number of bytes whenever it has changed.
   */
  constructor(maxBytes: number, onBytes: (bytes: number) => void = () => {}) {
    this.#maxBytes = maxBytes;
    this.#onBytes = onBytes;
  }

  /** The number of bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns an id for a response that no provider makes. */
  static ownId(): string {
    return OWN_PREFIX + crypto.randomUUID().replaceAll("-", "");
  }

  /**
   * Returns the items up to the end of a response, in pieces.
   *
   * @param id The id of the response; `undefined` for none.
   * @returns `undefined` if the response was not made here: the provider may know it.
   * @throws {Problem} 400 `previous_response_not_found` if it was made here, and is kept
   * no more: clients send everything then.
   */
  before(id: string | undefined): readonly Uint8Array[] | undefined {
    if (id === undefined) return [];
    const items = this.#items.get(id);
    if (items) return items;
    if (!this.#forgotten.has(id) && !id.startsWith(OWN_PREFIX)) {
      return undefined;
    }
    throw notFound(id);
  }

  /**
   * Keeps what a response can be gone on from.
   *
   * @param id The id of the response.
   * @param items The items up to its end, in pieces.
   */
  add(id: string, items: readonly Uint8Array[]): void {
    this.#remove(id);
    this.#forgotten.delete(id);
    this.#items.set(id, items);
    for (const piece of items) {
      const uses = this.#uses.get(piece) ?? 0;
      if (uses === 0) this.#bytes += piece.length;
      this.#uses.set(piece, uses + 1);
    }
    while (
      this.#bytes > this.#maxBytes || this.#items.size > MAX_RESPONSES
    ) this.#forgetOldest();
    this.#onBytes(this.#bytes);
  }

  /** Forgets all responses. */
  clear(): void {
    while (this.#items.size > 0) this.#forgetOldest();
    this.#onBytes(this.#bytes);
  }

  #forgetOldest(): void {
    const [id] = this.#items.keys();
    if (id === undefined) return;
    this.#remove(id);
    this.#forgotten.add(id);
    if (this.#forgotten.size <= MAX_FORGOTTEN) return;
    const [first] = this.#forgotten;
    this.#forgotten.delete(first!); // there are many
  }

  #remove(id: string): void {
    for (const piece of this.#items.get(id) ?? []) {
      const uses = this.#uses.get(piece)! - 1; // counted when it was added
      if (uses > 0) this.#uses.set(piece, uses);
      else {
        this.#uses.delete(piece);
        this.#bytes -= piece.length;
      }
    }
    this.#items.delete(id);
  }
}
