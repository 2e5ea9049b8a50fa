import type { KeyObject } from "node:crypto";

/** Writes a key as PEM. */
export function pem(key: KeyObject): string {
  return key.export(
    key.type === "public"
      ? { type: "spki", format: "pem" }
      : { type: "pkcs8", format: "pem" },
  ).toString();
}

/**
 * Writes a key as a JWK.
 *
 * @param key The key.
 * @param facts What the JWK says besides the key.
 */
export function jwk(
  key: KeyObject,
  facts: Readonly<Record<string, unknown>> = {},
): string {
  return JSON.stringify({ ...key.export({ format: "jwk" }), ...facts });
}
