import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import { Problem } from "../problem.ts";
import type { RequestHandler } from "./routes.ts";

/** What the server hands requests to. */
export interface HttpServerHandlers {
  /** Answers a request. */
  readonly request: RequestHandler;
  /** Takes over a connection. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
}

/** Where a server listens. */
export interface Address {
  /** The address of the interface. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** A connection that has not sent a whole head by then is closed, in milliseconds. */
const HEADERS_TIMEOUT = 8_000;

/** How often that is looked after, in milliseconds: what it may take longer. */
const CHECK_INTERVAL = 1_000;

/** How long a connection that is not being used is kept, in milliseconds. */
const KEEP_ALIVE_TIMEOUT = 5_000;

const logger = getLogger(["rivulet", "relay", "http"]);

function errorResponse(error: unknown): Response {
  if (error instanceof RequestError) {
    return new Problem(
      STATUS_CODE.BadRequest,
      "invalid_request",
      "Expected a URL and a Host header as RFC 9110 has them",
    ).toResponse();
  }
  logger.error("A request failed: {error}", { error });
  return new Problem(
    STATUS_CODE.InternalServerError,
    "internal",
    "Something went wrong in the relay; its log says what",
  ).toResponse();
}

/** An upgrade to anything else is an offer that may be ignored (RFC 9110, section 7.8). */
function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

/** Not written where it is used: the types do not know of `shouldUpgradeCallback` yet. */
const SERVER_OPTIONS = {
  headersTimeout: HEADERS_TIMEOUT,
  // A body may be an event stream without end; others are timed where they are read.
  requestTimeout: 0,
  keepAliveTimeout: KEEP_ALIVE_TIMEOUT,
  connectionsCheckingInterval: CHECK_INTERVAL,
  shouldUpgradeCallback: isWebSocketUpgrade,
  noDelay: true,
  keepAlive: true,
};

/** The HTTP server of a relay. */
export class HttpServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those on which nothing was asked yet. */
  readonly #unused = new Set<Socket>();

  /** Makes a server that does not listen yet. */
  constructor({ request, upgrade }: HttpServerHandlers) {
    const listener = getRequestListener(
      // `outgoing` is of HTTP/1: the server below speaks nothing else.
      (incoming, { outgoing }) => request(incoming, outgoing as ServerResponse),
      { overrideGlobalObjects: false, errorHandler: errorResponse },
    );
    this.#server = createServer(SERVER_OPTIONS, (incoming, outgoing) => {
      this.#unused.delete(incoming.socket);
      void listener(incoming, outgoing);
    });
    this.#server.on("upgrade", (incoming, socket, head) => {
      this.#unused.delete(incoming.socket);
      upgrade(incoming, socket, head);
    });
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      this.#unused.add(socket);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.#unused.delete(socket);
      });
    });
    this.#server.on(
      "clientError",
      (error: Error & { code?: string }, socket) => {
        if (!socket.writable) return void socket.destroy();
        const status = error.code === "ERR_HTTP_REQUEST_TIMEOUT"
          ? "408 Request Timeout"
          : error.code === "HPE_HEADER_OVERFLOW"
          ? "431 Request Header Fields Too Large"
          : "400 Bad Request";
        socket.end(
          `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
          () => socket.destroy(),
        );
      },
    );
  }

  /**
   * Begins to listen.
   *
   * @returns Rejects with the system's error where it cannot.
   */
  listen(host: string, port: number): Promise<Address> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, () => {
        this.#server.off("error", reject);
        // It listens on TCP: the address is no pipe's name.
        const { address, port } = this.#server.address() as AddressInfo;
        resolve({ hostname: address, port });
      });
    });
  }

  /** Takes no more connections; resolves when the last one is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // An error says that it was not listening.
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
      // Those that clients keep in hand do not count as idle.
      for (const socket of this.#unused) socket.destroy();
    });
  }

  /** Cuts every connection that is still open. */
  terminate(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
