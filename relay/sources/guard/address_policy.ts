import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Range = readonly [Address, number];

/**
 * The internet's part of IPv6 (RFC 4291, section 2.4); the rest is not
 * allocated.
 */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** Stand for the IPv4 address at their end: mapped, and wherever a NAT64 translates (RFC 6052). */
const WRAPPED = ["::ffff:0:0/96", "64:ff9b::/96"]
  .map((range) => ipaddr.IPv6.parseCIDR(range));

/**
 * The addresses at which clouds tell their machines secrets. One of them is
 * public by its number, and the others are in ranges that are allowed for other
 * reasons.
 */
const METADATA: readonly Address[] = [
  "169.254.169.254", // AWS, Google, Azure, Oracle and most others
  "169.254.170.2", // AWS, of containers
  "169.254.170.23", // AWS, of pods
  "169.254.0.23", // Tencent
  "168.63.129.16", // Azure
  "100.100.100.200", // Alibaba
  "192.0.0.192", // Oracle
  "fd00:ec2::254", // AWS
  "fd00:ec2::23", // AWS, of pods
  "fd20:ce::254", // Google
].map((text) => ipaddr.parse(text));

/** An IPv6 address that nobody has any more, and that `ipaddr.js` takes for a mapped one. */
const COMPATIBLE = /^::[0-9]+\./;

function parseRange(text: string): Range {
  if (text.includes("/")) return ipaddr.parseCIDR(text);
  const address = ipaddr.parse(text);
  return [address, address.toByteArray().length * 8];
}

function isWithin(address: Address, [start, bits]: Range): boolean {
  return address.kind() === start.kind() && address.match(start, bits);
}

/** The IPv4 address that an IPv6 address only wraps up. */
function unwrap(address: Address): Address {
  return WRAPPED.some((range) => isWithin(address, range))
    ? new ipaddr.IPv4(address.toByteArray().slice(-4))
    : address;
}

function isPublic(address: Address): boolean {
  return address.range() === "unicast" &&
    (address instanceof ipaddr.IPv4 || address.match(GLOBAL_UNICAST));
}

function isMetadata(address: Address): boolean {
  return METADATA.some((metadata) =>
    address.kind() === metadata.kind() &&
    address.toString() === metadata.toString()
  );
}

/**
 * The addresses allowed for sources that are made by request: public ones, and
 * those that the operator allows.
 *
 * An IPv4 address within an IPv6 one is what counts, mapped or for a NAT64; 6to4
 * and Teredo are refused, as nobody uses them any more for an honest purpose. A
 * cloud's metadata has to be allowed by its very address: who allows a range
 * around it does not mean that.
 */
export class AddressPolicy {
  readonly #allowed: readonly Range[];

  /**
   * Allows public addresses, and others.
   *
   * @param allowed Addresses, and ranges of them as CIDR has it: `10.0.0.0/8`.
   * @throws {Error} If one of them is none.
   */
  constructor(allowed: readonly string[]) {
    this.#allowed = allowed.map(parseRange);
  }

  /** Whether a source may be at an address; not at what is no address. */
  allows(text: string): boolean {
    if (!ipaddr.isValid(text) || COMPATIBLE.test(text)) return false;
    const outer = ipaddr.parse(text);
    const address = unwrap(outer);
    if (isMetadata(address)) {
      return this.#allowed.some((range) =>
        range[1] === range[0].toByteArray().length * 8 &&
        isWithin(address, range)
      );
    }
    return isPublic(address) ||
      this.#allowed.some((range) =>
        isWithin(address, range) || isWithin(outer, range)
      );
  }
}
