import { Duplex } from "node:stream";

/**
 * A socket as a stream that is no socket.
 *
 * `node:http2` of some runtimes takes the handle out of a socket: neither the pace of
 * the relay nor its look at the frames would see the bytes.
 */
export class PlainStream extends Duplex {
  readonly #socket: Duplex;

  /** Takes over a socket. */
  constructor(socket: Duplex) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    socket.on("data", (part) => {
      if (!this.push(part)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.on("close", () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(
    error: Error | null,
    done: (error: Error | null) => void,
  ): void {
    this.#socket.destroy();
    done(error);
  }
}
