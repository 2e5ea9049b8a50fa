/**
 * `Deno.listen`, `Deno.connect` and `Deno.serve` over Node's modules, as far as
 * tests of the core use them: on the loopback interface, at a port of its own.
 *
 * @module
 */
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  connect as connectSocket,
  createServer,
  type Server,
  type Socket,
} from "node:net";
import { Readable } from "node:stream";

const LOOPBACK = "127.0.0.1";

/** The number of listeners that a test may open in one turn. */
const SPARE_LISTENERS = 16;

/** An address that something is bound to. */
export interface NetAddr {
  /** Always TCP. */
  transport: "tcp";
  /** The IP address. */
  hostname: string;
  /** The port. */
  port: number;
}

/** The error that Deno throws when something is closed a second time. */
export class BadResource extends Error {
  override name = "BadResource";
}

/**
 * The error that Deno throws when something is closed while a call waits for
 * it.
 */
export class Interrupted extends Error {
  override name = "Interrupted";
}

/** A `Deno.Conn`. */
export class Conn implements Disposable {
  readonly #socket: Socket;
  #error: Error | undefined;

  /** Takes a socket over. */
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", (error) => this.#error = error);
    // A peer that closes shows at once, whether or not somebody reads.
    socket.pause();
  }

  /** Reads into the buffer; how much, or null at the end. */
  async read(buffer: Uint8Array): Promise<number | null> {
    const socket = this.#socket;
    for (;;) {
      if (this.#error) throw this.#error;
      const length = Math.min(socket.readableLength, buffer.length);
      // Takes of what has come no more than fits.
      const chunk: Uint8Array | null = socket.read(length || undefined);
      if (chunk !== null) {
        if (chunk.length > buffer.length) {
          socket.unshift(chunk.subarray(buffer.length));
        }
        const taken = chunk.subarray(0, buffer.length);
        buffer.set(taken);
        return taken.length;
      }
      if (socket.readableEnded) return null;
      if (socket.destroyed) throw new Interrupted("The connection was closed");
      await new Promise<void>((resolve) => {
        const events = ["readable", "end", "error", "close"];
        const done = () => {
          for (const event of events) socket.off(event, done);
          resolve();
        };
        for (const event of events) socket.on(event, done);
      });
    }
  }

  /** Writes; resolves when the system has taken all of it. */
  write(data: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      // A copy, as the caller may write to its own again.
      this.#socket.write(data.slice(), (error) => {
        if (error) reject(error);
        else resolve(data.length);
      });
    });
  }

  /** Closes it, unread bytes or not. */
  close(): void {
    if (this.#socket.destroyed) throw new BadResource("It was closed before");
    this.#socket.destroy();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}

/** A `Deno.Listener`. */
export class Listener implements Disposable {
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  readonly #waiting: PromiseWithResolvers<Conn>[] = [];
  #closed = false;
  /** The address that it listens on. */
  readonly addr: NetAddr;

  /** Takes over a server that listens. */
  constructor(server: Server) {
    this.#server = server;
    this.addr = addressOf(server);
    server.ref();
    server.on("connection", (socket: Socket) => {
      // Whoever connects in the moment in which it is closed.
      if (this.#closed) return void socket.destroy();
      const waiting = this.#waiting.shift();
      if (waiting) waiting.resolve(new Conn(socket));
      else this.#sockets.push(socket);
    });
  }

  /** Waits for the next connection. */
  accept(): Promise<Conn> {
    if (this.#closed) return Promise.reject(new BadResource("It was closed"));
    const socket = this.#sockets.shift();
    if (socket) return Promise.resolve(new Conn(socket));
    const waiting = withResolvers<Conn>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** Closes it, and those connections that nobody has accepted. */
  close(): void {
    if (this.#closed) throw new BadResource("It was closed before");
    this[Symbol.dispose]();
  }

  /** Closes it. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    for (const { reject } of this.#waiting) {
      reject(new Interrupted("The listener was closed"));
    }
  }
}

function addressOf(server: Server): NetAddr {
  const address = server.address();
  if (address === null || typeof address === "string") {
    throw new Error("The server does not listen");
  }
  return { transport: "tcp", hostname: address.address, port: address.port };
}

/**
 * Servers that listen already: `Deno.listen` returns when its port is known,
 * which Node tells later.
 */
const spare: Server[] = [];

/** Opens the listeners that a test may need. */
export async function prepareListeners(): Promise<void> {
  while (spare.length < SPARE_LISTENERS) {
    // Deno leaves a connection half open when the peer has sent its last.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, LOOPBACK, resolve);
    });
    server.unref();
    spare.push(server);
  }
}

function takeServer(options: { hostname?: string; port?: number }): Server {
  const { hostname = LOOPBACK, port = 0 } = options;
  if (port !== 0 || (hostname !== LOOPBACK && hostname !== "localhost")) {
    throw new RangeError(
      `Listens on ${LOOPBACK} and a free port only: not on ${hostname}:${port}`,
    );
  }
  const server = spare.shift();
  if (!server) {
    throw new Error(`Opens ${SPARE_LISTENERS} listeners at a time, not more`);
  }
  void prepareListeners();
  return server;
}

/** `Deno.listen`. */
export function listen(
  options: { hostname?: string; port: number },
): Listener {
  return new Listener(takeServer(options));
}

/** `Deno.connect`. */
export function connect(
  { hostname = LOOPBACK, port }: { hostname?: string; port: number },
): Promise<Conn> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({
      host: hostname,
      port,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(new Conn(socket));
    });
  });
}

/** Answers the requests to {@linkcode serve}. */
export type ServeHandler = (
  request: Request,
) => Response | Promise<Response>;

/** The options of Deno's that {@linkcode serve} knows. */
export interface ServeOptions {
  /** The port. */
  port?: number;
  /** The interface. */
  hostname?: string;
  /** Called with the address. */
  onListen?: (address: NetAddr) => void;
  /** Stops the server. */
  signal?: AbortSignal;
  /** Answers requests. */
  handler?: ServeHandler;
}

/** A `Deno.HttpServer`. */
export interface HttpServer extends AsyncDisposable {
  /** The address that it listens on. */
  readonly addr: NetAddr;
  /** Resolves when it is closed. */
  readonly finished: Promise<void>;
  /** Closes it. */
  shutdown(): Promise<void>;
}

/** The part of Bun that is needed to serve. */
interface BunServe {
  serve(options: {
    port: number;
    hostname: string;
    idleTimeout: number;
    fetch: ServeHandler;
  }): { readonly port: number; stop(closeAll: boolean): Promise<void> };
}

/** `Deno.serve`. */
export function serve(
  ...args: [ServeHandler] | [ServeOptions] | [ServeOptions, ServeHandler]
): HttpServer {
  let options: ServeOptions = {};
  let handler: ServeHandler | undefined;
  for (const arg of args) {
    if (typeof arg === "function") handler = arg;
    else if (arg) options = arg;
  }
  handler ??= options.handler;
  if (!handler) throw new TypeError("A server needs a handler");
  // Bun's node:http takes no connections from another server.
  const server = "Bun" in globalThis
    ? serveBun(options, handler)
    : serveNode(options, handler);
  if (options.onListen) options.onListen(server.addr);
  else console.log(`Listening on ${server.addr.port}`);
  options.signal?.addEventListener("abort", () => void server.shutdown());
  return server;
}

function serveBun(options: ServeOptions, handler: ServeHandler): HttpServer {
  const { port = 0, hostname = LOOPBACK } = options;
  // Only asked for in Bun.
  const { Bun } = globalThis as unknown as { Bun: BunServe };
  const server = Bun.serve({ port, hostname, idleTimeout: 0, fetch: handler });
  const finished = withResolvers<void>();
  const shutdown = async () => {
    await server.stop(true);
    finished.resolve();
  };
  return {
    addr: { transport: "tcp", hostname, port: server.port },
    finished: finished.promise,
    shutdown,
    [Symbol.asyncDispose]: shutdown,
  };
}

function serveNode(options: ServeOptions, handler: ServeHandler): HttpServer {
  const listening = takeServer(options);
  listening.ref();
  const addr = addressOf(listening);
  const http = createHttpServer((incoming, outgoing) => {
    answer(incoming, outgoing, handler).catch((error) => {
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });
  const sockets = new Set<Socket>();
  listening.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    http.emit("connection", socket);
    socket.resume();
  });
  const finished = withResolvers<void>();
  const shutdown = () => {
    listening.close(() => finished.resolve());
    // Deno waits for what is being answered; tests have read what they need.
    for (const socket of sockets) socket.destroy();
    return finished.promise;
  };
  return {
    addr,
    finished: finished.promise,
    shutdown,
    [Symbol.asyncDispose]: shutdown,
  };
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  handler: ServeHandler,
): Promise<void> {
  const { method = "GET", headers, url = "/" } = incoming;
  const abort = new AbortController();
  outgoing.once("close", () => abort.abort());
  const hasBody = method !== "GET" && method !== "HEAD";
  const init: RequestInit & { duplex: "half" } = {
    method,
    headers: Object.entries(headers).flatMap(([name, value = ""]) =>
      [value].flat().map((each): [string, string] => [name, each])
    ),
    signal: abort.signal,
    duplex: "half",
    ...hasBody && {
      // Node's own type of the same stream.
      body: Readable.toWeb(incoming) as unknown as ReadableStream<Uint8Array>,
    },
  };
  const response = await handler(
    new Request(new URL(url, `http://${headers.host ?? LOOPBACK}`), init),
  );
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.flushHeaders();
  if (response.body) {
    const reader = response.body.getReader();
    abort.signal.addEventListener("abort", () => {
      reader.cancel().catch(() => {});
    });
    for (let result; !(result = await reader.read()).done;) {
      const { value } = result;
      if (outgoing.destroyed) return;
      await new Promise<void>((resolve) => {
        outgoing.once("close", resolve);
        outgoing.write(value, () => {
          outgoing.off("close", resolve);
          resolve();
        });
      });
    }
  }
  outgoing.end();
}

/** `Promise.withResolvers`, which Node 20 does not have. */
export function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: PromiseWithResolvers<T>["resolve"];
  let reject!: PromiseWithResolvers<T>["reject"];
  const promise = new Promise<T>((...functions) => {
    [resolve, reject] = functions;
  });
  return { promise, resolve, reject };
}
