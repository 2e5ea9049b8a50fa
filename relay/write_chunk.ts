import { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import { WRITES_PARTS_LATE } from "./runtime.ts";

/** The most bytes of a chunk that is made here: longer ones are worth a copy no more. */
const SHORT = 4 * 1024;

const CR = 13;
const LF = 10;

/**
 * Writes bytes of the body of a response whose head has been written.
 *
 * `node:http` writes a chunk in three parts at the end of the turn. Where that is dear,
 * a short chunk is made here, and written at once: 10 µs in place of 13.
 *
 * Nothing is written behind the end: the next answer of the connection would begin with
 * it.
 *
 * @param done Called when the bytes have left, if the response is not closed before.
 * Default: does nothing.
 */
export function writeChunk(
  response: ServerResponse,
  bytes: Uint8Array,
  done?: () => void,
): void {
  const { socket, writableEnded } = response;
  if (writableEnded) return;
  // While something waits to be sent, the response has to hear of it.
  const isOwn = WRITES_PARTS_LATE && socket && response.chunkedEncoding &&
    bytes.length > 0 && bytes.length <= SHORT && response.writableLength === 0;
  if (isOwn) socket.write(chunkOf(bytes), done);
  else response.write(bytes, done);
}

/** Returns bytes as a chunk (RFC 9112, section 7.1). */
function chunkOf(bytes: Uint8Array): Buffer {
  const size = bytes.length.toString(16);
  const chunk = Buffer.allocUnsafe(size.length + bytes.length + 4);
  let at = 0;
  for (; at < size.length; at++) chunk[at] = size.charCodeAt(at);
  chunk[at++] = CR;
  chunk[at++] = LF;
  chunk.set(bytes, at);
  at += bytes.length;
  chunk[at++] = CR;
  chunk[at] = LF;
  return chunk;
}
