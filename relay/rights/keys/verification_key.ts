import type { KeyObject } from "node:crypto";
import { type Algorithm, algorithmOf } from "./algorithm.ts";

/** What the signatures of some tokens are verified with. */
export interface VerificationKey {
  /** The one algorithm that it is for. */
  readonly algorithm: Algorithm;
  /** What it is called among others, if it has a name. */
  readonly kid: string | undefined;
  /** The key. */
  readonly key: CryptoKey;
}

type ImportParameters = Parameters<KeyObject["toCryptoKey"]>[0];

const PARAMETERS: Readonly<Record<Algorithm, ImportParameters>> = {
  HS256: { name: "HMAC", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
};

/**
 * Takes a secret or a public key.
 *
 * @throws {KeyError} If no algorithm is for it.
 */
export function verificationKey(key: KeyObject, kid?: string): VerificationKey {
  const algorithm = algorithmOf(key);
  return {
    algorithm,
    kid,
    // Now, and not for each token.
    key: key.toCryptoKey(PARAMETERS[algorithm], false, ["verify"]),
  };
}
