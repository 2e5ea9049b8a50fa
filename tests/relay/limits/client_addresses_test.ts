import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ClientAddresses } from "../../../relay/limits/client_addresses.ts";
import { propertyParameters } from "../../support/property.ts";

const PROXIES = ["10.0.0.0/8", "192.0.2.1", "2001:db8:ffff::/48"];

const PROXY = "10.1.2.3";

// deno-fmt-ignore
const TABLE: [what: string, peer: string | undefined, forwarded: string | undefined, address: string, network?: string][] = [
  ["a client", "203.0.113.5", undefined, "203.0.113.5"],
  ["a client that claims another", "203.0.113.5", "198.51.100.1", "203.0.113.5"],
  ["a client beside the range", "11.0.0.1", "198.51.100.1", "11.0.0.1"],
  ["a client beside the address", "192.0.2.2", "198.51.100.1", "192.0.2.2"],
  ["a proxy", PROXY, "203.0.113.5", "203.0.113.5"],
  ["a proxy by its address", "192.0.2.1", "203.0.113.5", "203.0.113.5"],
  ["a proxy of IPv6", "2001:db8:ffff::1", "203.0.113.5", "203.0.113.5"],
  ["a proxy as a mapped address", "::ffff:10.1.2.3", "203.0.113.5", "203.0.113.5"],
  ["a proxy as a mapped address in hexadecimal", "::ffff:a01:203", "203.0.113.5", "203.0.113.5"],
  ["a client behind two proxies", PROXY, "203.0.113.5, 10.9.9.9", "203.0.113.5"],
  ["a client that claims another, behind a proxy", PROXY, "198.51.100.1, 203.0.113.5", "203.0.113.5"],
  ["a client that claims to be a proxy", PROXY, "198.51.100.1, 10.8.8.8, 203.0.113.5, 10.9.9.9", "203.0.113.5"],
  ["without spaces", PROXY, "198.51.100.1,203.0.113.5,10.9.9.9", "203.0.113.5"],
  ["with odd spaces", PROXY, "198.51.100.1\t,  203.0.113.5 ", "203.0.113.5"],
  ["proxies all the way", PROXY, "10.7.7.7, 10.8.8.8", "10.7.7.7"],
  ["nothing forwarded", PROXY, undefined, PROXY],
  ["an empty list", PROXY, "", PROXY],
  ["an empty item at the end", PROXY, "203.0.113.5, ", PROXY],
  ["an empty item behind a proxy", PROXY, "203.0.113.5, , 10.9.9.9", "10.9.9.9"],
  ["a word", PROXY, "203.0.113.5, unknown", PROXY],
  ["a word behind a proxy", PROXY, "203.0.113.5, unknown, 10.9.9.9", "10.9.9.9"],
  ["a number", PROXY, "3405803781", PROXY],
  ["a short form", PROXY, "203.113", PROXY],
  ["octal", PROXY, "0313.0.0161.5", PROXY],
  ["hexadecimal", PROXY, "0xcb.0.0x71.5", PROXY],
  ["too large a part", PROXY, "203.0.113.256", PROXY],
  ["a name", PROXY, "client.example", PROXY],
  ["a range", PROXY, "203.0.113.0/24", PROXY],
  ["Forwarded's own form", PROXY, "for=203.0.113.5", PROXY],
  ["a port", PROXY, "203.0.113.5:50123", "203.0.113.5"],
  ["no port", PROXY, "203.0.113.5:", PROXY],
  ["IPv6", PROXY, "2001:DB8:0:1:0::5", "2001:db8:0:1::5", "2001:db8:0:1::/64"],
  ["IPv6 in brackets", PROXY, "[2001:db8:0:1::5]", "2001:db8:0:1::5", "2001:db8:0:1::/64"],
  ["IPv6 with a port", PROXY, "[2001:db8:0:1::5]:443", "2001:db8:0:1::5", "2001:db8:0:1::/64"],
  ["half a bracket", PROXY, "[2001:db8:0:1::5", PROXY],
  ["a mapped address", PROXY, "::ffff:203.0.113.5", "203.0.113.5"],
  ["a proxy in the list as a mapped address", PROXY, "203.0.113.5, ::ffff:10.9.9.9", "203.0.113.5"],
  ["IPv6 as a peer", "2001:db8:1:2:3:4:5:6", undefined, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["IPv6 with a zone", "fe80::1%eth0", undefined, "fe80::1", "fe80::/64"],
  ["the loopback address", "::1", undefined, "::1", "::/64"],
  ["a peer that has gone", undefined, "203.0.113.5", "", ""],
  ["a peer that is no address", "/run/relay.sock", "203.0.113.5", "", ""],
];

for (const [what, peer, forwarded, address, network = address] of TABLE) {
  Deno.test(`ClientAddresses takes the address of ${what}`, () => {
    const addresses = new ClientAddresses(PROXIES);
    assertEquals(addresses.of(peer, forwarded), { address, network });
  });
}

Deno.test("ClientAddresses believes nobody unless told to", () => {
  const addresses = new ClientAddresses([]);
  assertEquals(addresses.isProxy("127.0.0.1"), false);
  assertEquals(addresses.isProxy("::1"), false);
  const { address } = addresses.of("127.0.0.1", "203.0.113.5");
  assertEquals(address, "127.0.0.1");
});

Deno.test("ClientAddresses knows a proxy however its address is written", () => {
  const addresses = new ClientAddresses([
    "::ffff:10.0.0.0/104",
    "2001:db8::/32",
    "fe80::1",
  ]);
  for (
    const proxy of ["10.255.0.1", "::ffff:10.0.0.1", "2001:db8::1", "fe80::1%a"]
  ) assertEquals(addresses.isProxy(proxy), true, proxy);
  for (const other of ["11.0.0.1", "::1", "2001:db9::1", "", undefined]) {
    assertEquals(addresses.isProxy(other), false, other);
  }
});

Deno.test("ClientAddresses refuses a proxy that is no address or range", () => {
  for (
    const proxy of [
      "proxy.example",
      "10.0.0.0/33",
      "10.0.0.0/-1",
      "10.0.0.0/x",
      "::1/129",
      // A range wider than all of IPv4 must not become all of it.
      "::ffff:10.0.0.0/95",
      "",
    ]
  ) assertThrows(() => new ClientAddresses([proxy]), TypeError, `'${proxy}'`);
});

const client = fc.ipV4().filter((address) =>
  !address.startsWith("10.") && address !== "192.0.2.1"
);
const proxy = fc.ipV4().map((address) => address.replace(/^[0-9]+/, "10"));

Deno.test("ClientAddresses finds the client whatever it has sent itself", () => {
  const addresses = new ClientAddresses(PROXIES);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), proxy)),
      client,
      fc.array(proxy),
      proxy,
      (claimed, client, proxies, peer) => {
        const forwarded = [...claimed, client, ...proxies].join(", ");
        assertEquals(addresses.of(peer, forwarded).address, client);
        assertEquals(addresses.of(client, forwarded).address, client);
      },
    ),
    propertyParameters(2_000),
  );
});

Deno.test("ClientAddresses makes an address of whatever is forwarded", () => {
  const addresses = new ClientAddresses(PROXIES);
  fc.assert(
    fc.property(fc.string(), proxy, (forwarded, peer) => {
      const { address, network } = addresses.of(peer, forwarded);
      assertEquals(addresses.of(address, undefined), { address, network });
    }),
    propertyParameters(2_000),
  );
});

const groups = fc.array(fc.integer({ min: 1, max: 0xFFFF }), {
  minLength: 4,
  maxLength: 4,
});

Deno.test("ClientAddresses counts a /64 of IPv6 as one, and another as another", () => {
  const addresses = new ClientAddresses([]);
  const networkOf = (...groups: number[]): string => {
    const text = groups.map((group) => group.toString(16)).join(":");
    return addresses.of(text, undefined).network;
  };
  fc.assert(
    fc.property(groups, groups, groups, (first, second, rest) => {
      const network = networkOf(...first, ...rest);
      assertEquals(networkOf(...first, ...second), network);
      const isSame = first.join() === second.join();
      assertEquals(networkOf(...second, ...rest) === network, isSame);
    }),
    propertyParameters(500),
  );
});
