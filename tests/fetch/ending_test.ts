import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { createServer, type Socket } from "node:net";
import {
  ConnectionError,
  ConnectTimeoutError,
  type EventStream,
  IdleTimeoutError,
  type StreamEventsOptions,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import { RawServer, STREAM_HEAD } from "../support/http/raw_server.ts";
import {
  answer,
  ScriptedBody,
  streamResponse,
} from "../support/fetch/scripted_response.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

/** Asserts that calls fail with exactly this, again and again. */
async function assertEndedWith(events: EventStream, reason: unknown) {
  for (const call of [() => events.next(), () => events.nextBatch()]) {
    const [result] = await Promise.allSettled([call()]);
    assert(result?.status === "rejected");
    assertStrictEquals(result.reason, reason);
  }
  assertEquals(events.state, "closed");
}

Deno.test("EventStream throws the reason of a signal that was aborted before", async () => {
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  const fetch = () => {
    throw new Error("requested");
  };
  for (
    const events of [
      streamOnce("http://localhost/", { signal, fetch }),
      streamOnce(new Request("http://localhost/", { signal }), { fetch }),
    ]
  ) {
    assertStrictEquals(await assertRejects(() => events.open()), reason);
    await assertEndedWith(events, reason);
  }
});

Deno.test("EventStream throws the signal's reason while it connects", async () => {
  using server = new RawServer();
  const abort = new CountedAbort();
  const events = streamOnce(server.origin, { signal: abort.signal });
  const failed = assertRejects(() => events.next());
  const connection = await server.accept();
  await connection.readHead();
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals(await failed, reason);
  await assertEndedWith(events, reason);
  assertEquals(abort.listeners, 0);
  await connection.closed();
});

Deno.test("EventStream throws the signal's reason while it waits for an event", async () => {
  using server = new RawServer();
  const abort = new CountedAbort();
  const events = streamOnce(server.origin, { signal: abort.signal });
  const serving = server.stream("data: 1\n\ndata: half");
  assertEquals((await events.next()).value?.data, "1");
  const failed = assertRejects(() => events.next());
  const connection = await serving;
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals(await failed, reason);
  await assertEndedWith(events, reason);
  assertEquals(abort.listeners, 0);
  await connection.closed();
});

Deno.test("EventStream closes at once when its signal is aborted between events", async () => {
  using server = new RawServer();
  const abort = new CountedAbort();
  const events = streamOnce(server.origin, { signal: abort.signal });
  const serving = server.stream("id: 1\ndata: 1\n\nid: 2\ndata: 2\n\n");
  await events.next();
  abort.abort("enough");
  assertEquals(events.state, "closed");
  await (await serving).closed();
  await assertEndedWith(events, "enough");
  assertEquals(events.lastEventId, "1");
  assertEquals(abort.listeners, 0);
});

Deno.test("EventStream closes an answer that comes together with the abort", async () => {
  for (let turns = 0; turns < 12; turns++) {
    const abort = new AbortController();
    const body = new ScriptedBody();
    const events = streamOnce("http://localhost/", {
      signal: abort.signal,
      fetch: answer(streamResponse(body.stream)),
    });
    const failed = events.next().then(() => undefined, (error) => error);
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    abort.abort("enough");
    assertEquals(await failed, "enough");
    await assertEndedWith(events, "enough");
    assertEquals(body.cancelled, true);
  }
});

Deno.test("EventStream listens to the signal of a Request", async () => {
  using server = new RawServer();
  const abort = new AbortController();
  const request = new Request(server.origin, { signal: abort.signal });
  const events = streamOnce(request, {
    signal: new AbortController().signal,
  });
  const serving = server.stream();
  await events.open();
  abort.abort("enough");
  await assertEndedWith(events, "enough");
  await (await serving).closed();
});

Deno.test("EventStream leaves no listener on the signal at its end", async () => {
  const abort = new CountedAbort();
  const options = { signal: abort.signal };
  const ok = streamOnce("http://localhost/", {
    ...options,
    fetch: answer(streamResponse("data: a\n\n")),
  });
  await ok.next();
  assertEquals(abort.listeners, 1);
  await Array.fromAsync(ok);
  assertEquals(abort.listeners, 0);
  const refused = streamOnce("http://localhost/", {
    ...options,
    fetch: answer(new Response("", { status: 404 })),
  });
  await assertRejects(() => refused.next());
  assertEquals(abort.listeners, 0);
  const left = streamOnce("http://localhost/", {
    ...options,
    fetch: answer(streamResponse("data: a\n\n")),
  });
  for await (const _event of left) break;
  assertEquals(abort.listeners, 0);
});

Deno.test("EventStream ends when the server ends the stream", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin);
  const all = Array.fromAsync(events);
  const connection = await server.stream("data: 1\n\ndata: unfinished\n");
  connection[Symbol.dispose]();
  assertEquals((await all).length, 1);
  assertEquals(events.state, "closed");
});

