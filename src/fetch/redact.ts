// This module is browser compatible.

const MASK = "[redacted]";

/** Names of headers whose values are keys, or may be. */
const SECRET_HEADER =
  /auth|cookie|credential|key|password|secret|session|signature|token/i;

/** The words in front of a key in `Authorization`, which are no secret. */
const SCHEME = /^(?:apikey|basic|bearer|digest|negotiate|token)$/i;

/** Shorter values would be found in, and cut out of, innocent text. */
const MIN_SECRET_LENGTH = 6;

/**
 * Makes a URL fit to be shown: without user name, password and fragment, and
 * with the names but not the values of its query, since any may be a key.
 *
 * @param url The URL.
 * @returns What may be shown of it.
 */
export function redactUrl(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    // Relative, or no URL at all: only a path is sure to be harmless.
    return url.replace(/[?#].*$/s, "").replace(/^.*@/s, "");
  }
  if (parsed.protocol === "data:") {
    return `${url.slice(0, Math.max(0, url.indexOf(",")) || 5)},${MASK}`;
  }
  parsed.username = "";
  parsed.password = "";
  parsed.hash = "";
  if (parsed.search === "") return parsed.href;
  const query = parsed.search.slice(1).split("&").map((field) => {
    const equals = field.indexOf("=");
    return equals < 0 ? MASK : `${field.slice(0, equals)}=${MASK}`;
  });
  parsed.search = "";
  return `${parsed.href}?${query.join("&")}`;
}

/**
 * Takes the secrets of one request out of what its answer, or its failure,
 * says: servers quote the key they refuse, and runtimes the URL they asked for.
 */
export class Redactor {
  readonly #secrets: string[];

  /**
   * Learns the secrets of a request.
   *
   * @param url Its URL, whose password and query values are secrets.
   * @param headers Its headers, of which those that look like keys are.
   */
  constructor(url: string, headers: Headers) {
    const found = new Set<string>();
    const add = (value: string) => {
      if (value.length >= MIN_SECRET_LENGTH) found.add(value);
    };
    const { username, password, search } = new URL(url);
    for (const raw of [username, password, ...search.split(/[?&=]/)]) {
      add(raw);
      try {
        add(decodeURIComponent(raw));
      } catch {
        // Not percent-encoded UTF-8: it has no other form.
      }
    }
    for (const value of new URLSearchParams(search).values()) add(value);
    for (const [name, value] of headers) {
      if (!SECRET_HEADER.test(name)) continue;
      add(value);
      for (const part of value.split(/[\s,;="]+/)) {
        if (!SCHEME.test(part)) add(part);
      }
    }
    // The longest first, so that none is hidden by a part of it.
    this.#secrets = [...found].sort((a, b) => b.length - a.length);
  }

  /**
   * Takes the secrets out of a text.
   *
   * @param text The text.
   * @returns The text without them.
   */
  text(text: string): string {
    for (const secret of this.#secrets) text = text.replaceAll(secret, MASK);
    return text;
  }

  /**
   * Takes the secrets out of a response's headers, and the cookies it sets.
   *
   * @param headers The headers.
   * @returns A copy without them.
   */
  headers(headers: Headers): Headers {
    const copy = new Headers();
    for (const [name, value] of headers) {
      if (name !== "set-cookie") copy.append(name, this.text(value));
    }
    return copy;
  }

  /**
   * Takes the secrets, and the queries of all URLs, out of a thrown value.
   *
   * @param thrown What the runtime threw.
   * @returns The same if it has none, or else a copy without them.
   */
  thrown(thrown: unknown): unknown {
    if (typeof thrown === "string") return this.#line(thrown);
    if (!(thrown instanceof Error)) return thrown;
    const cause = this.thrown(thrown.cause);
    const message = this.#line(thrown.message);
    const stack = this.#line(thrown.stack ?? "");
    // Bun puts the URL into a property of its own.
    const extra = Object.entries(thrown).filter(([name]) => name !== "cause");
    const clean = extra.map(([name, value]) =>
      [name, typeof value === "string" ? this.#line(value) : value] as const
    );
    if (
      cause === thrown.cause && message === thrown.message &&
      stack === (thrown.stack ?? "") &&
      clean.every(([, value], index) => value === extra[index]?.[1])
    ) return thrown;
    const options = cause === undefined ? undefined : { cause };
    const copy = thrown instanceof TypeError
      ? new TypeError(message, options)
      : new Error(message, options);
    Object.assign(copy, Object.fromEntries(clean));
    for (const [name, value] of [["name", thrown.name], ["stack", stack]]) {
      Object.defineProperty(copy, name!, { value, configurable: true });
    }
    return copy;
  }

  #line(text: string): string {
    return this.text(
      text.replace(/\b(?:https?|wss?):\/\/[^\s"'<>()]+/gi, redactUrl),
    );
  }
}
