import type { ServerResponse } from "node:http";

/**
 * Returns a signal that is aborted when the client has its answer, or has left. That of
 * the server's `Request` would have the `Request` made, with a stream for its body.
 */
export function goneSignal(response: ServerResponse): AbortSignal {
  if (response.destroyed) return AbortSignal.abort();
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  return gone.signal;
}
