import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  ConnectionError,
  HttpStatusError,
  NotAnEventStreamError,
  type StreamEventsOptions,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { RawServer } from "../support/http/raw_server.ts";
import { answer, ScriptedBody } from "../support/fetch/scripted_response.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

const KIB_64 = 64 * 1024;

/** Answers one request with these bytes, and closes; the client's error. */
async function refusal(
  response: string,
  options: StreamEventsOptions = {},
): Promise<unknown> {
  using server = new RawServer();
  const events = streamOnce(`${server.origin}/a`, options);
  const failed = events.next().then(() => undefined, (error) => error);
  using connection = await server.accept();
  await connection.readHead();
  await connection.write(response);
  if (!/content-length/i.test(response)) connection[Symbol.dispose]();
  return await failed;
}

for (
  const status of [204, 205, 210, 299, 304, 400, 401, 404, 410, 429, 500, 503]
) {
  Deno.test(`streamEvents takes status ${status} for an error`, async () => {
    const empty = [204, 205, 304].includes(status);
    const error = await refusal(
      `HTTP/1.1 ${status} Why Not\r\nContent-Type: text/event-stream\r\n` +
        `X-A: b\r\n${
          empty ? "Content-Length: 0\r\n\r\n" : "\r\ndata: not an event\n\n"
        }`,
    );
    assert(error instanceof HttpStatusError, String(error));
    assertEquals(error.name, "HttpStatusError");
    assertEquals(error.code, "http_status");
    assertEquals(error.status, status);
    assertEquals(error.headers.get("X-A"), "b");
    assert(/^http:\/\/127\.0\.0\.1:\d+\/a$/.test(error.url), error.url);
    assertEquals(error.body, empty ? "" : "data: not an event\n\n");
    assertEquals(error.truncated, false);
    assert(error.message.includes(`must be 200: got ${status}`), error.message);
  });
}

for (const status of [301, 302, 303, 307, 308]) {
  const HEAD =
    `HTTP/1.1 ${status} Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n`;
  Deno.test(`streamEvents follows a redirect of status ${status}`, async () => {
    using server = new RawServer();
    const events = streamOnce(`${server.origin}/a`);
    const next = events.next();
    const connection = await server.accept();
    await connection.readHead();
    // Runtimes differ in whether they would use the connection again.
    await connection.write(HEAD.replace("\r\n", "\r\nConnection: close\r\n"));
    using redirected = await server.accept();
    const head = await redirected.readHead();
    assert(head.startsWith("GET /b "), head);
    assert(head.includes("\r\naccept: text/event-stream\r\n"), head);
    await redirected.write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 1\n\n",
    );
    assertEquals((await next).value?.data, "1");
    assertEquals((await events.next()).done, true);
  });
  Deno.test(`streamEvents leaves a redirect of status ${status} to the caller if told to`, async () => {
    const error = await refusal(HEAD, { redirect: "manual" });
    assert(error instanceof HttpStatusError, String(error));
    assertEquals(error.status, status);
    assertEquals(error.headers.get("location"), "/b");
  });
}

Deno.test("streamEvents takes a redirect to nowhere for an error", async () => {
  const error = await refusal(
    "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
  );
  assert(
    error instanceof HttpStatusError || error instanceof ConnectionError,
    String(error),
  );
});

for (
  const type of [
    "text/event-stream",
    "text/event-stream;",
    "TEXT/event-stream; charset=windows-1252",
  ]
) {
  Deno.test(`streamEvents accepts the content type ${type}`, async () => {
    using server = new RawServer();
    const events = streamOnce(server.origin);
    const next = events.next();
    using connection = await server.accept();
    await connection.readHead();
    await connection.write(
      `HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\n\r\ndata: ok…\n\n`,
    );
    assertEquals((await next).value?.data, "ok…");
    await events.cancel();
  });
}

for (
  const type of [
    "x bogus",
    "text/x-bogus",
    "text/html; charset=utf-8",
    "application/json",
    undefined,
  ]
) {
  Deno.test(`streamEvents refuses the content type ${type}`, async () => {
    const error = await refusal(
      `HTTP/1.1 200 OK\r\n${
        type ? `Content-Type: ${type}\r\n` : ""
      }\r\ndata: x\n\n`,
    );
    assert(error instanceof NotAnEventStreamError, String(error));
    assertEquals(error.name, "NotAnEventStreamError");
    assertEquals(error.code, "not_an_event_stream");
    assertEquals(error.contentType, type);
    assertEquals(error.status, 200);
    assertEquals(error.body, "data: x\n\n");
    assert(error.message.includes(type ?? "none"), error.message);
  });
}

