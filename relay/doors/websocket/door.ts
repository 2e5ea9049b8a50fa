import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
// @ts-types="../../ws.d.ts"
import type { WebSocketServer } from "ws";
import type { Draining } from "../guests.ts";
import {
  decodeName,
  readQuery,
  type SubscribeRequest,
} from "../subscription_request.ts";
import { compactListeners } from "./compact_listeners.ts";
import { mergedWebsocketFormat, websocketFormat } from "./format.ts";
import type { SessionContext, WebSocketCaller } from "./peer.ts";
import type { RelayWebSocket } from "./relay_websocket.ts";
import { WebSocketSession } from "./session.ts";
import { createUpgrader } from "./upgrader.ts";
import type { DeliveryCounts } from "../../delivery/delivery_counts.ts";
import { FrameCache } from "../../delivery/frames.ts";
import type { MemoryGuard } from "../../limits/memory/memory_guard.ts";
import { Problem, unknownTopic } from "../../problem.ts";
import { assertMay } from "../../rights/access.ts";
import { TOPIC_NAME_RULE, topicName } from "../../topics/topic_name.ts";
import type { Entrance } from "../http/entrance.ts";
import type { RefusedSockets } from "../http/refused_sockets.ts";
import { problemOf } from "../http/problem_of.ts";

const SUBPROTOCOL = "rivulet.v1";

const TOPIC_PATH = /^\/topics\/([^/]+)$/;

/** The target of an upgrade: topics that messages will name, or one topic. */
type Target =
  | { readonly kind: "many" }
  | { readonly kind: "one"; readonly request: SubscribeRequest };

function badRequest(code: string, detail: string): Problem {
  return new Problem(STATUS_CODE.BadRequest, code, detail);
}

function targetOf(request: IncomingMessage): Target {
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
  const topic = decodeName(encoded);
  if (!topicName.safeParse(topic).success) {
    throw badRequest("invalid_topic", `Expected ${TOPIC_NAME_RULE}`);
  }
  return {
    kind: "one",
    request: { topic, ...readQuery("websocket", searchParams) },
  };
}

const logger = getLogger(["rivulet", "relay", "websocket"]);

/** One for all sockets. */
function ignore(): void {}

/** The context of the door of WebSockets. */
export interface WebSocketDoorContext
  extends Omit<SessionContext, "frames" | "mergedFrames"> {
  /** The counts of what is delivered through this door. */
  readonly counts: DeliveryCounts;
  /** Identifies callers. */
  readonly entrance: Entrance;
  /** Takes over connections that are refused. */
  readonly refusedSockets: RefusedSockets;
  /** Refuses new subscribers while the relay is drained. */
  readonly draining: Draining;
  /** Refuses new work while there is little memory. */
  readonly memory: Pick<MemoryGuard, "refusal" | "assertRoom">;
}

/** The door of WebSockets: answers requests for an upgrade (PROTOCOL.md, section 2). */
export class WebSocketDoor {
  /** The sessions that are open. */
  readonly sessions: Set<WebSocketSession> = new Set();
  readonly #context: WebSocketDoorContext;
  readonly #shared: SessionContext;
  readonly #server: WebSocketServer;
  readonly #onClose = (session: WebSocketSession): void => {
    this.sessions.delete(session);
  };

  /** Makes a door that nobody has come through yet. */
  constructor(context: WebSocketDoorContext) {
    const { counts, maxMessage } = context;
    this.#context = context;
    this.#shared = {
      ...context,
      frames: new FrameCache(websocketFormat, counts),
      mergedFrames: new FrameCache(mergedWebsocketFormat, counts),
    };
    this.#server = createUpgrader({
      maxMessage,
      handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
      refuse: (...refused) => this.#refuse(...refused),
    });
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
      logger.error("Cannot upgrade a connection: {error}", { error });
      socket.destroy();
    }
  }

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    const { entrance, draining, memory } = this.#context;
    let target: Target;
    let caller: WebSocketCaller;
    try {
      draining.assertOpen();
      memory.assertRoom();
      target = targetOf(request);
      caller = await entrance.admitUpgrade(request);
      draining.assertOpen();
      if (target.kind === "one") await this.#prepare(target.request, caller);
      if (target.kind === "one") this.#check(target.request, caller);
    } catch (error) {
      const problem = problemOf(error) ??
        badRequest("invalid_request", "Expected a URL");
      return this.#refuse(problem, request, socket);
    }
    // `ws` takes a Buffer, and the event gives one.
    const buffer = head as Parameters<WebSocketServer["handleUpgrade"]>[2];
    this.#server.handleUpgrade(request, socket, buffer, (upgraded) => {
      // made by the class that is named above
      this.#open(upgraded as RelayWebSocket, socket, target, caller);
    });
  }

  #refuse(problem: Problem, request: IncomingMessage, socket: Duplex): void {
    const { entrance, refusedSockets } = this.#context;
    entrance.refused(problem, request);
    refusedSockets.refuse(socket, problem);
  }

  /** Has the topic at hand that a URL names. */
  async #prepare(
    { topic, wait = true, after }: SubscribeRequest,
    { access }: WebSocketCaller,
  ): Promise<void> {
    const { topics, awaitTopics } = this.#context;
    if (!topics.areFetched || !access.may("read", topic)) return;
    await topics.prepare(topic, {
      makes: awaitTopics && wait,
      owner: access.identity,
      after,
    });
  }

  #check({ topic, wait }: SubscribeRequest, { access }: WebSocketCaller): void {
    assertMay(access, "read", topic);
    const { topics, awaitTopics } = this.#context;
    // A page could not tell this refusal of the upgrade from a relay that is away.
    if (wait === false) return;
    if (awaitTopics) topics.await(topic, access.identity);
    else if (!topics.get(topic)) throw unknownTopic(topic);
  }

  // By itself, so that the listener does not keep the request.
  #open(
    ws: RelayWebSocket,
    socket: Duplex,
    target: Target,
    caller: WebSocketCaller,
  ): void {
    const session = new WebSocketSession(
      ws,
      socket,
      this.#shared,
      caller,
      this.#onClose,
    );
    this.sessions.add(session);
    if (target.kind === "one") session.follow(target.request);
    // `ws` listens by now.
    socket.off("error", ignore);
    compactListeners(socket);
    compactListeners(ws);
  }
}
