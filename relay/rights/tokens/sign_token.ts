import { SignJWT } from "jose";
import type { SigningKey } from "../keys/parse_signing_key.ts";

/** The claims of a token to sign. */
export interface TokenClaims {
  /** The time when it was made, in seconds since the epoch. */
  readonly iat: number;
  /** The time when it expires, in seconds since the epoch. */
  readonly exp: number;
  /** The rights, as `claims` accepts them. */
  readonly rivulet: unknown;
  /** The holder. */
  readonly sub?: string | undefined;
  /** The audience. */
  readonly aud?: string | undefined;
  /** The issuer. */
  readonly iss?: string | undefined;
}

/** Makes a token. What it says has to be checked before. */
export async function signToken(
  { iat, exp, rivulet, sub, aud, iss }: TokenClaims,
  { algorithm, kid, key }: SigningKey,
): Promise<string> {
  return await new SignJWT({
    iat,
    exp,
    rivulet,
    ...(sub !== undefined && { sub }),
    ...(aud !== undefined && { aud }),
    ...(iss !== undefined && { iss }),
  })
    .setProtectedHeader({ alg: algorithm, ...(kid !== undefined && { kid }) })
    .sign(key);
}
