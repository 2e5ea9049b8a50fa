// The limits for connections, in all and of one address.
import process from "node:process";
import { assert, assertEquals } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { readProblem } from "../../support/http/raw_answer.ts";
import {
  RawClient,
  RawWebSocket,
  requestUpgrade,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** A relay behind a proxy: this one is whoever connects. */
function behindProxy(options: RelayOptions): Promise<TestRelay> {
  return startRelay({ trustedProxies: ["127.0.0.1"], ...options });
}

async function isServed(port: number, headers = {}): Promise<boolean> {
  using caller = await RawCaller.open(port);
  caller.head("GET", "/healthz", headers);
  const text = await caller.see("}");
  return text.startsWith("HTTP/1.1 200 ");
}

/** Waits until the relay has noticed that there is room again. */
function served(port: number, headers = {}): Promise<boolean> {
  return until(
    async () => await isServed(port, headers) || undefined,
    LIMIT,
    "the relay to take another",
  );
}

const IN_ALL = { status: 503, code: "too_many_connections" };
const OF_ADDRESS = { status: 429, code: "too_many_connections_of_address" };

for (
  const [what, options, { status, code }] of [
    ["in all", { limits: { maxConnections: 3 } }, IN_ALL],
    ["of one address", { limits: { maxConnectionsPerAddress: 3 } }, OF_ADDRESS],
  ] as const
) {
  Deno.test(`Relay takes as many connections ${what} as it may, and refuses another at once`, async () => {
    await using relay = await startRelay(options);
    using first = await RawCaller.open(relay.port);
    await using _second = await RawWebSocket.open(relay.url, "/ws");
    using third = await RawCaller.open(relay.port);
    third.head("GET", "/topics/t", { accept: "text/event-stream" });
    await third.see("Rivulet-Epoch");
    for (let i = 0; i < 3; i++) {
      // It says nothing, and need not.
      using refused = await RawCaller.open(relay.port);
      const problem = readProblem(await refused.closed());
      assertEquals([problem.status, problem.code], [status, code]);
      assertEquals(problem.headers.get("retry-after"), "5");
      assertEquals(problem.headers.get("connection"), "close");
    }
    first.head("GET", "/healthz");
    await first.see("200 OK");
    first[Symbol.dispose]();
    assert(await served(relay.port));
  });
}

Deno.test("Relay lets a refusal out to who is just writing, and answers nothing else", async () => {
  const warnings: string[] = [];
  const warn = ({ message }: Error): void => void warnings.push(message);
  process.on("warning", warn);
  // The clock stands still: it is not cut, however long it writes.
  await using relay = await startRelay({
    clock: new FakeClock(),
    limits: { maxConnections: 1 },
  });
  using _first = await RawCaller.open(relay.port);
  using refused = await RawCaller.open(relay.port);
  refused.head("PUT", "/topics/t");
  refused.send("x".repeat(4_000_000));
  refused.head("PUT", "/topics/t");
  const problem = readProblem(await refused.closed());
  assertEquals(problem.code, "too_many_connections");
  assertEquals([...relay.relay.topics], []);
  process.off("warning", warn);
  assertEquals(warnings, [], "the runtime has nothing to complain of");
});

Deno.test("Relay cuts who was refused and does not go", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxConnections: 1 },
  });
  using _first = await RawCaller.open(relay.port);
  // Half open: it does not close in its turn.
  const stays = await Deno.connect({ port: relay.port });
  const buffer = new Uint8Array(4_096);
  const length = await stays.read(buffer) ?? 0;
  assert(length > 0);
  assertEquals(await stays.read(buffer), null, "the end of what it is told");
  await clock.advance(1_000);
  await until(
    async () => {
      try {
        await stays.write(buffer);
        return undefined;
      } catch {
        return true; // there is nobody to write to
      }
    },
    LIMIT,
    "the connection to be cut",
  );
  stays.close();
});

Deno.test("Relay closes with who was refused still there", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxConnections: 1 },
  });
  using _first = await RawCaller.open(relay.port);
  const stays = await Deno.connect({ port: relay.port });
  await stays.read(new Uint8Array(4_096));
  await within(relay.relay.close(), LIMIT, "the relay to close");
  stays.close();
});

Deno.test("Relay answers so many of a crowd that it refuses, and cuts the others at once", async () => {
  // The clock stands still: a connection that was answered stays as long as it
  // likes.
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxConnections: 1 },
  });
  using first = await RawCaller.open(relay.port);
  const answers: string[] = [];
  const crowd: Deno.Conn[] = [];
  for (let i = 0; i < 260; i++) {
    const stays = await Deno.connect({ port: relay.port });
    crowd.push(stays);
    const buffer = new Uint8Array(4_096);
    const length = await stays.read(buffer).catch(() => 0) ?? 0;
    answers.push(new TextDecoder().decode(buffer.subarray(0, length)));
  }
  for (const answer of answers.splice(0, 256)) {
    assertEquals(readProblem(answer).status, 503);
  }
  assertEquals(answers, ["", "", "", ""]);
  first.head("GET", "/healthz");
  await first.see("200 OK");
  for (const stays of crowd) stays.close();
});

