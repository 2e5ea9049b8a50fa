import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { abortable } from "../../../src/fetch/abortable.ts";
import type { AddressPolicy } from "./address_policy.ts";
import { SourceRefusedError } from "./source_refused_error.ts";

/** Finds the addresses of a host; rejects, or finds none, where there is no such host. */
export type LookUp = (hostname: string) => Promise<readonly string[]>;

/** The settings for resolving a host. */
export interface ResolveHostOptions {
  /** The addresses allowed. */
  readonly policy: AddressPolicy;
  /** Finds its addresses. Default: as the machine does. */
  readonly lookUp?: LookUp | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

const lookUpAll: LookUp = async (hostname) =>
  (await lookup(hostname, { all: true })).map(({ address }) => address);

/**
 * Finds the addresses of a URL's host, and checks every one of them: who answers
 * for a name may name a public address beside one that is not.
 *
 * @param url The URL.
 * @param options The settings.
 * @returns One address at least; a host that is an address is that address.
 * @throws {SourceRefusedError} If one of them is not allowed, or there is none.
 */
export async function resolveHost(
  { hostname, host }: URL,
  { policy, lookUp = lookUpAll, signal }: ResolveHostOptions,
): Promise<readonly string[]> {
  const name = hostname.replace(/^\[|\]$/g, "");
  let addresses: readonly string[] = [];
  let cause: unknown;
  try {
    addresses = isIP(name) !== 0
      ? [name]
      : await abortable(lookUp(name), signal);
  } catch (error) {
    signal.throwIfAborted();
    cause = error;
  }
  if (addresses.length === 0) {
    throw new SourceRefusedError({ code: "unknown_host", host }, { cause });
  }
  for (const address of addresses) {
    if (policy.allows(address)) continue;
    throw new SourceRefusedError({
      code: "address_not_allowed",
      host,
      address,
    });
  }
  return addresses;
}
