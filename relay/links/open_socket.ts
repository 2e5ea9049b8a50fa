// @ts-types="../ws.d.ts"
import { WebSocket } from "ws";
import { LINK_PROTOCOL, MAX_LINK_MESSAGE } from "./wire.ts";

/** The time for a connection, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;

/**
 * Opens a socket that is to be a link. A module of its own, since `ws` asks for the right
 * to read the environment when it is loaded: who makes a token needs none.
 *
 * @param url The URL that `ws` connects to.
 * @param token The token that the parent asks for, if it does.
 */
export function openLinkSocket(
  url: string,
  token: string | undefined,
): WebSocket {
  return new WebSocket(url, [LINK_PROTOCOL], {
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: MAX_LINK_MESSAGE,
    handshakeTimeout: CONNECT_TIMEOUT,
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
  });
}
