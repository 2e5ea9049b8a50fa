import type { IncomingMessage } from "node:http";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../../src/fetch/clock.ts";
import { parseWebOrigin } from "./web_origin.ts";

/** The interval in which an origin is named once, in milliseconds. */
const INTERVAL = 60_000;

/** The most origins that are named in an interval: anybody can make them up. */
const MAX_ORIGINS = 10;

/** The longest origin or host that is shown, in UTF-16 code units. */
const SHOWN = 300;

const logger = getLogger(["rivulet", "relay", "http"]);

/**
 * Tells the operator which pages are refused, and the flag that lets them in: the
 * page itself cannot read the refusal.
 */
export class OriginWarnings {
  readonly #clock: Clock;
  readonly #told = new Set<string>();
  #since = -Infinity;

  /** Has told nothing yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Takes note of a refusal, for the code that it has. */
  refused(code: string, { headers }: IncomingMessage): void {
    switch (code) {
      case "origin_not_allowed": {
        const { origin } = headers;
        if (!isShowable(origin) || !this.#isNew(origin)) return;
        return logger.warning(
          "Refused a page of {origin}, which cannot read why. To let it in, start the relay with --origin {flag}",
          { origin, flag: origin },
        );
      }
      case "host_not_allowed": {
        const host = headers.host ?? "";
        if (!isShowable(`http://${host}`) || !this.#isNew(host)) return;
        return logger.warning(
          "Refused a request to the host {host}. A relay without a key answers for localhost and addresses only. To let it in, start the relay with --origin {flag}",
          { host, flag: `https://${host}` },
        );
      }
    }
  }

  #isNew(name: string): boolean {
    const now = this.#clock.now();
    if (now - this.#since >= INTERVAL) {
      this.#since = now;
      this.#told.clear();
    }
    if (this.#told.has(name) || this.#told.size >= MAX_ORIGINS) return false;
    this.#told.add(name);
    return true;
  }
}

/** Whether a text is an origin, and nothing that somebody wants to have in a log. */
function isShowable(origin: string | undefined): origin is string {
  return origin !== undefined && origin.length <= SHOWN &&
    (origin === "null" || parseWebOrigin(origin) !== undefined);
}
