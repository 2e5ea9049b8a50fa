/**
 * The facts of the Web Platform Tests, `eventsource/`, one row for each file, or
 * for each of its subtests, named after it.
 *
 * Without rows, as they are about browsers, and not about event streams:
 *
 * - `eventsource-bfcache`, `eventsource-constructor-document-domain`,
 *   `eventsource-constructor-url-multi-window`, `eventsource-onmessage-realm`:
 *   there is no page, document, window or second realm.
 * - `eventsource-constructor-empty-url`, and the numbers, `null` and `undefined`
 *   of `eventsource-constructor-stringify`: there is no location that they could
 *   be relative to. They are refused like any other URL that is none, which
 *   `eventsource-constructor-url-bogus` has a row for.
 * - `eventsource-cross-origin`, its failures, and the preflights of
 *   `eventsource-cross-origin-preflight`: a program has no origin, so nothing is
 *   cross-origin and nothing is asked first. What they say of origins, redirects
 *   and the ids that are sent has rows.
 * - `eventsource-onmessage-trusted`: only a runtime can make trusted events.
 * - `request-credentials`: there is no cookie jar. That `fetch` is told what to do
 *   has rows.
 * - `dedicated-worker/`, `shared-worker/`: repeat other tests in a worker, but
 *   for `eventsource-constructor-no-new`, which has a row, and
 *   `eventsource-close2`, about a worker that was closed before.
 * - `interfaces`/`idlharness`: a class of TypeScript's is no IDL interface; its
 *   constants and handlers have a row.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FetchEventSource } from "../../src/fetch/event_source.ts";
import { streamEvents } from "../../src/fetch/stream_events.ts";
import type { ReconnectPolicy } from "../../src/fetch/reconnect.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { turns } from "../../src/testing/turns.ts";
import {
  ConformanceServer,
  type Exchange,
  type Handler,
} from "../support/conformance/conformance_server.ts";
import { SourceLog } from "../support/conformance/conformance_source.ts";
import { LIMIT, within } from "../support/within.ts";
import { type Feed, feedBody, type FeedEvent, feeds } from "./wpt_feeds.ts";

const { CONNECTING, OPEN, CLOSED } = FetchEventSource;

/** Comes back after what the server asks for, and after 1 ms otherwise. */
const QUICK: ReconnectPolicy = { minTimeout: 1, multiplier: 1, jitter: 0 };

function byName(type = "text/event-stream"): Record<string, string> {
  return { "Content-Type": type };
}

/** Answers like `message.py`. */
function message(text = "data: data", mime?: string): Handler {
  return (exchange) => {
    exchange.open(200, byName(mime));
    exchange.end(`${text}\n\n\n`);
  };
}

/** Answers the first request with the first of these, and so on. */
function inTurn(...handlers: Handler[]): Handler {
  return (exchange, count) => {
    const handler = handlers[count - 1];
    if (!handler) throw new Error(`There was a request too many: ${count}`);
    return handler(exchange, count);
  };
}

/** A stream of this text that ends. */
function stream(text: string): Handler {
  return (exchange) => {
    exchange.open();
    exchange.end(text);
  };
}

// The meaning of a body.

interface FeedOutcome {
  events: (readonly [data: string, type: string, id: string])[];
  comments: string[];
  reconnectionTime: number | undefined;
}

/** The way of reading a feed: the client, and the chunks. */
interface Way {
  readonly name: string;
  readonly chunkSize: number | undefined;
  readonly read: (
    server: ConformanceServer,
    types: readonly string[],
  ) => Promise<FeedOutcome>;
}

async function readWithSource(
  server: ConformanceServer,
  types: readonly string[],
): Promise<FeedOutcome> {
  const comments: string[] = [];
  const source = new FetchEventSource(server.origin, {
    fetch: server.fetch,
    onComment: (comment: string) => comments.push(comment),
  });
  using log = new SourceLog(source, types);
  // The body's end: an error while it is about to connect again.
  const end = await log.nth("error", 1);
  source.close();
  assertEquals(end.state, CONNECTING);
  assertEquals(log.story[0], "open OPEN");
  for (const { kind, state } of log.seen) {
    if (kind === "message") assertEquals(state, OPEN);
  }
  for (const { origin } of log.messages) assertEquals(origin, server.origin);
  return {
    events: log.messages.map(({ data, type, lastEventId }) =>
      [data, type, lastEventId] as const
    ),
    comments,
    reconnectionTime: source.reconnectionTime,
  };
}

async function readWithStream(server: ConformanceServer): Promise<FeedOutcome> {
  const comments: string[] = [];
  const events: FeedOutcome["events"] = [];
  const stream = streamEvents(server.origin, {
    fetch: server.fetch,
    reconnect: false,
    onComment: (comment) => comments.push(comment),
  });
  for await (const { data, event, id } of stream) {
    events.push([data, event, id]);
  }
  return { events, comments, reconnectionTime: stream.reconnectionTime };
}

const ways: readonly Way[] = [
  {
    name: "FetchEventSource, whole",
    chunkSize: undefined,
    read: readWithSource,
  },
  {
    name: "FetchEventSource, byte by byte",
    chunkSize: 1,
    read: readWithSource,
  },
  { name: "streamEvents, whole", chunkSize: undefined, read: readWithStream },
  { name: "streamEvents, byte by byte", chunkSize: 1, read: readWithStream },
];

