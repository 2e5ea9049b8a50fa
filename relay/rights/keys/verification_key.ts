import type { KeyObject } from "node:crypto";

/** A key that no token can be verified, or made, with. Never says the key itself. */
export class KeyError extends Error {
  /**
   * The code for programs: the key cannot be read, is of the wrong kind, or is
   * private.
   */
  readonly code: "malformed_key" | "unsupported_key" | "private_key";

  /** Says what was expected, and what came. */
  constructor(
    code: KeyError["code"],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "KeyError";
    this.code = code;
  }
}

/** The signature algorithms of tokens (PROTOCOL.md, section 5). */
export type Algorithm = "HS256" | "RS256" | "ES256" | "EdDSA";

/** In bytes: as long as what HS256 makes of it (RFC 7518, section 3.2). */
const MIN_SECRET = 32;

/** In bits (RFC 7518, section 3.3). */
const MIN_MODULUS = 2_048;

function unsupported(message: string): KeyError {
  return new KeyError("unsupported_key", message);
}

/**
 * Says for which algorithm a key is: for one alone, so that a token cannot choose.
 *
 * @throws {KeyError} If it is for none, or too weak.
 */
export function algorithmOf(key: KeyObject): Algorithm {
  if (key.type === "secret") {
    const bytes = key.symmetricKeySize ?? 0;
    if (bytes >= MIN_SECRET) return "HS256";
    throw unsupported(
      `Expected a secret of ${MIN_SECRET} bytes or more, got ${bytes}`,
    );
  }
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      if (modulusLength >= MIN_MODULUS) return "RS256";
      throw unsupported(
        `Expected an RSA key of ${MIN_MODULUS} bits or more, got ${modulusLength}`,
      );
    case "ec":
      if (namedCurve === "prime256v1") return "ES256";
      throw unsupported(`Expected an EC key of P-256, got ${namedCurve}`);
    case "ed25519":
      return "EdDSA";
    default:
      throw unsupported(
        `Expected a key of RSA, EC or Ed25519, got ${key.asymmetricKeyType}`,
      );
  }
}

/** A key that verifies signatures of tokens. */
export interface VerificationKey {
  /** The one algorithm that it is for. */
  readonly algorithm: Algorithm;
  /** The `kid` of the key, if it has one. */
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
