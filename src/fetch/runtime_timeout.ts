// This module is browser compatible.

/** The codes of Node's `fetch` (undici) for its own limits of 300 seconds. */
const CODES: ReadonlySet<unknown> = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
]);

/** The most causes that are looked at: an error may be its own cause. */
const MOST_CAUSES = 8;

/**
 * Whether a runtime's `fetch` has given up by a limit of its own: Node's after 300
 * seconds without headers or without a byte. Deno and Bun have none.
 *
 * @param error The error, whose causes are looked at too.
 * @returns Whether it has.
 */
export function isRuntimeTimeout(error: unknown): boolean {
  let cause: unknown = error;
  for (let i = 0; i < MOST_CAUSES && cause instanceof Error; i++) {
    if ("code" in cause && CODES.has(cause.code)) return true;
    cause = cause.cause;
  }
  return false;
}