function inFull(event: FeedEvent): readonly [string, string, string] {
  if (typeof event === "string") return [event, "message", ""];
  const [data, type, id = ""] = event;
  return [data, type, id];
}

async function tryFeed(feed: Feed, way: Way): Promise<void> {
  await using server = await ConformanceServer.start(async (exchange) => {
    exchange.open(200, byName(feed.mime));
    if (way.chunkSize === undefined) return exchange.end(feedBody(feed));
    await exchange.send(feedBody(feed), way.chunkSize);
    exchange.end();
  });
  const events = feed.events.map(inFull);
  const outcome = await way.read(server, events.map(([, type]) => type));
  assertEquals(outcome.events, events);
  assertEquals(outcome.comments, feed.comments ?? []);
  if (feed.reconnectionTime !== undefined) {
    assertEquals(outcome.reconnectionTime, feed.reconnectionTime);
  }
  assertEquals(server.exchanges.length, 1);
}

for (const feed of feeds) {
  for (const way of ways) {
    Deno.test(`WPT ${feed.file}: ${feed.shows} (${way.name})`, () =>
      tryFeed(feed, way));
  }
}

// The actions of a source.

interface Row {
  /** The WPT file, without its extension. */
  readonly file: string;
  /** The behaviour that it shows. */
  readonly shows: string;
  readonly run: () => Promise<void>;
}

/** A source of a server that answers so, and what it dispatches. */
async function withSource(
  handler: Handler,
  run: (
    context: {
      source: FetchEventSource;
      log: SourceLog;
      server: ConformanceServer;
    },
  ) => Promise<void>,
  options: {
    types?: readonly string[];
    path?: string;
    clock?: FakeClock;
    reconnect?: ReconnectPolicy;
    signal?: AbortSignal;
    fetch?: typeof fetch;
  } = {},
): Promise<void> {
  const { types = [], path = "/", reconnect = QUICK, ...rest } = options;
  await using server = await ConformanceServer.start(handler);
  const source = new FetchEventSource(server.origin + path, {
    ...rest,
    reconnect,
  });
  using log = new SourceLog(source, types);
  await run({ source, log, server });
}

/** It is a plain event, and none of a server's. */
function assertPlain(event: Event, type: "open" | "error"): void {
  assertEquals(event.type, type);
  assert(!(event instanceof MessageEvent));
  assert(!Object.hasOwn(event, "data"));
  assertEquals(event.bubbles, false);
  assertEquals(event.cancelable, false);
}

/** One error, and it is over: no message, no other request. */
async function assertFails(handler: Handler): Promise<void> {
  const clock = new FakeClock();
  await withSource(handler, async ({ source, log, server }) => {
    const handled: [Event, unknown][] = [];
    source.onerror = function (this: unknown, event: Event) {
      handled.push([event, this]);
    };
    const { state, event } = await log.nth("error", 1);
    assertPlain(event, "error");
    assertEquals(state, CLOSED);
    assertInstanceOf(Reflect.get(event, "error"), Error);
    assertEquals(handled.length, 1);
    assertStrictEquals(handled[0]?.[0], event);
    assertStrictEquals(handled[0]?.[1], source);
    await clock.advance(3_600_000);
    assertEquals(log.story, ["error CLOSED"]);
    assertEquals(source.readyState, CLOSED);
    assertEquals(server.exchanges.length, 1);
    assertEquals(clock.pending, 0);
  }, { clock });
}

/** It opens. */
async function assertOpens(handler: Handler, path?: string): Promise<void> {
  await withSource(handler, async ({ source, log }) => {
    const { state, event } = await log.nth("open", 1);
    assertEquals(state, OPEN);
    assertPlain(event, "open");
    source.close();
    assertEquals(log.story[0], "open OPEN");
  }, path === undefined ? {} : { path });
}

/** Bytes that came as a header's value, as they were. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const RETRY_200 = 200;

/** Answers like `last-event-id.py`: repeats the id that the client sends. */
function lastEventId(id: string): Handler {
  return (exchange) => {
    exchange.open();
    const sent = exchange.headers.get("last-event-id");
    if (!sent) {
      return exchange.end(`id: ${id}\nretry: ${RETRY_200}\ndata: hello\n\n`);
    }
    const start = new TextEncoder().encode("data: ");
    exchange.end(
      new Uint8Array([...start, ...latin1(sent), ...latin1("\n\n")]),
    );
  };
}

/** The connections of a source, with the times at which they were asked for. */
function timed(clock: FakeClock) {
  const at: number[] = [];
  const timedFetch: typeof fetch = (input, init) => {
    at.push(clock.now());
    return fetch(input, init);
  };
  return { at, fetch: timedFetch };
}

/** A source that reconnects `times` times, each 200 ms after the one before. */
async function reconnecting(
  handler: Handler,
  times: number,
  run: (context: { log: SourceLog; exchanges: Exchange[] }) => void,
): Promise<void> {
  const clock = new FakeClock();
  const { at, fetch } = timed(clock);
  await withSource(handler, async ({ log, server: { exchanges } }) => {
    for (let count = 1; count <= times; count++) {
      assertEquals((await log.nth("error", count)).state, CONNECTING);
      await clock.advance(RETRY_200 - 1);
      assertEquals(at.length, count, "a request before its time");
      await clock.advance(1);
      await log.nth("message", count + 1);
    }
    assertEquals(at, Array.from({ length: times + 1 }, (_, i) => i * 200));
    run({ log, exchanges });
  }, { clock, fetch });
}

