/**
 * An HTTP server for the conformance tests, which can hand out a body chunk by
 * chunk: it sends the next one when the client has the last.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { LIMIT, within } from "../within.ts";

/**
 * The header by which {@linkcode ConformanceServer.fetch} knows what a response
 * belongs to.
 */
const EXCHANGE = "x-exchange";

const encoder = new TextEncoder();

function toBytes(data: string | Uint8Array): Uint8Array {
  return typeof data === "string" ? encoder.encode(data) : data;
}

/** One request, and its answer. */
export class Exchange {
  readonly #response: ServerResponse;
  readonly #number: number;
  #sent = 0;
  #received = 0;
  #arrived = Promise.withResolvers<void>();

  /** The method. */
  readonly method: string;
  /** The path, and the query if there is one. */
  readonly target: string;
  /** The headers by their names in lower case: bytes as Latin-1. */
  readonly headers: ReadonlyMap<string, string>;
  /** The body. */
  readonly body: string;
  /** Resolves when the answer is over, whoever ended it. */
  readonly closed: Promise<void>;

  constructor(
    request: IncomingMessage,
    body: string,
    response: ServerResponse,
    number: number,
  ) {
    this.#response = response;
    this.#number = number;
    this.method = request.method ?? "";
    this.target = request.url ?? "";
    this.body = body;
    const headers = new Map<string, string>();
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      const [name = "", value = ""] = request.rawHeaders.slice(i, i + 2);
      headers.set(name.toLowerCase(), value);
    }
    this.headers = headers;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.on("error", () => {});
    response.on("close", resolve);
    this.closed = promise;
  }

  /** Starts the answer. */
  open(
    status = 200,
    headers: OutgoingHttpHeaders = { "Content-Type": "text/event-stream" },
  ): void {
    this.#response.writeHead(status, {
      ...headers,
      [EXCHANGE]: `${this.#number}`,
    });
    this.#response.flushHeaders();
  }

  /**
   * Sends bytes in chunks, each when the client, which has to use the server's
   * `fetch`, has taken the one before; all of them are there at the end.
   *
   * @param data What to send.
   * @param size How many bytes go into a chunk. Default: all of them.
   */
  async send(data: string | Uint8Array, size?: number): Promise<void> {
    const bytes = toBytes(data);
    const step = size ?? Math.max(1, bytes.length);
    for (let at = 0; at < bytes.length; at += step) {
      const chunk = bytes.subarray(at, at + step);
      this.#sent += chunk.length;
      this.#response.write(Buffer.from(chunk));
      await within(
        Promise.race([this.#taken(), this.closed]),
        LIMIT,
        () => `the client to take byte ${this.#received} of ${this.#sent}`,
      );
    }
  }

  /** The rest of the body, in one chunk, and its end. */
  end(data: string | Uint8Array = ""): void {
    this.#response.end(Buffer.from(toBytes(data)));
  }

  /** The connection ends within the body. */
  drop(): void {
    this.#response.socket?.destroy();
  }

  /** Waits until the client has hung up. */
  async hungUp(): Promise<void> {
    await within(this.closed, LIMIT, "the client to hang up");
  }

  /** The client has these bytes. */
  received(count: number): void {
    this.#received += count;
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  async #taken(): Promise<void> {
    while (this.#received < this.#sent) await this.#arrived.promise;
  }
}

/** Answers a request; `count` is 1 for the first. */
export type Handler = (
  exchange: Exchange,
  count: number,
) => void | Promise<void>;

/** A server on a port of its own. */
export class ConformanceServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #handler: Handler | undefined;
  readonly #waiting: Exchange[] = [];
  #arrived = Promise.withResolvers<void>();
  #failure: unknown;

  /** Every request that has come. */
  readonly exchanges: Exchange[] = [];

  private constructor(handler: Handler | undefined) {
    this.#handler = handler;
    this.#server = createServer((request, response) =>
      void this.#serve(request, response)
    );
  }

  /**
   * Starts one.
   *
   * @param handler Answers every request. Without it they are left to `accept`.
   */
  static async start(handler?: Handler): Promise<ConformanceServer> {
    const server = new ConformanceServer(handler);
    await new Promise<void>((resolve) =>
      server.#server.listen(0, "127.0.0.1", resolve)
    );
    return server;
  }

  /** Its port. */
  get port(): number {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return port;
  }

  /** Its origin. */
  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The `fetch` of a client that {@linkcode Exchange.send} can wait for. */
  readonly fetch = async (
    input: string | URL | Request,
    init?: RequestInit,
  ): Promise<Response> => {
    const response = await fetch(input, init);
    const number = Number(response.headers.get(EXCHANGE) ?? 0);
    const exchange = this.exchanges[number - 1];
    if (response.status !== 200 || !response.body || !exchange) return response;
    const reader = response.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await reader.read();
        if (done) return controller.close();
        controller.enqueue(value);
        exchange.received(value.byteLength);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
    const { status, headers, url } = response;
    // A response that is made has no URL.
    return Object.defineProperty(
      new Response(body, { status, headers }),
      "url",
      { value: url },
    );
  };

  /** Waits for the next request that has not been accepted. */
  async accept(): Promise<Exchange> {
    const arrival = async (): Promise<Exchange> => {
      for (;;) {
        const exchange = this.#waiting.shift();
        if (exchange) return exchange;
        await this.#arrived.promise;
      }
    };
    return await within(arrival(), LIMIT, "a request");
  }

  /** Closes it, and what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    try {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const body = Buffer.concat(chunks).toString();
      const number = this.exchanges.length + 1;
      const exchange = new Exchange(request, body, response, number);
      this.exchanges.push(exchange);
      if (this.#handler) return await this.#handler(exchange, number);
      this.#waiting.push(exchange);
      this.#arrived.resolve();
      this.#arrived = Promise.withResolvers();
    } catch (error) {
      this.#failure ??= error;
      response.destroy();
    }
  }
}
