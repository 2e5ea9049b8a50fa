import {
  type Agent,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";

/** Gets the body of an answer beside its caller. */
export interface Follower {
  write(bytes: Uint8Array): void;
  end(): void;
}

/**
 * Passes a request on to a provider, and its answer back, and does nothing else: what
 * the runtime takes for a proxy. The answer is read to its end, also when the caller
 * has left.
 *
 * @param provider The provider.
 * @param agent Keeps the connections. Default: the runtime's own.
 * @param follower Gets what the caller gets. Default: nobody does.
 */
export function pass(
  { host, hostname, port }: URL,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  agent?: Agent,
  follower?: Follower,
): void {
  const asked = request({
    hostname,
    port,
    path: incoming.url ?? "/",
    method: incoming.method ?? "GET",
    headers: { ...incoming.headers, host },
    ...(agent && { agent }),
  });
  asked.on("error", () => outgoing.destroy());
  asked.on("response", (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.on("error", () => outgoing.destroy());
    outgoing.on("close", () => {
      answer.unpipe(outgoing);
      answer.resume();
    });
    answer.pipe(outgoing);
    if (!follower) return;
    answer.on("data", (bytes: Uint8Array) => follower.write(bytes));
    answer.on("end", () => follower.end());
  });
  incoming.on("error", () => {});
  incoming.pipe(asked);
}