/** The time from a connection's end to the next request, in milliseconds. */
async function retryDelay(
  text: string,
  reconnect: ReconnectPolicy,
): Promise<number> {
  const clock = new FakeClock();
  const { at, fetch } = timed(clock);
  await withSource(message(text), async ({ log }) => {
    assertEquals((await log.nth("error", 1)).state, CONNECTING);
    await clock.advance(20_000);
    await log.nth("open", 2);
  }, { clock, fetch, reconnect });
  const [first = NaN, second = NaN] = at;
  return second - first;
}

const sourceRows: readonly Row[] = [
  {
    file: "event-data",
    shows: "every event is dispatched while the stream stays open",
    async run() {
      await using server = await ConformanceServer.start();
      const source = new FetchEventSource(server.origin, {
        fetch: server.fetch,
        reconnect: QUICK,
      });
      using log = new SourceLog(source);
      const exchange = await server.accept();
      exchange.open();
      const pieces = [
        ["data:msg", "\n", "data: msg", "\n\n"],
        [":", "\n", "falsefield:msg", "\n\n"],
        ["falsefield:msg", "\n", "Data:data", "\n\n"],
        ["data", "\n\n"],
        ["data:end", "\n\n"],
      ];
      const seen: string[][] = [];
      for (const block of pieces) {
        for (const piece of block) await exchange.send(piece);
        await turns(5);
        seen.push(log.data);
      }
      assertEquals(seen, [
        ["msg\nmsg"],
        ["msg\nmsg"],
        ["msg\nmsg"],
        ["msg\nmsg", ""],
        ["msg\nmsg", "", "end"],
      ]);
      assertEquals(source.readyState, OPEN);
    },
  },
  {
    file: "eventsource-close",
    shows: "the state is CONNECTING, then OPEN, and CLOSED at once",
    async run() {
      await withSource(message(), async ({ source, log, server }) => {
        assertEquals(source.readyState, CONNECTING);
        const opened = Promise.withResolvers<number[]>();
        source.onopen = () => {
          const before = source.readyState;
          source.close();
          opened.resolve([before, source.readyState]);
        };
        const states = await within(opened.promise, LIMIT, "onopen");
        assertEquals(states, [OPEN, CLOSED]);
        await turns(5);
        assertEquals(log.story, ["open OPEN"]);
        assertEquals(server.exchanges.length, 1);
      });
    },
  },
  {
    file: "eventsource-close",
    shows:
      "nothing is dispatched after close() in a handler, whatever has come",
    async run() {
      const text = "data: first\n\ndata: second\n\n";
      await withSource(stream(text), async ({ source, log, server }) => {
        source.onmessage = () => source.close();
        await log.nth("message", 1);
        await turns(5);
        assertEquals(log.story, ["open OPEN", "message first"]);
        assertEquals(source.readyState, CLOSED);
        assertEquals(server.exchanges.length, 1);
      });
    },
  },
  {
    file: "eventsource-close",
    shows: "test events: it reconnects after two ends, and 204 closes it",
    async run() {
      const handler = inTurn(
        stream("retry: 2\ndata: opened\n\n"),
        stream("data: reconnected\n\n"),
        (exchange) => {
          exchange.open(204);
          exchange.end();
        },
      );
      await withSource(handler, async ({ source, log, server }) => {
        await log.nth("error", 3);
        await turns(5);
        assertEquals(log.story, [
          "open OPEN",
          "message opened",
          "error CONNECTING",
          "open OPEN",
          "message reconnected",
          "error CONNECTING",
          "error CLOSED",
        ]);
        assertEquals(source.readyState, CLOSED);
        assertEquals(server.exchanges.length, 3);
      });
    },
  },
  ...["ftp://example.not/", "about:blank", "mailto:whatwg@awesome.example"]
    .concat("javascript:alert('FAIL')").map((url): Row => ({
      file: "eventsource-constructor-non-same-origin",
      shows: `${url} is an error, and closes it`,
      async run() {
        const clock = new FakeClock();
        using log = new SourceLog(new FetchEventSource(url, { clock }));
        const { state, event } = await log.nth("error", 1);
        assertPlain(event, "error");
        assertEquals(state, CLOSED);
        await clock.advance(3_600_000);
        assertEquals(log.story, ["error CLOSED"]);
      },
    })),
  {
    file: "eventsource-constructor-stringify",
    shows: "object",
    async run() {
      await using server = await ConformanceServer.start(message());
      const url = { toString: () => server.origin };
      // The types want a string or a URL, which is what this makes.
      const source = new FetchEventSource(url as unknown as string);
      using log = new SourceLog(source);
      await log.nth("open", 1);
      assertEquals(source.url, `${server.origin}/`);
    },
  },
  {
    file: "eventsource-constructor-url-bogus",
    shows: "a URL that is none is a SyntaxError",
    run() {
      const error = assertThrows(
        () => new FetchEventSource("http://this is invalid/"),
        DOMException,
      );
      assertEquals(error.name, "SyntaxError");
      return Promise.resolve();
    },
  },
  {
    file: "dedicated-worker/eventsource-constructor-no-new",
    shows: "without new it is a TypeError",
    run() {
      assertThrows(
        () => Reflect.apply(FetchEventSource, undefined, ["http://localhost/"]),
        TypeError,
      );
      return Promise.resolve();
    },
  },
  {
    file: "eventsource-cross-origin",
    shows: "basic use: a message has the server's origin",
    async run() {
      await withSource(message(), async ({ log, server }) => {
        const { event } = await log.nth("message", 1);
        assertInstanceOf(event, MessageEvent);
        assertEquals([event.data, event.origin], ["data", server.origin]);
      });
    },
  },
  {
    file: "eventsource-cross-origin",
    shows: "redirect use: a message has the origin that was redirected to",
    async run() {
      await using other = await ConformanceServer.start(message());
      const origin = `http://localhost:${other.port}`;
      const redirect: Handler = (exchange) => {
        exchange.open(302, { Location: `${origin}/message` });
        exchange.end();
      };
      await withSource(redirect, async ({ source, log, server }) => {
        const { event } = await log.nth("message", 1);
        assertInstanceOf(event, MessageEvent);
        assertEquals([event.data, event.origin], ["data", origin]);
        assertEquals(source.url, `${server.origin}/`);
      });
    },
  },
  {
    file: "eventsource-cross-origin",
    shows: "redirect use recon: so has one after a reconnection",
    async run() {
      const handler = inTurn(stream("retry: 2\n"), stream("data: data\n\n"));
      await withSource(handler, async ({ log, server }) => {
        const { event } = await log.nth("message", 1);
        assertInstanceOf(event, MessageEvent);
        assertEquals([event.data, event.origin], ["data", server.origin]);
      });
    },
  },
  ...[
    ["safe", "abc"],
    ["long", "a".repeat(255)],
    ["unsafe", "e5p3n<3k0k0s"],
  ].map(([fixture = "", id = ""]): Row => ({
    file: "eventsource-cross-origin-preflight",
    shows: `a ${fixture} id is sent as it is, in a request of its own`,
    async run() {
      await reconnecting(lastEventId(id), 1, ({ log, exchanges }) => {
        assertEquals(log.data, ["hello", id]);
        assertEquals(exchanges.map(({ method }) => method), ["GET", "GET"]);
      });
    },
  })),
  {
    file: "eventsource-eventtarget",
    shows: "addEventListener() gets messages, with the source as this",
    async run() {
      await withSource(message(), async ({ source }) => {
        const got = Promise.withResolvers<unknown[]>();
        source.addEventListener(
          "message",
          function (this: unknown, event: Event) {
            got.resolve([event instanceof MessageEvent && event.data, this]);
          },
          false,
        );
        const [data, self] = await within(got.promise, LIMIT, "a message");
        assertEquals(data, "data");
        assertStrictEquals(self, source);
      });
    },
  },
  {
    file: "eventsource-onmessage",
    shows: "onmessage gets messages",
    async run() {
      await withSource(message(), async ({ source }) => {
        const got = Promise.withResolvers<unknown>();
        source.onmessage = (event: MessageEvent) => got.resolve(event.data);
        const data = await within(got.promise, LIMIT, "onmessage");
        assertEquals(data, "data");
      });
    },
  },
  {
    file: "eventsource-onopen",
    shows: "onopen gets a plain event, with the source as this",
    async run() {
      await withSource(message(), async ({ source }) => {
        const got = Promise.withResolvers<[Event, number, unknown]>();
        source.onopen = function (this: unknown, event: Event) {
          got.resolve([event, source.readyState, this]);
        };
        const [event, state, self] = await within(
          got.promise,
          LIMIT,
          "onopen",
        );
        assertPlain(event, "open");
        assertEquals(state, OPEN);
        assertStrictEquals(self, source);
      });
    },
  },
  {
    file: "eventsource-prototype",
    shows: "its prototype can be extended",
    run() {
      Object.defineProperty(FetchEventSource.prototype, "returnTrue", {
        value: () => true,
        configurable: true,
      });
      const source = FetchEventSource.fromReadableStream(new ReadableStream());
      assertEquals(Reflect.get(source, "returnTrue")(), true);
      source.close();
      Reflect.deleteProperty(FetchEventSource.prototype, "returnTrue");
      return Promise.resolve();
    },
  },
  {
    file: "interfaces",
    shows: "the constants, on the class and on its objects, and the handlers",
    run() {
      const source = FetchEventSource.fromReadableStream(new ReadableStream());
      for (const holder of [FetchEventSource, source]) {
        const { CONNECTING, OPEN, CLOSED } = holder;
        assertEquals([CONNECTING, OPEN, CLOSED], [0, 1, 2]);
      }
      const { onopen, onmessage, onerror } = source;
      assertEquals([onopen, onmessage, onerror], [null, null, null]);
      assertInstanceOf(source, EventTarget);
      source.close();
      return Promise.resolve();
    },
  },
  {
    file: "eventsource-reconnect",
    shows: "200: it reconnects when a stream ends",
    async run() {
      const handler = inTurn(stream("retry: 2\n"), stream("data: data\n\n"));
      await withSource(handler, async ({ source, log }) => {
        await log.nth("message", 1);
        source.close();
        assertEquals(log.data, ["data"]);
      });
    },
  },
  {
    file: "eventsource-reconnect",
    shows: "test reconnection events: an error while CONNECTING in between",
    async run() {
      const handler = inTurn(
        stream("retry: 2\ndata: ok\n\n"),
        stream("data: data\n\n"),
      );
      await withSource(handler, async ({ source, log }) => {
        const { event } = await log.nth("error", 1);
        assertPlain(event, "error");
        await log.nth("message", 2);
        source.close();
        // The end of the second stream may have come with its message.
        assertEquals(log.story.slice(0, 5), [
          "open OPEN",
          "message ok",
          "error CONNECTING",
          "open OPEN",
          "message data",
        ]);
      });
    },
  },
  {
    file: "eventsource-reconnect",
    shows: "so it does when the connection drops",
    async run() {
      const handler = inTurn(async (exchange) => {
        exchange.open();
        await exchange.send("retry: 2\ndata: ok\n\n");
        exchange.drop();
      }, stream("data: data\n\n"));
      await using server = await ConformanceServer.start(handler);
      const source = new FetchEventSource(server.origin, {
        fetch: server.fetch,
        reconnect: QUICK,
      });
      using log = new SourceLog(source);
      const { event } = await log.nth("error", 1);
      assertInstanceOf(Reflect.get(event, "error"), Error);
      await log.nth("message", 2);
      source.close();
      // The end of the second stream may have come with its message.
      assertEquals(log.story.slice(0, 5), [
        "open OPEN",
        "message ok",
        "error CONNECTING",
        "open OPEN",
        "message data",
      ]);
    },
  },
  {
    file: "eventsource-request-cancellation",
    shows: "a signal in place of window.stop() closes it for good",
    async run() {
      const clock = new FakeClock();
      const controller = new AbortController();
      await using server = await ConformanceServer.start();
      const source = new FetchEventSource(server.origin, {
        signal: controller.signal,
        clock,
      });
      using log = new SourceLog(source);
      const exchange = await server.accept();
      controller.abort();
      await exchange.hungUp();
      await clock.advance(3_600_000);
      assertEquals(source.readyState, CLOSED);
      assertEquals(log.story.filter((line) => line !== "error CLOSED"), []);
      assertEquals(server.exchanges.length, 1);
      assertEquals(clock.pending, 0);
    },
  },
  {
    file: "eventsource-url",
    shows: "its URL is the one that was asked for, whole",
    async run() {
      await withSource(message(), async ({ source, log, server }) => {
        assertEquals(source.url, `${server.origin}/resources/message.py`);
        await log.nth("open", 1);
        assertEquals(source.url, `${server.origin}/resources/message.py`);
        assertEquals(
          server.exchanges.map(({ target }) => target),
          ["/resources/message.py"],
        );
      }, { path: "/resources/message.py" });
    },
  },
  {
    file: "format-data-before-final-empty-line",
    shows: "after the reconnection the dropped id is not in force, nor sent",
    async run() {
      const clock = new FakeClock();
      const text = "retry:1000\ndata:test1\n\nid:test\ndata:test2\n";
      await withSource(stream(text), async ({ source, log, server }) => {
        await log.nth("error", 1);
        await clock.advance(1_000);
        await log.nth("error", 2);
        source.close();
        assertEquals(
          log.messages.map(({ data, lastEventId }) => [data, lastEventId]),
          [["test1", ""], ["test1", ""]],
        );
        for (const { headers } of server.exchanges) {
          assert(!headers.has("last-event-id"));
        }
      }, { clock });
    },
  },
  {
    file: "format-field-id",
    shows: "an id is sent on reconnection, as UTF-8",
    async run() {
      await reconnecting(lastEventId("…"), 1, ({ log, exchanges }) => {
        assertEquals(
          log.messages.map(({ data, lastEventId }) => [data, lastEventId]),
          [["hello", "…"], ["…", "…"]],
        );
        assertEquals(
          exchanges.map(({ headers }) => headers.get("last-event-id")),
          [undefined, "\xe2\x80\xa6"],
        );
      });
    },
  },
  {
    file: "format-field-id-2",
    shows: "an id outlives a connection that brings none",
    async run() {
      await reconnecting(lastEventId("…"), 2, ({ log, exchanges }) => {
        assertEquals(
          log.messages.map(({ data, lastEventId }) => [data, lastEventId]),
          [["hello", "…"], ["…", "…"], ["…", "…"]],
        );
        assertEquals(
          exchanges.map(({ headers }) => headers.get("last-event-id")),
          [undefined, "\xe2\x80\xa6", "\xe2\x80\xa6"],
        );
      });
    },
  },
  ...["\0\0", "x\0", "\0x", "x\0x", " \0"].map((id): Row => ({
    file: "format-field-id-null",
    shows: `id field set to ${encodeURIComponent(id)}`,
    async run() {
      await reconnecting(lastEventId(id), 1, ({ log, exchanges }) => {
        assertEquals(
          log.messages.map(({ data, lastEventId }) => [data, lastEventId]),
          [["hello", ""], ["hello", ""]],
        );
        for (const { headers } of exchanges) {
          assert(!headers.has("last-event-id"));
        }
      });
    },
  })),
  ...[
    ["format-field-retry", "retry:03000\ndata:x"],
    ["format-field-retry-bogus", "retry:3000\nretry:1000x\ndata:x"],
  ].flatMap(([file = "", text = ""]): Row[] => [
    {
      file,
      shows: "it reconnects after 3000 ms, at most 25 % later",
      async run() {
        for (let i = 0; i < 10; i++) {
          const delay = await retryDelay(text, {});
          assert(delay >= 3_000, `${delay} ms is sooner than asked for`);
          assert(delay / 3_000 - 1 < 0.25, `${delay} ms is too late`);
        }
      },
    },
    {
      file,
      shows: "it reconnects after 3000 ms exactly, without jitter",
      async run() {
        assertEquals(await retryDelay(text, { jitter: 0 }), 3_000);
      },
    },
  ]),
  {
    file: "format-field-retry-empty",
    shows: "the delay stays what it was",
    async run() {
      const reconnect = { minTimeout: 700, jitter: 0 };
      const without = await retryDelay("data:test", reconnect);
      assertEquals(await retryDelay("retry\ndata:test", reconnect), without);
      assert(without >= 700);
    },
  },
  {
    file: "format-mime-bogus",
    shows: "x bogus is an error, and closes it",
    run: () => assertFails(message(undefined, "x bogus")),
  },
  {
    file: "format-mime-trailing-semicolon",
    shows: "text/event-stream; opens",
    run: () => assertOpens(message(undefined, "text/event-stream;")),
  },
  {
    file: "format-mime-valid-bogus",
    shows: "text/x-bogus is an error, and closes it",
    run: () => assertFails(message(undefined, "text/x-bogus")),
  },
  {
    file: "request-accept",
    shows: "text/event-stream is what it accepts",
    async run() {
      const echo: Handler = (exchange, count) =>
        stream(`data: ${exchange.headers.get("accept")}\n\n`)(exchange, count);
      await withSource(echo, async ({ log }) => {
        await log.nth("message", 1);
        assertEquals(log.data, ["text/event-stream"]);
      });
    },
  },
  {
    file: "request-cache-control",
    shows: "no cache may answer, this time and the next",
    async run() {
      const echo: Handler = (exchange, count) =>
        stream(`data: ${exchange.headers.get("cache-control")}\n\n`)(
          exchange,
          count,
        );
      await withSource(echo, async ({ source, log, server }) => {
        await log.nth("message", 1);
        source.close();
        const again = new FetchEventSource(server.origin);
        using logAgain = new SourceLog(again);
        await logAgain.nth("message", 1);
        assertEquals([log.data, logAgain.data], [["no-cache"], ["no-cache"]]);
      });
    },
  },
  ...([
    ["enabled", { withCredentials: true }, true],
    ["disabled", { withCredentials: false }, false],
    ["default", {}, false],
  ] as const).map(([name, init, withCredentials]): Row => ({
    file: "request-credentials",
    shows: `credentials ${name}: fetch is told so`,
    async run() {
      await using server = await ConformanceServer.start(message());
      const credentials: unknown[] = [];
      const source = new FetchEventSource(server.origin, {
        ...init,
        fetch: (input: string | URL | Request, init?: RequestInit) => {
          credentials.push(
            // Not of a Request: Bun's says "include" whatever it was made of.
            init?.credentials ?? "same-origin",
          );
          return fetch(input, init);
        },
      });
      using log = new SourceLog(source);
      assertEquals(source.withCredentials, withCredentials);
      await log.nth("message", 1);
      source.close();
      assertEquals(credentials, [withCredentials ? "include" : "same-origin"]);
    },
  })),
  ...[301, 302, 303, 307].map((status): Row => ({
    file: "request-redirect",
    shows: `${status} is followed`,
    run: () =>
      assertOpens((exchange, count) => {
        if (exchange.target !== "/redirect") return message()(exchange, count);
        exchange.open(status, { Location: "/message" });
        exchange.end();
      }, "/redirect"),
  })),
  ...[204, 205, 210, 299, 404, 410, 503].map((status): Row => ({
    file: "request-status-error",
    shows: `${status} is an error, and closes it`,
    run: () =>
      assertFails((exchange) => {
        exchange.open(status, byName());
        exchange.end(status <= 205 ? "" : "data: data\n\n");
      }),
  })),
];

