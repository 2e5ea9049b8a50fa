// A socket that nobody listens to any more, and that is reset, ends no process.
import { createServer, type Socket } from "node:net";
import { connect } from "node:net";
import { assertEquals } from "@std/assert";
import { keepErrorsHeard } from "../../../../relay/stores/jetstream/socket_errors.ts";

async function withSocket(use: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => socket.on("error", () => {}));
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  const socket = connect(port, "127.0.0.1");
  await new Promise((resolve) => socket.on("connect", resolve));
  use(socket);
  if (!socket.closed) {
    await new Promise((resolve) => socket.on("close", resolve));
  }
  await new Promise((resolve) => server.close(resolve));
}

Deno.test("keepErrorsHeard() hears an error of a socket whose listeners are removed", async () => {
  using _heard = keepErrorsHeard();
  using _again = keepErrorsHeard();
  await withSocket((socket) => {
    // As a connection that is reset while its client closes it.
    socket.destroy(new Error("read ECONNRESET"));
    socket.removeAllListeners();
  });
});

Deno.test("keepErrorsHeard() leaves sockets alone once nobody needs it", async () => {
  keepErrorsHeard()[Symbol.dispose]();
  await withSocket((socket) => {
    socket.removeAllListeners();
    assertEquals(socket.listenerCount("error"), 0);
    socket.destroy();
  });
});
