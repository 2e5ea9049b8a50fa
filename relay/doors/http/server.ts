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
import { internalProblem, Problem } from "../../problem.ts";
import { AwaitedHeads } from "./awaited_heads.ts";
import { Listener, listenOptions } from "./listener.ts";
import { ReadPacer } from "../../limits/read_pacer.ts";
import { keepNoEntries } from "./request_entries.ts";
import type { RefusedSockets } from "./refused_sockets.ts";
import { joinSmallChunks } from "../../limits/body_chunks.ts";
import { HAS_NET_SERVERS } from "../../runtime.ts";
import {
  answerServerOptions,
  framingTooLarge,
  type HeadLimits,
  headTimedOut,
  headTooLarge,
  invalidRequest,
  isWebSocketUpgrade,
  noProxy,
  problemOfHead,
  refuseAmbiguous,
  refuseBody,
  refuseExpectation,
  refuseManyHeaders,
  takeAbsoluteTarget,
} from "./request_head.ts";
import {
  type TcpConnection,
  TcpConnections,
  type TcpConnectionsOptions,
} from "./tcp_connections.ts";

/** The handlers that the server calls. */
export interface HttpServerHandlers {
  /** Answers one request; `response` is for an answer that is written as it comes. */
  request(request: Request, response: ServerResponse): Promise<Response>;
  /** Takes over a connection. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): void;
  /**
   * Is told what the server has refused by itself.
   *
   * @param problem The problem that the peer was told, if it could be.
   * @param address The address of the client, as far as it is known.
   */
  refused?(problem: Problem, address: string): void;
}

/** The limits of the server, and what identifies its peers. */
export interface HttpServerOptions extends HeadLimits, TcpConnectionsOptions {
  /** The time for which an idle connection is kept, in milliseconds; it may be up to a second more. */
  readonly idleTimeout: number;
  /** The number of sockets, refused ones included, from which on none is accepted. */
  readonly maxSockets: number;
  /** Whether other relays listen on the same port. Default: no. */
  readonly reusePort?: boolean | undefined;
  /** Takes over connections that are refused. */
  readonly refused: RefusedSockets;
}

/** The address on which a server listens. */
export interface Address {
  /** The address of the interface. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
}

/** The interval at which timeouts are checked, in milliseconds: they may take that much longer. */
const CHECK_INTERVAL = 1_000;

/** The most bytes around the body of a request, besides those that its bytes may cost: Node's figure for chunk extensions. */
const MAX_FRAMING = 16 * 1024;

const logger = getLogger(["rivulet", "relay", "http"]);

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

/**
 * Tells a client that waits for it to send its body (RFC 9110, section 10.1.1) once
 * the body is read: not before its head has been found good.
 */
function continueWhenRead(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  const { shouldKeepAlive } = outgoing;
  // Nobody knows whether the body of a refused request follows.
  outgoing.shouldKeepAlive = false;
  // Else the body is waited for after its connection is closed.
  const { socket } = incoming;
  const drop = (): void => void incoming.destroy();
  socket.once("close", drop);
  incoming.once("resume", () => {
    // The rest of a refused body is thrown away.
    if (outgoing.headersSent || outgoing.destroyed) return;
    socket.off("close", drop);
    outgoing.shouldKeepAlive = shouldKeepAlive;
    outgoing.writeContinue();
  });
}

/** The HTTP server of a relay. */
export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #handlers: HttpServerHandlers;
  readonly #connections: TcpConnections;
  readonly #refused: RefusedSockets;
  readonly #pacer = new ReadPacer();
  readonly #heads: AwaitedHeads;
  #listener: Listener | undefined;

