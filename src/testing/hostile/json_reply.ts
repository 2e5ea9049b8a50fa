// This module is browser compatible.
import { piece, type Reply } from "./reply.ts";

/** An answer that is JSON. */
export function jsonReply(
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const body = piece(JSON.stringify(value));
  return {
    status,
    headers: {
      "Content-Type": "application/json",
      ...headers,
      "Content-Length": String(body.bytes.byteLength),
    },
    pieces: [body],
    // Neither belongs in JSON: the body ends where an event stream would go on.
    error: () => [],
    ping: undefined,
  };
}
