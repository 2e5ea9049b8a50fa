import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import type { Access, Right } from "./access.ts";

/**
 * Lets pass who may do something with a topic.
 *
 * @param access What the caller may do.
 * @param right What it wants to do.
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

/** RFC 6750, section 3.1. */
function forbidden(detail: string): Problem {
  return new Problem(STATUS_CODE.Forbidden, "forbidden", detail, {}, {
    "WWW-Authenticate": 'Bearer error="insufficient_scope"',
  });
}
