/**
 * Bun's publish: one message for each event and subscriber, made by the runtime.
 *
 * `bun.ts UPSTREAM`: says `port N` when it listens.
 *
 * @module
 */
import process from "node:process";
import { TOPIC } from "../../event.ts";
import { relay } from "./upstream.ts";

interface ServerWebSocket {
  subscribe(topic: string): void;
  getBufferedAmount(): number;
}

interface Server {
  readonly port: number;
  upgrade(request: Request): boolean;
  publish(topic: string, data: string): number;
}

/**
 * The part of Bun that is used: its types would come with all of Node's
 * globals.
 */
declare const Bun: {
  serve(options: {
    hostname: string;
    port: number;
    fetch(request: Request, server: Server): Response | undefined;
    websocket: {
      open(socket: ServerWebSocket): void;
      message(): void;
      close(socket: ServerWebSocket): void;
    };
  }): Server;
};

const clients = new Set<ServerWebSocket>();
const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (request, server) =>
    server.upgrade(request) ? undefined : new Response(null, { status: 400 }),
  websocket: {
    open(socket) {
      clients.add(socket);
      socket.subscribe(TOPIC);
    },
    message() {},
    close: (socket) => void clients.delete(socket),
  },
});
console.log(`port ${server.port}`);

await relay(
  process.argv[2] ?? "",
  (data) => void server.publish(TOPIC, data),
  () => {
    const [client] = clients;
    return client?.getBufferedAmount() ?? 0;
  },
);
