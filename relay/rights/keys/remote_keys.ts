import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";
import { readErrorBody } from "../../../src/fetch/error_body.ts";
import { wait } from "../../../src/fetch/retry.ts";
import type { Problem } from "../../problem.ts";
import { tokenRefusal } from "../tokens/token_refusal.ts";
import type { Keys, KeySource } from "./key_source.ts";
import { parseJwkSet } from "./parse_jwk.ts";

/** The options of a set of remote keys. */
export interface RemoteKeysOptions {
  /** The URL of the JWK set. */
  readonly url: string;
  /** The clock to use. */
  readonly clock: Clock;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
  /** The `fetch` that asks. Default: the runtime's own. */
  readonly fetch?: typeof fetch | undefined;
}

/** The time for which keys count as the newest, in milliseconds: a withdrawn key holds that long. */
const MAX_AGE = 600_000;

/**
 * The time after an answer before a token with an unknown key may cause another
 * request for the keys, in milliseconds: anybody can make such tokens.
 */
const COOLDOWN = 30_000;

/**
 * The time before the keys are asked for again after a failure, in
 * milliseconds. It doubles with each further failure, up to the second number.
 */
const RETRY = 5_000;
const MAX_RETRY = 60_000;

/** The longest that an answer may take, in milliseconds. */
const TIMEOUT = 5_000;

/** In bytes: some hundreds of keys. */
const MAX_BYTES = 256 * 1024;

const logger = getLogger(["rivulet", "relay", "rights"]);

/**
 * The keys of a JWK set that somebody else keeps, and changes.
 *
 * `createRemoteJWKSet` of `jose` forgets its keys when they have become old and
 * cannot be had anew, asks again for each token while there is no answer, and
 * has no clock but the machine's.
 */
export class RemoteKeys implements KeySource {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #fetch: typeof fetch;
  #keys: Keys | undefined;
  /**
   * The time of the last request for them, in milliseconds since the epoch, by
   * both clocks.
   */
  #asked = { at: -Infinity, wallTime: -Infinity };
  /** Until when they are not asked for again, in milliseconds since the epoch. */
  #restsUntil = -Infinity;
  /** The number of requests in a row without an answer. */
  #failures = 0;
  #refreshing: Promise<void> | undefined;

  /** Asks for nothing yet. */
  constructor({ url, clock, signal, fetch }: RemoteKeysOptions) {
    this.#url = url;
    this.#clock = clock;
    this.#signal = signal;
    this.#fetch = fetch ?? globalThis.fetch;
  }

  /**
   * The keys as they were a while ago at most; older ones where they cannot be
   * asked for, which does not keep anybody waiting twice.
   */
  current(): Keys | Promise<Keys> {
    const keys = this.#keys;
    if (keys && this.#isFresh()) return keys;
    const wasFailing = this.#failures > 0;
    const refreshed = this.#refresh();
    return keys && wasFailing ? keys : refreshed.then(() => this.#known());
  }

  /** Asks for them again, if that was not done just now. */
  async newer(known: Keys): Promise<Keys | undefined> {
    if (this.#keys === known) await this.#refresh();
    if (this.#failures > 0) throw this.#unavailable();
    return this.#keys === known ? undefined : this.#keys;
  }

  /** Asks for the keys until there are some, however long that takes. */
  prepare(): void {
    void this.#prepare();
  }

  /** Returns why there are none yet. */
  unready(): Problem | undefined {
    return this.#keys ? undefined : this.#unavailable();
  }

  async #prepare(): Promise<void> {
    try {
      for (;;) {
        await this.#refresh();
        if (this.#keys) return;
        const rest = Math.max(1, this.#restsUntil - this.#clock.now());
        await wait(rest, this.#clock, this.#signal);
      }
    } catch {
      // the relay is closed
    }
  }

  /** Whether neither clock says that the keys have become old: one of them stands still while the machine sleeps. */
  #isFresh(): boolean {
    const age = Math.max(
      this.#clock.now() - this.#asked.at,
      wallTime(this.#clock) - this.#asked.wallTime,
    );
    return age < MAX_AGE;
  }

  #known(): Keys {
    if (this.#keys) return this.#keys;
    throw this.#unavailable();
  }

  #unavailable(): Problem {
    return tokenRefusal.noKeys(this.#restsUntil - this.#clock.now());
  }

  /** Resolves when they have been asked for, or need not be. Never rejects. */
  #refresh(): Promise<void> {
    if (this.#refreshing) return this.#refreshing;
    if (this.#clock.now() < this.#restsUntil) return Promise.resolve();
    return this.#refreshing = this.#ask().finally(() =>
      this.#refreshing = undefined
    );
  }

  async #ask(): Promise<void> {
    try {
      const isFirst = this.#keys === undefined;
      this.#keys = await this.#load();
      if (isFirst && this.#failures > 0) {
        logger.info("Fetched the keys of {url}", { url: this.#shownUrl });
      }
      this.#failures = 0;
      this.#asked = {
        at: this.#clock.now(),
        wallTime: wallTime(this.#clock),
      };
      this.#restsUntil = this.#clock.now() + COOLDOWN;
    } catch (error) {
      // Older keys serve meanwhile, and tokens ask for newer ones.
      const delay = this.#keys
        ? RETRY
        : Math.min(RETRY * 2 ** this.#failures, MAX_RETRY);
      this.#failures++;
      this.#restsUntil = this.#clock.now() + delay;
      if (this.#signal.aborted) return;
      logger.warning(
        "Cannot get the keys of {url} (--jwks), so that {consequence}; attempt {attempt} in {retryIn} ms: {reason}",
        {
          url: this.#shownUrl,
          consequence: this.#keys
            ? "the old ones are kept"
            : "no token can be verified, and the relay is not ready",
          attempt: this.#failures + 1,
          retryIn: delay,
          reason: reasonOf(error),
        },
      );
    }
  }

  get #shownUrl(): string {
    const { origin, pathname } = new URL(this.#url);
    return `${origin}${pathname}`;
  }

  async #load(): Promise<Keys> {
    const late = new AbortController();
    const cancel = this.#clock.setTimeout(
      () => late.abort(new Error(`Expected an answer within ${TIMEOUT} ms`)),
      TIMEOUT,
    );
    try {
      const signal = AbortSignal.any([this.#signal, late.signal]);
      const response = await this.#fetch(this.#url, {
        headers: { Accept: "application/jwk-set+json, application/json" },
        redirect: "manual",
        signal,
      });
      if (response.status !== STATUS_CODE.OK) {
        await response.body?.cancel();
        throw new Error(`Expected the status 200, got ${response.status}`);
      }
      const { text, truncated } = await readErrorBody(response.body, {
        maxBytes: MAX_BYTES,
        timeout: TIMEOUT,
        clock: this.#clock,
        signal,
      });
      signal.throwIfAborted();
      if (truncated) {
        throw new Error(
          `Expected a whole answer of at most ${MAX_BYTES} bytes, in time`,
        );
      }
      return this.#parse(text);
    } finally {
      cancel();
    }
  }

  #parse(text: string): Keys {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // Its error would quote what came.
      throw new Error("Expected JSON, got something else");
    }
    // A secret that is handed out is none.
    const keys = parseJwkSet(value)
      .filter(({ algorithm }) => algorithm !== "HS256");
    if (keys.length === 0) throw new Error("Expected public keys");
    return keys;
  }
}

/** Returns the problem in words, without URLs: they may have a password in them. */
function reasonOf(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    parts.push(at.message);
  }
  return parts.join(": ").replaceAll(/https?:\/\/[^\s)]+/g, "URL");
}
