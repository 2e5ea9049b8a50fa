/**
 * A TCP server on the loopback interface whose test writes every byte itself.
 *
 * @module
 */

/** The head of an answer that is an event stream, ended by the connection's end. */
export const STREAM_HEAD =
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

const encoder = new TextEncoder();

/** One connection, from the server's side. */
export class RawConnection implements Disposable {
  readonly #conn: Deno.Conn;
  #unread = "";

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  async #read(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const count = await this.#conn.read(buffer);
    if (count === null) return false;
    // Not TextDecoder: its "latin1" is Windows-1252.
    for (const byte of buffer.subarray(0, count)) {
      this.#unread += String.fromCharCode(byte);
    }
    return true;
  }

  /** Reads up to and with `end`: bytes as Latin-1; undefined if the peer closes first. */
  async readUntil(end: string): Promise<string | undefined> {
    while (!this.#unread.includes(end)) {
      try {
        if (!await this.#read()) return undefined;
      } catch {
        return undefined;
      }
    }
    const length = this.#unread.indexOf(end) + end.length;
    const text = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    return text;
  }

  /** Reads so many bytes, as Latin-1. */
  async readBytes(length: number): Promise<string> {
    while (this.#unread.length < length) {
      if (!await this.#read()) throw new Error("The client sent less");
    }
    const text = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    return text;
  }

  /** Reads the head of a request; names of headers in lower case, as Deno sends them. */
  async readHead(): Promise<string> {
    const head = await this.readUntil("\r\n\r\n");
    if (head === undefined) throw new Error("The client sent no request");
    return head.replace(/^[^\s:]+:/gm, (name) => name.toLowerCase());
  }

  /** Writes all of it. */
  async write(data: string | Uint8Array): Promise<void> {
    let rest = typeof data === "string" ? encoder.encode(data) : data;
    while (rest.length > 0) {
      rest = rest.subarray(await this.#conn.write(rest));
    }
  }

  /** Passes bytes between its peer and another connection, until one of them closes. */
  join(other: Deno.Conn): void {
    const conn = this.#conn;
    const unread = Uint8Array.from(this.#unread, (c) => c.charCodeAt(0));
    void (async () => {
      await new Blob([unread]).stream().pipeTo(other.writable, {
        preventClose: true,
      });
      await conn.readable.pipeTo(other.writable);
    })().catch(() => {});
    void other.readable.pipeTo(conn.writable).catch(() => {});
  }

  /** Resolves when the peer has closed the connection. */
  async closed(): Promise<void> {
    try {
      while (await this.#read());
    } catch {
      // A reset closes it too.
    }
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // It is closed already.
    }
  }
}

/** A server on a port of its own. */
export class RawServer implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections: RawConnection[] = [];

  /** Its address. */
  get origin(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
  }

  /** Waits for the next connection. */
  async accept(): Promise<RawConnection> {
    const connection = new RawConnection(await this.#listener.accept());
    this.#connections.push(connection);
    return connection;
  }

  /** Waits for a request, and starts to answer it with a stream. */
  async stream(start = ""): Promise<RawConnection> {
    const connection = await this.accept();
    await connection.readHead();
    await connection.write(STREAM_HEAD + start);
    return connection;
  }

  /** Closes it, and all connections. */
  [Symbol.dispose](): void {
    try {
      this.#listener.close();
    } catch {
      // It is closed already.
    }
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }
}
