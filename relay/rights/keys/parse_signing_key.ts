import { Buffer } from "node:buffer";
import { createPrivateKey, createSecretKey, type KeyObject } from "node:crypto";
import { z } from "zod";
import { type Algorithm, algorithmOf, KeyError } from "./verification_key.ts";

/** A key that signs tokens. */
export interface SigningKey {
  /** The one algorithm that it is for. */
  readonly algorithm: Algorithm;
  /** The `kid` of the key, if it has one. */
  readonly kid: string | undefined;
  /** The key. */
  readonly key: KeyObject;
}

const jwk = z.looseObject({
  kty: z.string(),
  kid: z.string().optional(),
  alg: z.string().optional(),
  k: z.string().optional(),
});

/**
 * Reads what tokens are made with.
 *
 * @param text A secret, whose bytes are those of the text, or a private key: PEM
 * or a JWK. White space around it does not count.
 * @throws {KeyError} If no token can be made with it.
 */
export function parseSigningKey(text: string): SigningKey {
  const trimmed = text.trim();
  if (trimmed.startsWith("{")) return parseJwk(trimmed);
  const key = trimmed.includes("-----BEGIN")
    ? parsePem(trimmed)
    : createSecretKey(trimmed, "utf8");
  return { algorithm: algorithmOf(key), kid: undefined, key };
}

function parsePem(text: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch {
    // Its error may quote the key.
    throw new KeyError(
      "malformed_key",
      "Expected a private key in PEM, without a passphrase: a public one makes no token",
    );
  }
}

function parseJwk(text: string): SigningKey {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // As above.
  }
  const { data } = jwk.safeParse(value);
  if (!data) {
    throw new KeyError("malformed_key", "Expected a JWK with a 'kty'");
  }
  const { kid, alg } = data;
  const key = keyOf(data);
  const algorithm = algorithmOf(key);
  if (alg !== undefined && alg !== algorithm) {
    throw new KeyError(
      "unsupported_key",
      `Expected a JWK whose 'alg' is '${algorithm}', as its type has it`,
    );
  }
  return { algorithm, kid, key };
}

function keyOf({ k, ...key }: z.output<typeof jwk>): KeyObject {
  if (key.kty === "oct" && k !== undefined) {
    return createSecretKey(Buffer.from(k, "base64url"));
  }
  try {
    return createPrivateKey({ key, format: "jwk" });
  } catch {
    throw new KeyError(
      "malformed_key",
      "Expected a JWK of a secret (oct), or of a private RSA, EC or Ed25519 key: a public one makes no token",
    );
  }
}
