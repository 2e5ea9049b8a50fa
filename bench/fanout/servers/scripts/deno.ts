/**
 * Deno's own WebSocket: one message for each event and subscriber.
 *
 * `deno.ts UPSTREAM`: says `port N` when it listens.
 *
 * @module
 */
import { relay } from "./upstream.ts";

const clients = new Set<WebSocket>();
Deno.serve(
  {
    hostname: "127.0.0.1",
    port: 0,
    onListen: ({ port }) => console.log(`port ${port}`),
  },
  (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => clients.add(socket);
    socket.onclose = () => clients.delete(socket);
    return response;
  },
);

await relay(
  Deno.args[0] ?? "",
  (data) => {
    for (const client of clients) client.send(data);
  },
  () => {
    const [client] = clients;
    return client?.bufferedAmount ?? 0;
  },
);
