import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import process from "node:process";

/** A chunk of a body with fewer bytes is joined with those around it. */
const SMALL = 1024;

/** An empty list that all bodies share. Nothing is ever added to it. */
const NONE: never[] = [];

/** The property of a message whose small chunks are joined. */
const JOINED = Symbol("joined");

/** A message whose small chunks are joined. */
type JoinedMessage = IncomingMessage & { [JOINED]?: JoinedBody };

/** Takes a part of a body; returns whether there is room for more. */
export type TakePart = (part: Uint8Array) => boolean;

/** Returns the number of chunks that have come of a body whose small chunks are joined. */
export function chunksOf(incoming: IncomingMessage): number {
  return (incoming as JoinedMessage)[JOINED]?.count ?? 0;
}

/**
 * Has the parts of a body given to a function from now on, and not to its stream, which
 * would cost more than all that is done with a part of an event stream. The stream has
 * the end alone, and has to be read for it.
 *
 * @returns Whether it is a body whose small chunks are joined: of others nothing is taken.
 */
export function takeParts(incoming: IncomingMessage, take: TakePart): boolean {
  const joined = (incoming as JoinedMessage)[JOINED];
  if (joined) joined.take = take;
  return joined !== undefined;
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
  const joined = new JoinedBody(incoming, onBytes);
  (incoming as JoinedMessage)[JOINED] = joined;
  incoming.push = (chunk: Buffer | null) => joined.push(chunk);
}

/** A body whose small chunks are joined. */
class JoinedBody {
  readonly #incoming: IncomingMessage;
  readonly #onBytes: ((count: number) => void) | undefined;
  readonly #push: (chunk: Buffer | null) => boolean;
  #joined: Buffer[] = NONE;
  #isDue = false;
  #come = 0;
  /** The number of chunks that were passed on. */
  count = 0;
  /** Takes the parts in place of the stream. */
  take: TakePart | undefined;

  constructor(
    incoming: IncomingMessage,
    onBytes: ((count: number) => void) | undefined,
  ) {
    this.#incoming = incoming;
    this.#onBytes = onBytes;
    this.#push = incoming.push.bind(incoming);
  }

  /** Takes a chunk; `null` at the end. Returns whether there is room for more. */
  push(chunk: Buffer | null): boolean {
    this.#onBytes?.(chunk?.length ?? 0);
    if (chunk) this.#come++;
    if (!chunk || chunk.length >= SMALL) {
      this.#flush();
      return this.#pass(chunk);
    }
    if (this.#joined.length === 0) this.#joined = [chunk];
    else this.#joined.push(chunk);
    if (this.#isDue) return true;
    this.#isDue = true;
    // The parser has gone through all that was read when this is called.
    process.nextTick(this.#onTick);
    return true;
  }

  readonly #onTick = (): void => {
    this.#isDue = false;
    if (!this.#flush()) this.#incoming.socket.pause();
  };

  #flush(): boolean {
    const joined = this.#joined;
    const [first] = joined;
    if (!first) return true;
    this.#joined = NONE;
    return this.#pass(joined.length === 1 ? first : Buffer.concat(joined));
  }

  #pass(chunk: Buffer | null): boolean {
    this.count = this.#come;
    return chunk && this.take ? this.take(chunk) : this.#push(chunk);
  }
}
