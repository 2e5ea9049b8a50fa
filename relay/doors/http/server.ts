import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener, RequestError } from "@hono/node-server";
import { STATUS_CODE } from "@std/http/status";
import { getLogger } from "@logtape/logtape";
import type { ClientAddresses } from "../../limits/client_addresses.ts";
import { ConnectionLimits } from "../../limits/connection_limits.ts";
import { Problem } from "../../problem.ts";
import { ambiguityOf } from "./ambiguity_of.ts";
import { forwardedFor } from "./forwarded_for.ts";
import type { RefusedSockets } from "./refused_sockets.ts";
import { RequestQueue } from "./request_queue.ts";
import type { RequestHandler } from "./routes.ts";

/** What the server hands requests to. */
export interface HttpServerHandlers {
  /** Answers a request. */
  readonly request: RequestHandler;
  /** Takes over a connection. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
  /**
   * Is told what the server has refused by itself.
   *
   * @param problem What was told to the peer, where it could be.
   * @param address The address of the client, as far as it is known.
   */
  refused?(problem: Problem, address: string): void;
}

/** What the server takes of its peers, and says whose they are. */
export interface HttpServerOptions {
  /** The largest head of a request, in bytes. */
  readonly maxHead: number;
  /** How long the head of a request may take, in milliseconds; up to a second more. */
  readonly headTimeout: number;
  /** How long a connection is kept on which nothing is asked, in milliseconds; up to a second more. */
  readonly idleTimeout: number;
  /** The most connections. */
  readonly maxConnections: number;
  /** The most connections of one address. */
  readonly maxConnectionsPerAddress: number;
  /** Whose address a request is. */
  readonly addresses: ClientAddresses;
  /** Where connections are left that are to go. */
  readonly refused: RefusedSockets;
}

/** Where a server listens. */
export interface Address {
  /** The address of the interface. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** How often timeouts are looked after, in milliseconds: what they may take longer. */
const CHECK_INTERVAL = 1_000;

/** The most headers of a request: more are no program's that means well. */
const MAX_HEADERS = 200;

const logger = getLogger(["rivulet", "relay", "http"]);

/** A connection that was taken, and what counts of it. */
interface Connection {
  /** Whose it is, where that counts for all that is asked on it. */
  readonly network: string | undefined;
  /** What was asked on it. */
  readonly requests: RequestQueue;
  /** Whether that was anything. */
  isUsed: boolean;
}

function invalidRequest(detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, "invalid_request", detail);
}

function headTooLarge(detail: string): Problem {
  return new Problem(
    STATUS_CODE.RequestHeaderFieldsTooLarge,
    "head_too_large",
    detail,
  );
}

/** An upgrade to anything else is an offer that may be ignored (RFC 9110, section 7.8). */
function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === "websocket";
}

function answer(
  outgoing: ServerResponse,
  { status, headers, body }: Problem,
): void {
  outgoing.writeHead(status, {
    ...headers,
    "Content-Type": "application/problem+json",
    "Content-Length": new TextEncoder().encode(body).byteLength,
  });
  outgoing.end(body);
}