  /** The most bytes around bodies: a head that is not whole yet is among them, and has a limit of its own. */
  get #maxFraming(): number {
    return MAX_FRAMING + this.#options.maxHead;
  }

  /** Makes a server that does not listen yet. */
  constructor(handlers: HttpServerHandlers, options: HttpServerOptions) {
    this.#handlers = handlers;
    this.#options = options;
    this.#refused = options.refused;
    this.#heads = new AwaitedHeads({
      headTimeout: options.headTimeout,
      isHeld: (socket) => this.#pacer.isHolding(socket),
      onTimeout: (socket) => this.#onFault(socket, headTimedOut(options)),
    });
    const listener = getRequestListener(
      (incoming, { outgoing }) =>
        // `outgoing` is of HTTP/1: the server below speaks nothing else.
        handlers.request(incoming, outgoing as ServerResponse),
      {
        overrideGlobalObjects: false,
        errorHandler: (error) => this.#errorResponse(error),
      },
    );
    this.#connections = new TcpConnections(
      options,
      (incoming, outgoing) => {
        if (!this.#admits(incoming, outgoing)) return;
        if (answerServerOptions(incoming, outgoing)) return;
        void listener(incoming, outgoing);
      },
      (socket, begin) =>
        this.#pacer.run(this.#connections.networkOf(socket), begin),
      (socket) => this.#heads.end(socket),
    );
    // Not written where it is used: the types do not know of all of these yet.
    const serverOptions = {
      maxHeaderSize: options.maxHead,
      // Heads are timed here, where it is known which ones the relay has yet to read.
      headersTimeout: HAS_NET_SERVERS ? 0 : options.headTimeout,
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
    this.#server.on("checkContinue", (incoming, outgoing) => {
      continueWhenRead(incoming, outgoing);
      this.#onRequest(incoming, outgoing);
    });
    this.#server.on("checkExpectation", (incoming, outgoing) => {
      // Nobody knows whether the body of a refused request follows.
      outgoing.shouldKeepAlive = false;
      this.#onRequest(incoming, outgoing);
    });
    this.#server.on("connect", (_incoming, socket) => this.#onConnect(socket));
    this.#server.on("connection", (socket: Socket) => {
      const problem = this.#connections.add(socket);
      this.#pacer.pace(socket, {
        peer: this.#connections.networkOf(socket),
        onPiece: this.#onBytes,
      });
      if (problem) return this.#refuse(socket, problem);
      this.#heads.begin(socket);
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
    const { maxSockets, reusePort } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(listenOptions({ host, port, reusePort }), () => {
        this.#server.off("error", reject);
        keepNoEntries(this.#server);
        if (HAS_NET_SERVERS) this.#heads.start();
        // It listens on TCP: the address is no pipe's name.
        const { address, port } = this.#server.address() as AddressInfo;
        this.#listener = new Listener(this.#server, {
          host: address,
          port,
          reusePort,
          maxSockets,
        });
        resolve({ hostname: address, port });
      });
    });
  }

  /** The number of open connections, whatever they are for. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Takes no more connections; resolves when the last one is closed. */
  async close(): Promise<void> {
    const closed = this.#listener?.close();
    this.#server.closeIdleConnections();
    this.#refused[Symbol.dispose]();
    // Those that clients keep in hand do not count as idle.
    this.#connections.cutUnused();
    await closed;
    this.#heads[Symbol.dispose]();
    this.#pacer[Symbol.dispose]();
  }

  /** Cuts every connection that is still open. */
  terminate(): void {
    this.#connections.cut();
  }

  #onRequest(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming;
    this.#heads.end(socket);
    const connection = this.#connections.get(socket);
    // It was refused, and is asked for nothing any more.
    if (!connection || socket.destroyed || this.#refused.has(socket)) {
      return void incoming.destroy();
    }
    connection.isUsed = true;
    const { requests, framing } = connection;
    framing.begin(incoming);
    joinSmallChunks(incoming, (bytes) => framing.addBody(bytes));
    const ambiguous = refuseAmbiguous(incoming) ?? takeAbsoluteTarget(incoming);
    if (ambiguous && !requests.isBusy) return this.#refuse(socket, ambiguous);
    if (!ambiguous && requests.add(incoming, outgoing)) return;
    const problem = ambiguous ?? new Problem(
      STATUS_CODE.TooManyRequests,
      "too_many_requests",
      "Expected fewer requests before the first is answered",
    );
    // There are answers to come before this one: it cannot be given.
    this.#tell(problem, this.#connections.addressOf(incoming));
    requests.drop();
    incoming.destroy();
    socket.destroy();
  }

  /** Counts bytes that are about to be parsed; refuses a connection that brings too much beside its bodies. */
  readonly #onBytes = (bytes: number, socket: Duplex): void => {
    const connection = this.#connections.get(socket);
    if (!connection || connection.isUpgraded || this.#refused.has(socket)) {
      return;
    }
    const { requests, framing } = connection;
    // All before these bytes was parsed.
    if (framing.bytes > this.#maxFraming) {
      const problem = requests.isBusy
        ? framingTooLarge(this.#maxFraming)
        : headTooLarge(this.#options);
      this.#onUnreadable(socket, connection, problem);
    }
    if (framing.add(bytes, requests.isBusy) && !requests.isBusy) {
      this.#heads.begin(socket);
    }
  };

  #onUpgrade(
    incoming: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): void {
    this.#heads.end(socket);
    const connection = this.#connections.get(socket);
    if (!connection || this.#refused.has(socket)) return;
    if (connection.requests.isBusy) {
      connection.isUsed = true;
      const detail = "Expected an upgrade after the answer to what was asked";
      this.#tell(
        invalidRequest(detail),
        this.#connections.addressOf(incoming),
      );
      return void socket.destroy();
    }
    this.#connections.upgrade(socket);
    const ambiguous = refuseAmbiguous(incoming) ?? refuseBody(incoming) ??
      takeAbsoluteTarget(incoming);
    if (ambiguous) return this.#refuse(socket, ambiguous);
    const problem = this.#check(incoming, socket);
    if (problem) return this.#refused.refuse(socket, problem);
    this.#handlers.upgrade(incoming, socket, head);
  }

  /** Refuses to be a proxy. */
  #onConnect(socket: Duplex): void {
    const connection = this.#connections.get(socket);
    if (!connection || connection.requests.isBusy) return void socket.destroy();
    connection.isUsed = true;
    this.#refuse(socket, noProxy());
  }

  /** Whether a request may be answered; otherwise it is told why not. */
  #admits(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
    const problem = this.#check(incoming, outgoing);
    if (problem) answer(outgoing, problem);
    return !problem;
  }

  /** Returns why a request cannot be taken, if it cannot; counts it until something is closed. */
  #check(
    incoming: IncomingMessage,
    until: Duplex | ServerResponse,
  ): Problem | undefined {
    const problem = refuseManyHeaders(incoming) ??
      refuseExpectation(incoming) ?? this.#connections.count(incoming, until);
    if (problem) this.#tell(problem, this.#connections.addressOf(incoming));
    return problem;
  }

  #onClientError(
    { code = "" }: Error & { code?: string },
    socket: Duplex,
  ): void {
    if (this.#refused.has(socket)) return;
    const problem = problemOfHead(code, this.#options);
    // The peer has gone, or its network has.
    if (!problem) return void socket.destroy();
    this.#onFault(socket, problem);
  }

  /** Refuses what came on a connection in place of a request. */
  #onFault(socket: Duplex, problem: Problem): void {
    this.#heads.end(socket);
    const connection = this.#connections.get(socket);
    if (!connection || this.#refused.has(socket)) return void socket.destroy();
    // Such as what a length that is too short leaves: the request before it is whole,
    // and its sender may learn from the answer what was wrong.
    if (connection.requests.endWithCurrent()) {
      return this.#tell(problem, this.#connections.peerOf(socket));
    }
    this.#onUnreadable(socket, connection, problem);
  }

  /** Refuses a connection on which nothing more can be read. */
  #onUnreadable(
    socket: Duplex,
    { requests: { isLast, isAnswering } }: TcpConnection,
    problem: Problem,
  ): void {
    // Bytes after a last request are ignored (RFC 9112, section 9.6).
    if (isLast) return;
    if (!isAnswering) return this.#refuse(socket, problem);
    // It would come in the middle of an answer.
    this.#tell(problem, this.#connections.peerOf(socket));
    socket.destroy();
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
    return internalProblem().toResponse();
  }

  #refuse(socket: Duplex, problem: Problem): void {
    this.#heads.end(socket);
    this.#tell(problem, this.#connections.peerOf(socket));
    this.#refused.refuse(socket, problem);
  }

  #tell(problem: Problem, address: string): void {
    this.#handlers.refused?.(problem, address);
  }
}
