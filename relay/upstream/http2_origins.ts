/**
 * The most origins that are known. Callers name the hosts of sources, and one who has a
 * name for each of many requests would fill the memory.
 */
const MAX_ORIGINS = 1_000;

/** The origins of upstreams that have refused HTTP/1.1. */
export class Http2Origins {
  readonly #known = new Set<string>();

  /** The number of origins that are known. */
  get size(): number {
    return this.#known.size;
  }

  /** Whether an upstream has refused HTTP/1.1, as far as that is known still. */
  has(origin: string): boolean {
    return this.#known.has(origin);
  }

  /** Remembers an upstream, in place of the first one if there are many. */
  add(origin: string): void {
    this.#known.add(origin);
    if (this.#known.size <= MAX_ORIGINS) return;
    const [first] = this.#known;
    if (first !== undefined) this.#known.delete(first);
  }
}
