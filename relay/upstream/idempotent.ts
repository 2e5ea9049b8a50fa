/** The methods of requests that an upstream may be sent twice (RFC 9110, section 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "OPTIONS",
  "PUT",
]);

/**
 * Whether an upstream may be sent a request with a method twice. A `DELETE` that is
 * sent twice does no more harm than one, but is answered 404.
 */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}
