/**
 * A WebSocket of either client, behind one face.
 *
 * @module
 */
// @ts-types="../../../relay/ws.d.ts"
import { WebSocket as WsWebSocket } from "ws";

/** The kind of client. */
export type ClientKind = "native" | "ws";

/** The events of a client's socket. */
export interface ClientSocketEvents {
  onOpen(): void;
  onText(text: string): void;
  onClose(code: number): void;
}

/** A client's end of a connection. */
export interface ClientSocket {
  send(text: string): void;
  /** Closes with 1000. */
  close(): void;
  /** Cuts the connection, where the client can. */
  destroy(): void;
  /** Resolves when it is closed. */
  readonly closed: Promise<void>;
}

function openNative(url: string, events: ClientSocketEvents): ClientSocket {
  const socket = new WebSocket(url, ["rivulet.v1"]);
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  socket.onopen = () => events.onOpen();
  socket.onmessage = ({ data }) => events.onText(String(data));
  socket.onclose = ({ code }) => {
    events.onClose(code);
    resolve();
  };
  const close = () => socket.close(1000);
  return {
    send: (text) => socket.send(text),
    close,
    destroy: close,
    closed,
  };
}

function openWs(url: string, events: ClientSocketEvents): ClientSocket {
  const socket = new WsWebSocket(url, { perMessageDeflate: false });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  socket.on("open", () => events.onOpen());
  socket.on("message", (data) => events.onText(String(data)));
  // Followed by `close`.
  socket.on("error", () => {});
  socket.on("close", (code) => {
    events.onClose(code);
    resolve();
  });
  return {
    send: (text) => socket.send(text),
    close: () => socket.close(1000),
    destroy: () => socket.terminate(),
    closed,
  };
}

/** Opens a connection. */
export function openSocket(
  kind: ClientKind,
  url: string,
  events: ClientSocketEvents,
): ClientSocket {
  return kind === "native" ? openNative(url, events) : openWs(url, events);
}
