import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";

/** Where a runtime tells of each socket that it makes for a client. */
const CHANNEL = "net.client.socket";

function ignore(): void {}

function onSocket(message: unknown): void {
  const socket = typeof message === "object" && message !== null &&
      "socket" in message
    ? message.socket
    : undefined;
  if (!(socket instanceof Socket)) return;
  const removeAll = socket.removeAllListeners;
  socket.removeAllListeners = (...names) => {
    removeAll.apply(socket, names);
    if (names.length === 0 || names[0] === "error") socket.on("error", ignore);
    return socket;
  };
}

let users = 0;

/**
 * Keeps a socket whose listeners are all removed from ending the process with an error
 * that nobody hears.
 *
 * `@nats-io/transport-node` 3.4 removes all listeners of a socket between two steps of
 * a connection, and before it closes one. An error that the socket is about to tell is
 * uncaught then: a NATS server that was killed ended relays.
 *
 * @returns What ends it, once no connection to NATS is left.
 */
export function keepErrorsHeard(): Disposable {
  if (users++ === 0) subscribe(CHANNEL, onSocket);
  return {
    [Symbol.dispose]() {
      if (--users === 0) unsubscribe(CHANNEL, onSocket);
    },
  };
}
