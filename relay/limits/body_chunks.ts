import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import process from "node:process";

/** A chunk of a body with fewer bytes is joined with those around it. */
const SMALL = 1024;

const counts = new WeakMap<IncomingMessage, number>();

/** Returns the number of chunks that have come of a body whose small chunks are joined. */
export function chunksOf(incoming: IncomingMessage): number {
  return counts.get(incoming) ?? 0;
}

/**
 * Joins the small chunks of a body that come at one time.
 *
 * A body may come in chunks of one byte, and each costs its reader some 20 µs and
 * hundreds of bytes: a megabyte of them kept a relay from everything else for
 * 20 seconds. The chunks of one read of the socket reach the reader as one.
 *
 * @param incoming A message of whose body nothing was read.
 * @param onBytes Called with the number of bytes of each chunk, and with 0 at the
 * end of the body. Default: not called.
 */
export function joinSmallChunks(
  incoming: IncomingMessage,
  onBytes?: (count: number) => void,
): void {
  const push = incoming.push.bind(incoming);
  let joined: Buffer[] = [];
  let isDue = false;
  let count = 0;

  const pass = (chunk: Buffer | null): boolean => {
    counts.set(incoming, count);
    return push(chunk);
  };

  const flush = (): boolean => {
    const [first] = joined;
    if (!first) return true;
    const bytes = joined.length === 1 ? first : Buffer.concat(joined);
    joined = [];
    return pass(bytes);
  };

  incoming.push = (chunk: Buffer | null): boolean => {
    onBytes?.(chunk?.length ?? 0);
    if (chunk) count++;
    if (!chunk || chunk.length >= SMALL) {
      flush();
      return pass(chunk);
    }
    joined.push(chunk);
    if (isDue) return true;
    isDue = true;
    // The parser has gone through all that was read when this is called.
    process.nextTick(() => {
      isDue = false;
      if (!flush()) incoming.socket.pause();
    });
    return true;
  };
}