for (
  const [name, head] of [
    ["length", "Content-Length: 100\r\n\r\ndata: 1\n\n"],
    ["last chunk", "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"],
    [
      "chunk",
      "Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata",
    ],
  ] as const
) {
  Deno.test(`EventStream throws when the server breaks off before the ${name} is complete`, async () => {
    using server = new RawServer();
    const events = streamOnce(`${server.origin}/a`);
    const next = events.next();
    const connection = await server.accept();
    await connection.readHead();
    await connection.write(
      `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n${head}`,
    );
    assertEquals((await next).value?.data, "1");
    connection[Symbol.dispose]();
    const error = await assertRejects(() => events.next(), ConnectionError);
    assertEquals(error.name, "ConnectionError");
    assertEquals(error.code, "connection");
    assertEquals(error.phase, "body");
    assertEquals(error.url, `${server.origin}/a`);
    assert(error.cause instanceof Error);
    await assertEndedWith(events, error);
  });
}

Deno.test("EventStream throws when the connection is reset", async () => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(STREAM_HEAD + "data: 1\n\n"));
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", () => listening.resolve());
  await listening.promise;
  const address = server.address();
  assert(address !== null && typeof address === "object");
  const events = streamOnce(`http://127.0.0.1:${address.port}/`);
  assertEquals((await events.next()).value?.data, "1");
  sockets[0]?.resetAndDestroy();
  const error = await assertRejects(() => events.next(), ConnectionError);
  assertEquals(error.phase, "body");
  const closed = Promise.withResolvers<void>();
  server.close(() => closed.resolve());
  await closed.promise;
});

Deno.test("EventStream throws when nobody listens", async () => {
  const server = new RawServer();
  server[Symbol.dispose]();
  const events = streamOnce(`${server.origin}/a`);
  const error = await assertRejects(() => events.open(), ConnectionError);
  assertEquals(error.phase, "connect");
  assert(error.message.includes(`${server.origin}/a`), error.message);
  assert(error.cause instanceof TypeError);
  await assertEndedWith(events, error);
});

Deno.test("EventStream throws when the server closes without an answer", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin);
  const failed = assertRejects(() => events.open(), ConnectionError);
  const connection = await server.accept();
  await connection.readHead();
  connection[Symbol.dispose]();
  // Deno asks again for what may be asked twice.
  server[Symbol.dispose]();
  assertEquals((await failed).phase, "connect");
});

Deno.test("EventStream throws when no answer comes in time", async () => {
  using server = new RawServer();
  const clock = new FakeClock();
  const events = streamOnce(server.origin, { connectTimeout: 1_000, clock });
  const failed = assertRejects(() => events.next(), ConnectTimeoutError);
  const connection = await server.accept();
  await connection.readHead();
  await clock.advance(999);
  assertEquals(events.state, "connecting");
  await clock.advance(1);
  const error = await failed;
  assertEquals(error.name, "ConnectTimeoutError");
  assertEquals(error.code, "connect_timeout");
  assertEquals(error.timeout, 1_000);
  assertEquals(clock.pending, 0);
  await connection.closed();
  await assertEndedWith(events, error);
});

Deno.test("EventStream waits 30 s for an answer by default, and for ever with 0", async () => {
  const hang = () => new Promise<Response>(() => {});
  const clock = new FakeClock();
  const events = streamOnce("http://localhost/", { fetch: hang, clock });
  const failed = assertRejects(() => events.next(), ConnectTimeoutError);
  await clock.advance(29_999);
  assertEquals(events.state, "connecting");
  await clock.advance(1);
  await failed;
  for (const connectTimeout of [0, Infinity]) {
    const patient = streamOnce("http://localhost/", {
      fetch: hang,
      clock,
      connectTimeout,
    });
    const next = patient.next();
    assertEquals(clock.pending, 0);
    await patient.cancel();
    await next;
  }
});

/** An open stream whose time and bytes the test controls. */
async function timed(options: StreamEventsOptions) {
  const body = new ScriptedBody();
  const clock = new FakeClock();
  const events = streamOnce("http://localhost/", {
    ...options,
    clock,
    fetch: answer(streamResponse(body.stream)),
  });
  await events.open();
  return { body, clock, events };
}

/** The error that a stream gets, and what it does to the rest. */
async function idleError(
  { body, clock, events }: Awaited<ReturnType<typeof timed>>,
  steps: () => Promise<void>,
): Promise<Pick<IdleTimeoutError, "clock" | "timeout" | "lastSeen">> {
  let error: unknown;
  const failed = events.next().catch((thrown) => error = thrown);
  await steps();
  await clock.advance(1);
  await failed;
  assert(error instanceof IdleTimeoutError, String(error));
  assertEquals(error.name, "IdleTimeoutError");
  assertEquals(error.code, "idle_timeout");
  assertEquals(body.cancelled, true);
  assertEquals(clock.pending, 0);
  await assertEndedWith(events, error);
  return {
    clock: error.clock,
    timeout: error.timeout,
    lastSeen: error.lastSeen,
  };
}

