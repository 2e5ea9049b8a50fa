/**
 * Tokens that are signed with Node's `crypto` alone: an opinion of its own on what
 * the relay takes, and tokens that no library would make.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHmac, createSecretKey, type KeyObject, sign } from "node:crypto";

/** A secret that is long enough. */
export const SECRET = "0123456789abcdef0123456789abcdef";

function encode(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return Buffer.from(text).toString("base64url");
}

function algorithmOf(key: KeyObject): string {
  switch (key.asymmetricKeyType) {
    case "rsa":
      return "RS256";
    case "ec":
      return "ES256";
    case "ed25519":
      return "EdDSA";
    default:
      return "HS256";
  }
}

function signatureOf(text: string, key: KeyObject): Uint8Array {
  const bytes = Buffer.from(text);
  if (key.type === "secret") {
    return createHmac("sha256", key).update(bytes).digest();
  }
  return key.asymmetricKeyType === "ed25519"
    ? sign(null, bytes, key)
    : sign("sha256", bytes, { key, dsaEncoding: "ieee-p1363" });
}

/**
 * Signs a token.
 *
 * @param payload What it says; text is taken as it is.
 * @param key What it is signed with; text is a secret.
 * @param header What its header says besides what the key is for.
 */
export function signToken(
  payload: unknown,
  key: KeyObject | string = SECRET,
  header: Readonly<Record<string, unknown>> = {},
): string {
  const object = typeof key === "string"
    ? createSecretKey(Buffer.from(key))
    : key;
  const signed = `${
    encode({ typ: "JWT", alg: algorithmOf(object), ...header })
  }.${encode(payload)}`;
  const signature = Buffer.from(signatureOf(signed, object));
  return `${signed}.${signature.toString("base64url")}`;
}
