/**
 * `ws` on Node or Deno: one message for each event and subscriber.
 *
 * `ws.ts UPSTREAM`: says `port N` when it listens.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { Duplex } from "node:stream";
// @ts-types="../../../../relay/ws.d.ts"
import { type WebSocket, WebSocketServer } from "ws";
import { relay } from "./upstream.ts";

const clients = new Map<WebSocket, Duplex>();
const sockets = new WebSocketServer({ noServer: true, clientTracking: false });
const server = createServer();
server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => {
    clients.set(client, socket);
    client.on("close", () => clients.delete(client));
    client.on("error", () => {});
  });
});
server.listen(0, "127.0.0.1", 4096, () => {
  // It listens on TCP: the address is no pipe's name.
  console.log(`port ${(server.address() as AddressInfo).port}`);
});

await relay(
  process.argv[2] ?? "",
  (data) => {
    for (const client of clients.keys()) client.send(data);
  },
  () => {
    const [socket] = clients.values();
    return socket?.writableLength ?? 0;
  },
);
