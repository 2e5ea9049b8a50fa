import type { Access } from "../access.ts";
import type { Keys } from "../keys/key_source.ts";

/** The most tokens that are remembered. */
const MAX_TOKENS = 1_000;

/**
 * Tokens that were verified a while ago, by their digests: who publishes by
 * requests sends the same one with each, and to verify a signature takes the
 * relay longer than all else about a request.
 */
export class VerifiedTokens {
  #keys: Keys | undefined;
  /** The one that was asked for last comes last. */
  readonly #tokens = new Map<string, Access>();

  /** The number of remembered tokens. */
  get size(): number {
    return this.#tokens.size;
  }

  /**
   * Finds a token.
   *
   * @param keys The keys of now: what was verified with others is forgotten.
   * @param digest The token's.
   * @param now In milliseconds since the epoch.
   */
  get(keys: Keys, digest: string, now: number): Access | undefined {
    if (this.#keys !== keys) return undefined;
    const access = this.#tokens.get(digest);
    if (!access) return undefined;
    this.#tokens.delete(digest);
    if (access.expires <= now) return undefined;
    this.#tokens.set(digest, access);
    return access;
  }

  /**
   * Remembers a token.
   *
   * @param keys The keys that it was verified with.
   * @param digest The token's.
   * @param access The rights of its holder.
   */
  add(keys: Keys, digest: string, access: Access): void {
    if (this.#keys !== keys) {
      this.#keys = keys;
      this.#tokens.clear();
    }
    this.#tokens.set(digest, access);
    if (this.#tokens.size <= MAX_TOKENS) return;
    const [oldest] = this.#tokens.keys();
    if (oldest !== undefined) this.#tokens.delete(oldest);
  }
}
