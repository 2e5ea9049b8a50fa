import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { STATUS_CODE } from "@std/http/status";
// @ts-types="../../ws.d.ts"
import { WebSocketServer } from "ws";
import { Problem } from "../../problem.ts";
import { RelayWebSocket } from "./relay_websocket.ts";

/** The rules of a door for the upgrade of a connection. */
export interface UpgradeRules {
  /** The largest message of a peer, in bytes. */
  readonly maxMessage: number;
  /** Chooses one of the subprotocols that a peer offers; `false` for none. */
  readonly handleProtocols: (offered: Set<string>) => string | false;
  /** Answers an upgrade that is not one. */
  readonly refuse: (
    problem: Problem,
    request: IncomingMessage,
    socket: Duplex,
  ) => void;
}

/** Makes what upgrades the connections of a door. Its sessions answer pings. */
export function createUpgrader(
  { maxMessage, handleProtocols, refuse }: UpgradeRules,
): WebSocketServer {
  const server = new WebSocketServer({
    noServer: true,
    WebSocket: RelayWebSocket,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessage,
    autoPong: false,
    skipUTF8Validation: true,
    handleProtocols,
  });
  server.on("wsClientError", (error, socket, request) => {
    refuse(problemOf(error, request), request, socket);
  });
  return server;
}

/** The versions of the protocol that `ws` speaks. */
const VERSIONS = ["13", "8"];

/** Says what is wrong with a handshake; to a client of another version, which ones there are (RFC 6455, section 4.4). */
function problemOf({ message }: Error, { headers }: IncomingMessage): Problem {
  const { BadRequest, UpgradeRequired } = STATUS_CODE;
  const version = headers["sec-websocket-version"];
  if (version === undefined || VERSIONS.includes(version)) {
    return new Problem(BadRequest, "invalid_upgrade", message);
  }
  return new Problem(
    UpgradeRequired,
    "upgrade_required",
    `Expected version 13 of the WebSocket protocol: got '${version}'`,
    {},
    { "Sec-WebSocket-Version": "13" },
  );
}
