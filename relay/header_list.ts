import { rememberNames } from "./known_names.ts";

/** The characters of a name (RFC 9110, section 5.6.2). */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Characters that no value has: controls, but for the tab, and what is no byte (section 5.5). */
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

const SET_COOKIE = "set-cookie";

/** Returns a name in lower case; "" for one that HTTP does not allow. */
const keyOf = rememberNames((name) =>
  NAME.test(name) ? name.toLowerCase() : ""
);

/**
 * The headers of a message, in the order in which they came. Names are in lower case;
 * the values of a name that comes more than once are joined with commas, as `Headers`
 * joins them, but for those of `Set-Cookie`.
 *
 * It takes the place of `Headers` where requests are passed on, which would make six
 * of them for a short request and its answer. Iterating over `Headers` also takes
 * quadratic time in Deno 2.9.6: 7 s for 5,000 of them.
 */
export class HeaderList implements Iterable<readonly [string, string]> {
  readonly #values: Map<string, string>;
  #cookies: readonly string[] = [];

  /**
   * Makes a list.
   *
   * @param headers The headers in it. Default: none.
   */
  constructor(headers?: HeaderList | Iterable<readonly [string, string]>) {
    if (headers instanceof HeaderList) {
      this.#values = new Map(headers.#values);
      this.#cookies = headers.#cookies;
      return;
    }
    this.#values = new Map();
    for (const [name, value] of headers ?? []) this.append(name, value);
  }

  /**
   * Makes a list of names and values by turns, as `node:http` has them.
   *
   * @throws {TypeError} If HTTP does not allow one of them.
   */
  static fromRaw(raw: readonly string[]): HeaderList {
    const list = new HeaderList();
    for (let at = 0; at + 1 < raw.length; at += 2) {
      list.append(raw[at]!, raw[at + 1]!); // within the array
    }
    return list;
  }

  /** Makes a list of `Headers`. */
  static from(headers: Headers): HeaderList {
    const list = new HeaderList();
    headers.forEach((value, name) => list.append(name, value));
    return list;
  }

  /** Returns the value of a header, or `null`, as `Headers` does. The name is in lower case. */
  get(name: string): string | null {
    if (name === SET_COOKIE && this.#cookies.length > 0) {
      return this.#cookies.join(", ");
    }
    return this.#values.get(name) ?? null;
  }

  /** Whether there is a header. The name is in lower case. */
  has(name: string): boolean {
    return this.get(name) !== null;
  }

  /** Puts a header in place of all of its name, which is in lower case. */
  set(name: string, value: string): void {
    this.delete(name);
    this.append(name, value);
  }

  /**
   * Adds a header to those of its name.
   *
   * @throws {TypeError} If HTTP does not allow it.
   */
  append(name: string, value: string): void {
    const key = keyOf(name);
    if (key === "" || NO_VALUE.test(value)) {
      throw new TypeError("HTTP does not allow one of the headers");
    }
    if (key === SET_COOKIE) {
      this.#cookies = [...this.#cookies, value];
      return;
    }
    const before = this.#values.get(key);
    this.#values.set(key, before === undefined ? value : `${before}, ${value}`);
  }

  /** Returns a list of the headers whose names are kept. */
  filter(keeps: (name: string) => boolean): HeaderList {
    const kept = new HeaderList();
    for (const [name, value] of this.#values) {
      if (keeps(name)) kept.#values.set(name, value);
    }
    if (this.#cookies.length > 0 && keeps(SET_COOKIE)) {
      kept.#cookies = this.#cookies;
    }
    return kept;
  }

  /** Takes out a header. The name is in lower case. */
  delete(name: string): void {
    if (name === SET_COOKIE) this.#cookies = [];
    else this.#values.delete(name);
  }

  /** Returns the names and values. */
  *[Symbol.iterator](): IterableIterator<[string, string]> {
    yield* this.#values;
    for (const cookie of this.#cookies) yield [SET_COOKIE, cookie];
  }

  /** Returns the names and values by turns, as `node:http` takes them. */
  toRaw(): string[] {
    const raw: string[] = [];
    for (const [name, value] of this.#values) raw.push(name, value);
    for (const cookie of this.#cookies) raw.push(SET_COOKIE, cookie);
    return raw;
  }

  /** Returns the same as `Headers`. */
  toHeaders(): Headers {
    const headers = new Headers();
    for (const [name, value] of this) headers.append(name, value);
    return headers;
  }
}
