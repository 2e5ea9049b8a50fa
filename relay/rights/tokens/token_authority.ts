import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { decodeProtectedHeader, errors, jwtVerify } from "jose";
import { z } from "zod";
import { type Clock, wallTime } from "../../../src/fetch/clock.ts";
import { issueText } from "../../issue_text.ts";
import type { Problem } from "../../problem.ts";
import type { Access, Authority } from "../access.ts";
import { claims } from "./claims.ts";
import type { Keys, KeySource } from "../keys/key_source.ts";
import type { VerificationKey } from "../keys/verification_key.ts";
import { TokenAccess } from "./token_access.ts";
import { tokenRefusal } from "./token_refusal.ts";
import { VerifiedTokens } from "./verified_tokens.ts";

/** The options of a {@linkcode TokenAuthority}. */
export interface TokenAuthorityOptions {
  /** The keys that verify tokens. */
  readonly keys: KeySource;
  /** The audience that `aud` has to name. Default: any. */
  readonly audience?: string | undefined;
  /** The issuer that `iss` has to be. Default: any. */
  readonly issuer?: string | undefined;
  /** The clock to use. */
  readonly clock: Clock;
}

/** The longest token, in characters. */
export const MAX_TOKEN = 8_192;

/** The most that the clock of a token's issuer may be off, in seconds. */
const LEEWAY = 30;

/** The form of a token: `jose` accepts white space and padding in the parts. */
const FORM = /^[\w-]+\.[\w-]+\.[\w-]*$/;

const header = z.object({ alg: z.string(), kid: z.string().optional() });

type Header = z.output<typeof header>;

const { invalid } = tokenRefusal;

/** Lets those do what their token says (JWT, RFC 7519; PROTOCOL.md, section 5). */
export class TokenAuthority implements Authority {
  readonly #options: TokenAuthorityOptions;
  readonly #verified = new VerifiedTokens();

  /** Knows no token yet. */
  constructor(options: TokenAuthorityOptions) {
    this.#options = options;
  }

  /** Verifies a token. */
  authorize(token: string | undefined): Access | Promise<Access> {
    if (!token) throw tokenRefusal.required();
    if (token.length > MAX_TOKEN) {
      throw invalid(
        "too_long",
        `Expected a token of at most ${MAX_TOKEN} characters`,
      );
    }
    const keys = this.#options.keys.current();
    return keys instanceof Promise
      ? keys.then((keys) => this.#authorize(token, keys))
      : this.#authorize(token, keys);
  }

  /** Begins to get the keys. */
  prepare(): void {
    this.#options.keys.prepare?.();
  }

  /** Returns why no token can be verified yet. */
  unready(): Problem | undefined {
    return this.#options.keys.unready?.();
  }

  #authorize(token: string, keys: Keys): Access | Promise<Access> {
    const id = digest(token);
    const now = wallTime(this.#options.clock);
    return this.#verified.get(keys, id, now) ?? this.#verify(token, id, keys);
  }

  async #verify(token: string, id: string, current: Keys): Promise<Access> {
    const header = headerOf(token);
    const { keys, candidates } = await this.#find(header, current);
    for (const { algorithm, key } of candidates) {
      const payload = await this.#payload(token, algorithm, key);
      if (!payload) continue;
      const access = accessOf(payload, token);
      this.#verified.add(keys, id, access);
      return access;
    }
    throw invalid("signature", "The token was not signed with the relay's key");
  }

  /** Finds the keys that a token may be signed with: some where it names none. */
  async #find(
    { alg, kid }: Header,
    current: Keys,
  ): Promise<{ readonly keys: Keys; readonly candidates: Keys }> {
    let keys = current;
    const find = (): Keys =>
      keys.filter((key) =>
        key.algorithm === alg &&
        (key.kid === undefined || kid === undefined || key.kid === kid)
      );
    let candidates = find();
    if (candidates.length === 0) {
      keys = await this.#options.keys.newer(keys) ?? keys;
      candidates = find();
    }
    if (candidates.length > 0) return { keys, candidates };
    const algorithms = new Set(keys.map(({ algorithm }) => algorithm));
    throw [...algorithms].some((algorithm) => algorithm === alg)
      ? invalid("unknown_key", "The token names a key that the relay has not")
      : invalid(
        "algorithm",
        `Expected a token signed by ${[...algorithms].join(" or ")}`,
      );
  }

  /** Returns what a token says; `undefined` if another key has signed it. */
  async #payload(
    token: string,
    algorithm: string,
    key: VerificationKey["key"],
  ): Promise<unknown> {
    const { audience, issuer, clock } = this.#options;
    try {
      const { payload } = await jwtVerify(token, key, {
        algorithms: [algorithm],
        clockTolerance: LEEWAY,
        currentDate: new Date(wallTime(clock)),
        ...(audience !== undefined && { audience }),
        ...(issuer !== undefined && { issuer }),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) {
        return undefined;
      }
      throw problemOf(error) ?? error;
    }
  }
}

function headerOf(token: string): Header {
  try {
    if (isWellFormed(token)) return header.parse(decodeProtectedHeader(token));
  } catch {
    // refused below
  }
  throw invalid("malformed", "Expected a JWT: three parts of base64url");
}

/**
 * Whether each part of a token is base64url in the one spelling that its bytes have
 * (RFC 4648, section 3.5): the unused bits of a last character are zero.
 */
function isWellFormed(token: string): boolean {
  return FORM.test(token) &&
    token.split(".").every((part) =>
      Buffer.from(part, "base64url").toString("base64url") === part
    );
}

function accessOf(payload: unknown, token: string): Access {
  const { data, error } = claims.safeParse(payload);
  if (error) {
    throw invalid("claims", `The token's claim ${issueText(error)}`);
  }
  const { iss, sub, exp } = data;
  // Anybody can make another valid signature from one of ES256, for the same token.
  const signed = token.slice(0, token.lastIndexOf("."));
  const identity = digest(
    sub === undefined ? signed : JSON.stringify([iss ?? null, sub]),
  );
  return new TokenAccess(data, identity, (exp + LEEWAY) * 1_000);
}

/** Says what is wrong with a token, if that is what went wrong. */
function problemOf(error: unknown): Problem | undefined {
  if (error instanceof errors.JWTExpired) {
    return invalid("expired", "The token has expired");
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    return problemOfClaim(error);
  }
  if (
    error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid ||
    error instanceof errors.JOSENotSupported
  ) {
    return invalid("malformed", "Expected a signed JWT, without extensions");
  }
  return undefined;
}

function problemOfClaim(
  { claim, reason }: errors.JWTClaimValidationFailed,
): Problem {
  switch (claim) {
    case "nbf":
      if (reason !== "check_failed") break;
      return invalid("not_yet_valid", "The token is not valid yet");
    case "aud":
      return invalid("audience", "The token is for somebody else: see its aud");
    case "iss":
      return invalid("issuer", "The token is of somebody else: see its iss");
  }
  return invalid("claims", `The token's claim '${claim}' is missing, or wrong`);
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
