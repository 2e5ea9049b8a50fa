import type { Clock } from "../../../src/fetch/clock.ts";
import type { AddressPolicy } from "./address_policy.ts";
import { requestOnce, type RequestOnceOptions } from "./request_once.ts";
import { type LookUp, resolveHost } from "./resolve_host.ts";
import type { SourcePolicy } from "./source_policy.ts";
import { SourceRefusedError } from "./source_refused_error.ts";

/** What a guarded `fetch` may reach. */
export interface GuardedFetchOptions {
  /** Which URLs. */
  readonly sources: SourcePolicy;
  /** At which addresses. */
  readonly addresses: AddressPolicy;
  /** Finds the addresses of a host. Default: as the machine does. */
  readonly lookUp?: LookUp | undefined;
  /** Where time comes from. */
  readonly clock: Clock;
}

/** Makes a request, as far as `fetch` does that. */
export type GuardedFetch = (
  input: string | URL | Request,
  init?: RequestInit,
) => Promise<Response>;

const MAX_REDIRECTS = 5;

/** Of one host, before it counts as being away. */
const MAX_ADDRESSES = 4;

/** They mean the same for a GET. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** What another origin is told too; the others may be secrets of the first one. */
const SHARED_HEADERS: readonly string[] = [
  "accept",
  "cache-control",
  "last-event-id",
];

function shared(headers: Headers): Headers {
  const left = new Headers();
  for (const name of SHARED_HEADERS) {
    const value = headers.get(name);
    if (value !== null) left.set(name, value);
  }
  return left;
}

function redirected(location: string, from: URL): URL {
  const url = URL.parse(location, from.href);
  if (!url) throw new TypeError("it redirects to what is no URL");
  if (from.protocol === "https:" && url.protocol !== "https:") {
    throw new SourceRefusedError({
      code: "source_not_allowed",
      host: url.host,
    });
  }
  return url;
}

/** Asks at one address after the other, until there is an answer. */
async function requestAtAny(
  url: URL,
  addresses: readonly string[],
  options: Omit<RequestOnceOptions, "address">,
): Promise<Response> {
  let last: unknown;
  for (const address of addresses.slice(0, MAX_ADDRESSES)) {
    try {
      return await requestOnce(url, { ...options, address });
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/**
 * Makes a `fetch` for URLs that anybody may name.
 *
 * Each request, and each that a redirect leads to, is made to a URL and an
 * address that are allowed: the addresses of the host are looked up, all of them
 * checked, and the connection is made to one of just these, one after the other. A redirect is never
 * followed from https to http, nor for more than five times, and another origin
 * is not told the headers of the first one.
 *
 * @param options What it may reach.
 * @returns A `fetch` for GET. It rejects with a {@linkcode SourceRefusedError}
 * where something is not allowed, or a host is not known, and with a `TypeError`
 * where there is no answer; neither message names an address.
 */
export function createGuardedFetch(
  { sources, addresses: policy, lookUp, clock }: GuardedFetchOptions,
): GuardedFetch {
  return async (input, init) => {
    const { method, url: first, headers: given, signal } = new Request(
      input,
      init,
    );
    if (method !== "GET") {
      throw new TypeError(`Expected the method GET: got ${method}`);
    }
    let url = new URL(first);
    let headers = given;
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      sources.check(url);
      const addresses = await resolveHost(url, { policy, lookUp, signal });
      const response = await requestAtAny(url, addresses, {
        headers,
        signal,
        clock,
      });
      const location = response.headers.get("location");
      if (location === null || !REDIRECTS.has(response.status)) return response;
      await response.body?.cancel();
      const next = redirected(location, url);
      if (next.origin !== url.origin) headers = shared(headers);
      url = next;
    }
    throw new TypeError(`it redirects more than ${MAX_REDIRECTS} times`);
  };
}
