import type { Problem } from "../../problem.ts";
import type { VerificationKey } from "./verification_key.ts";

/** The keys of a moment. */
export type Keys = readonly VerificationKey[];

/** The source of keys. */
export interface KeySource {
  /**
   * The keys as they are now; always the same object until there are others.
   *
   * @throws {Problem} 503 `keys_unavailable`, or rejects with it.
   */
  current(): Keys | Promise<Keys>;
  /**
   * Looks for others, for a token that none of them is for.
   *
   * @param known Those that are known already.
   * @returns Others; `undefined` where there are none. Rejects with a
   * {@linkcode Problem} 503 `keys_unavailable` where that cannot be said.
   */
  newer(known: Keys): Promise<Keys | undefined>;
  /** Begins to get the keys, and goes on until there are some. */
  prepare?(): void;
  /** Returns why there are none yet: 503 `keys_unavailable`. */
  unready?(): Problem | undefined;
}

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
