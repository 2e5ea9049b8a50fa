/**
 * A server whose answers end as a test wants them to, on real sockets.
 *
 * @module
 */
import { createServer, type Server, type Socket } from "node:net";

/** Waits until the client has taken this many events. */
export interface Taken {
  /** The number of events. */
  readonly taken: number;
}

/** An answer: pieces of its body, and waits between them. */
export interface ServerAnswer {
  /** The status line. Default: `200 OK`. */
  readonly status?: string;
  /** The type of the body; `""` for none. Default: `text/event-stream`. */
  readonly type?: string;
  /** The body; each piece of text is a chunk, and a write, of its own. */
  readonly body: readonly (string | Taken)[];
  /**
   * The end of the connection after the body: a proper end; a socket held open,
   * with nothing more; an end where another chunk ought to be; or a reset.
   * Default: `"end"`.
   */
  readonly then?: "end" | "hold" | "cut" | "reset";
}

/** The script for a request: an answer, or nothing at all. */
export type ServerScript = ServerAnswer | "silence" | "refuse";

/** A request that was made. */
export interface ServerRequest {
  /** Method and path. */
  readonly line: string;
  /** Resolves when the connection is closed, by whoever. */
  readonly closed: Promise<void>;
}

/** A server that gives its answers in order, and the last one to all who follow. */
export class EndingServer implements AsyncDisposable {
  readonly #script: readonly ServerScript[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  /** The requests that were made so far. */
  readonly requests: ServerRequest[] = [];

  private constructor(script: readonly ServerScript[]) {
    this.#script = script;
    this.#server = createServer((socket) => this.#serve(socket));
  }

  /** Starts a server on a port of its own. */
  static async start(script: readonly ServerScript[]): Promise<EndingServer> {
    const server = new EndingServer(script);
    await new Promise<void>((resolve) => {
      server.#server.listen(0, "127.0.0.1", resolve);
    });
    return server;
  }

  /** Its address. */
  get origin(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") {
      throw new Error("The server does not listen");
    }
    return `http://127.0.0.1:${address.port}`;
  }

  /** The client has taken an event. */
  take(): void {
    this.#taken++;
    for (const look of this.#waiting) look();
  }

  /** The client has taken all that there will be. */
  takeAll(): void {
    this.#taken = Infinity;
    for (const look of this.#waiting) look();
  }

  /** Resolves when this many requests were made. */
  async requested(count: number): Promise<void> {
    await this.#until(() => this.requests.length >= count);
  }

  /** Closes it, and all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #until(holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve) => {
      const look = () => {
        if (holds()) resolve();
      };
      this.#waiting.push(look);
      look();
    });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    // A client that breaks off shows in "close" too.
    socket.on("error", () => {});
    const closed = new Promise<void>((resolve) => {
      socket.once("close", () => {
        this.#sockets.delete(socket);
        resolve();
      });
    });
    let head = "";
    const onData = (data: Uint8Array) => {
      head += new TextDecoder("latin1").decode(data);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      // Read to its end, so that closing is no reset where none is meant.
      const [, length = "0"] = /^content-length: *(\d+)/im.exec(head) ?? [];
      if (head.length < end + 4 + Number(length)) return;
      socket.off("data", onData);
      // Goes on reading: else nobody notices that the client closes.
      socket.resume();
      const line = head.slice(0, head.indexOf(" HTTP/"));
      const script = this.#script[
        Math.min(this.requests.length, this.#script.length - 1)
      ];
      this.requests.push({ line, closed });
      for (const look of this.#waiting) look();
      if (script) void this.#answer(socket, script);
    };
    socket.on("data", onData);
  }

  async #answer(socket: Socket, script: ServerScript): Promise<void> {
    if (script === "silence") return;
    if (script === "refuse") {
      socket.resetAndDestroy();
      return;
    }
    const { status = "200 OK", type = "text/event-stream" } = script;
    const { body, then = "end" } = script;
    await write(
      socket,
      `HTTP/1.1 ${status}\r\n${type && `Content-Type: ${type}\r\n`}${
        // Not where it breaks off: Node's fetch would take that for the end.
        then === "end"
          ? "Connection: close\r\n"
          : ""}Transfer-Encoding: chunked\r\n\r\n`,
    );
    for (const piece of body) {
      if (typeof piece === "string") await write(socket, chunk(piece));
      else await this.#until(() => this.#taken >= piece.taken);
    }
    switch (then) {
      case "end":
        socket.end("0\r\n\r\n");
        return;
      case "cut":
        socket.end();
        return;
      case "reset":
        socket.resetAndDestroy();
    }
  }
}

/** As HTTP has a chunk: its length in bytes goes before it. */
function chunk(text: string): string {
  const { length } = new TextEncoder().encode(text);
  return `${length.toString(16)}\r\n${text}\r\n`;
}

/** Resolves when the system has taken it, or will never. */
function write(socket: Socket, text: string): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.once("close", resolve);
    socket.write(text, () => {
      socket.off("close", resolve);
      resolve();
    });
  });
}
