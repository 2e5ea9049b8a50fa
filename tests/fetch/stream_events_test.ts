import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  ConnectionError,
  EventTooLargeError,
  streamEvents,
  type StreamEventsOptions,
} from "../../src/fetch/mod.ts";
import { RawServer } from "../support/http/raw_server.ts";
import {
  answer,
  ScriptedBody,
  streamResponse,
} from "../support/fetch/scripted_response.ts";
import { streamOnce } from "../support/fetch/stream_once.ts";

/** A stream of this text, in one chunk. */
function streamOf(text: string, options: StreamEventsOptions = {}) {
  return streamOnce("http://localhost/", {
    ...options,
    fetch: answer(streamResponse(text)),
  });
}

/** A stream that the test writes. */
function scripted(options: StreamEventsOptions = {}) {
  const body = new ScriptedBody();
  const events = streamOnce("http://localhost/", {
    ...options,
    fetch: answer(streamResponse(body.stream)),
  });
  return { body, events };
}

Deno.test("streamEvents yields the events of a server", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () =>
      streamResponse("id: 1\ndata: a\n\nevent: b\ndata: c\ndata: d\n\ndata: x"),
  );
  const events = [];
  for await (
    const event of streamOnce(`http://127.0.0.1:${server.addr.port}/`)
  ) events.push(event);
  assertEquals(events, [
    { event: "message", data: "a", id: "1" },
    { event: "b", data: "c\nd", id: "1" },
  ]);
});

Deno.test("streamEvents takes a URL, a string and a Request", async () => {
  for (
    const input of [
      "http://localhost/a",
      new URL("http://localhost/a"),
      new Request("http://localhost/a"),
    ]
  ) {
    const seen: unknown[] = [];
    const events = streamOnce(input, {
      fetch(input, init) {
        seen.push(input, init?.method);
        return Promise.resolve(streamResponse("data: a\n\n"));
      },
    });
    assertEquals((await Array.fromAsync(events)).length, 1);
    assertEquals(seen, [input, undefined]);
  }
});

Deno.test("streamEvents sends nothing before it is asked for something", async () => {
  let requests = 0;
  const events = streamOnce("http://localhost/", {
    fetch() {
      requests++;
      return Promise.resolve(streamResponse("data: a\n\n"));
    },
  });
  assertEquals(events.state, "idle");
  assertEquals(events.lastEventId, "");
  assertEquals(events.reconnectionTime, undefined);
  await Promise.resolve();
  assertEquals(requests, 0);
  const opening = events.open();
  assertEquals(events.state, "connecting");
  assertStrictEquals(events.open(), opening);
  await opening;
  assertEquals(events.state, "open");
  await events.nextBatch();
  assertEquals(await events.next(), { done: true, value: undefined });
  assertEquals(events.state, "closed");
  assertEquals((await events.open()).status, 200);
  assertEquals(requests, 1);
});

Deno.test("EventStream.open gives status, headers and the URL after redirects", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) =>
      request.url.endsWith("/a")
        ? new Response(null, { status: 301, headers: { Location: "/b?c=d" } })
        : streamResponse("data: a\n\n"),
  );
  const origin = `http://127.0.0.1:${server.addr.port}`;
  await using events = streamOnce(`${origin}/a`);
  const { status, headers, url } = await events.open();
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "text/event-stream");
  assertEquals(url, `${origin}/b?c=d`);
});

Deno.test("EventStream.nextBatch takes what has come, and next the rest", async () => {
  const { body, events } = scripted();
  body.write("data: 1\n\ndata: 2\n\ndata: 3\n\n");
  assertEquals((await events.next()).value?.data, "1");
  assertEquals((await events.nextBatch())?.map(({ data }) => data), ["2", "3"]);
  const batch = events.nextBatch();
  body.write(": nothing yet\n\n");
  body.write("data: 4\n\ndata: 5");
  assertEquals((await batch)?.map(({ data }) => data), ["4"]);
  body.close();
  assertEquals(await events.nextBatch(), undefined);
  assertEquals(await events.nextBatch(), undefined);
});