Deno.test("EventStream throws when no byte comes for idleTimeout", async () => {
  const stream = await timed({ idleTimeout: 100 });
  assertEquals(
    await idleError(stream, () => stream.clock.advance(99)),
    { clock: "bytes", timeout: 100, lastSeen: "nothing" },
  );
});

Deno.test("EventStream counts comments for idleTimeout", async () => {
  const stream = await timed({ idleTimeout: 100 });
  const seen = await idleError(stream, async () => {
    for (let i = 0; i < 5; i++) {
      await stream.clock.advance(99);
      stream.body.write(": alive\n");
    }
    await stream.clock.advance(50);
    stream.body.write(new Uint8Array());
    await stream.clock.advance(49);
    assertEquals(stream.events.state, "open");
  });
  assertEquals(seen, { clock: "bytes", timeout: 100, lastSeen: "bytes" });
});

Deno.test("EventStream does not count comments for eventTimeout", async () => {
  const stream = await timed({ idleTimeout: 100, eventTimeout: 250 });
  const seen = await idleError(stream, async () => {
    for (let i = 0; i < 5; i++) {
      await stream.clock.advance(49);
      stream.body.write(": alive\n");
    }
    await stream.clock.advance(4);
    assertEquals(stream.events.state, "open");
  });
  assertEquals(seen, { clock: "events", timeout: 250, lastSeen: "bytes" });
});

Deno.test("EventStream tells that the last it saw was an event", async () => {
  for (const name of ["idleTimeout", "eventTimeout"] as const) {
    const stream = await timed({ [name]: 100 });
    for (let i = 0; i < 3; i++) {
      const next = stream.events.next();
      await stream.clock.advance(99);
      stream.body.write("data: x\n\n");
      await next;
    }
    assertEquals(await idleError(stream, () => stream.clock.advance(99)), {
      clock: name === "idleTimeout" ? "bytes" : "events",
      timeout: 100,
      lastSeen: "event",
    });
  }
});

Deno.test("EventStream does not count the consumer's time", async () => {
  const { body, clock, events } = await timed({
    idleTimeout: 100,
    eventTimeout: 100,
  });
  await clock.advance(1_000);
  body.write("data: 1\n\ndata: 2\n\n");
  await events.next();
  await clock.advance(1_000);
  assertEquals((await events.next()).value?.data, "2");
  await clock.advance(1_000);
  const next = events.next();
  await clock.advance(99);
  body.write("data: 3\n\n");
  assertEquals((await next).value?.data, "3");
  await clock.advance(1_000);
  assertEquals(events.state, "open");
  body.close();
  assertEquals((await events.next()).done, true);
  assertEquals(clock.pending, 0);
});

Deno.test("EventStream keeps its clocks running for the second of two calls", async () => {
  const { body, clock, events } = await timed({ eventTimeout: 100 });
  const first = events.next();
  let failure: unknown;
  const second = events.next().catch((error) => failure = error);
  await clock.advance(60);
  body.write("data: 1\n\n");
  await first;
  await clock.advance(99);
  assertEquals(failure, undefined);
  await clock.advance(1);
  await second;
  assert(failure instanceof IdleTimeoutError);
});

Deno.test("EventStream leaves no timer behind at any of its ends", async () => {
  const options = { idleTimeout: 100, eventTimeout: 100 };
  for (
    const end of [
      ({ body }: { body: ScriptedBody }) => body.close(),
      ({ body }: { body: ScriptedBody }) => body.error(new Error("broken")),
      ({ events }: { events: EventStream }) => events.cancel(),
    ]
  ) {
    const stream = await timed(options);
    const calls = Promise.allSettled([
      stream.events.next(),
      stream.events.next(),
    ]);
    assertEquals(stream.clock.pending, 2);
    await end(stream);
    await calls;
    assertEquals(stream.clock.pending, 0);
  }
});

Deno.test("EventStream closes the connection to a server that stalls", async () => {
  using server = new RawServer();
  const clock = new FakeClock();
  const commented = Promise.withResolvers<void>();
  const events = streamOnce(server.origin, {
    idleTimeout: 5_000,
    clock,
    onComment: () => commented.resolve(),
  });
  const failed = assertRejects(() => events.next(), IdleTimeoutError);
  const connection = await server.stream(": hello\n");
  await commented.promise;
  await clock.advance(4_999);
  assertEquals(events.state, "open");
  await clock.advance(1);
  assertEquals((await failed).lastSeen, "bytes");
  await connection.closed();
});

Deno.test("EventStream times out by the machine's clock", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin, { idleTimeout: 5 });
  const failed = assertRejects(() => events.next(), IdleTimeoutError);
  const connection = await server.stream();
  assertEquals((await failed).timeout, 5);
  await connection.closed();
});
