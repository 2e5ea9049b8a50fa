import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { getLogger } from "@logtape/logtape";
import { STATUS_CODE } from "@std/http/status";
import { LinkServer, type LinkServerOptions } from "../../links/link_server.ts";
import { LINK_CLOSINGS, LINK_PATH, LINK_PROTOCOL } from "../../links/wire.ts";
import { Problem } from "../../problem.ts";
import { assertMayLink } from "../../rights/access.ts";
import type { Expiries } from "../../rights/expiries.ts";
import type { Draining } from "../guests.ts";
import type { Entrance } from "../http/entrance.ts";
import { problemOf } from "../http/problem_of.ts";
import type { RefusedSockets } from "../http/refused_sockets.ts";
import { LinkUpgrader, offersLink } from "./upgrade_links.ts";

/** The context of the door of links. */
export interface LinksDoorContext extends LinkServerOptions {
  /** Identifies callers. */
  readonly entrance: Entrance;
  /** Takes over connections that are refused. */
  readonly refusedSockets: RefusedSockets;
  /** Refuses new links while the relay is drained. */
  readonly draining: Draining;
  /** Tells links whose tokens expire. */
  readonly expiries: Expiries;
}

const logger = getLogger(["rivulet", "relay", "link"]);

/** The door of other relays, whose topics live in this one (PROTOCOL.md, section 8). */
export class LinksDoor implements AsyncDisposable {
  readonly #context: LinksDoorContext;
  readonly #links: LinkServer;
  readonly #upgrader: LinkUpgrader;

  /** Makes a door that no relay has come through yet. */
  constructor(context: LinksDoorContext) {
    this.#context = context;
    this.#links = new LinkServer(context);
    this.#upgrader = new LinkUpgrader((_error, socket) => socket.destroy());
  }

  /** The number of relays that are linked. */
  get size(): number {
    return this.#links.peers.size;
  }

  /** Whether an upgrade is of the path of links. */
  handles({ url = "" }: IncomingMessage): boolean {
    return url.replace(/[?#].*$/s, "") === LINK_PATH;
  }

  /** Upgrades a connection, or refuses to; never rejects. */
  async handle(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    // A peer that is gone is noticed by `close`; without a listener it would be fatal.
    socket.on("error", () => {});
    try {
      await this.#upgrade(request, socket, head);
    } catch (error) {
      const problem = problemOf(error);
      if (!problem) {
        logger.error("Cannot upgrade a connection: {error}", { error });
        return void socket.destroy();
      }
      this.#context.entrance.refused(problem, request);
      this.#context.refusedSockets.refuse(socket, problem);
    }
  }

  /** Closes all links. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#links[Symbol.asyncDispose]();
  }

  async #upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
  ): Promise<void> {
    const { entrance, draining, expiries } = this.#context;
    draining.assertOpen();
    if (!offersLink(request)) {
      throw new Problem(
        STATUS_CODE.BadRequest,
        "invalid_upgrade",
        `Expected the subprotocol ${LINK_PROTOCOL}`,
      );
    }
    const { access, address } = await entrance.admitUpgrade(request);
    assertMayLink(access);
    draining.assertOpen();
    this.#upgrader.upgrade(request, socket, head, (ws) => {
      const expiring = {
        onExpiry: () =>
          ws.close(LINK_CLOSINGS.expired, "The token has expired"),
      };
      expiries.add(access.expires, expiring);
      ws.on("close", () => expiries.delete(access.expires, expiring));
      this.#links.accept({ ws, address, isTrusted: false });
    });
  }
}