// `fromReadableStream`: html#12272, `eventsource-from-readable-stream.any.js`
// and `-fetch.window.js`.

function streamOf(...chunks: (string | Uint8Array)[]) {
  return new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) {
        controller.enqueue(
          typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk,
        );
      }
      controller.close();
    },
  });
}

/**
 * Returns the events that a source dispatches until the end of these chunks,
 * and the source.
 */
async function readAll(
  chunks: readonly (string | Uint8Array)[],
  types: readonly string[] = [],
): Promise<{ source: FetchEventSource; log: SourceLog }> {
  const source = FetchEventSource.fromReadableStream(streamOf(...chunks));
  const log = new SourceLog(source, types);
  await log.nth("error", 1);
  return { source, log };
}

/** A row about a source that nothing has come of yet. */
function atFirst(
  shows: string,
  check: (source: FetchEventSource) => void,
): Row {
  return {
    file: "eventsource-from-readable-stream",
    shows,
    run() {
      const source = FetchEventSource.fromReadableStream(streamOf(""));
      check(source);
      source.close();
      return Promise.resolve();
    },
  };
}

/** A row about the events of a stream that ends. */
function dispatching(
  shows: string,
  chunks: readonly (string | Uint8Array)[],
  events: readonly FeedEvent[],
  check: (source: FetchEventSource) => void = () => {},
): Row {
  return {
    file: "eventsource-from-readable-stream",
    shows,
    async run() {
      const expected = events.map(inFull);
      const { source, log } = await readAll(
        chunks,
        expected.map(([, type]) => type),
      );
      assertEquals(
        log.messages.map(({ data, type, lastEventId }) =>
          [data, type, lastEventId] as const
        ),
        expected,
      );
      assertEquals(log.story.at(0), "open OPEN");
      assertEquals(log.story.at(-1), "error CLOSED");
      check(source);
    },
  };
}

