import { z } from "zod";
import { KeyError } from "./key_error.ts";
import { parseJwk } from "./parse_jwk.ts";
import type { VerificationKey } from "./verification_key.ts";

const jwkSet = z.object({ keys: z.array(z.unknown()) });

/**
 * Reads a JWK set. Keys that are for something else are passed over (RFC 7517,
 * section 5).
 *
 * @param value What came of its JSON.
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
