import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
// @ts-types="../../ws.d.ts"
import { type WebSocket, WebSocketServer } from "ws";
import type { LinkOffer } from "../../links/link_server.ts";
import { LINK_PROTOCOL, MAX_LINK_MESSAGE } from "../../links/wire.ts";

/** A WebSocket of a link: what accepts it needs less of `ws` than the door does. */
type LinkSocket = WebSocket & LinkOffer["ws"];

/** Upgrades connections to links. */
export class LinkUpgrader {
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_LINK_MESSAGE,
    autoPong: true,
    skipUTF8Validation: true,
    handleProtocols: (offered) => offered.has(LINK_PROTOCOL) && LINK_PROTOCOL,
  });

  constructor(onError: (error: Error, socket: Duplex) => void) {
    this.#server.on("wsClientError", onError);
  }

  /** Upgrades a connection that may be one. */
  upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Uint8Array,
    accept: (ws: LinkOffer["ws"]) => void,
  ): void {
    // `ws` takes a Buffer, and the event gives one.
    const buffer = head as Parameters<WebSocketServer["handleUpgrade"]>[2];
    this.#server.handleUpgrade(request, socket, buffer, (ws) => {
      accept(ws as LinkSocket); // it is one of `ws`, of which both have a part
    });
  }
}

/** Whether a connection is to be a link. */
export function offersLink({ headers }: IncomingMessage): boolean {
  const offered = headers["sec-websocket-protocol"]?.split(",") ?? [];
  return offered.some((protocol) => protocol.trim() === LINK_PROTOCOL);
}
