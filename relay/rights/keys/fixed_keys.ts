import type { Keys, KeySource } from "./key_source.ts";

/** Keys that are never others. */
export class FixedKeys implements KeySource {
  readonly #keys: Keys;

  /** Takes the keys. */
  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** The keys. */
  current(): Keys {
    return this.#keys;
  }

  /** There are none. */
  newer(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
