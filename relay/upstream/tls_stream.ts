import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";

/** The size of the buffer for reading, in bytes: one record of TLS has as many at most. */
const BUFFER_SIZE = 16 * 1024;

/**
 * A TLS connection of Deno's as a stream that `node:http` takes.
 *
 * `node:tls` of Deno 2.9.6 trusts neither the certificates of `--cert`, `DENO_CERT`
 * and `DENO_TLS_CA_STORE`, as `fetch` does, nor works without `--allow-sys`.
 */
export class TlsStream extends Duplex {
  readonly #conn: Deno.TlsConn;
  readonly #buffer = new Uint8Array(BUFFER_SIZE);

  /** Takes over a connection. */
  constructor(conn: Deno.TlsConn) {
    super({ allowHalfOpen: false });
    this.#conn = conn;
  }

  /** Does nothing: `node:http` expects this method of a socket. */
  setKeepAlive(): this {
    return this;
  }

  /** Does nothing: `node:http` expects this method of a socket. */
  setNoDelay(): this {
    return this;
  }

  /** Does nothing: the time of idle connections is kept by their agent. */
  setTimeout(): this {
    return this;
  }

  /** Does nothing: the agent closes its connections. */
  ref(): this {
    return this;
  }

  /** Does nothing: the agent closes its connections. */
  unref(): this {
    return this;
  }

  /** Closes the connection once everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override _read(): void {
    this.#conn.read(this.#buffer).then(
      (count) =>
        // A copy, since the next part is read into the same buffer.
        void this.push(
          count === null ? null : Buffer.from(this.#buffer.subarray(0, count)),
        ),
      (error) => void this.destroy(error),
    );
  }

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error) => void,
  ): void {
    this.#write(chunk).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#conn.closeWrite().then(() => done(), () => done());
  }

  override _destroy(
    error: Error | null,
    done: (error: Error | null) => void,
  ): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
    done(error);
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let rest = chunk; rest.length > 0;) {
      rest = rest.subarray(await this.#conn.write(rest));
    }
  }
}
