import { Buffer } from "node:buffer";
import { createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { z } from "zod";
import {
  KeyError,
  type VerificationKey,
  verificationKey,
} from "./verification_key.ts";

const jwk = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  use: z.string().optional(),
  key_ops: z.array(z.string()).optional(),
  k: z.string().optional(),
});

/**
 * Reads a JWK (RFC 7517).
 *
 * @param value The parsed JSON.
 * @throws {KeyError} If it is no key to verify with.
 */
export function parseJwk(value: unknown): VerificationKey {
  const { data } = jwk.safeParse(value);
  if (!data) throw new KeyError("malformed_key", "Expected a JWK with a 'kty'");
  const { use, key_ops: operations, alg, kid } = data;
  if (use !== undefined && use !== "sig") {
    throw new KeyError(
      "unsupported_key",
      "Expected a JWK whose 'use' is 'sig'",
    );
  }
  const key = verificationKey(keyOf(data), kid);
  if (operations && !operations.includes("verify")) {
    throw new KeyError(
      "unsupported_key",
      "Expected a JWK whose 'key_ops' have 'verify'",
    );
  }
  if (alg !== undefined && alg !== key.algorithm) {
    throw new KeyError(
      "unsupported_key",
      `Expected a JWK whose 'alg' is '${key.algorithm}', as its type has it`,
    );
  }
  return key;
}

function keyOf({ k, ...key }: z.output<typeof jwk>): KeyObject {
  if (key.kty === "oct" && k !== undefined) {
    return createSecretKey(Buffer.from(k, "base64url"));
  }
  if ("d" in key) {
    throw new KeyError(
      "private_key",
      "Expected a public JWK, got a private one: leave out what is private of it",
    );
  }
  try {
    return createPublicKey({ key, format: "jwk" });
  } catch (cause) {
    throw new KeyError(
      "malformed_key",
      "Expected a JWK of a secret (oct), or of a public RSA, EC or Ed25519 key",
      { cause },
    );
  }
}

const jwkSet = z.object({ keys: z.array(z.unknown()) });

/**
 * Reads a JWK set. Keys that are for something else are passed over (RFC 7517,
 * section 5).
 *
 * @param value The parsed JSON.
 * @throws {KeyError} If it is none, has no key to verify with, or gives away a
 * private one.
 */
export function parseJwkSet(value: unknown): readonly VerificationKey[] {
  const { data } = jwkSet.safeParse(value);
  if (!data) {
    throw new KeyError("malformed_key", 'Expected a JWK set: {"keys": [...]}');
  }
  const keys: VerificationKey[] = [];
  let unusable: KeyError | undefined;
  for (const key of data.keys) {
    try {
      keys.push(parseJwk(key));
    } catch (error) {
      if (!(error instanceof KeyError) || error.code === "private_key") {
        throw error;
      }
      unusable ??= error;
    }
  }
  if (keys.length === 0) {
    throw new KeyError(
      "unsupported_key",
      `Expected a JWK set with a key to verify with${
        unusable ? `: ${unusable.message}` : ", got an empty one"
      }`,
    );
  }
  return keys;
}