const CLIENT = { "x-forwarded-for": "198.51.100.1, 203.0.113.5" };
const SAME = { "x-forwarded-for": "203.0.113.5" };
const OTHER = { "x-forwarded-for": "203.0.113.6" };

Deno.test("Relay counts what a client has under way behind a proxy, by any door", async () => {
  await using relay = await behindProxy({
    limits: { maxConnectionsPerAddress: 2 },
  });
  const stream = { accept: "text/event-stream" };
  using first = await RawCaller.open(relay.port);
  first.head("GET", "/topics/t", { ...stream, ...CLIENT });
  await first.see("Rivulet-Epoch");
  await using second = await RawClient.connect(relay.url);
  assertEquals((await requestUpgrade(second, "/ws", CLIENT)).status, 101);

  using third = await RawCaller.open(relay.port);
  third.head("GET", "/topics/t", { ...stream, ...SAME });
  const { status, code, headers } = readProblem(await third.see("}"));
  assertEquals({ status, code }, OF_ADDRESS);
  assertEquals(headers.get("retry-after"), "5");
  await using fourth = await RawClient.connect(relay.url);
  const answer = await requestUpgrade(fourth, "/ws", SAME);
  assertEquals(answer.status, 429);
  assertEquals(JSON.parse(answer.body).code, OF_ADDRESS.code);
  await within(fourth.closed, LIMIT, "the connection to be closed");

  assert(await isServed(relay.port, OTHER), "another client");
  // The same connection of the proxy, for another client.
  third.head("GET", "/healthz", OTHER);
  await third.see('"ok"');
  first[Symbol.dispose]();
  assert(await served(relay.port, SAME));
  await using fifth = await RawClient.connect(relay.url);
  const again = await requestUpgrade(fifth, "/ws", SAME);
  assertEquals(again.status, 101);
  assert(!await isServed(relay.port, SAME));
  await second[Symbol.asyncDispose]();
  assert(await served(relay.port, SAME));
});

Deno.test("Relay does not count the connections of a proxy that are not used", async () => {
  await using relay = await behindProxy({
    limits: { maxConnectionsPerAddress: 1 },
  });
  using _first = await RawCaller.open(relay.port);
  using second = await RawCaller.open(relay.port);
  for (let i = 0; i < 3; i++) {
    second.head("GET", `/missing-${i}`, SAME);
    await second.see(`nothing at /missing-${i}"}`);
  }
  assert(await served(relay.port, SAME));
});

Deno.test("Relay believes what is forwarded by nobody else", async () => {
  await using relay = await startRelay({
    trustedProxies: ["127.0.0.2", "10.0.0.0/8"],
    limits: { maxConnectionsPerAddress: 1 },
  });
  using first = await RawCaller.open(relay.port);
  first.head("GET", "/healthz", SAME);
  await first.see('"ok"');
  assert(!await isServed(relay.port, OTHER));
});

Deno.test("Relay counts every connection once, whatever becomes of it", async () => {
  await using relay = await startRelay({
    limits: { maxConnectionsPerAddress: 8 },
  });
  const get = "GET /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
    "Accept: text/event-stream\r\n\r\n";
  const ends: ((client: RawClient) => unknown)[] = [
    (client) => client.reset(),
    (client) => client.end(),
    (client) => client.send("\0\0\0\r\n\r\n"),
    (client) => client.send(`GET /${"x".repeat(20_000)}`),
    async (client) => {
      await client.send(get);
      client.reset();
    },
    async (client) => {
      await client.send(get + get);
      client.reset();
    },
    async (client) => {
      await requestUpgrade(client, "/ws");
      client.reset();
    },
    async (client) => {
      await requestUpgrade(client, "/nothing");
    },
  ];
  for (let round = 0; round < 3; round++) {
    for (const end of ends) {
      await using client = await RawClient.connect(relay.url);
      await end(client);
    }
  }
  // All of them are free again, and no more than them.
  const callers: RawCaller[] = [];
  await until(
    async () => {
      const caller = await RawCaller.open(relay.port);
      caller.head("GET", "/healthz");
      const text = await caller.see("}");
      if (text.startsWith("HTTP/1.1 200")) callers.push(caller);
      else caller[Symbol.dispose]();
      return callers.length === 8 || undefined;
    },
    LIMIT,
    () => `8 connections: ${callers.length}`,
  );
  assert(!await isServed(relay.port));
  for (const caller of callers) caller[Symbol.dispose]();
});