/** A row about two streams that are piped through another, one after the other. */
function piped(
  shows: string,
  first: string,
  check: (source: FetchEventSource) => void,
): Row {
  return {
    file: "eventsource-from-readable-stream",
    shows,
    async run() {
      const { readable, writable } = new TransformStream<
        Uint8Array,
        Uint8Array
      >();
      const source = FetchEventSource.fromReadableStream(readable);
      using log = new SourceLog(source);
      await streamOf(first).pipeTo(writable, { preventClose: true });
      await log.nth("message", 1);
      check(source);
      await streamOf("data: second\n\n").pipeTo(writable, {
        preventClose: true,
      });
      await log.nth("message", 2);
      check(source);
      await writable.close();
      await log.nth("error", 1);
      assertEquals(log.story, [
        "open OPEN",
        "message first",
        "message second",
        "error CLOSED",
      ]);
    },
  };
}

const BOM_BYTES = new Uint8Array([0xef, 0xbb, 0xbf]);

const streamRows: readonly Row[] = [
  atFirst("fromReadableStream() returns an EventSource instance", (source) => {
    assertInstanceOf(source, FetchEventSource);
  }),
  atFirst(
    "readyState is CONNECTING immediately after construction",
    (source) => assertEquals(source.readyState, CONNECTING),
  ),
  atFirst(
    "url returns about:event-stream",
    (source) => assertEquals(source.url, "about:event-stream"),
  ),
  atFirst(
    "withCredentials returns false",
    (source) => assertEquals(source.withCredentials, false),
  ),
  atFirst(
    "lastEventId initially returns the empty string",
    (source) => assertEquals(source.lastEventId, ""),
  ),
  atFirst("reconnectionTime initially returns a positive value", (source) => {
    assert(source.reconnectionTime > 0);
  }),
  {
    file: "eventsource-from-readable-stream",
    shows: "throws TypeError if the stream is locked",
    run() {
      const stream = new ReadableStream<Uint8Array>();
      stream.getReader();
      assertThrows(
        () => FetchEventSource.fromReadableStream(stream),
        TypeError,
      );
      return Promise.resolve();
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "fires open event",
    async run() {
      const { log } = await readAll(["data: hello\n\n"]);
      const { event, state } = await log.nth("open", 1);
      assertPlain(event, "open");
      assertEquals(state, OPEN);
    },
  },
  dispatching("receives a message event", ["data: hello\n\n"], ["hello"]),
  dispatching(
    "handles multi-line data fields",
    ["data: hello\ndata: world\n\n"],
    ["hello\nworld"],
  ),
  dispatching(
    "receives multiple message events",
    ["data: first\n\ndata: second\n\n"],
    ["first", "second"],
  ),
  dispatching(
    "handles custom event types",
    ["event: custom\ndata: hello\n\n"],
    [["hello", "custom"]],
  ),
  dispatching(
    "ignores comments",
    [": this is a comment\ndata: hello\n\n"],
    ["hello"],
  ),
  {
    file: "eventsource-from-readable-stream",
    shows: "message event origin is 'null' (opaque origin)",
    async run() {
      const { log } = await readAll(["data: hello\n\n"]);
      assertEquals(log.messages.map(({ origin }) => origin), ["null"]);
    },
  },
  dispatching(
    "handles data split across chunks",
    ["da", "ta: hel", "lo\n\n"],
    ["hello"],
  ),
  dispatching(
    "id field updates lastEventId",
    ["id: 42\ndata: hello\n\n"],
    [["hello", "message", "42"]],
    (source) => assertEquals(source.lastEventId, "42"),
  ),
  dispatching(
    "retry field updates reconnectionTime",
    ["retry: 5000\ndata: hello\n\n"],
    ["hello"],
    (source) => assertEquals(source.reconnectionTime, 5_000),
  ),
  {
    file: "eventsource-from-readable-stream",
    shows: "retry field with non-digit value is ignored",
    async run() {
      for (const bogus of ["bogus", "", "-1", "1e2", "0x64", "+5", "7.5"]) {
        const source = FetchEventSource.fromReadableStream(
          streamOf(`retry: ${bogus}\ndata: hello\n\n`),
        );
        const before = source.reconnectionTime;
        using log = new SourceLog(source);
        await log.nth("message", 1);
        assertEquals(source.reconnectionTime, before, bogus);
      }
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "close() sets readyState to CLOSED",
    async run() {
      const source = FetchEventSource.fromReadableStream(
        streamOf("data: hello\n\n"),
      );
      using log = new SourceLog(source);
      source.close();
      assertEquals(source.readyState, CLOSED);
      await turns(5);
      assertEquals(log.story, []);
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "stream done fires error after dispatching complete events",
    async run() {
      const { log } = await readAll(["data: hello\n\n"]);
      assertPlain((await log.nth("error", 1)).event, "error");
      assertEquals(log.story, ["open OPEN", "message hello", "error CLOSED"]);
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "empty stream fires error and transitions to CLOSED",
    async run() {
      const { log } = await readAll([""]);
      assertEquals(log.story.at(-1), "error CLOSED");
      assertEquals(log.messages, []);
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "stream error fires error event and transitions to CLOSED",
    async run() {
      const cause = new Error("stream error");
      const source = FetchEventSource.fromReadableStream(
        new ReadableStream<Uint8Array>({
          start: (controller) => controller.error(cause),
        }),
      );
      using log = new SourceLog(source);
      const { event, state } = await log.nth("error", 1);
      assertPlain(event, "error");
      assertEquals(state, CLOSED);
      const error: unknown = Reflect.get(event, "error");
      assertInstanceOf(error, Error);
      assert(error === cause || error.cause === cause);
      await turns(5);
      assertEquals(
        log.story.filter((line) => line.startsWith("error")).length,
        1,
      );
    },
  },
  {
    file: "eventsource-from-readable-stream",
    shows: "no reconnection is attempted after stream done",
    async run() {
      // A timer for one would be left behind at the end of this test, which
      // Deno's sanitizers do not allow.
      const { source, log } = await readAll(["retry: 1\ndata: hello\n\n"]);
      await turns(5);
      assertEquals(log.story, ["open OPEN", "message hello", "error CLOSED"]);
      assertEquals(source.readyState, CLOSED);
    },
  },
  dispatching(
    "handles CR, LF, and CRLF line endings",
    ["data: cr\r\rdata: lf\n\ndata: crlf\r\n\r\n"],
    ["cr", "lf", "crlf"],
  ),
  dispatching(
    "strips leading UTF-8 BOM",
    [BOM_BYTES, "data: hello\n\n"],
    ["hello"],
  ),
  piped(
    "TransformStream pattern allows multiple streams to be piped through",
    "data: first\n\n",
    () => {},
  ),
  piped(
    "lastEventId persists across reconnections via TransformStream",
    "id: 42\ndata: first\n\n",
    (source) => assertEquals(source.lastEventId, "42"),
  ),
  piped(
    "reconnectionTime persists across reconnections via TransformStream",
    "retry: 3000\ndata: first\n\n",
    (source) => assertEquals(source.reconnectionTime, 3_000),
  ),
  ...([
    ["works with a fetch() response body", "data: data", ["data"]],
    [
      "lastEventId and reconnectionTime work with fetch() response",
      "id: 42\nretry: 5000\ndata: hello",
      [["hello", "message", "42"]],
    ],
  ] satisfies [string, string, FeedEvent[]][]).map((
    [shows, text, events],
  ): Row => ({
    file: "eventsource-from-readable-stream-fetch",
    shows,
    async run() {
      await using server = await ConformanceServer.start(message(text));
      const { body } = await fetch(server.origin);
      assert(body);
      const source = FetchEventSource.fromReadableStream(body);
      using log = new SourceLog(source);
      await log.nth("error", 1);
      assertEquals(
        log.messages.map(({ data, type, lastEventId }) =>
          [data, type, lastEventId] as const
        ),
        events.map(inFull),
      );
      assertEquals(source.readyState, CLOSED);
      if (text.includes("retry")) {
        assertEquals(source.lastEventId, "42");
        assertEquals(source.reconnectionTime, 5_000);
      }
    },
  })),
];

for (const { file, shows, run } of [...sourceRows, ...streamRows]) {
  Deno.test(`WPT ${file}: ${shows}`, run);
}

Deno.test("WPT: every test of research/sse.md, section 4a, has rows", () => {
  const files = new Set(
    [...feeds, ...sourceRows, ...streamRows].map(({ file }) => file),
  );
  for (
    const file of [
      "format-bom",
      "format-bom-2",
      "format-comments",
      "format-data-before-final-empty-line",
      "format-field-data",
      "format-field-event",
      "format-field-event-empty",
      "format-field-id",
      "format-field-id-2",
      "format-field-id-3",
      "format-field-id-null",
      "format-field-parsing",
      "format-field-retry",
      "format-field-retry-bogus",
      "format-field-retry-empty",
      "format-field-unknown",
      "format-leading-space",
      "format-newlines",
      "format-null-character",
      "format-utf-8",
      "format-mime-bogus",
      "format-mime-valid-bogus",
      "format-mime-trailing-semicolon",
      "event-data",
      "request-status-error",
      "request-redirect",
      "request-accept",
      "request-cache-control",
      "eventsource-reconnect",
      "eventsource-close",
      "eventsource-cross-origin-preflight",
      "eventsource-from-readable-stream",
    ]
  ) assert(files.has(file), file);
});
