import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AddressPolicy } from "../../../../relay/sources/guard/address_policy.ts";
import { propertyParameters } from "../../../support/property.ts";

// deno-fmt-ignore
const PUBLIC = [
  "8.8.8.8", "1.1.1.1", "93.184.215.14", "11.0.0.1", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0",
  "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0", "223.255.255.255",
  "168.63.129.15", "168.63.129.17", "198.17.255.255", "198.20.0.0",
  "2606:4700:4700::1111", "2a00:1450:4001:80b::200e", "2001:4860:4860::8888",
  // An IPv4 address that is public, mapped or for a NAT64.
  "::ffff:8.8.8.8", "::ffff:808:808", "64:ff9b::8.8.8.8", "64:ff9b::808:808",
];

// deno-fmt-ignore
const REFUSED: Record<string, readonly string[]> = {
  "loopback": ["127.0.0.0", "127.0.0.1", "127.1.2.3", "127.255.255.255", "::1"],
  "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
  "link-local": ["169.254.0.0", "169.254.1.1", "169.254.255.255", "fe80::", "fe80::1", "fe80::1%eth0", "febf::1"],
  "private": ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
  "unique-local": ["fc00::", "fc00::1", "fdff:ffff::1"],
  "site-local": ["fec0::1"],
  "carrier-grade NAT": ["100.64.0.0", "100.127.255.255"],
  "multicast": ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1", "ff0e::1"],
  "broadcast": ["255.255.255.255"],
  "reserved": ["240.0.0.0", "254.0.0.1", "192.0.0.1", "192.88.99.1", "4000::1", "8000::1", "e000::1", "100::1", "5f00::1"],
  "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
  "benchmarking": ["198.18.0.0", "198.19.255.255", "2001:2::1"],
  "overlays": ["2001:10::1", "2001:20::1"],
  "6to4": ["2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1"],
  "Teredo": ["2001::1", "2001:0:a00:1::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
  "NAT64": ["64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::168.63.129.16", "64:ff9b:1::8.8.8.8"],
  "mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::ffff:168.63.129.16"],
  "compatible": ["::127.0.0.1", "::8.8.8.8", "::10.0.0.1"],
  "translated": ["::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"],
  "metadata": [
    "169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
  ],
  "no address": ["", "localhost", "example.com", "8.8.8.8.8", "8.8.8.8/8", "[::1]", " 8.8.8.8", "::g"],
};

Deno.test("AddressPolicy allows public addresses alone, unless it is told otherwise", async (t) => {
  const policy = new AddressPolicy([]);
  await t.step("public", () => {
    for (const address of PUBLIC) {
      assertEquals(policy.allows(address), true, address);
    }
  });
  for (const [name, addresses] of Object.entries(REFUSED)) {
    await t.step(name, () => {
      for (const address of addresses) {
        assertEquals(policy.allows(address), false, address);
      }
    });
  }
});

// deno-fmt-ignore
const ALLOWED: [readonly string[], readonly string[], readonly string[]][] = [
  [["127.0.0.1"], ["127.0.0.1", "::ffff:127.0.0.1", "8.8.8.8"], ["127.0.0.2", "::1", "10.0.0.1"]],
  [["127.0.0.0/8", "::1"], ["127.0.0.1", "127.9.9.9", "::1"], ["::2", "10.0.0.1", "fe80::1"]],
  [["10.0.0.0/8"], ["10.1.2.3", "64:ff9b::10.1.2.3", "11.0.0.1"], ["127.0.0.1"]],
  [["fd12::/16"], ["fd12::1", "fd12:ffff::1"], ["fd13::1", "10.0.0.1"]],
  [["fe80::/10"], ["fe80::1", "fe80::1%eth0"], ["fec0::1"]],
  [["64:ff9b::/96"], ["64:ff9b::10.0.0.1"], ["10.0.0.1", "64:ff9b::169.254.169.254"]],
  [["::ffff:10.0.0.0/104"], ["::ffff:10.0.0.1"], ["10.0.0.1"]],
  // Ranges do not mean the metadata in them: only their very addresses do.
  [["0.0.0.0/0", "::/0"], ["127.0.0.1", "224.0.0.1", "::1", "fd00::1"], REFUSED["metadata"] ?? []],
  [["169.254.0.0/16"], ["169.254.1.1"], ["169.254.169.254", "::ffff:169.254.169.254"]],
  [["100.64.0.0/10"], ["100.100.100.201"], ["100.100.100.200"]],
  [["169.254.169.254"], ["169.254.169.254", "::ffff:169.254.169.254"], ["169.254.170.2", "169.254.169.253"]],
  [["fd00:ec2::254/128"], ["fd00:ec2::254", "fd00:0ec2:0::0254"], ["fd00:ec2::23"]],
];

Deno.test("AddressPolicy allows the ranges that it is told to", async (t) => {
  for (const [allowed, addresses, others] of ALLOWED) {
    await t.step(allowed.join(", "), () => {
      const policy = new AddressPolicy(allowed);
      for (const address of addresses) {
        assertEquals(policy.allows(address), true, address);
      }
      for (const address of others) {
        assertEquals(policy.allows(address), false, address);
      }
    });
  }
});

Deno.test("AddressPolicy takes no range that is none", () => {
  for (const range of ["", "example.com", "10.0.0.0/33", "10.0.0.0/8/8"]) {
    assertThrows(() => new AddressPolicy([range]), Error, undefined, range);
  }
});

Deno.test("AddressPolicy says the same of an IPv4 address however it is wrapped", () => {
  const policies = [[], ["10.0.0.0/8", "169.254.0.0/16"], ["0.0.0.0/0"]]
    .map((allowed) => new AddressPolicy(allowed));
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0, 10, 100, 127, 168, 169, 172, 192, 254, 255),
  );
  fc.assert(
    fc.property(fc.tuple(byte, byte, byte, byte), (bytes) => {
      const address = bytes.join(".");
      const [a, b, c, d] = bytes.map((byte) =>
        byte.toString(16).padStart(2, "0")
      );
      for (const policy of policies) {
        const verdict = policy.allows(address);
        for (
          const wrapped of [
            `::ffff:${address}`,
            `::ffff:${a}${b}:${c}${d}`,
            `64:ff9b::${address}`,
            `64:ff9b::${a}${b}:${c}${d}`,
          ]
        ) assertEquals(policy.allows(wrapped), verdict, wrapped);
      }
      // Whatever is in it.
      assertEquals(policies[0]?.allows(`2002:${a}${b}:${c}${d}::1`), false);
    }),
    propertyParameters(1_000),
  );
});