/** The error for an answer of these chunks. */
async function refusedChunks(chunks: Uint8Array[], end = true) {
  const body = new ScriptedBody();
  const events = streamOnce("http://localhost/", {
    fetch: answer(new Response(body.stream, { status: 500 })),
  });
  for (const chunk of chunks) body.write(chunk);
  if (end) body.close();
  const error = await assertRejects(() => events.next(), HttpStatusError);
  return { error, body };
}

const bytes = (length: number) => new Uint8Array(length).fill(97);

for (
  const [name, chunks, truncated] of [
    ["one of exactly 64 KiB", [bytes(KIB_64)], false],
    ["one a byte longer", [bytes(KIB_64 + 1)], true],
    ["one of 64 KiB in two chunks", [bytes(KIB_64 - 1), bytes(1)], false],
    ["one a byte longer in two chunks", [bytes(KIB_64), bytes(1)], true],
    ["one of 10 MiB in one chunk", [bytes(10 * KIB_64 * 16)], true],
    [
      "one of 700 KiB in chunks of 7 KiB",
      Array(100).fill(bytes(7 * 1024)),
      true,
    ],
  ] as const
) {
  Deno.test(`HttpStatusError has 64 KiB of a body: ${name}`, async () => {
    const { error } = await refusedChunks([...chunks]);
    assertEquals(error.body.length, KIB_64);
    assertEquals(error.truncated, truncated);
  });
}

Deno.test("HttpStatusError cuts no character in half", async () => {
  const euros = new TextEncoder().encode("€".repeat(KIB_64));
  const { error, body } = await refusedChunks([euros], false);
  assertEquals(error.body, "€".repeat(Math.floor(KIB_64 / 3)));
  assertEquals(body.cancelled, true);
});

Deno.test("HttpStatusError has the 64 KiB of a body over the wire, and closes it", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin);
  const failed = assertRejects(() => events.next(), HttpStatusError);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write("HTTP/1.1 500 Oops\r\n\r\n");
  await connection.write(bytes(KIB_64 + 1));
  const error = await failed;
  assertEquals(error.body.length, KIB_64);
  assertEquals(error.truncated, true);
  await connection.closed();
});

Deno.test("HttpStatusError has what came of a body that stalls", async () => {
  using server = new RawServer();
  const clock = new FakeClock();
  const sawStart = Promise.withResolvers<void>();
  const events = streamOnce(server.origin, {
    clock,
    async fetch(input, init) {
      const { body, status } = await fetch(input, init);
      const marked = body!.pipeThrough(
        new TransformStream({
          transform(chunk, controller) {
            controller.enqueue(chunk);
            sawStart.resolve();
          },
        }),
      );
      return new Response(marked, { status });
    },
  });
  const failed = assertRejects(() => events.next(), HttpStatusError);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(
    "HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nhalf a",
  );
  await sawStart.promise;
  await clock.advance(4_999);
  assertEquals(events.state, "connecting");
  await clock.advance(1);
  const error = await failed;
  assertEquals(error.body, "half a");
  assertEquals(error.truncated, true);
  assertEquals(clock.pending, 0);
  await connection.closed();
});

Deno.test("HttpStatusError has what came of a body that breaks off", async () => {
  const error = await refusal(
    "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
  );
  assert(error instanceof HttpStatusError, String(error));
  assertEquals(error.body, "half");
  assertEquals(error.truncated, true);
});

Deno.test("EventStream throws the signal's reason while it reads the body of an error", async () => {
  const body = new ScriptedBody();
  const clock = new FakeClock();
  const controller = new AbortController();
  const events = streamOnce("http://localhost/", {
    clock,
    signal: controller.signal,
    fetch: answer(new Response(body.stream, { status: 500 })),
  });
  const failed = events.next().then(() => undefined, (error) => error);
  await clock.advance(1);
  controller.abort("enough");
  assertEquals(await failed, "enough");
  assertEquals(body.cancelled, true);
  assertEquals(clock.pending, 0);
});
