import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import {
  type LinkPeer,
  LinkServer,
  type LinkServerOptions,
} from "../../links/link_server.ts";
import { LINK_PATH } from "../../links/wire.ts";
import { LinkUpgrader, offersLink } from "./upgrade_links.ts";

/** The settings for serving links to the relays of this machine. */
export interface ServeLinksOptions extends LinkServerOptions {
  /** The path of the Unix socket: its folder is there, and only its owner may enter it. */
  readonly path: string;
  /**
   * The secret that a relay must show, which this process gave it at its start.
   */
  readonly secret: string;
}

/** Links to relays of this machine, which this process has started. */
export interface ServedLinks extends AsyncDisposable {
  /** The relays that are linked now. */
  readonly peers: ReadonlySet<LinkPeer>;
  /** A relay is gone for sure: what it has filled can be gone on with at once. */
  forget(id: string): void;
}

/**
 * Serves links over a Unix socket, from a process that may have no other door.
 *
 * @returns Rejects with the system's error where it cannot listen.
 */
export async function serveLinks(
  { path, secret, ...options }: ServeLinksOptions,
): Promise<ServedLinks> {
  const links = new LinkServer(options);
  const upgrader = new LinkUpgrader((_error, socket) => socket.destroy());
  const expected = digest(secret);
  const server = createServer((_request, response) => {
    response.writeHead(404).end();
  });
  const sockets = new Set<Duplex>();
  server.on("connection", (socket: Duplex) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("upgrade", (request, socket, head) => {
    // A relay that is gone is noticed by `close`; without a listener it would be fatal.
    socket.on("error", () => {});
    const status = refusalOf(request, expected);
    if (status !== undefined) return refuse(socket, status);
    upgrader.upgrade(request, socket, head, (ws) => {
      links.accept({ ws, address: path, isTrusted: true });
    });
  });
  try {
    await listen(server, path);
  } catch (error) {
    await links[Symbol.asyncDispose]();
    throw error;
  }
  return {
    peers: links.peers,
    forget: (id) => links.forget(id),
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      await links[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
}

function refusalOf(
  request: IncomingMessage,
  expected: Uint8Array,
): number | undefined {
  if (request.url !== LINK_PATH || !offersLink(request)) return 404;
  const given = request.headers.authorization?.replace(/^Bearer /, "") ?? "";
  return timingSafeEqual(digest(given), expected) ? undefined : 401;
}

/** Texts of one length, to be compared in a time that tells nothing. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

function refuse(socket: Duplex, status: number): void {
  socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\n\r\n`);
}
