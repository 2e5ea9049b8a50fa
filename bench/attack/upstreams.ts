/**
 * The upstreams of the attack bench, a process of its own: a source and a provider
 * that send an event stream in chunks of one byte, as fast as it is taken. It prints
 * its port.
 *
 * @module
 */
import { createServer } from "node:net";
import { block } from "./flood.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n";

const COMMENTS = block("1\r\n:\r\n1\r\n\n\r\n");

const server = createServer((socket) => {
  socket.on("error", () => {});
  socket.once("data", () => {
    socket.resume();
    socket.write(HEAD);
    const more = (): void => {
      while (!socket.destroyed && socket.write(COMMENTS));
    };
    socket.on("drain", more);
    more();
  });
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") {
    console.log(address.port);
  }
});
void Deno.stdin.readable.pipeTo(new WritableStream()).then(() => Deno.exit());
