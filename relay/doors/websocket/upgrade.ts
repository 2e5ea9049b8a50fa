import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { STATUS_CODE } from "@std/http/status";
// @ts-types="./ws.d.ts"
import { WebSocketServer } from "ws";
import { z } from "zod";
import {
  afterText,
  deliveryMode,
  type SubscribeRequest,
} from "./client_message.ts";
import { RelayWebSocket } from "./relay_websocket.ts";
import {
  type WebSocketCaller,
  WebSocketConnection,
  type WebSocketContext,
} from "./connection.ts";
import { Problem, unknownTopic } from "../../problem.ts";
import { assertMay } from "../../rights/access.ts";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";
import type { Entrance } from "../http/entrance.ts";
import type { RefusedSockets } from "../http/refused_sockets.ts";
import { problemOf } from "../http/problem_of.ts";

const SUBPROTOCOL = "rivulet.v1";

const TOPIC_PATH = /^\/topics\/([^/]+)$/;

/** What an upgrade asks for. */
type Door =
  | { readonly kind: "many" }
  | { readonly kind: "one"; readonly request: SubscribeRequest };

/** What a URL says of a subscription: each field with what is expected of it. */
const QUERY = {
  after: {
    schema: afterText,
    code: "invalid_position",
    expected: "<epoch>:<offset>, 'start' or 'now'",
  },
  mode: {
    schema: deliveryMode,
    code: "invalid_mode",
    expected: "'all', 'merge' or 'latest'",
  },
  window: {
    schema: z.string().regex(/^[0-9]{1,16}$/).transform(Number)
      .pipe(z.int().positive()),
    code: "invalid_window",
    expected: "a number of bytes, 1 at least",
  },
  snapshot: {
    schema: z.enum(["", "true", "false"]).transform((text) => text !== "false"),
    code: "invalid_snapshot",
    expected: "'true' or 'false'",
  },
} as const;

function read<Name extends keyof typeof QUERY>(
  query: URLSearchParams,
  name: Name,
): z.output<typeof QUERY[Name]["schema"]> | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const { schema, code, expected } = QUERY[name];
  const parsed = schema.safeParse(text);
  if (!parsed.success) {
    throw badRequest(code, `Expected ${name} to be ${expected}`);
  }
  // TypeScript does not see that the schema is the one of this name.
  return parsed.data as z.output<typeof QUERY[Name]["schema"]>;
}

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
  return {
    kind: "one",
    request: {
      topic,
      after: read(searchParams, "after"),
      mode: read(searchParams, "mode"),
      window: read(searchParams, "window"),
      snapshot: read(searchParams, "snapshot"),
    },
  };
}

/** One for all connections. */
function ignore(): void {}

/** What upgrades need. */
export interface UpgradeContext extends WebSocketContext {
  /** Says who asks. */
  readonly entrance: Entrance;
  /** Where connections are left that are to go. */
  readonly refusedSockets: RefusedSockets;
  /** Why new subscribers are refused, if they are. */
  refusal(): Problem | undefined;
}

/** Answers requests for an upgrade to a WebSocket (PROTOCOL.md, section 2). */
export class UpgradeHandler {
  /** The connections that are open. */
  readonly connections: Set<WebSocketConnection> = new Set();
  readonly #context: WebSocketContext;
  readonly #entrance: Entrance;
  readonly #refused: RefusedSockets;
  readonly #refusal: UpgradeContext["refusal"];
  readonly #server: WebSocketServer;

  /** Makes a handler without connections. */
  constructor(context: UpgradeContext) {
    this.#context = context;
    this.#entrance = context.entrance;
    this.#refused = context.refusedSockets;
    this.#refusal = context.refusal;
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
    this.#server.on("wsClientError", (error, socket, request) => {
      const problem = badRequest("invalid_upgrade", error.message);
      this.#entrance.refused(problem, request);
      this.#refused.refuse(socket, problem);
    });
  }

  /** Upgrades a connection, or refuses to. */
  async handle(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    // A peer that is gone is noticed by `close`; without a listener it would be fatal.
    socket.on("error", ignore);
    let door: Door;
    let caller: WebSocketCaller;
    try {
      const refusal = this.#refusal();
      if (refusal) throw refusal;
      door = doorOf(request);
      caller = await this.#entrance.admitUpgrade(request);
      if (door.kind === "one") this.#check(door.request, caller);
    } catch (error) {
      const problem = problemOf(error) ??
        badRequest("invalid_request", "Expected a URL");
      this.#entrance.refused(problem, request);
      return this.#refused.refuse(socket, problem);
    }
    // `ws` takes a Buffer, and the event gives one.
    const buffer = head as Parameters<WebSocketServer["handleUpgrade"]>[2];
    this.#server.handleUpgrade(request, socket, buffer, (upgraded) => {
      // made by the class that is named above
      this.#connect(upgraded as RelayWebSocket, socket, door, caller);
    });
  }

  #check({ topic }: SubscribeRequest, { access }: WebSocketCaller): void {
    assertMay(access, "read", topic);
    const { topics, awaitTopics } = this.#context;
    if (awaitTopics) topics.await(topic, access.identity);
    else if (!topics.get(topic)) throw unknownTopic(topic);
  }

  // By itself, so that the listener does not keep the request.
  #connect(
    ws: RelayWebSocket,
    socket: Duplex,
    door: Door,
    caller: WebSocketCaller,
  ): void {
    const connection = new WebSocketConnection(
      ws,
      socket,
      this.#context,
      caller,
    );
    this.connections.add(connection);
    ws.on("close", () => this.connections.delete(connection));
    if (door.kind === "one") connection.follow(door.request);
  }
}
