import { assert, assertEquals, assertThrows } from "@std/assert";
import { Problem } from "../../../relay/problem.ts";
import { FULL_ACCESS, OPEN_AUTHORITY } from "../../../relay/rights/access.ts";
import {
  AuthorityOptionError,
  type AuthorityOptions,
  createAuthority,
} from "../../../relay/rights/create_authority.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { SECRET, signToken } from "../../support/rights/signed_token.ts";

function create(options: Partial<AuthorityOptions>) {
  const { signal } = new AbortController();
  return createAuthority({ clock: new FakeClock(), signal, ...options });
}

Deno.test("createAuthority lets everybody do everything without a key", () => {
  const authority = create({ jwtAudience: "a", jwtIssuer: "i" });
  assertEquals(authority, OPEN_AUTHORITY);
  for (const token of [undefined, "", "x", signToken({}, SECRET)]) {
    assertEquals(authority.authorize(token), FULL_ACCESS);
  }
});

Deno.test("createAuthority asks for tokens with a key", async () => {
  const authority = create({ jwtKey: SECRET });
  assertThrows(
    () => authority.authorize(undefined),
    Problem,
    "Expected a token",
  );
  const token = signToken({ exp: 1, rivulet: { read: ["a"] } });
  assert((await authority.authorize(token)).may("read", "a"));
});

Deno.test("createAuthority passes audience and issuer on", async () => {
  const options = { jwtKey: SECRET, jwtAudience: "a", jwtIssuer: "i" };
  const authority = create(options);
  const reasonOf = async (facts: Record<string, string>) => {
    try {
      await authority.authorize(signToken({ exp: 1, rivulet: {}, ...facts }));
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error.facts.reason;
      throw error;
    }
  };
  assertEquals(await reasonOf({ aud: "a", iss: "i" }), undefined);
  assertEquals(await reasonOf({ aud: "x", iss: "i" }), "audience");
  assertEquals(await reasonOf({ aud: "a", iss: "x" }), "issuer");
});

Deno.test("createAuthority names the option that is wrong, and not the key", () => {
  const secret = "s3cret";
  const error = assertThrows(
    () => create({ jwtKey: secret }),
    AuthorityOptionError,
    "Expected a secret of 32 bytes or more, got 6",
  );
  assertEquals([error.option, error.code], ["jwtKey", "invalid_option"]);
  assert(!Deno.inspect(error).includes(secret));
  const both = assertThrows(
    () => create({ jwtKey: SECRET, jwks: "http://127.0.0.1:9/" }),
    AuthorityOptionError,
    "got both",
  );
  assertEquals(both.option, "jwks");
});

Deno.test("createAuthority asks with what it is given", async () => {
  const asked: string[] = [];
  const authority = create({
    jwks: "http://keys.invalid/",
    fetch: (input) => {
      asked.push(String(input));
      return Promise.resolve(Response.json({
        keys: [{
          kty: "OKP",
          crv: "Ed25519",
          x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }],
      }));
    },
  });
  try {
    await authority.authorize(signToken({ exp: 1, rivulet: {} }));
  } catch (error) {
    assert(error instanceof Problem);
    assertEquals(error.facts.reason, "algorithm");
  }
  assertEquals(asked, ["http://keys.invalid/"]);
});
