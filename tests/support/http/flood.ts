import { latin1 } from "./raw_http.ts";

/** The bytes that are sent at once. */
const BLOCK = 64 * 1024;

/** A peer that sends the same bytes without an end, as fast as they are taken, and again when it is cut. */
export class Flood implements AsyncDisposable {
  /** Resolves when a part of it has been taken. */
  readonly hasBegun: Promise<void>;
  readonly #port: number;
  readonly #start: Uint8Array;
  readonly #block: Uint8Array;
  readonly #finished: Promise<void>;
  readonly #begun = Promise.withResolvers<void>();
  #connection: Deno.Conn | undefined;
  #isOver = false;

  /**
   * Begins.
   *
   * @param url The server.
   * @param start The bytes at the beginning of each connection, as text.
   * @param repeated The bytes that follow.
   */
  constructor(url: string, start: string, repeated: string) {
    this.#port = Number(new URL(url).port);
    this.#start = latin1(start);
    this.#block = latin1(repeated.repeat(Math.ceil(BLOCK / repeated.length)));
    this.hasBegun = this.#begun.promise;
    this.#finished = this.#flood();
  }

  async #flood(): Promise<void> {
    while (!this.#isOver) {
      using connection = await Deno.connect({ port: this.#port });
      this.#connection = connection;
      try {
        await writeAll(connection, this.#start);
        while (!this.#isOver) {
          await writeAll(connection, this.#block);
          this.#begun.resolve();
        }
      } catch {
        // It was cut: the next one begins.
        this.#begun.resolve();
      }
    }
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    try {
      this.#connection?.close();
    } catch {
      // It was closed already.
    }
    await this.#finished;
  }
}

/** Writes bytes, all of them. */
export async function writeAll(
  connection: Deno.Conn,
  bytes: Uint8Array,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    at += await connection.write(bytes.subarray(at));
  }
}
