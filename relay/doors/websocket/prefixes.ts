/** The subscriptions of a peer to all topics whose names begin alike. */
export class Prefixes implements Disposable {
  /** The functions that end a subscription to new topics, by its pattern. */
  readonly #cancels = new Map<string, () => void>();

  /** The number of prefixes. */
  get size(): number {
    return this.#cancels.size;
  }

  /** Whether there is such a subscription. */
  has(pattern: string): boolean {
    return this.#cancels.has(pattern);
  }

  /** Whether one of them is the beginning of a name. */
  covers(name: string): boolean {
    return [...this.#cancels.keys()]
      .some((pattern) => name.startsWith(pattern.slice(0, -1)));
  }

  /** Adds one, and what ends it. */
  add(pattern: string, cancel: () => void): void {
    this.#cancels.set(pattern, cancel);
  }

  /** Takes one out; whether it was there. The topics that are followed already go on. */
  delete(pattern: string): boolean {
    this.#cancels.get(pattern)?.();
    return this.#cancels.delete(pattern);
  }

  /** Takes all out. */
  [Symbol.dispose](): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }
}

/** Whether a name stands for all that begin like it. */
export function isPrefix(name: string): boolean {
  return name.endsWith("*");
}
