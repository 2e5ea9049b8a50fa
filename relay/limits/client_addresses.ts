import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";

/** The address of a client. */
export interface ClientAddress {
  /** The address, in the one way there is to write it; empty if it is not known. */
  readonly address: string;
  /**
   * The name of the client for limits: the address, and of IPv6 the /64 that it is
   * in, as whoever has one of its addresses has them all.
   */
  readonly network: string;
}

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = [Address, number];

/** The most peers whose addresses are remembered. */
const MAX_KNOWN = 1_024;

const UNKNOWN: ClientAddress = { address: "", network: "" };

/** The bits before an IPv4 address that is written as an IPv6 address. */
const MAPPED = 96;

/** `1.2.3.4:5678`, as some proxies write it. */
const WITH_PORT = /^([0-9.]+):[0-9]{1,5}$/;

/** `[2001:db8::1]` and `[2001:db8::1]:5678`. */
const IN_BRACKETS = /^\[([^\]]*)\](?::[0-9]{1,5})?$/;

function parseAddress(text: string): Address | undefined {
  // Not what `inet_aton` takes besides: `010.1` may be one address here and another there.
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (!text.includes(":") || !ipaddr.IPv6.isValid(text)) return undefined;
  const { parts } = ipaddr.IPv6.parse(text);
  const address = new ipaddr.IPv6(parts); // without a zone
  return address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

function parseForwarded(text: string): Address | undefined {
  const [, bare] = IN_BRACKETS.exec(text) ?? WITH_PORT.exec(text) ?? [];
  return parseAddress(bare ?? text);
}

function parseRange(text: string): Range {
  const [base = "", length] = text.split("/");
  const address = parseAddress(base);
  if (address) {
    const most = address.kind() === "ipv4" ? 32 : 128;
    if (length === undefined) return [address, most];
    // A range of mapped addresses is one of IPv4.
    const mapped = most === 32 && base.includes(":") ? MAPPED : 0;
    const bits = Number(length) - mapped;
    if (Number.isInteger(bits) && bits >= 0 && bits <= most) {
      return [address, bits];
    }
  }
  throw new TypeError(
    `Expected an address or a range of them, such as 10.0.0.0/8: got '${text}'`,
  );
}

function describe(address: Address): ClientAddress {
  const text = address.toString();
  if (address instanceof ipaddr.IPv4) return { address: text, network: text };
  const parts = [...address.parts.slice(0, 4), 0, 0, 0, 0];
  return { address: text, network: `${new ipaddr.IPv6(parts)}/64` };
}

/** Says whose address a request is, which a proxy may have forwarded. */
export class ClientAddresses {
  readonly #trusted: Range[];
  /** Peers that have asked lately: to read an address takes 3 µs, and a request needs it twice. */
  readonly #known = new Map<string, ClientAddress>();

  /**
   * Takes note of whom to believe.
   *
   * @param trustedProxies Addresses, and ranges of them as CIDR has it.
   * @throws {TypeError} If one is neither.
   */
  constructor(trustedProxies: readonly string[]) {
    this.#trusted = trustedProxies.map(parseRange);
  }

  /** Whether this is the address of a proxy whose `X-Forwarded-For` is believed. */
  isProxy(peer: string | undefined): boolean {
    if (this.#trusted.length === 0 || peer === undefined) return false;
    const address = parseAddress(peer);
    return address !== undefined && this.#isTrusted(address);
  }

  /**
   * Says whose address a request is: the peer's, or the last one that a trusted
   * proxy has forwarded and that is no trusted proxy's itself. What stands before
   * that, or before something that is no address, anybody may have written.
   *
   * @param peer The address of the other end of the connection.
   * @param forwarded The value of `X-Forwarded-For`, all its lines joined by commas.
   */
  of(peer: string | undefined, forwarded: string | undefined): ClientAddress {
    const isPeerItself = forwarded === undefined || this.#trusted.length === 0;
    if (peer === undefined || !isPeerItself) return this.#find(peer, forwarded);
    let known = this.#known.get(peer);
    if (known) return known;
    known = this.#find(peer, undefined);
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(peer, known);
    return known;
  }

  #find(
    peer: string | undefined,
    forwarded: string | undefined,
  ): ClientAddress {
    let address = peer === undefined ? undefined : parseAddress(peer);
    if (!address) return UNKNOWN;
    if (forwarded !== undefined && this.#trusted.length > 0) {
      const hops = forwarded.split(",");
      while (this.#isTrusted(address)) {
        const hop = hops.pop();
        const next: Address | undefined = hop === undefined
          ? undefined
          : parseForwarded(hop.trim());
        if (!next) break;
        address = next;
      }
    }
    return describe(address);
  }

  /** As {@linkcode of}, of a request of `node:http`. */
  ofRequest({ headers, socket }: IncomingMessage): ClientAddress {
    const forwarded = headers["x-forwarded-for"];
    return this.of(
      socket.remoteAddress,
      // `node:http` joins the lines of this one; its types do not say so.
      typeof forwarded === "string" ? forwarded : forwarded?.join(","),
    );
  }

  #isTrusted(address: Address): boolean {
    const { subnetMatch } = ipaddr;
    return subnetMatch(address, { trusted: this.#trusted }, "") === "trusted";
  }
}