Deno.test("EventStream.lastEventId follows the events that were taken", async () => {
  const { body, events } = scripted({ lastEventId: "0" });
  assertEquals(events.lastEventId, "0");
  body.write("data: a\n\nid: 1\ndata: b\n\nid: 2\ndata: c\n\nid: 3\n\n");
  assertEquals((await events.next()).value?.id, "0");
  assertEquals(events.lastEventId, "0");
  await events.next();
  assertEquals(events.lastEventId, "1");
  await events.cancel();
  assertEquals(events.lastEventId, "1", "events that were dropped don't count");
});

Deno.test("EventStream.lastEventId has the ids of blocks without data", async () => {
  const events = streamOf("id: 2\ndata: c\n\nid: 3\n\nid: 4\n");
  assertEquals((await events.next()).value?.id, "2");
  assertEquals(events.lastEventId, "3");
  await events.next();
  assertEquals(events.lastEventId, "3");
});

Deno.test("EventStream.reconnectionTime is what the stream asks for", async () => {
  const times: number[] = [];
  const events = streamOf("retry: 50\ndata: a\n\nretry: 1e3\n\n", {
    onRetryTime: (time) => times.push(time),
  });
  await Array.fromAsync(events);
  assertEquals(events.reconnectionTime, 50);
  assertEquals(times, [50]);
});

Deno.test("EventStream answers overlapping calls in order", async () => {
  const { body, events } = scripted();
  const calls = [events.next(), events.next(), events.next(), events.next()];
  body.write("data: 1\n\ndata: 2\n\n");
  body.write("data: 3\n\n");
  body.close();
  const results = await Promise.all(calls);
  assertEquals(results.map(({ value }) => value?.data), [
    "1",
    "2",
    "3",
    undefined,
  ]);
});

Deno.test("EventStream passes comments and diagnostics on", async () => {
  const seen: unknown[] = [];
  const events = streamOf(": hello\nfoo: bar\ndata: a\n\n", {
    onComment: (comment) => seen.push(comment),
    onDiagnostic: ({ type }) => seen.push(type),
  });
  await Array.fromAsync(events);
  assertEquals(seen, ["hello", "unknown-field"]);
});

Deno.test("EventStream tells how much each connection holds of an event that is not whole", async () => {
  const seen: unknown[] = [];
  const bodies = ["id: 1\ndata: a\n\ndata: half", "data: b\n\n"];
  const events = streamEvents("http://localhost/", {
    fetch: () => Promise.resolve(streamResponse(bodies.shift() ?? null)),
    reconnect: { minTimeout: 0, maxTimeout: 0, jitter: 0 },
    onPending: (size) => seen.push(size),
  });
  for await (const { data } of events) {
    seen.push(data);
    if (data === "b") break;
  }
  assertEquals(seen, [0, "a", 10, 0, "b"]);
});

Deno.test("EventStream passes on what a callback throws, and ends", async () => {
  const error = new Error("mine");
  const { body, events } = scripted({
    onComment() {
      throw error;
    },
  });
  body.write(": boom\n\n");
  assertStrictEquals(await assertRejects(() => events.next()), error);
  assertEquals(events.state, "closed");
  assertEquals(body.cancelled, true);
});

Deno.test("EventStream throws at an event that is too large, or skips it", async () => {
  const text = `data: a\n\ndata: ${"x".repeat(100)}\n\ndata: b\n\n`;
  const events = streamOf(text, { maxEventSize: 50 });
  assertEquals((await events.next()).value?.data, "a");
  await assertRejects(() => events.next(), EventTooLargeError);
  const skipping = streamOf(text, { maxEventSize: 50, onTooLarge: "skip" });
  const all = await Array.fromAsync(skipping);
  assertEquals(all.map(({ data }) => data), ["a", "b"]);
});

Deno.test("EventStream throws the same error at every further call", async () => {
  const { body, events } = scripted();
  body.error(new Error("broken"));
  const overlapping = await Promise.allSettled([
    events.nextBatch(),
    events.next(),
    events.nextBatch(),
  ]);
  const error = await assertRejects(() => events.next(), ConnectionError);
  for (const result of overlapping) {
    assert(result.status === "rejected");
    assertStrictEquals(result.reason, error);
  }
  assertStrictEquals(await assertRejects(() => events.nextBatch()), error);
  await events.cancel();
  assertStrictEquals(await assertRejects(() => events.next()), error);
});

