import type { IncomingMessage } from "node:http";

/**
 * Says what leaves it uncertain where a request ends, or whom it is for: somebody
 * in between may see it otherwise (RFC 9112, sections 3.2 and 6.3).
 *
 * @returns What was expected; `undefined` where all see the same.
 */
export function ambiguityOf(
  { headers, headersDistinct, httpVersion }: IncomingMessage,
): string | undefined {
  const coding = headers["transfer-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "chunked") {
    return "Expected a Transfer-Encoding of 'chunked', or none";
  }
  const hosts = headersDistinct["host"]?.length ?? 0;
  return hosts > 1 || (hosts === 0 && httpVersion === "1.1")
    ? "Expected one Host header"
    : undefined;
}
