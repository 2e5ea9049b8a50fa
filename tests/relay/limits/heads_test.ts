// The limits for the head of a request: its size, and the time that it takes.
import { assert, assertEquals } from "@std/assert";
import { RefusedSockets } from "../../../relay/doors/http/refused_sockets.ts";
import { HttpServer } from "../../../relay/doors/http/server.ts";
import { ClientAddresses } from "../../../relay/limits/client_addresses.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { readProblem } from "../../support/http/raw_answer.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import {
  RawClient,
  requestUpgrade,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const END = "\r\n\r\n";

/** A head of this many bytes. */
function headOf(bytes: number): string {
  const start = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ";
  return start + "x".repeat(bytes - start.length - END.length) + END;
}

Deno.test("Relay takes a head of the size that it may have, and refuses a larger one", async () => {
  await using relay = await startRelay({ limits: { maxHead: 4_096 } });
  using good = await RawCaller.open(relay.port);
  // The count leaves out a few bytes, such as line ends.
  good.send(headOf(4_000));
  await good.see("200 OK");
  for (
    const head of [
      headOf(4_200),
      `GET /${"x".repeat(4_200)} HTTP/1.1\r\nHost: localhost${END}`,
      // It does not wait for an end that does not come.
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(4_200)}`,
      `GET / HTTP/1.1\r\n${"name: value\r\n".repeat(500)}`,
    ]
  ) {
    using bad = await RawCaller.open(relay.port);
    bad.send(head);
    const { status, code, headers } = readProblem(await bad.closed());
    assertEquals([status, code], [431, "head_too_large"]);
    assertEquals(headers.get("connection"), "close");
  }
  good.head("GET", "/topics");
  await good.see("[]}");
});

Deno.test("Relay lets out why it refuses a head to who is just writing more", async () => {
  // The clock stands still: it is not cut, however long it writes.
  await using relay = await startRelay({ clock: new FakeClock() });
  using bad = await RawCaller.open(relay.port);
  bad.send("GET / HTTP/1.1\r\n" + "x".repeat(1_000_000));
  assertEquals(readProblem(await bad.closed()).code, "head_too_large");
});

Deno.test("Relay refuses too many headers, and does not leave any out", async () => {
  await using relay = await startRelay();
  const head = (count: number) =>
    `GET /topics HTTP/1.1\r\nHost: localhost\r\n${
      "a: b\r\n".repeat(count - 1)
    }\r\n`;
  using good = await RawCaller.open(relay.port);
  good.send(head(200));
  await good.see("200 OK");
  for (const count of [201, 202, 1_000, 4_000]) {
    using bad = await RawCaller.open(relay.port);
    bad.send(head(count));
    const problem = readProblem(await bad.see('"}'));
    assertEquals([problem.status, problem.code], [431, "head_too_large"]);
  }
  await using client = await RawClient.connect(relay.url);
  const many = Array.from({ length: 300 }, (_, i) => [`X${i}`, ""]);
  const answer = await requestUpgrade(client, "/ws", Object.fromEntries(many));
  assertEquals(answer.status, 431);
  await within(client.closed, LIMIT, "the connection to be closed");
});

Deno.test("Relay waits as long for a head as it may take", async () => {
  await using relay = await startRelay({ limits: { headTimeout: 200 } });
  for (
    const start of [
      "",
      "GET",
      "GET / HTTP/1.1\r\nHost: re",
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    ]
  ) {
    using slow = await RawCaller.open(relay.port);
    slow.send(start);
    const { status, code } = readProblem(await slow.closed());
    assertEquals([status, code], [408, "head_timeout"], start);
  }
});

Deno.test("Relay waits longer for a head that may take longer", async () => {
  await using patient = await startRelay({ limits: { headTimeout: 60_000 } });
  await using relay = await startRelay({ limits: { headTimeout: 200 } });
  using slow = await RawCaller.open(patient.port);
  slow.send("GET /healthz HTTP/1.1\r\n");
  using slower = await RawCaller.open(relay.port);
  slower.send("GET /healthz HTTP/1.1\r\n");
  await slower.closed();
  slow.send("Host: localhost\r\n\r\n");
  await slow.see("200 OK");
});

Deno.test("Relay takes the rest of a head for no request that it has refused", async () => {
  await using relay = await startRelay({ limits: { headTimeout: 200 } });
  // It does not close in its turn.
  const stays = await Deno.connect({ port: relay.port });
  const write = (text: string): Promise<number> =>
    stays.write(new TextEncoder().encode(text));
  const buffer = new Uint8Array(4_096);
  await write("PUT /topics/t HTTP/1.1\r\n");
  const length = await stays.read(buffer) ?? 0;
  const text = new TextDecoder().decode(buffer.subarray(0, length));
  assertEquals(readProblem(text).code, "head_timeout");
  await write("Host: localhost\r\nContent-Length: 0\r\n\r\n");
  using other = await RawCaller.open(relay.port);
  other.head("GET", "/topics");
  await other.see("[]}");
  stays.close();
});

Deno.test("Relay notices without waiting that who was refused an upgrade has gone", async () => {
  // The clock stands still: nothing is closed by force.
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxConnections: 1 },
  });
  const upgrade = "GET /ws HTTP/1.1\r\nHost: localhost\r\n" +
    "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  for (let i = 0; i < 3; i++) {
    await until(
      async () => {
        using caller = await RawCaller.open(relay.port);
        // With something behind it that nobody wants any more.
        caller.send(`${upgrade}${"a: b\r\n".repeat(300)}\r\n`);
        caller.send("x".repeat(100_000));
        const { status } = readProblem(await caller.closed());
        return status === 431 || undefined;
      },
      LIMIT,
      "room for another connection",
    );
  }
});

Deno.test("Relay waits for a second head no longer than for the first", async () => {
  await using relay = await startRelay({
    limits: { headTimeout: 200, idleTimeout: 60_000 },
  });
  using slow = await RawCaller.open(relay.port);
  slow.head("GET", "/healthz");
  await slow.see('"ok"}');
  const before = slow.text.length;
  slow.send("GET /healthz HTTP/1.1\r\n");
  const { status, code } = readProblem((await slow.closed()).slice(before));
  assertEquals([status, code], [408, "head_timeout"]);
});

Deno.test("Relay keeps a connection for a while on which nothing is asked", async () => {
  await using relay = await startRelay({ limits: { idleTimeout: 100 } });
  using idle = await RawCaller.open(relay.port);
  idle.head("GET", "/healthz");
  await idle.see('"ok"}');
  idle.head("GET", "/topics");
  await idle.see("[]}");
  const text = await idle.closed();
  assertEquals(text.match(/HTTP\/1.1/g)?.length, 2, "and says nothing more");
});

// deno-fmt-ignore
const MALFORMED: [what: string, head: string][] = [
  ["no request", `\0\0\0${END}`],
  ["TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["two lengths", `POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2${END}`],
  ["a length and chunks", `POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked${END}`],
  ["a line end in a header", `GET / HTTP/1.1\r\nHost: localhost\r\nX: a\nb${END}`],
  ["no host", `GET /healthz HTTP/1.1${END}`],
];

for (const [what, head] of MALFORMED) {
  Deno.test(`Relay refuses ${what} with a problem`, async () => {
    await using relay = await startRelay();
    using bad = await RawCaller.open(relay.port);
    bad.send(Uint8Array.from(head, (c) => c.charCodeAt(0)));
    const text = await bad.see("invalid_request");
    assert(text.startsWith("HTTP/1.1 400 "), text);
    assert(text.includes("application/problem+json"), text);
  });
}

Deno.test("Relay says nothing in the middle of an answer", async () => {
  await using relay = await startRelay();
  using caller = await RawCaller.open(relay.port);
  caller.head("GET", "/topics/t", { accept: "text/event-stream" });
  await caller.see("Rivulet-Epoch");
  caller.send(`\0\0\0${END}`);
  const text = await caller.closed();
  assertEquals(text.match(/HTTP\/1.1/g)?.length, 1, text);
});

/** The time that a head may take at a server alone, in milliseconds. */
const HEAD_TIMEOUT = 200;

/** A server alone, and what it says that it has refused. */
async function startServer(): Promise<
  AsyncDisposable & { port: number; refusals: string[]; server: HttpServer }
> {
  const refusals: string[] = [];
  const server = new HttpServer({
    request: () => Promise.resolve(new Response("fine")),
    upgrade: (_request, socket) => void socket.destroy(),
    refused: ({ code }, address) => void refusals.push(`${code} ${address}`),
  }, {
    maxHead: 4_096,
    headTimeout: HEAD_TIMEOUT,
    idleTimeout: 60_000,
    maxConnections: 3,
    maxConnectionsPerAddress: 1,
    addresses: new ClientAddresses(["127.0.0.1"]),
    maxSockets: Infinity,
    refused: new RefusedSockets(new FakeClock(), 256),
  });
  const { port } = await server.listen("127.0.0.1", 0);
  return {
    port,
    refusals,
    server,
    async [Symbol.asyncDispose]() {
      const closed = server.close();
      server.terminate();
      await closed;
    },
  };
}

Deno.test("HttpServer refuses no head that has come while it had no time to read it", async () => {
  for (let isInTime = false; !isInTime;) {
    await using server = await startServer();
    const began = performance.now();
    using caller = await RawCaller.open(server.port);
    caller.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n");
    await until(
      () => server.server.connections > 0 || undefined,
      LIMIT,
      "the connection to be accepted",
    );
    caller.send("\r\n");
    // A busy machine may have let this process wait for longer than a head may take.
    isInTime = performance.now() - began < HEAD_TIMEOUT;
    if (!isInTime) continue;
    // As a process without a processor: its timers are due before its sockets are read.
    const end = performance.now() + 1_500;
    while (performance.now() < end);
    await caller.see("200 OK");
  }
});

Deno.test("HttpServer tells once of each refusal, and of nothing else", async () => {
  await using server = await startServer();
  const { port, refusals } = server;
  /** Sends something, and reads until this comes. */
  const send = async (text: string, expected: string): Promise<void> => {
    using caller = await RawCaller.open(port);
    caller.send(text);
    await caller.see(expected);
  };
  const take = (): string[] => refusals.splice(0);

  await send(`GET / HTTP/1.1\r\nHost: a${END}`, "fine");
  {
    await using reset = await RawClient.connect(`http://127.0.0.1:${port}`);
    await reset.send("GET /");
    reset.reset();
  }
  assertEquals(take(), []);

  await send("GET / HTTP/1.1\r\n" + "x".repeat(100_000), "head_too_large");
  assertEquals(take(), ["head_too_large 127.0.0.1"]);
  await send(`\0\0\0${END}`.repeat(3), "invalid_request");
  assertEquals(take(), ["invalid_request 127.0.0.1"]);
  await send(`GET / HTTP/1.1${END}`, "invalid_request");
  assertEquals(take().length, 1);
  // It does not go when it has been refused, and is not refused again.
  const stays = await Deno.connect({ port });
  await stays.write(new TextEncoder().encode(`GET /${"x".repeat(10_000)}`));
  await send("GET / HTTP/1.1\r\n", "head_timeout");
  assertEquals(take(), [
    "head_too_large 127.0.0.1",
    "head_timeout 127.0.0.1",
  ]);
  stays.close();

  using first = await RawCaller.open(port);
  first.head("GET", "/");
  await first.see("fine");
  using second = await RawCaller.open(port);
  second.head("GET", "/");
  await second.see("fine");
  using third = await RawCaller.open(port);
  third.head("GET", "/");
  await third.see("fine");
  await send("", "too_many_connections");
  assertEquals(take(), ["too_many_connections 127.0.0.1"]);
  assertEquals(server.server.connections, 3);
});
