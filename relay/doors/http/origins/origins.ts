import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../../problem.ts";
import { type OriginPattern, parseOriginPattern } from "./origin_pattern.ts";
import { parseWebOrigin, type WebOrigin } from "./web_origin.ts";

/** The headers in which a request describes the page that makes it. */
export interface OriginHeaders {
  /** The host that the request is for. */
  readonly host?: string | undefined;
  /** The origin of the page. Programs without a page leave it out, and pages may when they ask their own host. */
  readonly origin?: string | undefined;
  /** The relation of the two, as the browser sees it (Fetch Metadata). */
  readonly "sec-fetch-site"?: string | string[] | undefined;
  /** The use that the page has for the answer. */
  readonly "sec-fetch-dest"?: string | string[] | undefined;
}

/** The reason why a request may be answered: it decides the CORS headers. */
export type OriginVerdict =
  /** Of no page of another origin. */
  | { readonly kind: "none" }
  /** Of the relay's own page. */
  | { readonly kind: "own" }
  /** Of a page that the operator has listed: by itself, or with others. */
  | {
    readonly kind: "listed";
    readonly origin: string;
    readonly isExact: boolean;
  }
  /** Of a page, as all of them may ask. */
  | { readonly kind: "any" };

/** The way in which requests are checked. */
export interface OriginsOptions {
  /**
   * Whether anybody is answered who reaches the relay, which only this machine
   * does. What a page reaches by a name of its own that leads here
   * ("DNS rebinding") passes for its own host, and has to be refused by that name.
   */
  readonly isLocal: boolean;
}

/** Nobody writes a longer one, and it is to be told what was wrong with it; in characters. */
const SHOWN = 300;

const LOCAL_NAME = /^(?:.+\.)?localhost$/;

function isSame(a: WebOrigin, b: WebOrigin): boolean {
  return a.scheme === b.scheme && a.hostname === b.hostname &&
    a.port === b.port;
}

function isBelow(name: WebOrigin, domain: WebOrigin): boolean {
  return name.scheme === domain.scheme && name.port === domain.port &&
    name.hostname.endsWith(`.${domain.hostname}`);
}

/** Decides which pages may use the relay (PROTOCOL.md, section 5). */
export class Origins {
  readonly #patterns: readonly OriginPattern[];
  readonly #isLocal: boolean;
  readonly #isAny: boolean;
  /** The host that was found good last: most requests have the same. */
  #goodHost: string | undefined;

  /**
   * Reads the operator's list.
   *
   * @param allowed Origins besides the relay's own: `https://app.example.com`,
   * `https://*.example.com`, `null`, or `*` for all.
   * @param options The way in which requests are checked.
   * @throws {OriginPatternError} If an entry means no origin.
   */
  constructor(allowed: readonly string[], { isLocal }: OriginsOptions) {
    this.#patterns = allowed.map(parseOriginPattern);
    this.#isLocal = isLocal;
    this.#isAny = this.#patterns.some(({ kind }) => kind === "any");
  }

  /** Whether only the relay's own pages may use it. */
  get isEmpty(): boolean {
    return this.#patterns.length === 0;
  }

  /**
   * Decides on a request or an upgrade.
   *
   * @throws {Problem} If it is of a page that may not use the relay, or goes to
   * a host that the relay does not answer for.
   */
  check(headers: OriginHeaders): OriginVerdict {
    const { host, origin } = headers;
    if (this.#isLocal) this.#assertHost(host);
    if (origin === undefined) {
      if (!this.#isAny && isOfOtherPage(headers)) throw notAllowed(undefined);
      return { kind: "none" };
    }
    const parsed = parseWebOrigin(origin);
    const listed = this.#find(origin, parsed);
    if (listed) {
      return { kind: "listed", origin, isExact: listed.kind === "exact" };
    }
    if (parsed && isOwn(parsed, host)) return { kind: "own" };
    if (this.#isAny) return { kind: "any" };
    throw notAllowed(parsed || origin === "null" ? origin : undefined);
  }

  /** Finds what lets an origin in, the one that says most first. */
  #find(
    text: string,
    origin: WebOrigin | undefined,
  ): OriginPattern | undefined {
    if (!origin) {
      return this.#patterns.find(({ kind }) =>
        kind === "null" && text === "null"
      );
    }
    return this.#patterns.find((pattern) =>
      pattern.kind === "exact" && isSame(origin, pattern.origin)
    ) ?? this.#patterns.find((pattern) =>
      pattern.kind === "below" && isBelow(origin, pattern.domain)
    );
  }

  /** Requires a host that no stranger's name can be. */
  #assertHost(host: string | undefined): void {
    // No browser leaves it out.
    if (host === undefined || this.#isAny || host === this.#goodHost) return;
    const parsed = parseWebOrigin(`http://${host}`);
    if (!parsed) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_request",
        "Expected a Host header as RFC 9110 has it",
      );
    }
    const { hostname, isAddress } = parsed;
    if (isAddress || LOCAL_NAME.test(hostname) || this.#isListed(hostname)) {
      this.#goodHost = host;
      return;
    }
    const shown = hostname.length <= SHOWN ? hostname : "that.host";
    throw new Problem(
      STATUS_CODE.MisdirectedRequest,
      "host_not_allowed",
      `Expected a Host of localhost or an address, as this relay asks for no token: start it with --origin https://${shown} to have it answer for this one`,
    );
  }

  /** Whether a listed page is of this host, whatever its port: a proxy has one of its own. */
  #isListed(hostname: string): boolean {
    return this.#patterns.some((pattern) => {
      switch (pattern.kind) {
        case "exact":
          return pattern.origin.scheme.startsWith("http") &&
            pattern.origin.hostname === hostname;
        case "below":
          return hostname.endsWith(`.${pattern.domain.hostname}`);
        default:
          return false;
      }
    });
  }
}

/** Whether a page is of the host that it asks; a proxy may have taken TLS off. */
function isOwn(origin: WebOrigin, host: string | undefined): boolean {
  if (host === undefined || !/^https?$/.test(origin.scheme)) return false;
  const own = parseWebOrigin(`${origin.scheme}://${host}`);
  return own !== undefined && isSame(origin, own);
}

/**
 * Whether a page has another host's answer put into itself, by an `<img>` or an
 * `<iframe>`: it says no origin then, and does not read it, but has it made.
 */
function isOfOtherPage(headers: OriginHeaders): boolean {
  const site = headers["sec-fetch-site"] ?? "none";
  if (site === "none" || site === "same-origin") return false;
  // Somebody has followed a link.
  return headers["sec-fetch-dest"] !== "document";
}

function notAllowed(origin: string | undefined): Problem {
  const way = origin !== undefined && origin.length <= SHOWN
    ? `: start it with --origin ${origin} to allow this one`
    : "";
  return new Problem(
    STATUS_CODE.Forbidden,
    "origin_not_allowed",
    `Expected a request of no web page, of the relay's own, or of one that its operator has allowed${way}`,
    {},
    { Vary: "Origin" },
  );
}
