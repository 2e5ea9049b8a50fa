// The requests of a connection: each one that has waited begins in its turn.
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { assertEquals } from "@std/assert";
import { RequestQueue } from "../../../../relay/doors/http/request_queue.ts";
import { RawCaller } from "../../../support/http/raw_caller.ts";
import { LIMIT, until } from "../../../support/within.ts";

/** A server of one queue, whose turns the test gives. */
async function startQueue() {
  const begun: string[] = [];
  const turns: (() => void)[] = [];
  const sockets: Socket[] = [];
  const queue = new RequestQueue(
    ({ url = "" }, outgoing) => {
      begun.push(url);
      outgoing.end(url);
    },
    (begin) => turns.push(begin),
  );
  const server = createServer((incoming, outgoing) => {
    sockets.push(incoming.socket);
    queue.add(incoming, outgoing);
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  // It listens on TCP.
  const { port } = server.address() as AddressInfo;
  return {
    begun,
    turns,
    sockets,
    queue,
    port,
    async [Symbol.asyncDispose](): Promise<void> {
      const closed = new Promise<void>((resolve) =>
        server.close(() => resolve())
      );
      server.closeAllConnections();
      await closed;
    },
  };
}

const THREE = ["/a", "/b", "/c"]
  .map((path) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  .join("");

Deno.test("RequestQueue begins a request that has waited when its turn is given", async () => {
  await using server = await startQueue();
  using caller = await RawCaller.open(server.port);
  caller.send(THREE);
  for (const expected of [["/a"], ["/a", "/b"], ["/a", "/b", "/c"]]) {
    const isLast = expected.length === 3;
    await until(
      () =>
        (isLast ? !server.queue.isBusy : server.turns.length > 0) || undefined,
      LIMIT,
      "the next turn",
    );
    assertEquals(server.begun, expected);
    server.turns.shift()?.();
  }
  assertEquals(server.turns, []);
});

Deno.test("RequestQueue begins nothing whose connection has gone before its turn", async () => {
  await using server = await startQueue();
  using caller = await RawCaller.open(server.port);
  caller.send(THREE);
  await until(
    () => server.turns.length > 0 || undefined,
    LIMIT,
    "the turn of /b",
  );
  server.sockets[0]?.destroy();
  server.turns.shift()?.();
  assertEquals(server.begun, ["/a"]);
  assertEquals(server.turns, []);
  assertEquals(server.queue.isBusy, false);
});
