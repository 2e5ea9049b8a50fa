import type { ServerResponse } from "node:http";

/**
 * Cuts off an answer that has begun and is not whole, once what was written is sent.
 * Its client can tell that something is missing: over HTTP/1.1, the last chunk or
 * some of the length is. Over HTTP/1.0, the end of the connection is the end of the
 * body, so the connection is reset.
 */
export function cutAnswer(response: ServerResponse): void {
  const { socket, writableEnded } = response;
  if (writableEnded || socket?.destroyed) return;
  if (!socket) response.destroy();
  else if (!endsWithConnection(response)) socket.destroySoon();
  // The callback waits for earlier writes: a reset drops what the system has not got.
  else socket.write("", () => socket.resetAndDestroy());
}

/**
 * Cuts off an answer at once, with what its client has not read, as
 * {@linkcode cutAnswer} does otherwise; also one of which only the sending is left.
 */
export function dropAnswer(response: ServerResponse): void {
  const { socket } = response;
  if (socket && endsWithConnection(response)) socket.resetAndDestroy();
  else response.destroy();
}

/** Whether the body ends where its connection does: HTTP/1.0 has no chunks. */
function endsWithConnection({ req }: ServerResponse): boolean {
  return req.httpVersionMajor === 1 && req.httpVersionMinor === 0;
}
