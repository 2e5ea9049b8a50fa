import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
// @ts-types="../../ws.d.ts"
import type { WebSocketServer } from "ws";
import type { Gateway } from "../../gateway/gateway.ts";
import { sdkProblem } from "../../gateway/sdk_problem.ts";
import type { MemoryGuard } from "../../limits/memory/memory_guard.ts";
import { Problem } from "../../problem.ts";
import type { Draining } from "../guests.ts";
import type { Entrance } from "../http/entrance.ts";
import { problemOf } from "../http/problem_of.ts";
import type { RefusedSockets } from "../http/refused_sockets.ts";
import type { RelayWebSocket } from "../websocket/relay_websocket.ts";
import { createUpgrader } from "../websocket/upgrader.ts";
import { ResponsesSession, type ResponsesSessionContext } from "./session.ts";

/** The context of the door of responses. */
export interface ResponsesDoorContext extends ResponsesSessionContext {
  /** Stands in front of the providers of models. */
  readonly gateway: Pick<Gateway, "handles" | "hasWebSocket" | "connect">;
  /** Identifies callers. */
  readonly entrance: Entrance;
  /** Takes over connections that are refused. */
  readonly refusedSockets: RefusedSockets;
  /** Refuses new clients while the relay is drained. */
  readonly draining: Draining;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "assertRoom">;
}

/** A path of an upgrade, whatever its host. */
function pathOf({ url = "/" }: IncomingMessage): string {
  try {
    return new URL(url, "http://relay").pathname;
  } catch {
    return "";
  }
}

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** One for all sockets. */
function ignore(): void {}

/**
 * The door at which clients of models make responses over a WebSocket (PROTOCOL.md,
 * section 4): `/v1/responses`.
 */
export class ResponsesDoor {
  /** The sessions that are open. */
  readonly sessions: Set<ResponsesSession> = new Set();
  readonly #context: ResponsesDoorContext;
  readonly #server: WebSocketServer;
  /** The headers that the answer to each upgrade has besides. */
  readonly #told = new WeakMap<IncomingMessage, string>();

  /** Makes a door that nobody has come through yet. */
  constructor(context: ResponsesDoorContext) {
    this.#context = context;
    this.#server = createUpgrader({
      maxMessage: context.maxBody,
      handleProtocols: () => false,
      refuse: (...refused) => this.#refuse(...refused),
    });
    this.#server.on("headers", (headers, request) => {
      headers.push(`Rivulet-Topic: ${this.#told.get(request) ?? ""}`);
    });
  }

  /** Whether an upgrade is of a path of a provider. */
  handles(request: IncomingMessage): boolean {
    return this.#context.gateway.handles(pathOf(request));
  }

  /** Upgrades a connection, or refuses to; never rejects. */
  async handle(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    // A peer that is gone is noticed by `close`; without a listener it would be fatal.
    socket.on("error", ignore);
    try {
      await this.#upgrade(request, socket, head);
    } catch (error) {
      const problem = problemOf(error);
      if (problem) return this.#refuse(problem, request, socket);
      logger.error("Cannot upgrade a connection: {error}", { error });
      socket.destroy();
    }
  }

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    const { gateway, entrance, draining, memory } = this.#context;
    draining.assertOpen();
    memory.assertRoom();
    if (!gateway.hasWebSocket(pathOf(request))) {
      throw new Problem(
        STATUS_CODE.UpgradeRequired,
        "no_websocket",
        "Expected a request without an upgrade: of the formats of providers, Responses alone have a WebSocket (/v1/responses)",
        {},
        { Upgrade: "HTTP/1.1" },
      );
    }
    const caller = await entrance.admitResponses(request);
    draining.assertOpen();
    const session = new ResponsesSession(this.#context, caller);
    const { connection, topic } = gateway.connect(caller, session);
    session.connection = connection;
    this.#told.set(request, topic);
    // `ws` takes a Buffer, and the event gives one.
    const buffer = head as Parameters<WebSocketServer["handleUpgrade"]>[2];
    // An upgrade that `ws` refuses never gets to the session.
    const drop = (): void => connection[Symbol.dispose]();
    socket.once("close", drop);
    this.#server.handleUpgrade(request, socket, buffer, (upgraded) => {
      socket.off("close", drop);
      // made by the class that is named above
      const ws = upgraded as RelayWebSocket;
      this.sessions.add(session);
      ws.on("close", () => this.sessions.delete(session));
      session.open(ws, socket);
    });
  }

  #refuse(problem: Problem, request: IncomingMessage, socket: Duplex): void {
    const { entrance, refusedSockets } = this.#context;
    entrance.refused(problem, request);
    refusedSockets.refuse(socket, sdkProblem(problem));
  }
}
