import type { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type {
  ClientAddress,
  ClientAddresses,
} from "../../limits/client_addresses.ts";
import {
  ConnectionLimits,
  type ConnectionLimitsOptions,
} from "../../limits/connection_limits.ts";
import type { Problem } from "../../problem.ts";
import { Framing } from "./framing.ts";
import { type AnswerRequest, RequestQueue } from "./request_queue.ts";

/** A TCP connection that was taken. */
export interface TcpConnection {
  /** The requests on the connection. */
  readonly requests: RequestQueue;
  /** The bytes around the bodies of the requests. */
  readonly framing: Framing;
  /** Whether there was a request. */
  isUsed: boolean;
  /** Whether the connection is no longer one of HTTP. */
  readonly isUpgraded: boolean;
}

/** All connections that are no longer of HTTP: what the others have is of no use to them. */
const UPGRADED: TcpConnection = {
  requests: new RequestQueue(() => {}, () => {}),
  framing: new Framing(),
  isUsed: true,
  isUpgraded: true,
};

/** The limits on connections, and what identifies their clients. */
export interface TcpConnectionsOptions extends ConnectionLimitsOptions {
  /** Finds the address of a request's client. */
  readonly addresses: ClientAddresses;
}

/** The TCP connections of a server, counted for each client. */
export class TcpConnections {
  readonly #addresses: ClientAddresses;
  readonly #limits: ConnectionLimits;
  readonly #answer: AnswerRequest;
  readonly #goOn: (socket: Socket, begin: () => void) => void;
  readonly #onClose: (socket: Socket) => void;
  readonly #open = new Map<Duplex, TcpConnection>();

  /**
   * Makes it for no connections yet.
   *
   * @param options The limits.
   * @param answer Answers a request when its turn comes.
   * @param goOn Calls back when it is the turn of a connection's next request.
   * @param onClose Called when a connection that was taken has closed.
   */
  constructor(
    options: TcpConnectionsOptions,
    answer: AnswerRequest,
    goOn: (socket: Socket, begin: () => void) => void,
    onClose: (socket: Socket) => void,
  ) {
    this.#goOn = goOn;
    this.#onClose = onClose;
    this.#addresses = options.addresses;
    this.#limits = new ConnectionLimits(options);
    this.#answer = answer;
  }

  /** The number of open connections. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Takes a connection.
   *
   * @returns The limit that it exceeds, if it does; it is not taken then.
   */
  add(socket: Socket): Problem | undefined {
    const { remoteAddress } = socket;
    // Behind a proxy it depends on the request whose it is.
    const network = this.#addresses.isProxy(remoteAddress)
      ? undefined
      : this.networkOf(socket);
    const problem = this.#limits.add(network);
    if (problem) return problem;
    const requests = new RequestQueue(
      this.#answer,
      (begin) => this.#goOn(socket, begin),
    );
    this.#open.set(socket, {
      requests,
      framing: new Framing(),
      isUsed: false,
      isUpgraded: false,
    });
    socket.on("close", () => {
      this.#open.delete(socket);
      this.#limits.delete(network);
      this.#onClose(socket);
    });
    return undefined;
  }

  /** Returns a connection that was taken, and not closed. */
  get(socket: Duplex): TcpConnection | undefined {
    return this.#open.get(socket);
  }

  /** A connection that was taken is no longer one of HTTP. */
  upgrade(socket: Duplex): void {
    this.#open.set(socket, UPGRADED);
  }

  /**
   * Counts a request in place of its connection, which does not say whose it is
   * if it is a proxy's.
   *
   * @param incoming The request.
   * @param until It counts until this is closed.
   * @returns The limit that it exceeds, if it does; it does not count then.
   */
  count(
    incoming: IncomingMessage,
    until: Duplex | ServerResponse,
  ): Problem | undefined {
    if (!this.#addresses.isProxy(incoming.socket.remoteAddress)) {
      return undefined;
    }
    const { network } = this.#addresses.ofRequest(incoming);
    const problem = this.#limits.addOf(network);
    if (!problem) until.on("close", () => this.#limits.deleteOf(network));
    return problem;
  }

  /** Returns the address of a request's client. */
  addressOf(incoming: IncomingMessage): string {
    return this.#addresses.ofRequest(incoming).address;
  }

  /** Returns the address of a connection's peer, as long as nothing was asked on it. */
  peerOf(socket: Duplex): string {
    return this.#peer(socket).address;
  }

  /** Returns the network of a connection's peer: of a proxy, it is the proxy's own. */
  networkOf(socket: Duplex): string {
    return this.#peer(socket).network;
  }

  /** Cuts connections on which nothing was asked: those that clients keep in hand. */
  cutUnused(): void {
    for (const [socket, { isUsed }] of this.#open) {
      if (!isUsed) socket.destroy();
    }
  }

  #peer(socket: Duplex): ClientAddress {
    const peer = socket instanceof Socket ? socket.remoteAddress : undefined;
    return this.#addresses.of(peer, undefined);
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#open.keys()) {
      // An answer over HTTP/1.0 would look whole if its connection just ended.
      if (socket instanceof Socket) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}
