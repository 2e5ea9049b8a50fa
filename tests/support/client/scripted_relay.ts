/**
 * A relay that says what a test tells it to.
 *
 * @module
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
// @ts-types="../../../relay/ws.d.ts"
import { type WebSocket as WsWebSocket, WebSocketServer } from "ws";
import { LIMIT, within } from "../within.ts";

/** Values that come, and those who wait for them. */
class Mailbox<T> {
  readonly #values: T[] = [];
  #wake = Promise.withResolvers<void>();

  add(value: T): void {
    this.#values.push(value);
    this.#wake.resolve();
  }

  get size(): number {
    return this.#values.length;
  }

  /** Takes the next value that is wanted; what comes before it is dropped. */
  async take(what: string, isWanted: (value: T) => boolean): Promise<T> {
    for (;;) {
      while (this.#values.length > 0) {
        const value = this.#values.shift()!; // there is one
        if (isWanted(value)) return value;
      }
      this.#wake = Promise.withResolvers();
      await within(this.#wake.promise, LIMIT, what);
    }
  }
}

/** A message of a subscriber, of which any field may be missing. */
export interface SubscriberMessage {
  readonly type: string;
  readonly topic?: string;
  readonly after?: string;
  readonly mode?: string;
  readonly window?: number;
  readonly snapshot?: boolean;
  readonly offset?: number;
}

/** A subscriber's connection, seen from the relay. */
export class ScriptedConnection {
  /** The path of the request. */
  readonly path: string;
  /** The query of the request. */
  readonly query: URLSearchParams;
  /** The subprotocols that were offered. */
  readonly protocols: readonly string[];
  /** Resolves with the close code. */
  readonly closed: Promise<number>;
  /** Everything that the subscriber has said. */
  readonly received: SubscriberMessage[] = [];
  readonly #ws: WsWebSocket;
  readonly #socket: Duplex;
  readonly #messages = new Mailbox<SubscriberMessage>();

  constructor(ws: WsWebSocket, socket: Duplex, url: URL, protocols: string[]) {
    this.#ws = ws;
    this.#socket = socket;
    this.path = url.pathname;
    this.query = url.searchParams;
    this.protocols = protocols;
    this.closed = new Promise((resolve) => ws.on("close", resolve));
    ws.on("error", () => {}); // followed by `close`
    ws.on("message", (data) => {
      const message: SubscriberMessage = JSON.parse(data.toString());
      this.received.push(message);
      this.#messages.add(message);
    });
  }

  /** Says something. */
  say(...messages: readonly Record<string, unknown>[]): void {
    for (const message of messages) this.#ws.send(JSON.stringify(message));
  }

  /** Says whatever it is. */
  sayRaw(data: string | Uint8Array): void {
    this.#ws.send(data);
  }

  /** Waits for the next message of a type; what comes before it is dropped. */
  message(type: string): Promise<SubscriberMessage> {
    return this.#messages.take(
      `a message of type ${type}`,
      (message) => message.type === type,
    );
  }

  /** Closes with a code. */
  close(code: number, reason = ""): void {
    this.#ws.close(code, reason);
  }

  /** Neither reads nor answers any more, as a machine that is gone. */
  freeze(): void {
    this.#ws.pause();
  }

  /** Cuts the connection. */
  cut(): void {
    this.#socket.destroy();
  }
}

/** The first message of a relay. */
export const WELCOME = {
  type: "welcome",
  connection: "c",
  heartbeat: 15_000,
  limits: { subscriptions: 100, message: 65_536 },
};

/** A relay that listens until it is disposed of. */
export class ScriptedRelay implements AsyncDisposable {
  /** `ws://127.0.0.1:PORT` */
  readonly url: string;
  /** Called for each connection, in place of keeping it for {@linkcode accept}. */
  onConnection: ((connection: ScriptedConnection) => void) | undefined;
  /** The status that upgrades are refused with, or what is asked for it each time. */
  refuseWith: number | (() => number | undefined) | undefined;
  /**
   * The pages for requests without an upgrade: the type and the text, by path.
   */
  readonly pages: Map<string, readonly [string, string]> = new Map();
  /** The number of upgrades asked for. */
  attempts = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();
  readonly #connections = new Mailbox<ScriptedConnection>();

  private constructor(server: Server) {
    this.#server = server;
    // It listens on TCP: the address is no pipe's name.
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const wss = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      handleProtocols: (offered) => offered.has("rivulet.v1") && "rivulet.v1",
    });
    server.on("request", ({ url = "/" }, response) => {
      const [type, text] = this.pages.get(url) ?? [];
      if (type === undefined) return void response.writeHead(404).end();
      response.writeHead(200, { "Content-Type": type }).end(text);
    });
    server.on("upgrade", (request, socket: Duplex, head) => {
      this.attempts++;
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
      const status = typeof this.refuseWith === "function"
        ? this.refuseWith()
        : this.refuseWith;
      if (status !== undefined) {
        socket.end(
          `HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        return;
      }
      const { url = "/", headers } = request;
      const protocols = (headers["sec-websocket-protocol"] ?? "").split(/, */);
      wss.handleUpgrade(request, socket, head, (ws) => {
        const connection = new ScriptedConnection(
          ws,
          socket,
          new URL(url, this.url),
          protocols,
        );
        if (this.onConnection) this.onConnection(connection);
        else this.#connections.add(connection);
      });
    });
  }

  /** Starts one. */
  static async start(): Promise<ScriptedRelay> {
    const server = createServer();
    await new Promise<void>((resolve) =>
      server.listen(0, "127.0.0.1", resolve)
    );
    return new ScriptedRelay(server);
  }

  /** Waits for the next connection, which is told {@linkcode WELCOME}. */
  async accept(welcome: object = WELCOME): Promise<ScriptedConnection> {
    const connection = await this.#connections.take(
      "a connection",
      () => true,
    );
    connection.say({ ...welcome });
    return connection;
  }

  /** The number of connections that nobody has accepted yet. */
  get unaccepted(): number {
    return this.#connections.size;
  }

  /** Cuts everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** An answer to a subscription, of an open topic whose log is `EPOCH`. */
export function subscribed(
  topic: string,
  after = 0,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    type: "subscribed",
    topic,
    epoch: EPOCH,
    first: 1,
    next: after + 1,
    after,
    recovered: true,
    state: "open",
    ...more,
  };
}

/** The log that {@linkcode subscribed} names. */
export const EPOCH = "epoch-one";

/** Events of a topic whose data is their offset. */
export function events(
  topic: string,
  from: number,
  to = from,
): Record<string, unknown> {
  return {
    type: "events",
    topic,
    offset: from,
    events: Array.from(
      { length: to - from + 1 },
      (_, index) => ({ data: `${from + index}` }),
    ),
  };
}
