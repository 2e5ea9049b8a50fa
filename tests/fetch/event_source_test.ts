import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  ConnectionErrorEvent,
  FetchEventSource,
  type FetchEventSourceInit,
  HttpStatusError,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../src/testing/scripted_fetch.ts";

/** A source on scripted connections, with a line for each event that it fires. */
function scripted(
  connections: ScriptedConnection[],
  init: FetchEventSourceInit = {},
) {
  const clock = new FakeClock();
  const script = new ScriptedFetch(connections, { clock });
  const source = new FetchEventSource("https://example.com/a", {
    fetch: script.fetch,
    clock,
    reconnect: { minTimeout: 1_000, jitter: 0 },
    ...init,
  });
  const log: string[] = [];
  const note = (event: Event) => {
    const what = event instanceof MessageEvent
      ? `${event.data} ${event.lastEventId} ${event.origin}`
      : event instanceof ConnectionErrorEvent
      ? event.error instanceof Error ? event.error.name : "end"
      : "";
    log.push(`${event.type} ${source.readyState} ${what}`.trim());
  };
  for (const type of ["open", "error", "message", "named"]) {
    source.addEventListener(type, note);
  }
  return { clock, script, source, log };
}

Deno.test("FetchEventSource has EventSource's interface", async () => {
  const { source, clock } = scripted([{ end: "stall" }], {
    withCredentials: true,
  });
  assert(source instanceof EventTarget);
  assertEquals([
    FetchEventSource.CONNECTING,
    FetchEventSource.OPEN,
    FetchEventSource.CLOSED,
    source.CONNECTING,
    source.OPEN,
    source.CLOSED,
  ], [0, 1, 2, 0, 1, 2]);
  assertEquals(source.url, "https://example.com/a");
  assertEquals(source.withCredentials, true);
  assertEquals(source.readyState, 0);
  assertEquals([source.onopen, source.onmessage, source.onerror], [
    null,
    null,
    null,
  ]);
  assertEquals([source.lastEventId, source.reconnectionTime], ["", 1_000]);
  await clock.advance(0);
  assertEquals(source.readyState, 1);
  source.close();
  assertEquals(source.readyState, 2);
  await clock.advance(0);
});

Deno.test("FetchEventSource fires what comes, reconnects, and stops at another status", async () => {
  const { clock, script, source, log } = scripted([
    {
      chunks: ["retry: 2000\nid: 1\ndata: a\n\nevent: named\ndata: b\n\n"],
      end: "drop",
    },
    { chunks: ["data: c\n\n"] },
    { status: 503 },
  ]);
  await clock.advance(10_000);
  assertEquals(log, [
    "open 1",
    "message 1 a 1 https://example.com",
    "named 1 b 1 https://example.com",
    "error 0 ConnectionError",
    "open 1",
    "message 1 c 1 https://example.com",
    "error 0 end",
    "error 2 HttpStatusError",
  ]);
  assertEquals(script.requests.map(({ time }) => time), [0, 2_000, 4_000]);
  assertEquals(
    script.requests.map(({ headers }) => headers.get("last-event-id")),
    [null, "1", "1"],
  );
  assertEquals(source.reconnectionTime, 2_000);
  assertEquals(clock.pending, 0);
});

for (
  const [reconnect, times] of [
    [{ jitter: 0 }, [0, 100, 300, 700]],
    [{ jitter: 0, minTimeout: 1_000 }, [0, 1_000, 3_000, 7_000]],
  ] as const
) {
  Deno.test(`FetchEventSource comes back as soon as the server asks: ${JSON.stringify(reconnect)}`, async () => {
    const turnedAway: ScriptedConnection = {
      chunks: ["retry: 100\n"],
      end: "drop",
    };
    const { clock, script, source } = scripted([
      turnedAway,
      turnedAway,
      turnedAway,
      { end: "stall" },
    ], { reconnect });
    await clock.advance(10_000);
    assertEquals(script.requests.map(({ time }) => time), [...times]);
    source.close();
    await clock.advance(0);
  });
}

Deno.test("FetchEventSource waits a second for a server that asks for nothing", async () => {
  const { clock, script, source } = scripted(
    [{ end: "drop" }, { end: "stall" }],
    { reconnect: { jitter: 0 } },
  );
  await clock.advance(10_000);
  assertEquals(script.requests.map(({ time }) => time), [0, 1_000]);
  source.close();
  await clock.advance(0);
});

Deno.test("FetchEventSource tells a server's error from its own", async () => {
  const { clock, source } = scripted([
    { chunks: ["event: error\ndata: theirs\n\n"] },
    { status: 500 },
  ]);
  const seen: unknown[] = [];
  source.onerror = (event) => {
    seen.push(event instanceof ConnectionErrorEvent ? event.error : event.data);
  };
  await clock.advance(5_000);
  assertEquals(seen.slice(0, 2), ["theirs", undefined]);
  assert(seen[2] instanceof HttpStatusError);
});

