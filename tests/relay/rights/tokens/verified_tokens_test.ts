import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import type { Access } from "../../../../relay/rights/access.ts";
import type { Keys } from "../../../../relay/rights/keys/key_source.ts";
import { VerifiedTokens } from "../../../../relay/rights/tokens/verified_tokens.ts";

function access(expires = Infinity): Access {
  return {
    identity: "",
    expires,
    isAdmin: false,
    mayLink: false,
    may: () => false,
    subject: undefined,
    mayAsk: () => false,
  };
}

Deno.test("VerifiedTokens forgets the token that was not asked for longest", () => {
  const tokens = new VerifiedTokens();
  const keys: Keys = [];
  const kept = access();
  tokens.add(keys, "kept", kept);
  for (let token = 0; token < 5_000; token++) {
    tokens.add(keys, `${token}`, access());
    assertStrictEquals(tokens.get(keys, "kept", 0), kept);
  }
  assertEquals(tokens.size, 1_000);
  assertEquals(tokens.get(keys, "4000", 0), undefined);
  assert(tokens.get(keys, "4001", 0));
});

Deno.test("VerifiedTokens forgets what has expired, and what other keys have verified", () => {
  const tokens = new VerifiedTokens();
  const keys: Keys = [];
  const others: Keys = [];
  const brief = access(10);
  tokens.add(keys, "a", brief);
  assertStrictEquals(tokens.get(keys, "a", 9), brief);
  assertEquals(tokens.get(keys, "b", 9), undefined);
  assertEquals(tokens.get(others, "a", 9), undefined);
  assertEquals(tokens.get(keys, "a", 10), undefined);
  assertEquals(tokens.size, 0);
  tokens.add(keys, "a", brief);
  tokens.add(others, "b", brief);
  assertEquals(tokens.size, 1);
  assertEquals(tokens.get(others, "a", 0), undefined);
  assertStrictEquals(tokens.get(others, "b", 0), brief);
});
