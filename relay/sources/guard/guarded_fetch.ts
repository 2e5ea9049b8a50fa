import type { Upstreams } from "../../upstream/upstreams.ts";
import { followRedirects } from "../redirects.ts";
import type { SourceFetch } from "../source_fetch.ts";
import type { AddressPolicy } from "./address_policy.ts";
import { requestOnce, type RequestOnceOptions } from "./request_once.ts";
import { type LookUp, resolveHost } from "./resolve_host.ts";
import type { SourcePolicy } from "./source_policy.ts";
import { SourceRefusedError } from "./source_refused_error.ts";

/** The hosts and addresses that a guarded `fetch` may reach. */
export interface GuardedFetchOptions {
  /** The URLs allowed. */
  readonly sources: SourcePolicy;
  /** At which addresses. */
  readonly addresses: AddressPolicy;
  /** Finds the addresses of a host. Default: as the machine does. */
  readonly lookUp?: LookUp | undefined;
  /** Asks them. */
  readonly upstreams: Upstreams;
}

const MAX_REDIRECTS = 5;

/** Of one host, before it counts as being away. */
const MAX_ADDRESSES = 4;

function checkRedirect(next: URL, from: URL): void {
  if (from.protocol === "https:" && next.protocol !== "https:") {
    throw new SourceRefusedError({
      code: "source_not_allowed",
      host: next.host,
    });
  }
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
 * @param options The hosts and addresses that it may reach.
 * @returns A `fetch` for GET. It rejects with a {@linkcode SourceRefusedError}
 * where something is not allowed, or a host is not known, and with a `TypeError`
 * where there is no answer; neither message names an address.
 */
export function createGuardedFetch(
  { sources, addresses: policy, lookUp, upstreams }: GuardedFetchOptions,
): SourceFetch {
  return async (input, init) => {
    const { method, url: first, headers, signal } = new Request(
      input,
      init,
    );
    if (method !== "GET") {
      throw new TypeError(`Expected the method GET: got ${method}`);
    }
    return await followRedirects(new URL(first), { headers, signal }, {
      maxRedirects: MAX_REDIRECTS,
      check: checkRedirect,
      async ask(url, request) {
        sources.check(url);
        const addresses = await resolveHost(url, { policy, lookUp, signal });
        return await requestAtAny(url, addresses, { ...request, upstreams });
      },
    });
  };
}