Deno.test("FetchEventSource leaves the last word on a status to decide", async () => {
  const { clock, source, log } = scripted([{ status: 503 }, { end: "stall" }], {
    reconnect: {
      jitter: 0,
      decide: () => ({ action: "retry", delay: 5 }),
    },
  });
  await clock.advance(10);
  assertEquals(log, ["error 0 HttpStatusError", "open 1"]);
  source.close();
  await clock.advance(0);
});

Deno.test("FetchEventSource sends a POST once, with its headers and body", async () => {
  const { clock, script, log } = scripted([{ chunks: ["data: a\n\n"] }], {
    method: "POST",
    headers: { "X-Key": "k" },
    body: "question",
    reconnect: undefined,
  });
  await clock.advance(100_000);
  const [request] = script.requests;
  assertEquals(script.requests.length, 1);
  assertEquals(
    [request?.method, request?.headers.get("x-key"), request?.body],
    ["POST", "k", "question"],
  );
  assertEquals(log, [
    "open 1",
    "message 1 a  https://example.com",
    "error 2 end",
  ]);
});

Deno.test("FetchEventSource fires nothing once it is closed", async () => {
  const { clock, source, log, script } = scripted([
    { chunks: ["data: a\n\ndata: b\n\n"], end: "stall" },
  ]);
  source.onmessage = () => source.close();
  await clock.advance(100_000);
  assertEquals(log, ["open 1", "message 1 a  https://example.com"]);
  assertEquals(source.readyState, 2);
  assertEquals(script.requests.length, 1);
  assertEquals(clock.pending, 0);
});

Deno.test("FetchEventSource closes with its signal, in silence", async () => {
  const abort = new AbortController();
  const { clock, source, log } = scripted([{ end: "stall" }], {
    signal: abort.signal,
  });
  await clock.advance(0);
  abort.abort();
  await clock.advance(0);
  assertEquals([source.readyState, log], [2, ["open 1"]]);
  const late = scripted([], { signal: abort.signal });
  await clock.advance(0);
  assertEquals([late.source.readyState, late.log], [2, []]);
  assertEquals(late.script.requests.length, 0);
});

Deno.test("FetchEventSource refuses a URL that is none, as a SyntaxError", () => {
  const error = assertThrows(
    () => new FetchEventSource("http://["),
    DOMException,
  );
  assertEquals(error.name, "SyntaxError");
});

Deno.test("FetchEventSource's on attributes are listeners that can be replaced", async () => {
  const { clock, source } = scripted([
    {
      chunks: [
        "data: a\n\n",
        { wait: 10 },
        "data: b\n\n",
        { wait: 10 },
        "data: c\n\n",
      ],
      end: "stall",
    },
  ]);
  const seen: string[] = [];
  source.onmessage = ({ data }) => seen.push(`first ${data}`);
  source.addEventListener(
    "message",
    ({ data }) => seen.push(`listener ${data}`),
  );
  await clock.advance(0);
  source.onmessage = ({ data }) => seen.push(`second ${data}`);
  await clock.advance(10);
  source.onmessage = null;
  await clock.advance(10);
  assertEquals(seen, [
    "first a",
    "listener a",
    "second b",
    "listener b",
    "listener c",
  ]);
  source.close();
  await clock.advance(0);
});

/** Lets streams move on. */
function settle(): Promise<void> {
  return new FakeClock().advance(0);
}

Deno.test("FetchEventSource.fromReadableStream reads a stream to its end", async () => {
  const { body } = new Response(
    "retry: 50\nid: 4\ndata: a\n\nid: 5\ndata: b\n\n",
  );
  const source = FetchEventSource.fromReadableStream(body!); // it has one
  assertThrows(() => FetchEventSource.fromReadableStream(body!), TypeError);
  assertEquals(
    [source.readyState, source.url, source.withCredentials, source.lastEventId],
    [0, "about:event-stream", false, ""],
  );
  assert(source.reconnectionTime > 0);
  const log: string[] = [];
  source.onopen = () => log.push(`open ${source.readyState}`);
  source.onmessage = ({ data, lastEventId, origin }) =>
    log.push(`${data} ${lastEventId} ${source.lastEventId} ${origin}`);
  source.onerror = () => log.push(`error ${source.readyState}`);
  await settle();
  assertEquals(log, ["open 1", "a 4 4 null", "b 5 5 null", "error 2"]);
  assertEquals([source.lastEventId, source.reconnectionTime], ["5", 50]);
});

Deno.test("FetchEventSource.reset drops the unfinished event between two streams", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const source = FetchEventSource.fromReadableStream(readable);
  const seen: string[] = [];
  source.onmessage = ({ data }) => seen.push(data);
  const pipe = (text: string) =>
    new Response(text).body!.pipeTo(writable, { preventClose: true }); // it has one
  await pipe("\uFEFFid: 1\ndata: a\n\nid: 2\ndata: lost");
  await settle();
  source.reset();
  await pipe("\uFEFFdata: b\n\n");
  await settle();
  assertEquals([seen, source.lastEventId], [["a", "b"], "1"]);
  source.close();
});
