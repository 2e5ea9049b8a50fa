// The connections to providers: which are used again, for how long, and what is lost with them (D2).
import { assertEquals } from "@std/assert";
import { createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { LIMIT } from "../../support/gateway/gateway_world.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { until } from "../../support/within.ts";

/** Starts a relay in front of a server that answers requests until a path says to break the connection. */
async function start(headers = ""): Promise<
  AsyncDisposable & {
    readonly clock: FakeClock;
    /** The requests, each with the number of its connection. */
    readonly requests: readonly string[];
    readonly open: ReadonlySet<Socket>;
    ask(method: string, path: string): Promise<number>;
  }
> {
  const clock = new FakeClock();
  const requests: string[] = [];
  const open = new Set<Socket>();
  const used = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    const number = ++connections;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {}); // `close` follows
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString();
      if (!text.includes("\r\n\r\n")) return;
      const [first = ""] = text.split(" HTTP/1.1");
      text = "";
      requests.push(`${number} ${first}`);
      const isUsed = used.has(socket);
      used.add(socket);
      if (first.endsWith("reset")) socket.resetAndDestroy();
      else if (first.endsWith("close")) socket.destroy();
      else if (first.endsWith("stale") && isUsed) socket.destroy();
      else {
        socket.write(
          `HTTP/1.1 200 OK\r\n${headers}Content-Length: 2\r\n\r\n{}`,
        );
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const relay = await startRelay({
    clock,
    gateway: { providers: [{ name: "a", url: `http://127.0.0.1:${port}` }] },
  });
  return {
    clock,
    requests,
    open,
    async ask(method, path) {
      const response = await relay.request(`/v1/${path}`, {
        method,
        ...(method === "POST" && {
          headers: { "content-type": "application/json" },
          body: "{}",
        }),
      });
      await response.text();
      return response.status;
    },
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

for (const how of ["reset", "close"]) {
  Deno.test(`A POST on a connection that was used before is not sent twice: ${how} (D2)`, async () => {
    await using world = await start();
    assertEquals(await world.ask("GET", "models"), 200);
    assertEquals(await world.ask("POST", how), 502);
    assertEquals(await world.ask("POST", "again"), 200);
    assertEquals(world.requests, [
      "1 GET /models",
      `1 POST /${how}`,
      "2 POST /again",
    ]);
  });
}

Deno.test("A GET on a connection that its provider is closing is sent again at once (D2)", async () => {
  await using world = await start();
  assertEquals(await world.ask("GET", "models"), 200);
  // The clock stands still: no backoff is over.
  assertEquals(await world.ask("GET", "stale"), 200);
  assertEquals(await world.ask("POST", "stale"), 502);
  assertEquals(world.requests, [
    "1 GET /models",
    "1 GET /stale",
    "2 GET /stale",
    "2 POST /stale",
  ]);
});

Deno.test("A connection is used again, and closed after 4 s without a request", async () => {
  await using world = await start();
  for (const path of ["a", "b"]) await world.ask("POST", path);
  assertEquals(world.requests, ["1 POST /a", "1 POST /b"]);
  await world.clock.advance(3_999);
  assertEquals(world.open.size, 1);
  await world.ask("POST", "c");
  await world.clock.advance(3_999);
  assertEquals(world.open.size, 1);
  await world.clock.advance(1);
  await until(
    () => world.open.size === 0 || undefined,
    LIMIT,
    "the connection to be closed",
  );
  await world.ask("POST", "d");
  assertEquals(world.requests.slice(2), ["1 POST /c", "2 POST /d"]);
});

Deno.test("A connection is given up before its provider closes it", async () => {
  for (
    const [keepAlive, kept] of [
      ["timeout=1", 0],
      ["timeout=3, max=100", 1],
      ["max=5, timeout=60", 1],
    ] as const
  ) {
    await using world = await start(`Keep-Alive: ${keepAlive}\r\n`);
    await world.ask("POST", "a");
    await world.ask("POST", "b");
    const second = kept === 1 ? "1 POST /b" : "2 POST /b";
    assertEquals(world.requests, ["1 POST /a", second], keepAlive);
    await world.clock.advance(keepAlive.includes("3") ? 2_000 : 4_000);
    await until(
      () => world.open.size === 0 || undefined,
      LIMIT,
      "the connections to be closed",
    );
  }
});
