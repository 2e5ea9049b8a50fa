import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/**
 * The channel on which a runtime reports each socket that it makes for a
 * client.
 */
const CHANNEL = "net.client.socket";

/** Those who keep errors heard. */
const users = new Set<HeardErrors>();

function ignore(error: Error): void {
  for (const user of users) user.first ??= error;
}

function onSocket(message: unknown): void {
  const socket = typeof message === "object" && message !== null &&
      "socket" in message
    ? message.socket
    : undefined;
  if (socket instanceof Socket) keepHeard(socket);
}

function keepHeard(socket: Socket): void {
  const removeAll = socket.removeAllListeners;
  socket.removeAllListeners = function (this: Socket, ...names) {
    removeAll.apply(this, names);
    if (names.length === 0 || names[0] === "error") this.on("error", ignore);
    return this;
  };
}

/** Does so with all sockets for TLS: no runtime tells of those. */
function keepAllOfTlsHeard(): void {
  keepHeard(TLSSocket.prototype);
}

function leaveTls(): void {
  // The inherited method is in force again.
  Reflect.deleteProperty(TLSSocket.prototype, "removeAllListeners");
}

/** Keeps errors heard until it is disposed of. */
export class HeardErrors implements Disposable {
  /** The first error of a socket that nobody else has heard, since this was cleared. */
  first: Error | undefined;

  [Symbol.dispose](): void {
    if (!users.delete(this) || users.size > 0) return;
    unsubscribe(CHANNEL, onSocket);
    leaveTls();
  }
}

/**
 * Keeps a socket whose listeners are all removed from ending the process with an error
 * that nobody hears.
 *
 * `@nats-io/transport-node` 3.4 removes all listeners of a socket between two steps of
 * a connection, and before it closes one. An error that the socket is about to tell is
 * uncaught then: a NATS server that was killed ended relays.
 *
 * @returns A function that ends it, once no connection to NATS is left.
 */
export function keepErrorsHeard(): HeardErrors {
  if (users.size === 0) {
    subscribe(CHANNEL, onSocket);
    keepAllOfTlsHeard();
  }
  const heard = new HeardErrors();
  users.add(heard);
  return heard;
}