Deno.test("EventStream.cancel ends calls that wait, and passes its reason on", async () => {
  const { body, events } = scripted();
  await events.open();
  const waiting = [events.next(), events.next()];
  const reason = new Error("enough");
  await events.cancel(reason);
  for (const call of waiting) {
    assertEquals(await call, { done: true, value: undefined });
  }
  assertEquals(body.cancelled, true);
  assertStrictEquals(body.reason, reason);
  assertEquals(await events.next(), { done: true, value: undefined });
  await events.cancel();
});

Deno.test("EventStream.cancel before the start prevents the request", async () => {
  const events = streamOnce("http://localhost/", {
    fetch() {
      throw new Error("requested");
    },
  });
  await events.cancel();
  assertEquals(events.state, "closed");
  assertEquals(await events.next(), { done: true, value: undefined });
  assertEquals(await events.nextBatch(), undefined);
  const error = await assertRejects(() => events.open(), DOMException);
  assertEquals(error.name, "AbortError");
});

Deno.test("EventStream.cancel while connecting closes the connection", async () => {
  using server = new RawServer();
  const events = streamOnce(server.origin);
  const next = events.next();
  const opened = events.open().then(() => undefined, (error) => error);
  const connection = await server.accept();
  await connection.readHead();
  const reason = new Error("enough");
  await events.cancel(reason);
  assertEquals(await next, { done: true, value: undefined });
  assertStrictEquals(await opened, reason);
  await connection.closed();
});

Deno.test("EventStream closes an answer that comes after it was cancelled", async () => {
  const late = Promise.withResolvers<Response>();
  const events = streamOnce("http://localhost/", {
    fetch: () => late.promise,
  });
  const next = events.next();
  await events.cancel();
  await next;
  const body = new ScriptedBody();
  late.resolve(streamResponse(body.stream));
  await late.promise;
  await Promise.resolve();
  assertEquals(body.cancelled, true);
});

Deno.test("EventStream closes the connection when its loop is left", async () => {
  using server = new RawServer();
  const serving = server.stream("data: 1\n\ndata: 2\n\n");
  const events = streamOnce(server.origin);
  for await (const event of events) {
    assertEquals(event.data, "1");
    break;
  }
  assertEquals(events.state, "closed");
  await (await serving).closed();
});

Deno.test("EventStream closes the connection when it is disposed of", async () => {
  using server = new RawServer();
  const serving = server.stream("data: 1\n\n");
  {
    await using events = streamOnce(server.origin);
    await events.open();
  }
  await (await serving).closed();
});

Deno.test("EventStream takes a stream without a body for one that ends", async () => {
  const events = streamOnce("http://localhost/", {
    fetch: answer(streamResponse(null)),
  });
  assertEquals(await Array.fromAsync(events), []);
});

Deno.test("EventStream fails with an answer whose body is taken", async () => {
  const response = streamResponse("data: a\n\n");
  const reader = response.body?.getReader();
  const events = streamOnce("http://localhost/", { fetch: answer(response) });
  const error = await assertRejects(() => events.next(), TypeError);
  assertStrictEquals(await assertRejects(() => events.open()), error);
  assertEquals(events.state, "closed");
  await reader?.cancel();
});

Deno.test("streamEvents refuses what is invalid at once", () => {
  const refuse = (
    options: StreamEventsOptions,
    Class: typeof TypeError | typeof RangeError,
    text: string,
    input = "http://localhost/",
  ) => {
    assertThrows(() => streamOnce(input, options), Class, text);
  };
  for (
    const name of ["connectTimeout", "idleTimeout", "eventTimeout"] as const
  ) {
    for (const value of [-1, NaN]) {
      refuse(
        { [name]: value },
        RangeError,
        `Cannot stream events as '${name}' must be a number of milliseconds, 0 or more: current value is ${value}`,
      );
    }
  }
  refuse({ maxEventSize: 0 }, RangeError, "'maxEventSize'");
  refuse({ method: "a b" }, TypeError, "'method'");
  refuse({ method: "TRACE" }, TypeError, "'method'");
  refuse({ body: "x" }, TypeError, "'body'");
  refuse({ body: "x", method: "head" }, TypeError, "'body'");
  refuse({ headers: { "a b": "c" } }, TypeError, '"a b"');
  refuse({}, TypeError, "'input'", "not a URL");
});
