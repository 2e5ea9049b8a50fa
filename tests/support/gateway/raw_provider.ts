/**
 * A provider whose test reads every request, and writes every byte of every
 * answer.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  type AddressInfo,
  createServer,
  type Server,
  type Socket,
} from "node:net";
import { LIMIT, within } from "../within.ts";

const encoder = new TextEncoder();

/** A request as it came, and its answer. */
export class ProviderExchange {
  /** The method. */
  readonly method: string;
  /** The path and the query, as they came. */
  readonly target: string;
  /** The headers as they came, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #received: ReceivedBytes;
  #isChunked = false;

  constructor(head: string, socket: Socket, received: ReceivedBytes) {
    const [first = "", ...lines] = head.trimEnd().split("\r\n");
    const [method = "", target = ""] = first.split(" ");
    this.method = method;
    this.target = target;
    this.headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return [
        line.slice(0, colon).toLowerCase(),
        line.slice(colon + 1).trim(),
      ] as const;
    });
    this.#socket = socket;
    this.#received = received;
    this.closed = received.closed;
  }

  /** The value of a header, if it came. */
  header(name: string): string | undefined {
    return this.headers.find(([other]) => other === name)?.[1];
  }

  /** Reads the body to its end. */
  async body(): Promise<Uint8Array> {
    const length = this.header("content-length");
    if (length !== undefined) return await this.#received.take(Number(length));
    if (this.header("transfer-encoding") === undefined) return new Uint8Array();
    const parts: Uint8Array[] = [];
    for (;;) {
      const size = parseInt(await this.#received.line(), 16);
      const part = await this.#received.take(size);
      await this.#received.line();
      if (size === 0) return Buffer.concat(parts);
      parts.push(part);
    }
  }

  /** Reads nothing, or goes on. */
  pause(isPaused: boolean): void {
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** The number of bytes received on this connection. */
  get received(): number {
    return this.#received.total;
  }

  /** Writes bytes as they are. */
  async raw(data: string | Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    this.#socket.write(bytes, () => resolve());
    await Promise.race([promise, this.closed]);
  }

  /** Writes the head of an answer whose body is {@linkcode write}. */
  async head(
    status = 200,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    this.#isChunked = headers["content-length"] === undefined;
    const lines = Object.entries({
      ...(this.#isChunked && { "transfer-encoding": "chunked" }),
      ...headers,
      connection: "close",
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.raw(`HTTP/1.1 ${status} Status\r\n${lines.join("")}\r\n`);
  }

  /** Begins an event stream. */
  async stream(
    start: string | Uint8Array = "",
    headers: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.head(200, { "content-type": "text/event-stream", ...headers });
    await this.write(start);
  }

  /** Writes a part of the body. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (bytes.length === 0) return;
    if (!this.#isChunked) return await this.raw(bytes);
    await this.raw(
      Buffer.concat([
        encoder.encode(`${bytes.length.toString(16)}\r\n`),
        bytes,
        encoder.encode("\r\n"),
      ]),
    );
  }

  /** The body ends as bodies do. */
  async end(data: string | Uint8Array = ""): Promise<void> {
    await this.write(data);
    if (this.#isChunked) await this.raw("0\r\n\r\n");
    this.#socket.end();
  }

  /** A whole answer. */
  async answer(
    status: number,
    headers: Readonly<Record<string, string>> = {},
    body: string | Uint8Array = "",
  ): Promise<void> {
    const bytes = typeof body === "string" ? encoder.encode(body) : body;
    await this.head(status, {
      ...headers,
      "content-length": String(bytes.length),
    });
    await this.end(bytes);
  }

  /** An answer of JSON. */
  async json(status: number, value: unknown): Promise<void> {
    const headers = { "content-type": "application/json" };
    await this.answer(status, headers, JSON.stringify(value));
  }

  /** The connection is closed within the body. */
  close(): void {
    this.#socket.end();
  }

  /** The connection is reset. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/** The bytes received on a connection, to be taken piece by piece. */
class ReceivedBytes {
  readonly closed: Promise<void>;
  #parts: Uint8Array[] = [];
  #length = 0;
  #total = 0;
  #isClosed = false;
  #wake = Promise.withResolvers<void>();

  constructor(socket: Socket) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on("data", (bytes: Uint8Array) => {
      this.#parts.push(bytes);
      this.#length += bytes.length;
      this.#total += bytes.length;
      this.#wake.resolve();
    });
    socket.on("error", () => {}); // `close` follows
    socket.on("close", () => {
      this.#isClosed = true;
      this.#wake.resolve();
      resolve();
    });
  }

  get total(): number {
    return this.#total;
  }

  async take(length: number): Promise<Uint8Array> {
    while (this.#length < length) await this.#more();
    const all = Buffer.concat(this.#parts);
    this.#parts = [all.subarray(length)];
    this.#length = all.length - length;
    return all.subarray(0, length);
  }

  line(): Promise<string> {
    return this.until("\r\n");
  }

  async until(end: string): Promise<string> {
    for (;;) {
      const all = Buffer.concat(this.#parts);
      this.#parts = [all];
      const at = all.indexOf(end);
      if (at >= 0) {
        return Buffer.from(await this.take(at + end.length)).toString("latin1");
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    if (this.#isClosed) throw new Error("The client has closed the connection");
    this.#wake = Promise.withResolvers();
    await within(this.#wake.promise, LIMIT, "more bytes of a request");
  }
}

/** A provider on a port of its own. */
export class RawProvider implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting: ProviderExchange[] = [];
  #wake = Promise.withResolvers<void>();
  #count = 0;

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("close", () => this.#sockets.delete(socket));
      void this.#serve(socket);
    });
  }

  /** Starts one. */
  static async start(): Promise<RawProvider> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    return new RawProvider(server);
  }

  /** The URL that stands in place of `/v1`. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}/base/v1`;
  }

  /** The number of requests received. */
  get count(): number {
    return this.#count;
  }

  /** Waits for the next request. */
  async next(): Promise<ProviderExchange> {
    while (this.#waiting.length === 0) {
      this.#wake = Promise.withResolvers();
      await within(this.#wake.promise, LIMIT, "a request to the provider");
    }
    return this.#waiting.shift()!; // looked at above
  }

  async #serve(socket: Socket): Promise<void> {
    const received = new ReceivedBytes(socket);
    // Whoever closes its half has closed all of it, as HTTP has it.
    socket.on("end", () => socket.end());
    let head: string;
    try {
      head = await received.until("\r\n\r\n");
    } catch {
      return; // it has said nothing
    }
    this.#count++;
    this.#waiting.push(new ProviderExchange(head, socket, received));
    this.#wake.resolve();
  }

  /** Cuts everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
