import type { KeyObject } from "node:crypto";
import { KeyError } from "./key_error.ts";

/** How tokens are signed (protocol, section 5). */
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
