import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { STATUS_CODE, STATUS_TEXT } from "@std/http/status";
// @ts-types="../delivery/ws.d.ts"
import { WebSocketServer } from "ws";
import { RelayWebSocket } from "../delivery/relay_websocket.ts";
import {
  WebSocketConnection,
  type WebSocketContext,
} from "../delivery/websocket.ts";
import { type After, parseAfter } from "../topics/position.ts";
import { TOPIC_NAME_RULE, topicName } from "../topics/topic_name.ts";
import { Problem, unknownTopic } from "./problem.ts";

const SUBPROTOCOL = "rivulet.v1";

const TOPIC_PATH = /^\/topics\/([^/]+)$/;

/** What an upgrade asks for. */
type Door =
  | { readonly kind: "many" }
  | {
    readonly kind: "one";
    readonly topic: string;
    readonly after: After | undefined;
  };

function badRequest(code: string, detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, code, detail);
}

function doorOf(request: IncomingMessage): Door {
  // The host is of no interest here, and may be anything.
  const base = "http://relay";
  const { pathname, searchParams } = new URL(request.url ?? "/", base);
  if (pathname === "/ws") return { kind: "many" };
  const [, encoded] = TOPIC_PATH.exec(pathname) ?? [];
  if (encoded === undefined) {
    throw new Problem(
      STATUS_CODE.NotFound,
      "not_found",
      "Expected an upgrade of /ws or /topics/{topic}",
    );
  }
  let topic = encoded;
  try {
    topic = decodeURIComponent(encoded);
  } catch {
    // refused below: a topic's name has no percent sign
  }
  if (!topicName.safeParse(topic).success) {
    throw badRequest("invalid_topic", `Expected ${TOPIC_NAME_RULE}`);
  }
  const text = searchParams.get("after");
  const after = text === null ? undefined : parseAfter(text);
  if (text !== null && after === undefined) {
    throw badRequest(
      "invalid_position",
      "Expected an 'after' of <epoch>:<offset>, 'start' or 'now'",
    );
  }
  if ((searchParams.get("mode") ?? "all") !== "all") {
    throw badRequest(
      "unsupported",
      "This relay delivers in mode 'all': leave 'mode' out",
    );
  }
  return { kind: "one", topic, after };
}

function refuse(socket: Duplex, problem: Problem): void {
  const { status, body } = problem;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_TEXT[status]}`,
      "Content-Type: application/problem+json",
      `Content-Length: ${new TextEncoder().encode(body).byteLength}`,
      "Connection: close",
      "",
      body,
    ].join("\r\n"),
    () => socket.destroy(),
  );
}

/** Answers requests for an upgrade to a WebSocket (protocol, section 2). */
export class UpgradeHandler {
  /** The connections that are open. */
  readonly connections: Set<WebSocketConnection> = new Set();
  readonly #context: WebSocketContext;
  readonly #server: WebSocketServer;

  /** Makes a handler without connections. */
  constructor(context: WebSocketContext) {
    this.#context = context;
    this.#server = new WebSocketServer({
      noServer: true,
      WebSocket: RelayWebSocket,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: context.maxMessage,
      // Both are answered in `WebSocketConnection`.
      autoPong: false,
      skipUTF8Validation: true,
      handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
    });
    this.#server.on("wsClientError", (error, socket) => {
      refuse(socket, badRequest("invalid_upgrade", error.message));
    });
  }

  /** Upgrades a connection, or refuses to. */
  handle(request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
    // A peer that is gone is noticed by `close`; without a listener it would be fatal.
    socket.on("error", () => {});
    let door: Door;
    try {
      door = doorOf(request);
      const { topics, awaitTopics } = this.#context;
      if (door.kind === "one" && !awaitTopics && !topics.get(door.topic)) {
        throw unknownTopic(door.topic);
      }
    } catch (error) {
      return refuse(
        socket,
        error instanceof Problem
          ? error
          : badRequest("invalid_request", "Expected a URL"),
      );
    }
    // `ws` takes a Buffer, and the event gives one.
    const buffer = head as Parameters<WebSocketServer["handleUpgrade"]>[2];
    this.#server.handleUpgrade(request, socket, buffer, (upgraded) => {
      // made by the class that is named above
      const ws = upgraded as RelayWebSocket;
      const connection = new WebSocketConnection(ws, socket, this.#context);
      this.connections.add(connection);
      ws.on("close", () => this.connections.delete(connection));
      if (door.kind === "one") connection.follow(door.topic, door.after);
    });
  }
}
