/**
 * The hostile provider on real sockets, where a reset is one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import {
  HostileConnectionError,
  HostileProvider,
  type HostileProviderOptions,
} from "../../src/testing/mod.ts";

/** The provider's options, and the address to listen on. */
export interface HostileServerOptions extends HostileProviderOptions {
  /** Default: 127.0.0.1. */
  readonly hostname?: string | undefined;
  /** Default: one that is free. */
  readonly port?: number | undefined;
}

/** A hostile provider that listens. */
export class HostileServer implements AsyncDisposable {
  /** The provider, which plans its answers and keeps the requests. */
  readonly provider: HostileProvider;
  readonly #server: Server;
  readonly #answers = new Set<Promise<void>>();
  readonly #hostname: string;

  constructor(provider: HostileProvider, hostname: string) {
    this.provider = provider;
    this.#hostname = hostname;
    // A connection is closed by its client, or by a plan.
    this.#server = createServer({
      noDelay: true,
      requestTimeout: 0,
      keepAliveTimeout: 60_000,
    }, (incoming, outgoing) => {
      const answer = this.#answer(incoming, outgoing).finally(() =>
        this.#answers.delete(answer)
      );
      this.#answers.add(answer);
    });
  }

  /** Listens; resolves when it does. */
  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, this.#hostname, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Its port. */
  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") {
      throw new Error("The hostile server does not listen");
    }
    return address.port;
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://${this.#hostname}:${this.port}`;
  }

  /** Closes it, and what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    await Promise.all(this.#answers);
  }

  async #answer(
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const left = new AbortController();
    const leave = () => left.abort(new Error("The client has left"));
    // Whatever happens to the socket, it is closed then.
    outgoing.on("error", () => {});
    incoming.on("error", () => {});
    outgoing.once("close", leave);
    // Before its own body has come, that is the first to show it.
    incoming.once("close", () => {
      if (!incoming.complete) leave();
    });
    try {
      const response = await this.provider.fetch(
        requestOf(incoming, this.url, left.signal),
      );
      outgoing.writeHead(response.status, [...response.headers].flat());
      outgoing.flushHeaders();
      if (response.body) await send(response.body, outgoing, left.signal);
      outgoing.end();
    } catch (error) {
      if (left.signal.aborted) return;
      if (!(error instanceof HostileConnectionError)) {
        outgoing.destroy();
        throw error;
      }
      if (error.code === "connection_reset") {
        outgoing.socket?.resetAndDestroy();
      } else outgoing.socket?.destroy();
    } finally {
      outgoing.off("close", leave);
    }
  }
}

/** Writes a body: each chunk is a chunk of HTTP, and a write of its own. */
async function send(
  body: ReadableStream<Uint8Array>,
  outgoing: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const reader = body.getReader();
  /** Ends what is waited for: a write to a socket that is gone is never done. */
  let release = () => {};
  const leave = () => {
    release();
    reader.cancel(signal.reason).catch(() => {});
  };
  signal.addEventListener("abort", leave);
  if (signal.aborted) leave();
  try {
    for (let read; !(read = await reader.read()).done;) {
      const { buffer, byteOffset, byteLength } = read.value;
      const written = new Promise<void>((resolve) => {
        release = resolve;
        outgoing.write(
          Buffer.from(buffer, byteOffset, byteLength),
          () => resolve(),
        );
      });
      if (!signal.aborted) await written;
    }
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

function requestOf(
  incoming: IncomingMessage,
  origin: string,
  signal: AbortSignal,
): Request {
  const { method = "GET", url = "/", rawHeaders } = incoming;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  const hasBody = method !== "GET" && method !== "HEAD";
  // Not `new URL(url, origin)`: a path may begin with two slashes.
  return new Request(origin + url, {
    method,
    headers,
    signal,
    // Node asks for it where a body is a stream; the types do not know it.
    ...hasBody && { body: bodyOf(incoming), duplex: "half" },
  });
}

function bodyOf(incoming: IncomingMessage): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      let isOpen = true;
      incoming.on("data", (data: Uint8Array) => {
        if (!isOpen) return;
        controller.enqueue(new Uint8Array(data));
        if ((controller.desiredSize ?? 0) <= 0) incoming.pause();
      });
      incoming.once("end", () => {
        if (isOpen) controller.close();
        isOpen = false;
      });
      incoming.once("close", () => {
        if (isOpen) controller.error(new Error("The client has left"));
        isOpen = false;
      });
    },
    pull: () => void incoming.resume(),
    cancel: () => void incoming.resume(),
  });
}

/** Starts a hostile provider on a port of its own, unless it is told another. */
export async function startHostileServer(
  options: HostileServerOptions = {},
): Promise<HostileServer> {
  const { hostname = "127.0.0.1", port = 0, ...rest } = options;
  const server = new HostileServer(new HostileProvider(rest), hostname);
  await server.listen(port);
  return server;
}