/** The HTTP server of a relay. */
export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #handlers: HttpServerHandlers;
  readonly #limits: ConnectionLimits;
  readonly #connections = new Map<Duplex, Connection>();
  readonly #refused: RefusedSockets;

  /** Makes a server that does not listen yet. */
  constructor(handlers: HttpServerHandlers, options: HttpServerOptions) {
    this.#handlers = handlers;
    this.#options = options;
    this.#limits = new ConnectionLimits(options);
    this.#refused = options.refused;
    const listener = getRequestListener(
      (incoming, { outgoing }) =>
        // `outgoing` is of HTTP/1: the server below speaks nothing else.
        handlers.request(incoming, outgoing as ServerResponse),
      {
        overrideGlobalObjects: false,
        errorHandler: (error) => this.#errorResponse(error),
      },
    );
    // Not written where it is used: the types do not know of all of these yet.
    const serverOptions = {
      maxHeaderSize: options.maxHead,
      headersTimeout: options.headTimeout,
      // A body may be an event stream without end; others are timed where they are read.
      requestTimeout: 0,
      keepAliveTimeout: options.idleTimeout,
      connectionsCheckingInterval: CHECK_INTERVAL,
      shouldUpgradeCallback: isWebSocketUpgrade,
      // Refused below, as everything else is.
      requireHostHeader: false,
      noDelay: true,
      keepAlive: true,
    };
    this.#server = createServer(serverOptions, (incoming, outgoing) => {
      this.#onRequest(incoming, outgoing);
    });
    const answerRequest = (
      incoming: IncomingMessage,
      outgoing: ServerResponse,
    ): void => {
      if (this.#admits(incoming, outgoing)) void listener(incoming, outgoing);
    };
    this.#server.on("connection", (socket: Socket) => {
      this.#onConnection(socket, new RequestQueue(answerRequest));
    });
    this.#server.on("upgrade", (incoming, socket, head) => {
      this.#onUpgrade(incoming, socket, head);
    });
    this.#server.on("clientError", (error, socket) => {
      this.#onClientError(error, socket);
    });
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

  /** How many connections there are. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no more connections; resolves when the last one is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      // An error says that it was not listening.
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
      this.#refused[Symbol.dispose]();
      // Those that clients keep in hand do not count as idle.
      for (const [socket, { isUsed }] of this.#connections) {
        if (!isUsed) socket.destroy();
      }
    });
  }

  /** Cuts every connection that is still open. */
  terminate(): void {
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  #onConnection(socket: Socket, requests: RequestQueue): void {
    const { remoteAddress } = socket;
    const { addresses } = this.#options;
    // Behind a proxy it depends on the request whose it is.
    const network = addresses.isProxy(remoteAddress)
      ? undefined
      : addresses.of(remoteAddress, undefined).network;
    const problem = this.#limits.add(network);
    if (problem) return this.#refuse(socket, problem);
    this.#connections.set(socket, { network, requests, isUsed: false });
    socket.on("close", () => {
      this.#connections.delete(socket);
      this.#limits.delete(network);
    });
  }

  #onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming;
    const connection = this.#connections.get(socket);
    // It was refused, and is asked for nothing any more.
    if (!connection || this.#refused.has(socket)) return;
    connection.isUsed = true;
    const ambiguity = ambiguityOf(incoming);
    if (ambiguity !== undefined) {
      const problem = invalidRequest(ambiguity);
      if (!connection.requests.isBusy) return this.#refuse(socket, problem);
      // There are answers to come before this one: it cannot be given.
      this.#tell(problem, this.#addressOf(incoming));
      return void socket.destroy();
    }
    if (connection.requests.add(incoming, outgoing)) return;
    this.#tell(
      new Problem(
        STATUS_CODE.TooManyRequests,
        "too_many_requests",
        "Expected fewer requests before the first is answered",
      ),
      this.#addressOf(incoming),
    );
    // There are answers to come before this one: it cannot be given.
    socket.destroy();
  }

  #onUpgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): void {
    const connection = this.#connections.get(socket);
    if (!connection || this.#refused.has(socket)) return;
    connection.isUsed = true;
    if (connection.requests.isBusy) {
      const detail = "Expected an upgrade after the answer to what was asked";
      this.#tell(invalidRequest(detail), this.#addressOf(incoming));
      return void socket.destroy();
    }
    const problem = this.#check(incoming, socket);
    if (problem) {
      this.#tell(problem, this.#addressOf(incoming));
      return this.#refused.refuse(socket, problem);
    }
    this.#handlers.upgrade(incoming, socket, head);
  }

  /** Whether a request may be answered; otherwise it is told why not. */
  #admits(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const problem = this.#check(incoming, outgoing);
    if (!problem) return true;
    this.#tell(problem, this.#addressOf(incoming));
    answer(outgoing, problem);
    return false;
  }

  /**
   * Checks the head of a request, and counts it where the connection does not say
   * whose it is.
   *
   * @param incoming The request.
   * @param until It counts until this is closed.
   */
  #check(
    incoming: IncomingMessage,
    until: Duplex | ServerResponse,
  ): Problem | undefined {
    // A name and a value each.
    if (incoming.rawHeaders.length / 2 > MAX_HEADERS) {
      return headTooLarge(`Expected at most ${MAX_HEADERS} headers`);
    }
    const { addresses } = this.#options;
    const { socket } = incoming;
    if (!addresses.isProxy(socket.remoteAddress)) return undefined;
    const { network } = addresses.of(
      socket.remoteAddress,
      forwardedFor(incoming),
    );
    const problem = this.#limits.addOf(network);
    if (!problem) until.on("close", () => this.#limits.deleteOf(network));
    return problem;
  }

  #onClientError(error: Error & { code?: string }, socket: Duplex): void {
    if (this.#refused.has(socket)) return;
    const problem = this.#problemOf(error);
    const connection = this.#connections.get(socket);
    // The peer has gone, or its network has.
    if (!problem || !connection) return void socket.destroy();
    const { isLast, isAnswering } = connection.requests;
    // What stands behind a last request is nobody's (RFC 9112, section 9.6).
    if (isLast) return;
    if (!isAnswering) return this.#refuse(socket, problem);
    // It would come in the middle of an answer.
    this.#tell(problem, this.#peerOf(socket));
    socket.destroy();
  }

  #problemOf({ code = "" }: { code?: string }): Problem | undefined {
    const { maxHead, headTimeout } = this.#options;
    switch (code) {
      case "ERR_HTTP_REQUEST_TIMEOUT":
        return new Problem(
          STATUS_CODE.RequestTimeout,
          "head_timeout",
          `Expected the head of a request within ${headTimeout} ms`,
        );
      case "HPE_HEADER_OVERFLOW":
        return headTooLarge(
          `Expected the head of a request to have at most ${maxHead} bytes`,
        );
      default:
        return code.startsWith("HPE_")
          ? invalidRequest("Expected a request as RFC 9112 has them")
          : undefined;
    }
  }

  #errorResponse(error: unknown): Response {
    if (error instanceof RequestError) {
      const problem = invalidRequest(
        "Expected a URL and a Host header as RFC 9110 has them",
      );
      this.#tell(problem, "");
      return problem.toResponse();
    }
    logger.error("A request failed: {error}", { error });
    return new Problem(
      STATUS_CODE.InternalServerError,
      "internal",
      "Something went wrong in the relay; its log says what",
    ).toResponse();
  }

  #addressOf(incoming: IncomingMessage): string {
    const { remoteAddress } = incoming.socket;
    return this.#options.addresses.of(remoteAddress, forwardedFor(incoming))
      .address;
  }

  /** Whose a connection is, as long as nothing was asked on it. */
  #peerOf(socket: Duplex): string {
    const peer = socket instanceof Socket ? socket.remoteAddress : undefined;
    return this.#options.addresses.of(peer, undefined).address;
  }

  #refuse(socket: Duplex, problem: Problem): void {
    this.#tell(problem, this.#peerOf(socket));
    this.#refused.refuse(socket, problem);
  }

  #tell(problem: Problem, address: string): void {
    this.#handlers.refused?.(problem, address);
  }
}
