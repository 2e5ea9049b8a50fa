import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";

/** A right to a topic (PROTOCOL.md, section 5). */
export type Right = "read" | "write" | "cancel" | "send";

/** The rights of one caller. */
export interface Access {
  /** Names the caller, for limits and for what is kept per caller; not to be shown. */
  readonly identity: string;
  /** The subject of the caller's token, if it has one; `undefined` without a token. */
  readonly subject: string | undefined;
  /** Until when this holds, in milliseconds since the epoch; `Infinity` for always. */
  readonly expires: number;
  /** Whether it may do everything, and see what is nobody's topic. */
  readonly isAdmin: boolean;
  /** Whether it may be a relay whose topics live in this one. */
  readonly mayLink: boolean;
  /** Whether it may do something with a topic. */
  may(right: Right, topic: string): boolean;
  /**
   * Returns whether the caller may make a request to a provider with the relay's
   * key: `undefined` if its token says nothing of providers.
   *
   * @param request The request: `openai:GET models`.
   */
  mayAsk(request: string): boolean | undefined;
}

/** The rights of everybody who reaches a relay without a key. */
export const FULL_ACCESS: Access = {
  identity: "",
  subject: undefined,
  expires: Infinity,
  isAdmin: true,
  mayLink: true,
  may: () => true,
  mayAsk: () => true,
};

/** Says what the holder of a token may do. */
export interface Authority {
  /**
   * Reads a token.
   *
   * @param token The caller's token, if it sent one.
   * @returns The caller's rights.
   * @throws {Problem} 401 `token_required` or `invalid_token`, or rejects with it.
   */
  authorize(token: string | undefined): Access | Promise<Access>;
  /** Begins to get what tokens are verified with, and goes on until it is there. */
  prepare?(): void;
  /** Returns why no token can be verified yet: 503 `keys_unavailable`. */
  unready?(): Problem | undefined;
}

/**
 * The authority of a relay without a key. What a caller has for a token is
 * nobody's concern there: it may belong to a provider.
 */
export const OPEN_AUTHORITY: Authority = { authorize: () => FULL_ACCESS };

/**
 * Lets pass who may do something with a topic.
 *
 * @param access The rights of the caller.
 * @param right The right that it needs.
 * @param topic With which topic: there may be none of that name, which is not
 * told to who may not know.
 * @throws {Problem} 403 `forbidden` If it may not.
 */
export function assertMay(access: Access, right: Right, topic: string): void {
  if (access.may(right, topic)) return;
  throw forbidden(`Expected a token with the right to ${right} this topic`);
}

/**
 * Lets pass who may do everything.
 *
 * @throws {Problem} 403 `forbidden` If the caller may not.
 */
export function assertAdmin({ isAdmin }: Access): void {
  if (!isAdmin) throw forbidden("Expected a token of an administrator");
}

/**
 * Lets pass who may be a relay whose topics live in this one.
 *
 * @throws {Problem} 403 `forbidden` If the caller may not.
 */
export function assertMayLink({ mayLink }: Access): void {
  if (!mayLink) throw forbidden("Expected a token with the right to link");
}

/** Makes the refusal of a caller that lacks a right (RFC 6750, section 3.1). */
export function forbidden(detail: string): Problem {
  return new Problem(STATUS_CODE.Forbidden, "forbidden", detail, {}, {
    "WWW-Authenticate": 'Bearer error="insufficient_scope"',
  });
}
