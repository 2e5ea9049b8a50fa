import { Buffer } from "node:buffer";
import { createPublicKey, createSecretKey } from "node:crypto";
import {
  KeyError,
  type VerificationKey,
  verificationKey,
} from "./verification_key.ts";
import { parseJwk, parseJwkSet } from "./parse_jwk.ts";

/**
 * Reads what an operator gives to verify tokens with.
 *
 * @param text A secret, whose bytes are those of the text, or a public key: PEM,
 * a certificate, a JWK or a JWK set. White space around it does not count.
 * @throws {KeyError} If no token can be verified with it, or should be.
 */
export function parseKeys(text: string): readonly VerificationKey[] {
  const trimmed = text.trim();
  if (trimmed.includes("-----BEGIN")) return [parsePem(trimmed)];
  if (trimmed.startsWith("{")) return parseJson(trimmed);
  if (isPublic(trimmed)) {
    throw new KeyError(
      "malformed_key",
      "Expected a secret, PEM, a JWK or a JWK set, got what others know too: a URL, or a public key that is not in PEM",
    );
  }
  return [verificationKey(createSecretKey(trimmed, "utf8"))];
}

function parsePem(text: string): VerificationKey {
  // A public key can be had of a private one; but the relay ought not to have it.
  if (text.includes("PRIVATE KEY-----")) {
    throw new KeyError(
      "private_key",
      "Expected a public key, got a private one: 'openssl pkey -in FILE -pubout' prints the public one",
    );
  }
  let key;
  try {
    key = createPublicKey(text);
  } catch (cause) {
    throw new KeyError(
      "malformed_key",
      "Expected a public key or a certificate in PEM, got PEM that cannot be read",
      { cause },
    );
  }
  return verificationKey(key);
}

function parseJson(text: string): readonly VerificationKey[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Its error would quote the key.
    throw new KeyError(
      "malformed_key",
      "Expected a JWK or a JWK set, got what begins as JSON and is none",
    );
  }
  return value instanceof Object && "keys" in value
    ? parseJwkSet(value)
    : [parseJwk(value)];
}

/** Whoever knows what is taken for a secret could make tokens. */
function isPublic(text: string): boolean {
  if (/^(?:https?:|ssh-|ecdsa-)/.test(text)) return true;
  try {
    const key = Buffer.from(text, "base64");
    createPublicKey({ key, format: "der", type: "spki" });
    return true;
  } catch {
    return false;
  }
}
