import {
  type Agent,
  type IncomingMessage,
  request,
  type ServerResponse,
} from "node:http";

/**
 * Passes a request on to a provider, and its answer back, and does nothing else: what
 * the runtime takes for a proxy. The answer is read to its end, also when the caller
 * has left.
 *
 * @param provider The provider.
 * @param agent Keeps the connections. Default: the runtime's own.
 */
export function pass(
  { host, hostname, port }: URL,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  agent?: Agent,
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
  });
  incoming.on("error", () => {});
  incoming.pipe(asked);
}
