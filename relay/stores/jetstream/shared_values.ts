import type { Clock } from "../../../src/fetch/clock.ts";
import type { Bucket } from "./bucket.ts";
import { encodeName } from "./names.ts";

/** Values that relays share under keys, each until a time. */
export class SharedValues {
  readonly #bucket: Bucket;
  readonly #clock: Clock;

  constructor(bucket: Bucket, clock: Clock) {
    this.#bucket = bucket;
    this.#clock = clock;
  }

  /** Returns a value, as `Store.get` has it. */
  async get(bucket: string, key: string): Promise<string | undefined> {
    const entry = await this.#bucket.get(keyOf(bucket, key));
    return entry && this.#valueOf(entry.value);
  }

  /** Puts a value, as `Store.put` has it. */
  async put(
    bucket: string,
    key: string,
    value: string,
    expires: number,
  ): Promise<void> {
    await this.#bucket.put(keyOf(bucket, key), `${expires} ${value}`);
  }

  /** Puts a value where there is none, as `Store.claim` has it. */
  async claim(
    bucket: string,
    key: string,
    value: string,
    expires: number,
    instead?: string,
  ): Promise<string | undefined> {
    const own = keyOf(bucket, key);
    for (;;) {
      const entry = await this.#bucket.get(own);
      const known = entry && this.#valueOf(entry.value);
      if (known !== undefined && known !== instead) return known;
      const text = `${expires} ${value}`;
      const put = await this.#bucket.put(own, text, entry?.revision ?? 0);
      if (put !== undefined) return undefined;
    }
  }

  /** Returns a value, unless it has expired. */
  #valueOf(text: string): string | undefined {
    const at = text.indexOf(" ");
    const expires = Number(text.slice(0, at));
    return expires > this.#clock.now() ? text.slice(at + 1) : undefined;
  }
}

function keyOf(bucket: string, key: string): string {
  return `${encodeName(bucket)}.${
    encodeURIComponent(key).replace(/[.~%!*'()]/g, "=")
  }`;
}
