/**
 * Tokens as an issuer gives them, good ones and bad ones.
 *
 * @module
 */
import { SignJWT } from "jose";

/** The key with which the relays of tests verify tokens. */
export const JWT_KEY = "a-secret-of-the-tests-with-32-bytes-or-more";

/** The claims of a token. */
export interface TokenClaims {
  readonly read?: readonly string[];
  readonly write?: readonly string[];
  readonly cancel?: readonly string[];
  readonly send?: readonly string[];
  readonly provider?: readonly string[];
  readonly admin?: boolean;
  readonly link?: boolean;
  readonly sub?: string;
  readonly aud?: string;
  readonly iss?: string;
  /** In seconds since the epoch; `null` for none. Default: in an hour. */
  readonly exp?: number | null;
  /** In seconds since the epoch. */
  readonly nbf?: number;
  /** In place of all that is for the relay. */
  readonly rivulet?: unknown;
}

/** Signs a token. */
export function mintToken(
  {
    read,
    write,
    cancel,
    send,
    provider,
    admin,
    link,
    sub,
    aud,
    iss,
    exp,
    nbf,
    rivulet,
  }: TokenClaims,
  { key = JWT_KEY, alg = "HS256" }: { key?: string; alg?: string } = {},
): Promise<string> {
  const jwt = new SignJWT({
    rivulet: rivulet === undefined
      ? { read, write, cancel, send, provider, admin, link }
      : rivulet,
  }).setProtectedHeader({ alg });
  if (exp !== null) jwt.setExpirationTime(exp ?? Date.now() / 1_000 + 3_600);
  if (nbf !== undefined) jwt.setNotBefore(nbf);
  if (sub !== undefined) jwt.setSubject(sub);
  if (aud !== undefined) jwt.setAudience(aud);
  if (iss !== undefined) jwt.setIssuer(iss);
  return jwt.sign(new TextEncoder().encode(key));
}
