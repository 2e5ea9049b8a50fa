import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../../problem.ts";

/** The way in which a token is bad, for programs. */
export type InvalidTokenReason =
  | "too_long"
  | "malformed"
  | "algorithm"
  | "unknown_key"
  | "signature"
  | "expired"
  | "not_yet_valid"
  | "audience"
  | "issuer"
  | "claims";

/** The characters that a quoted string of `WWW-Authenticate` may not have (RFC 6750, section 3). */
const NOT_QUOTABLE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/g;

/** The refusals of a token, and of none (RFC 6750, section 3). */
export const tokenRefusal = {
  /** There is none. */
  required(): Problem {
    return new Problem(
      STATUS_CODE.Unauthorized,
      "token_required",
      "Expected a token: as 'Authorization: Bearer TOKEN', as 'Rivulet-Token: TOKEN', or as a WebSocket subprotocol 'bearer.BASE64URL'",
      {},
      { "WWW-Authenticate": 'Bearer realm="rivulet"' },
    );
  },

  /**
   * It is bad.
   *
   * @param reason In which way.
   * @param detail In words, without anything of the token.
   */
  invalid(reason: InvalidTokenReason, detail: string): Problem {
    const description = detail.replaceAll(NOT_QUOTABLE, "'");
    return new Problem(
      STATUS_CODE.Unauthorized,
      "invalid_token",
      detail,
      { reason },
      {
        "WWW-Authenticate":
          `Bearer realm="rivulet", error="invalid_token", error_description="${description}"`,
      },
    );
  },

  /** There are several that differ. */
  ambiguous(): Problem {
    return new Problem(
      STATUS_CODE.BadRequest,
      "ambiguous_token",
      "Expected one token: got several that differ",
      {},
      {
        "WWW-Authenticate": 'Bearer realm="rivulet", error="invalid_request"',
      },
    );
  },

  /**
   * The keys to verify it with cannot be had.
   *
   * @param delay After how long they are asked for again, in milliseconds.
   */
  noKeys(delay: number): Problem {
    return new Problem(
      STATUS_CODE.ServiceUnavailable,
      "keys_unavailable",
      "The keys that tokens are verified with cannot be had at the moment",
      {},
      { "Retry-After": `${Math.max(1, Math.ceil(delay / 1_000))}` },
    );
  },
};
