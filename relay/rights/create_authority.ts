import type { Clock } from "../../src/fetch/clock.ts";
import { type Authority, OPEN_AUTHORITY } from "./access.ts";
import { FixedKeys, type KeySource } from "./keys/key_source.ts";
import { KeyError } from "./keys/verification_key.ts";
import { parseKeys } from "./keys/parse_keys.ts";
import { RemoteKeys } from "./keys/remote_keys.ts";
import { TokenAuthority } from "./tokens/token_authority.ts";

/** The relay's options that say who may do what, and what they need. */
export interface AuthorityOptions {
  /** A secret, or public keys. */
  readonly jwtKey?: string | undefined;
  /** The URL of a JWK set. */
  readonly jwks?: string | undefined;
  /** The audience that the `aud` of a token has to name. */
  readonly jwtAudience?: string | undefined;
  /** The issuer that the `iss` of a token has to be. */
  readonly jwtIssuer?: string | undefined;
  /** The clock to use. */
  readonly clock: Clock;
  /** Ends what is under way when the relay closes. */
  readonly signal: AbortSignal;
  /** The `fetch` that asks for a JWK set. Default: the runtime's own. */
  readonly fetch?: typeof fetch | undefined;
}

/** An option that no authority can be made from. */
export class AuthorityOptionError extends TypeError {
  /** The code of the error. */
  readonly code = "invalid_option";
  /** The option with the fault. */
  readonly option: "jwtKey" | "jwks";

  /** Names the option, and what was expected. */
  constructor(
    option: AuthorityOptionError["option"],
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "AuthorityOptionError";
    this.option = option;
  }
}

/**
 * Makes the authority that a relay's options ask for.
 *
 * @returns {@linkcode OPEN_AUTHORITY} without a key.
 * @throws {AuthorityOptionError} If a key is not what it has to be.
 */
export function createAuthority(options: AuthorityOptions): Authority {
  const keys = keySource(options);
  if (!keys) return OPEN_AUTHORITY;
  const { jwtAudience: audience, jwtIssuer: issuer, clock } = options;
  return new TokenAuthority({ keys, audience, issuer, clock });
}

function keySource(
  { jwtKey, jwks, clock, signal, fetch }: AuthorityOptions,
): KeySource | undefined {
  if (jwtKey !== undefined && jwks !== undefined) {
    throw new AuthorityOptionError(
      "jwks",
      "Expected a key, or the URL of a JWK set: got both",
    );
  }
  if (jwks !== undefined) {
    return new RemoteKeys({ url: jwks, clock, signal, fetch });
  }
  if (jwtKey === undefined) return undefined;
  try {
    return new FixedKeys(parseKeys(jwtKey));
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    const { message } = error;
    throw new AuthorityOptionError("jwtKey", message, { cause: error });
  }
}
