import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  ConnectionError,
  ConnectTimeoutError,
  EventTooLargeError,
  HttpStatusError,
  IdleTimeoutError,
  NotAnEventStreamError,
  OneShotBodyError,
  type ReconnectContext,
  type ReconnectDecision,
  type RetryNotice,
  streamEvents,
  type StreamEventsOptions,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import {
  asHeader,
  outcomeOf,
  scriptedStream,
  type ScriptedStreamOptions,
  STOP,
  STREAM_URL,
} from "../support/fetch/scripted_stream.ts";

const A: ScriptedConnection = { chunks: ["data: a\n\n"] };
const DROP: ScriptedConnection = { chunks: ["data: a\n\n"], end: "drop" };
const BUSY: ScriptedConnection = { status: 503 };

type ErrorClass = Parameters<typeof assertInstanceOf>[1];

interface Row {
  /** The name of the case. */
  readonly name: string;
  readonly connections: readonly ScriptedConnection[];
  readonly options?: ScriptedStreamOptions;
  /** The times of requests. */
  readonly times: readonly number[];
  readonly data?: readonly string[];
  /** The error with which the stream ends, if any. */
  readonly error?: ErrorClass;
}

const html = { "Content-Type": "text/html" };
const retryAfter = (value: string) => ({ "Retry-After": value });
const bringsRetry = (value: string): ScriptedConnection => ({
  chunks: [`retry:${value}\ndata: a\n\n`],
  end: "drop",
});

const ROWS: Row[] = [
  // Other clients on these cases: research/sse.md, section 1d.
  {
    name: "comes back a second after 503, and after the end",
    connections: [BUSY, A, STOP],
    times: [0, 1_000, 2_000],
    data: ["a"],
  },
  {
    name: "waits longer with every 503, up to the longest wait",
    connections: [...Array(8).fill(BUSY), STOP],
    times: [0, 1_000, 3_000, 7_000, 15_000, 31_000, 63_000, 123_000, 183_000],
  },
  ...[400, 401, 402, 403, 404, 405, 406, 410, 418, 422, 451].map((
    status,
  ): Row => ({
    name: `ends with the error at status ${status}`,
    connections: [{ status }],
    times: [0],
    error: HttpStatusError,
  })),
  ...[408, 425, 429, 500, 501, 502, 504, 521, 599].map((status): Row => ({
    name: `comes back after status ${status}`,
    connections: [{ status }, { status }, STOP],
    times: [0, 1_000, 3_000],
  })),
  ...[201, 203, 205, 206, 300, 301, 304].map((status): Row => ({
    name: `ends with the error at status ${status}`,
    connections: [{ status }],
    times: [0],
    error: HttpStatusError,
  })),
  { name: "ends well at 204", connections: [STOP], times: [0] },
  {
    name: "ends well at 204 after events",
    connections: [DROP, STOP],
    times: [0, 1_000],
    data: ["a"],
  },
  {
    name: "ends with the error at HTML",
    connections: [{ headers: html, chunks: ["data: a\n\n"] }],
    times: [0],
    error: NotAnEventStreamError,
  },
  {
    name: "ends with the error at HTML after events",
    connections: [DROP, { headers: html }],
    times: [0, 1_000],
    data: ["a"],
    error: NotAnEventStreamError,
  },
  {
    name: "waits as long as Retry-After says",
    connections: [{ status: 429, headers: retryAfter("2") }, A, STOP],
    times: [0, 2_000, 3_000],
    data: ["a"],
  },
  {
    name: "comes back a second after a drop",
    connections: [
      { chunks: ["data: a\n\nid: 9\ndata: b"], end: "drop" },
      { chunks: ["data: c\n\n"], end: "drop" },
      STOP,
    ],
    times: [0, 1_000, 3_000],
    data: ["a", "c"],
  },
  {
    name: "comes back at once at the earliest where minTimeout is 0",
    connections: [DROP, STOP],
    options: { reconnect: { minTimeout: 0 } },
    times: [0, 0],
    data: ["a"],
  },

  // The server's `retry:`
  ...([
    [" 99999999999", 60_000],
    [` ${"9".repeat(400)}`, 60_000],
    [" 60001", 60_000],
    [" 2147483648", 60_000],
    ["", 1_000],
    [" -1", 1_000],
    [" 1e2", 1_000],
    [" 1e9", 1_000],
    [" 0", 1_000],
    [" 999", 1_000],
    [" +5000", 1_000],
    [" 5000.5", 1_000],
    [" 5000 ", 1_000],
    ["  5000", 1_000],
    [" 0x5000", 1_000],
    [" \u0665\u0660\u0660\u0660", 1_000],
    [" 2500", 2_500],
    ["2500", 2_500],
    [" 0002500", 2_500],
  ] as const).map(([value, delay]): Row => ({
    name: `waits ${delay} ms after 'retry:${value.slice(0, 20)}'`,
    connections: [bringsRetry(value), STOP],
    times: [0, delay],
    data: ["a"],
  })),
  {
    name: "takes retry: for the base of what follows",
    connections: [bringsRetry(" 2500"), BUSY, { connect: "drop" }, STOP],
    times: [0, 2_500, 7_500, 17_500],
    data: ["a"],
  },
  {
    name: "takes the last retry:, before the end of its event",
    connections: [
      { chunks: ["retry: 9000\ndata: a\n\nretry: 3000\ndata: b"], end: "drop" },
      STOP,
    ],
    times: [0, 3_000],
    data: ["a"],
  },
  {
    name: "keeps a retry: that was right over one that is not",
    connections: [
      { chunks: ["retry: 3000\nretry: x\nretry:\n"] },
      STOP,
    ],
    times: [0, 3_000],
  },
  {
    name: "puts retry: between minTimeout and maxTimeout",
    connections: [bringsRetry(" 1"), bringsRetry(" 9000"), STOP],
    options: { reconnect: { minTimeout: 50, maxTimeout: 400 } },
    times: [0, 50, 450],
    data: ["a", "a"],
  },

  // The end of a stream
  {
    name: "comes back a second after every end that came after events",
    connections: [A, A, A, STOP],
    times: [0, 1_000, 2_000, 3_000],
    data: ["a", "a", "a"],
  },
  {
    name: "waits longer after every end without events",
    connections: [{}, { chunks: [": hi\n\n"] }, {}, STOP],
    times: [0, 1_000, 3_000, 7_000],
  },
  {
    name: "ends at the end where onCleanEnd is 'done'",
    connections: [A],
    options: { reconnect: { onCleanEnd: "done" } },
    times: [0],
    data: ["a"],
  },
  {
    name: "comes back after a drop where onCleanEnd is 'done'",
    connections: [DROP, BUSY, A],
    options: { reconnect: { onCleanEnd: "done" } },
    times: [0, 1_000, 3_000],
    data: ["a", "a"],
  },

  // Budgets
  {
    name: "gives up after maxAttempts",
    connections: [BUSY, BUSY, BUSY],
    options: { reconnect: { maxAttempts: 3 } },
    times: [0, 1_000, 3_000],
    error: HttpStatusError,
  },
  {
    name: "makes one attempt where maxAttempts is 1",
    connections: [{ connect: "drop" }],
    options: { reconnect: { maxAttempts: 1 } },
    times: [0],
    error: ConnectionError,
  },
  {
    name: "ends well where the last of maxAttempts did",
    connections: [{}, {}],
    options: { reconnect: { maxAttempts: 2 } },
    times: [0, 1_000],
  },
  {
    name: "counts a connection that drops at once",
    connections: [DROP, DROP, DROP],
    options: { reconnect: { maxAttempts: 3 } },
    times: [0, 1_000, 3_000],
    data: ["a", "a", "a"],
    error: ConnectionError,
  },
  {
    name: "counts anew after a connection that was ended after events",
    connections: [BUSY, A, BUSY, A, BUSY, BUSY],
    options: { reconnect: { maxAttempts: 3 } },
    times: [0, 1_000, 2_000, 4_000, 5_000, 7_000],
    data: ["a", "a"],
    error: HttpStatusError,
  },
  {
    name: "makes no attempt after maxElapsed",
    connections: [BUSY, BUSY, BUSY, BUSY],
    options: { reconnect: { maxElapsed: 7_000 } },
    times: [0, 1_000, 3_000, 7_000],
    error: HttpStatusError,
  },
  {
    name: "makes no attempt that would be after maxElapsed",
    connections: [BUSY, BUSY, BUSY],
    options: { reconnect: { maxElapsed: 6_999 } },
    times: [0, 1_000, 3_000],
    error: HttpStatusError,
  },
  {
    name: "measures maxElapsed from the first failure in a row",
    connections: [
      { chunks: [{ wait: 50_000 }, "data: a\n\n"], end: "drop" },
      BUSY,
      BUSY,
    ],
    options: { reconnect: { maxElapsed: 3_000 } },
    times: [0, 51_000, 53_000],
    data: ["a"],
    error: HttpStatusError,
  },
  {
    name: "counts anew after a connection that was open for resetAfter",
    connections: [
      BUSY,
      BUSY,
      { chunks: [": hi\n\n", { wait: 10_000 }], end: "drop" },
      BUSY,
      STOP,
    ],
    times: [0, 1_000, 3_000, 14_000, 16_000],
  },
  {
    name: "counts on after a connection that was not",
    connections: [
      BUSY,
      BUSY,
      { chunks: [": hi\n\n", { wait: 9_999 }], end: "drop" },
      STOP,
    ],
    times: [0, 1_000, 3_000, 16_999],
  },
  {
    name: "counts the time that a connection was open, not how long it took",
    connections: [
      BUSY,
      { delay: 20_000, end: "drop" },
      STOP,
    ],
    times: [0, 1_000, 23_000],
  },
  {
    name: "counts anew after every connection where resetAfter is 0",
    connections: [{ end: "drop" }, { end: "drop" }, { end: "drop" }, STOP],
    options: { reconnect: { resetAfter: 0 } },
    times: [0, 1_000, 2_000, 3_000],
  },
  {
    name: "never counts anew where resetAfter is Infinity",
    connections: [
      { chunks: [{ wait: 1_000_000 }], end: "drop" },
      { chunks: [{ wait: 1_000_000 }], end: "drop" },
      STOP,
    ],
    options: { reconnect: { resetAfter: Infinity } },
    times: [0, 1_001_000, 2_003_000],
  },

  // Retry-After
  {
    name: "heeds Retry-After once",
    connections: [
      { status: 503, headers: retryAfter("30") },
      BUSY,
      { status: 429, headers: retryAfter("5") },
      BUSY,
      STOP,
    ],
    times: [0, 30_000, 32_000, 37_000, 45_000],
  },
  {
    name: "heeds a Retry-After that is a date",
    connections: [
      {
        delay: 3_000,
        status: 503,
        headers: retryAfter("Thu, 01 Jan 1970 00:16:50 GMT"),
      },
      STOP,
    ],
    options: { now: 1_000_000 },
    times: [1_000_000, 1_010_000],
  },
  {
    name: "waits no shorter than minTimeout after a Retry-After of less",
    connections: [
      { status: 503, headers: retryAfter("0") },
      { status: 503, headers: retryAfter("0.25") },
      { status: 503, headers: retryAfter("Thu, 01 Jan 1970 00:00:00 GMT") },
      { status: 503, headers: { "retry-after-ms": "10" } },
      STOP,
    ],
    times: [0, 1_000, 2_000, 3_000, 4_000],
  },
  {
    name: "waits longer than maxTimeout where Retry-After says so",
    connections: [{ status: 503, headers: retryAfter("3600") }, STOP],
    times: [0, 3_600_000],
  },
  {
    name: "heeds retry-after-ms before Retry-After",
    connections: [
      {
        status: 429,
        headers: { "retry-after-ms": "1500", "Retry-After": "9" },
      },
      STOP,
    ],
    times: [0, 1_500],
  },
  {
    name: "passes over a Retry-After that means nothing",
    connections: [
      { status: 503, headers: retryAfter("soon") },
      { status: 503, headers: retryAfter("-5") },
      STOP,
    ],
    times: [0, 1_000, 3_000],
  },
  {
    name: "passes over Retry-After at other statuses",
    connections: [
      { status: 500, headers: retryAfter("30") },
      { status: 408, headers: retryAfter("30") },
      STOP,
    ],
    times: [0, 1_000, 3_000],
  },
  {
    name: "passes over Retry-After at a status that ends the stream",
    connections: [{ status: 404, headers: retryAfter("1") }],
    times: [0],
    error: HttpStatusError,
  },
  {
    name: "waits for Retry-After rather than retry:",
    connections: [
      bringsRetry(" 20000"),
      { status: 503, headers: retryAfter("3") },
      STOP,
    ],
    times: [0, 20_000, 23_000],
    data: ["a"],
  },
  {
    name: "gives up at a Retry-After over maxRetryAfter",
    connections: [
      { status: 503, headers: retryAfter("60") },
      { status: 503, headers: retryAfter("60.001") },
    ],
    options: { reconnect: { maxRetryAfter: 60_000 } },
    times: [0, 60_000],
    error: HttpStatusError,
  },
  {
    name: "gives up at a Retry-After beyond maxElapsed",
    connections: [{ status: 503, headers: retryAfter("60") }],
    options: { reconnect: { maxElapsed: 59_999 } },
    times: [0],
    error: HttpStatusError,
  },

  // Connections that don't come about, or fall silent
  {
    name: "comes back after requests that fail",
    connections: [
      { connect: "drop" },
      { connect: "drop", delay: 500 },
      { connect: { error: new Error("no such host") } },
      A,
      STOP,
    ],
    times: [0, 1_000, 3_500, 7_500, 8_500],
    data: ["a"],
  },
  {
    name: "comes back when no answer has come for connectTimeout",
    connections: [{ connect: "stall" }, { delay: 6_000 }, STOP],
    options: { connectTimeout: 5_000 },
    times: [0, 6_000, 13_000],
  },
  {
    name: "comes back when no byte has come for idleTimeout",
    connections: [
      {
        chunks: ["data: a\n\n", { wait: 4_999 }, ":\n", { wait: 4_999 }, ":"],
        end: "stall",
      },
      { end: "stall" },
      STOP,
    ],
    options: { idleTimeout: 5_000 },
    // The first is open for longer than resetAfter.
    times: [0, 15_998, 22_998],
    data: ["a"],
  },
  {
    name: "comes back when no event has come for eventTimeout",
    connections: [
      {
        chunks: [
          "data: a\n\n",
          { wait: 4_000 },
          ": hi\n\n",
          { wait: 900 },
          "data: b",
        ],
        end: "stall",
      },
      STOP,
    ],
    options: { eventTimeout: 5_000 },
    times: [0, 6_000],
    data: ["a"],
  },
  {
    name: "comes back after 503 with a body that never ends",
    connections: [{ ...BUSY, chunks: ["busy"], end: "stall" }, STOP],
    times: [0, 6_000],
  },
  {
    name: "ends with the error at an event that is too large",
    connections: [{ chunks: ["data: aaaaaaaaaaaaaaaaaaaaaaaaa\n\n"] }],
    options: { maxEventSize: 10 },
    times: [0],
    error: EventTooLargeError,
  },

  // No reconnection
  {
    name: "makes one request where reconnect is false",
    connections: [DROP],
    options: { reconnect: false },
    times: [0],
    data: ["a"],
    error: ConnectionError,
  },
  {
    name: "makes one request where reconnect is false, and the server ends it",
    connections: [A],
    options: { reconnect: false },
    times: [0],
    data: ["a"],
  },
];

for (const { name, connections, options, times, data = [], error } of ROWS) {
  Deno.test(`streamEvents ${name}`, async () => {
    const stream = scriptedStream(connections, options);
    const outcome = await stream.clock.run(outcomeOf(stream.events));
    assertEquals(stream.times, times);
    assertEquals(outcome.data, data);
    if (error) assertInstanceOf(outcome.error, error);
    else assertEquals(outcome.error, undefined);
    assertEquals(stream.events.counters.attempts, times.length);
    assertEquals(stream.events.state, "closed");
    assertEquals(stream.clock.pending, 0);
  });
}

Deno.test("streamEvents waits by default a second and up to a quarter, then up to twice as long", async () => {
  const { clock, script, events } = scriptedStream([
    BUSY,
    BUSY,
    BUSY,
    { chunks: ["retry: 3000\ndata: a\n\n"] },
    STOP,
  ], { reconnect: { jitter: 1 } });
  await clock.run(outcomeOf(events));
  const times = script.requests.map(({ time }) => time);
  const waits = times.slice(1).map((time, index) => time - times[index]!);
  const ranges = [[1_000, 1_250], [1_000, 2_000], [1_000, 4_000], [
    3_000,
    3_750,
  ]];
  assertEquals(waits.length, ranges.length);
  for (const [index, [from, to]] of ranges.entries()) {
    const wait = waits[index]!; // as many
    assert(wait >= from! && wait <= to!, `${wait} is not in ${from}..${to}`);
  }
  assert(waits.some((wait) => !Number.isInteger(wait)), `by chance: ${waits}`);
});

// Requests that are made again by default

const POST = { method: "POST", body: "question" };
const DEFAULTS: [
  name: string,
  make: () => [
    string | Request | (() => string | Request),
    StreamEventsOptions,
  ],
  again: boolean,
][] = [
  ["a GET", () => [STREAM_URL, {}], true],
  ["a GET that says so", () => [STREAM_URL, { method: "get" }], true],
  ["a GET from a function", () => [() => STREAM_URL, {}], true],
  ["a Request to GET", () => [new Request(STREAM_URL), {}], true],
  [
    "a Request to GET from a function",
    () => [() => new Request(STREAM_URL), {}],
    true,
  ],
  ["a POST", () => [STREAM_URL, POST], false],
  ["a POST without a body", () => [STREAM_URL, { method: "POST" }], false],
  ["a DELETE", () => [STREAM_URL, { method: "DELETE" }], false],
  ["a Request to POST", () => [new Request(STREAM_URL, POST), {}], false],
  [
    "a Request to POST from a function",
    () => [() => new Request(STREAM_URL, POST), {}],
    false,
  ],
  [
    "a body from a function",
    () => [STREAM_URL, { method: "POST", body: () => "question" }],
    false,
  ],
  [
    "a POST that is asked to reconnect",
    () => [STREAM_URL, { ...POST, reconnect: {} }],
    true,
  ],
  [
    "a POST from a function that is asked to reconnect",
    () => [() => new Request(STREAM_URL, POST), { reconnect: true }],
    true,
  ],
  [
    "a GET that is asked not to",
    () => [STREAM_URL, { reconnect: false }],
    false,
  ],
];

for (const [name, make, again] of DEFAULTS) {
  Deno.test(`streamEvents ${again ? "makes" : "does not make"} ${name} again`, async () => {
    const clock = new FakeClock();
    let requests = 0;
    const [input, options] = make();
    const events = streamEvents(input, {
      ...options,
      clock,
      fetch: async (input, init) => {
        await new Request(input, init).text();
        requests++;
        const status = requests === 1 ? 503 : 204;
        return new Response(null, { status });
      },
    });
    const { error } = await clock.run(outcomeOf(events));
    assertEquals(requests, again ? 2 : 1);
    if (again) assertEquals(error, undefined);
    else assertInstanceOf(error, HttpStatusError);
    assertEquals(clock.pending, 0);
  });
}

// Bodies

Deno.test("streamEvents sends a body again that it can send again", async () => {
  const form = new URLSearchParams({ q: "why" });
  const bytes = new TextEncoder().encode("why");
  for (
    const [body, sent] of [
      ["why", "why"],
      [form, "q=why"],
      [bytes, "why"],
      [new Blob([bytes]), "why"],
    ] as const
  ) {
    const { clock, script, events } = scriptedStream([BUSY, DROP, STOP], {
      method: "POST",
      body,
    });
    assertEquals((await clock.run(outcomeOf(events))).error, undefined);
    assertEquals(script.requests.map(({ body }) => body), [sent, sent, sent]);
    assertEquals(script.requests[2]?.method, "POST");
  }
});

Deno.test("streamEvents refuses to send a stream again, and says why it would have to", async () => {
  const stream = () => new Blob(["why"]).stream();
  for (
    const options of [
      { method: "POST", body: stream() },
      {
        input: new Request(STREAM_URL, { method: "POST", body: "why" }),
      },
    ]
  ) {
    const retries: unknown[] = [];
    const { clock, script, events } = scriptedStream([BUSY], {
      ...options,
      onRetry: (notice) => retries.push(notice),
    });
    const error = await clock.run(
      assertRejects(() => events.next(), OneShotBodyError),
    );
    assertInstanceOf(error.cause, HttpStatusError);
    assertEquals(error.url, STREAM_URL);
    assertEquals(script.requests.map(({ body }) => body), ["why"]);
    assertEquals(retries, []);
    assertStrictEquals(await assertRejects(() => events.open()), error);
    assertEquals(events.state, "closed");
    assertEquals(clock.pending, 0);
  }
});

Deno.test("streamEvents ends with what happened where a stream need not be sent again", async () => {
  for (
    const [connection, expected] of [
      [{ status: 404 }, HttpStatusError],
      [STOP, undefined],
    ] as const
  ) {
    const { clock, events } = scriptedStream([connection], {
      method: "POST",
      body: new Blob(["why"]).stream(),
    });
    const { error } = await clock.run(outcomeOf(events));
    if (expected) assertInstanceOf(error, expected);
    else assertEquals(error, undefined);
  }
});

Deno.test("streamEvents makes a Request to GET again, with its headers", async () => {
  const headers = { "X-Topic": "news" };
  const { clock, script, events } = scriptedStream([
    { chunks: ["id: 7\ndata: a\n\n"] },
    STOP,
  ], { input: new Request(STREAM_URL, { headers }) });
  await clock.run(outcomeOf(events));
  assertEquals(
    script.requests.map(({ headers }) => [
      headers.get("x-topic"),
      headers.get("accept"),
      headers.get("last-event-id"),
    ]),
    [["news", "text/event-stream", null], ["news", "text/event-stream", "7"]],
  );
});

// Last-Event-ID

const IDS: [
  name: string,
  lastEventId: string,
  chunks: string[],
  sent: (string | null)[],
][] = [
  ["none", "", ["data: a\n\n"], [null, null]],
  ["the id of the last event", "", ["id: 1\ndata: a\n\nid: 2\ndata: b\n\n"], [
    null,
    "2",
  ]],
  ["the id it was given", "41", ["data: a\n\n"], ["41", "41"]],
  ["the id of an event, rather than the one it was given", "41", [
    "id: 42\ndata: a\n\n",
  ], ["41", "42"]],
  ["the id of a block without data", "", ["data: a\n\nid: 3\n\n"], [null, "3"]],
  ["no id of an unfinished event", "41", ["id: 42\ndata: a\n"], ["41", "41"]],
  ["no id of an unfinished event after one", "", [
    "id: 1\ndata: a\n\nid: 2\ndata: b\n",
  ], [null, "1"]],
  ["no id of an unfinished block", "", ["id: 1\ndata: a\n\nid: 2\n"], [
    null,
    "1",
  ]],
  ["the id of an event that ended with the last byte", "", [
    "id: 1\ndata: a\r\r",
  ], [null, "1"]],
  ["nothing after an empty id", "41", ["id:\ndata: a\n\n"], ["41", null]],
  ["nothing after an empty id without data", "41", ["data: a\n\nid\n\n"], [
    "41",
    null,
  ]],
  ["the id before one with NUL", "41", ["id: 4\u00002\ndata: a\n\n"], [
    "41",
    "41",
  ]],
  ["UTF-8 bytes", "\u2026", ["id: \u{1F600}\u00e9\ndata: a\n\n"], [
    asHeader("\u2026"),
    asHeader("\u{1F600}\u00e9"),
  ]],
  ["nothing for an id that is no legal value of a header", "", [
    "id: a\u0001b\ndata: a\n\n",
  ], [null, null]],
  ["nothing for a given id that is no legal value", "a\nX-Evil: 1", [
    "data: a\n\n",
  ], [null, null]],
];

for (const [name, lastEventId, chunks, sent] of IDS) {
  for (const end of ["drop", "close"] as const) {
    Deno.test(`streamEvents sends as Last-Event-ID ${name} (${end})`, async () => {
      const stream = scriptedStream([{ chunks, end }, STOP], { lastEventId });
      const { error } = await stream.clock.run(outcomeOf(stream.events));
      assertEquals(error, undefined);
      assertEquals(stream.ids, sent);
      assertEquals(stream.script.requests[1]?.headers.has("x-evil"), false);
    });
  }
}

Deno.test("streamEvents keeps the id over connections that bring no event", async () => {
  const stream = scriptedStream([
    { chunks: ["id: 1\ndata: a\n\n"], end: "drop" },
    BUSY,
    { connect: "drop" },
    {},
    { chunks: [": hi\n\n", "id: 9\ndata: b"], end: "drop" },
    { connect: "stall" },
    { chunks: ["data: c\n\n"] },
    { chunks: ["id\n\n"] },
    BUSY,
    STOP,
  ]);
  const ids: string[] = [];
  const read = async () => {
    for await (const { id } of stream.events) ids.push(id);
  };
  await stream.clock.run(read());
  assertEquals(stream.ids, [
    null,
    ...Array(7).fill("1"),
    null,
    null,
  ]);
  assertEquals(ids, ["1", "1"]);
  assertEquals(stream.events.lastEventId, "");
});

Deno.test("streamEvents resumes after the events that were taken, not those that were dropped", async () => {
  const { clock, events } = scriptedStream([
    { chunks: ["id: 1\ndata: a\n\nid: 2\ndata: b\n\n"] },
  ]);
  await clock.run(events.next());
  assertEquals(events.lastEventId, "1");
  await events.cancel();
  assertEquals(events.lastEventId, "1");
});

/** A server that has these events, and breaks each answer off after some bytes. */
function resuming(count: number, cutAt: (request: number) => number) {
  const encoder = new TextEncoder();
  const sent: number[] = [];
  const fetch = (_: unknown, init?: RequestInit): Promise<Response> => {
    const after = Number(new Headers(init?.headers).get("last-event-id") ?? 0);
    sent.push(after);
    if (after === count) {
      return Promise.resolve(new Response(null, { status: 204 }));
    }
    let text = "";
    for (let id = after + 1; id <= count; id++) {
      text += `id: ${id}\r\nevent: e\u00e9\r\ndata: ${id} \u{1F600}\r\n\r\n`;
    }
    const bytes = encoder.encode(text);
    const part = bytes.subarray(0, cutAt(sent.length));
    const middle = part.length >> 1;
    let step = 0;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (step === 0) controller.enqueue(part.slice(0, middle));
        else if (step === 1) controller.enqueue(part.slice(middle));
        else controller.error(new TypeError("dropped"));
        step++;
      },
    }, { highWaterMark: 0 });
    const headers = { "Content-Type": "text/event-stream" };
    return Promise.resolve(new Response(body, { headers }));
  };
  return { fetch, sent };
}

Deno.test("streamEvents loses and repeats nothing, wherever the connection is cut", async () => {
  const eventLength = new TextEncoder()
    .encode("id: 1\r\nevent: e\u00e9\r\ndata: 1 \u{1F600}\r\n\r\n").length;
  for (let cut = 0; cut <= 3 * eventLength; cut++) {
    const clock = new FakeClock();
    const { fetch, sent } = resuming(
      3,
      (request) => request === 1 ? cut : Infinity,
    );
    const events = streamEvents(STREAM_URL, { fetch, clock });
    const outcome = await clock.run(outcomeOf(events));
    assertEquals(outcome, { data: ["1 😀", "2 😀", "3 😀"] }, `cut at ${cut}`);
    // The event is whole with the CR of its blank line.
    const whole = Math.floor((cut + 1) / eventLength);
    assertEquals(sent[1], whole, `cut at ${cut}`);
    assertEquals(clock.pending, 0);
  }
});

Deno.test("streamEvents loses and repeats nothing for batches and overlapping calls", async () => {
  for (let cut = 30; cut <= 120; cut += 7) {
    const clock = new FakeClock();
    const { fetch } = resuming(20, (request) => cut + request);
    const events = streamEvents(STREAM_URL, { fetch, clock });
    const data: string[] = [];
    const read = async () => {
      for (;;) {
        const [one, many] = await Promise.all([
          events.next(),
          events.nextBatch(),
        ]);
        if (one.value) data.push(one.value.data);
        if (!many) return;
        data.push(...many.map(({ data }) => data));
      }
    };
    await clock.run(read());
    assertEquals(data, Array.from({ length: 20 }, (_, i) => `${i + 1} 😀`));
  }
});

// Overlapping calls

Deno.test("streamEvents answers overlapping calls in order across reconnections", async () => {
  const { clock, events } = scriptedStream([
    { chunks: ["data: 1\n\ndata: 2\n\n", { wait: 10 }, "data: 3\n\n"] },
    BUSY,
    { chunks: ["data: 4\n\n"], end: "drop" },
    { chunks: ["data: 5\n\n", "data: 6\n\n"] },
    STOP,
  ]);
  const calls = Array.from({ length: 8 }, () => events.next());
  const results = await clock.run(Promise.all(calls));
  assertEquals(results.map(({ value }) => value?.data), [
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    undefined,
    undefined,
  ]);
});

Deno.test("streamEvents makes one request for overlapping calls, and fails all of them", async () => {
  const stream = scriptedStream([BUSY, BUSY], {
    reconnect: { maxAttempts: 2 },
  });
  const { events } = stream;
  const calls = Promise.allSettled([
    events.open(),
    events.next(),
    events.nextBatch(),
    events.next(),
  ]);
  const results = await stream.clock.run(calls);
  const errors = results.map((result) =>
    result.status === "rejected" ? result.reason : undefined
  );
  assertInstanceOf(errors[0], HttpStatusError);
  for (const error of errors) assertStrictEquals(error, errors[0]);
  assertEquals(stream.times, [0, 1_000]);
});

Deno.test("EventStream.open waits for the first connection that is one", async () => {
  const { clock, script, events } = scriptedStream([
    BUSY,
    { connect: "drop" },
    { headers: { "X-Request-Id": "r3" }, chunks: ["data: a\n\n"] },
    STOP,
  ]);
  const { headers } = await clock.run(events.open());
  assertEquals(headers.get("x-request-id"), "r3");
  assertEquals(script.requests.length, 3);
  assertEquals(events.state, "open");
  assertEquals(await clock.run(outcomeOf(events)), { data: ["a"] });
  assertEquals((await events.open()).headers, headers);
});

Deno.test("EventStream.open throws what stopped the stream before it was open", async () => {
  const { clock, events } = scriptedStream([BUSY, STOP]);
  const error = await clock.run(
    assertRejects(() => events.open(), HttpStatusError),
  );
  assertEquals(error.status, 204);
  assertEquals(await events.next(), { done: true, value: undefined });
});

// Hooks, state and counters

Deno.test("streamEvents tells its hooks everything in order, and shows its state", async () => {
  const log: unknown[] = [];
  const shown = (error: unknown) =>
    error instanceof Error ? error.constructor : error;
  const stream = scriptedStream([
    BUSY,
    {
      headers: { "X-Request-Id": "r2" },
      chunks: ["retry: 3000\nid: 1\ndata: a\n\n", ": hi\n\n"],
      end: "drop",
    },
    { chunks: ["data: b\n\n", { wait: 100 }] },
    STOP,
  ], {
    onOpen({ status, headers, url }) {
      log.push([
        "open",
        events.state,
        status,
        headers.get("x-request-id"),
        url,
      ]);
    },
    onDisconnect(...args) {
      log.push(["disconnect", events.lastEventId, args.map(shown)]);
    },
    onRetry({ attempt, delay, reason }) {
      const error = reason.kind === "error" ? shown(reason.error) : undefined;
      log.push(["retry", events.state, attempt, delay, reason.kind, error]);
    },
    onComment: (comment) => log.push(["comment", comment]),
    onRetryTime: (time) => log.push(["time", time, events.reconnectionTime]),
  });
  const { clock, events } = stream;
  assertEquals(events.state, "idle");
  const read = async () => {
    for await (const { data } of events) {
      log.push(["event", data, events.state, { ...events.counters }]);
    }
  };
  await clock.run(read());
  assertEquals(log, [
    ["retry", "waiting", 2, 1_000, "error", HttpStatusError],
    ["open", "open", 200, "r2", STREAM_URL],
    ["time", 3_000, 3_000],
    ["event", "a", "open", { bytes: 27, events: 1, comments: 0, attempts: 2 }],
    ["comment", "hi"],
    ["disconnect", "1", [ConnectionError]],
    ["retry", "waiting", 3, 6_000, "error", ConnectionError],
    ["open", "open", 200, null, STREAM_URL],
    ["event", "b", "open", { bytes: 42, events: 2, comments: 1, attempts: 3 }],
    ["disconnect", "1", []],
    ["retry", "waiting", 2, 3_000, "end", undefined],
  ]);
  assertEquals(events.state, "closed");
  assertEquals(stream.times, [0, 1_000, 7_000, 10_100]);
  assertEquals(events.counters, {
    bytes: 42,
    events: 2,
    comments: 1,
    attempts: 4,
  });
});

Deno.test("streamEvents is 'connecting', 'open', 'waiting' and 'connecting' in turn", async () => {
  const { clock, events } = scriptedStream([
    { delay: 100, chunks: ["data: a\n\n", { wait: 100 }], end: "drop" },
    { delay: 100, status: 503 },
    { delay: 100, chunks: ["data: b\n\n"] },
  ], { reconnect: { onCleanEnd: "done" } });
  const states: unknown[] = [events.state];
  const note = () => states.push(events.state);
  const reading = outcomeOf(events);
  note();
  // Open at 100, drops at 200, asks at 1,200, waits from 1,300, asks at 3,300.
  for (const time of [50, 150, 250, 1_250, 1_350, 3_350]) {
    await clock.advance(time - clock.now());
    note();
  }
  await clock.run(reading);
  note();
  assertEquals(states, [
    "idle",
    "connecting",
    "connecting",
    "open",
    "waiting",
    "connecting",
    "waiting",
    "connecting",
    "closed",
  ]);
});

Deno.test("streamEvents tells onDisconnect of the end where it does not reconnect", async () => {
  for (const end of ["close", "drop"] as const) {
    const calls: unknown[][] = [];
    const { clock, events } = scriptedStream([{ ...A, end }], {
      reconnect: false,
      onDisconnect: (...args) => calls.push(args),
    });
    const { error } = await clock.run(outcomeOf(events));
    assertEquals(calls, [end === "close" ? [] : [error]]);
  }
});

for (
  const hook of [
    "onOpen",
    "onDisconnect",
    "onRetry",
    "onComment",
    "onRetryTime",
    "decide",
  ] as const
) {
  Deno.test(`streamEvents ends with what ${hook} throws`, async () => {
    const mine = new Error(hook);
    const boom = () => {
      throw mine;
    };
    const { clock, script, events } = scriptedStream([
      { chunks: [": hi\nretry: 5\ndata: a\n\n"], end: "drop" },
    ], hook === "decide" ? { reconnect: { decide: boom } } : { [hook]: boom });
    const { error } = await clock.run(outcomeOf(events));
    assertStrictEquals(error, mine);
    assertStrictEquals(await assertRejects(() => events.next()), mine);
    assertEquals(events.state, "closed");
    assertEquals(script.requests.length, 1);
    assert(script.requests[0]?.outcome !== "pending", "it was left open");
    assertEquals(clock.pending, 0);
  });
}

for (const hook of ["onOpen", "onDisconnect", "onRetry"] as const) {
  for (const how of ["cancel", "abort"] as const) {
    Deno.test(`streamEvents ends when ${hook} calls ${how}`, async () => {
      const abort = new AbortController();
      const reason = new Error("enough");
      const retries: RetryNotice[] = [];
      const stop = () => {
        if (how === "cancel") events.cancel(reason);
        else abort.abort(reason);
      };
      const { clock, script, events } = scriptedStream([DROP, STOP], {
        signal: abort.signal,
        onRetry: (notice) => retries.push(notice),
        [hook]: stop,
      });
      const { error } = await clock.run(outcomeOf(events));
      assertEquals(error, how === "abort" ? reason : undefined);
      assertEquals(events.state, "closed");
      assertEquals(retries, [], "nobody waits for a stream that has ended");
      assertEquals(script.requests.length, 1);
      assert(script.requests[0]?.outcome !== "pending", "it was left open");
      assertEquals(clock.pending, 0);
    });
  }
}

// Overruling the policy

Deno.test("streamEvents tells decide all there is to know", async () => {
  const contexts: ReconnectContext[] = [];
  const { clock, events } = scriptedStream([
    { connect: "drop" },
    { chunks: ["id: 7\ndata: a\n\n"], end: "drop" },
    { chunks: ["data: b\n\n"] },
    { status: 404 },
  ], {
    reconnect: {
      decide(context) {
        contexts.push(context);
        return undefined;
      },
    },
  });
  const { error } = await clock.run(outcomeOf(events));
  assertInstanceOf(error, HttpStatusError);
  const [first, second, third, fourth] = contexts;
  assertEquals(contexts.length, 4);
  assert(first?.reason.kind === "error" && fourth?.reason.kind === "error");
  assertInstanceOf(first.reason.error, ConnectionError);
  assertStrictEquals(fourth.reason.error, error);
  assertEquals(
    [first, second, third, fourth].map((context) => {
      const { reason: _, ...rest } = context!; // there are four
      return rest;
    }),
    [
      {
        failures: 1,
        elapsed: 0,
        lastEventId: "",
        decision: { action: "retry", delay: 1_000 },
      },
      {
        failures: 2,
        elapsed: 1_000,
        lastEventId: "7",
        decision: { action: "retry", delay: 2_000 },
      },
      {
        failures: 1,
        elapsed: 0,
        lastEventId: "7",
        decision: { action: "retry", delay: 1_000 },
      },
      {
        failures: 2,
        elapsed: 1_000,
        lastEventId: "7",
        decision: { action: "fail" },
      },
    ],
  );
});

const RETRY: ReconnectDecision = { action: "retry", delay: 42 };
const OVERRULED: [
  name: string,
  connection: ScriptedConnection,
  decision: ReconnectDecision,
  times: number[],
  error: ErrorClass | undefined,
][] = [
  ["an end", A, RETRY, [0, 42], undefined],
  ["an end", A, { action: "done" }, [0], undefined],
  // Nothing went wrong that it could fail with.
  ["an end", A, { action: "fail" }, [0], undefined],
  ["a drop", DROP, RETRY, [0, 42], undefined],
  ["a drop", DROP, { action: "done" }, [0], undefined],
  ["a drop", DROP, { action: "fail" }, [0], ConnectionError],
  ["503", BUSY, { action: "done" }, [0], undefined],
  ["503", BUSY, { action: "fail" }, [0], HttpStatusError],
  ["401", { status: 401 }, RETRY, [0, 42], undefined],
  ["204", STOP, RETRY, [0, 42], undefined],
  ["204", STOP, { action: "fail" }, [0], HttpStatusError],
  ["HTML", { headers: html }, RETRY, [0, 42], undefined],
  ["HTML", { headers: html }, { action: "done" }, [0], undefined],
];

for (const [name, connection, decision, times, error] of OVERRULED) {
  Deno.test(`streamEvents does what decide says after ${name}: ${decision.action}`, async () => {
    let calls = 0;
    const stream = scriptedStream([connection, STOP], {
      reconnect: { decide: () => calls++ === 0 ? decision : undefined },
    });
    const outcome = await stream.clock.run(outcomeOf(stream.events));
    assertEquals(stream.times, times);
    if (error) assertInstanceOf(outcome.error, error);
    else assertEquals(outcome.error, undefined);
    assertEquals(stream.events.state, "closed");
  });
}

Deno.test("streamEvents does not exceed maxAttempts unless decide says so", async () => {
  const stream = scriptedStream([BUSY, BUSY, STOP], {
    reconnect: {
      maxAttempts: 1,
      decide: ({ decision }) =>
        decision.action === "fail" ? { action: "retry", delay: 0 } : undefined,
    },
  });
  await stream.clock.run(outcomeOf(stream.events));
  assertEquals(stream.times, [0, 0, 0]);
});

Deno.test("streamEvents closes a connection that decide leaves after onOpen threw", async () => {
  let opened = 0;
  const { clock, script, events } = scriptedStream([
    { ...A, end: "stall" },
    A,
    STOP,
  ], {
    onOpen() {
      if (opened++ === 0) throw new Error("not this one");
      assert(script.requests[0]?.outcome !== "pending", "it was left open");
    },
    reconnect: { decide: () => opened === 1 ? RETRY : undefined },
  });
  assertEquals(await clock.run(outcomeOf(events)), { data: ["a"] });
});

// Ending it, at every stage

const STAGES: [
  stage: string,
  connection: ScriptedConnection,
  at: number,
  requests: number,
  options?: ScriptedStreamOptions,
][] = [
  ["it asks", { connect: "stall" }, 500, 1],
  ["the body of an error is read", { ...BUSY, end: "stall" }, 500, 1],
  ["it waits for an event", { chunks: ["data: a\n\n"], end: "stall" }, 500, 1, {
    idleTimeout: 60_000,
    eventTimeout: 60_000,
  }],
  ["it waits to come back", DROP, 500, 1],
  [
    "it waits for Retry-After",
    {
      status: 429,
      headers: retryAfter("3600"),
    },
    5_000,
    1,
  ],
  ["it asks again", DROP, 1_500, 2],
  [
    "headers are made",
    A,
    500,
    0,
    { headers: () => new Promise<HeadersInit>(() => {}) },
  ],
  ["the URL is made", A, 500, 0, {
    input: () => new Promise<string>(() => {}),
  }],
];

for (const [stage, connection, at, requests, options = {}] of STAGES) {
  for (const how of ["cancel", "abort", "abort of the Request"] as const) {
    if (how === "abort of the Request" && options.input) continue;
    Deno.test(`streamEvents leaves nothing behind when ${stage} (${how})`, async () => {
      const abort = new CountedAbort();
      const stream = scriptedStream([connection, { connect: "stall" }], {
        ...options,
        ...(how === "abort of the Request"
          ? { input: new Request(STREAM_URL, { signal: abort.signal }) }
          : { signal: abort.signal }),
      });
      const { clock, script, events } = stream;
      const reading = outcomeOf(events);
      await clock.advance(at);
      assertEquals(script.requests.length, requests);
      const reason = new Error("enough");
      if (how === "cancel") {
        await clock.run(events.cancel(reason));
        assertEquals((await clock.run(reading)).error, undefined);
        assertEquals(await events.nextBatch(), undefined);
      } else {
        abort.abort(reason);
        const { error } = await clock.run(reading);
        assertStrictEquals(error, reason);
        assertStrictEquals(await assertRejects(() => events.next()), reason);
      }
      assertEquals(events.state, "closed");
      assertEquals(clock.pending, 0);
      if (how !== "abort of the Request") assertEquals(abort.listeners, 0);
      await clock.advance(1_000_000);
      assertEquals(script.requests.length, requests);
      for (const { outcome } of script.requests) {
        assert(outcome !== "pending", "a request was left");
      }
    });
  }
}

Deno.test("streamEvents connects again when it is asked for something, and not before", async () => {
  const { clock, script, events } = scriptedStream([DROP, STOP]);
  await clock.run(events.next());
  await clock.advance(3_600_000);
  assertEquals(script.requests.length, 1);
  assertEquals(events.state, "open");
  assertEquals(clock.pending, 0);
  await events.cancel();
});

Deno.test("streamEvents leaves no listener behind after many connections", async () => {
  const abort = new CountedAbort();
  const { clock, script, events } = scriptedStream([
    ...Array(30).fill(DROP),
    ...Array(30).fill(BUSY),
    ...Array(30).fill({ end: "stall" }),
    STOP,
  ], {
    signal: abort.signal,
    idleTimeout: 1_000,
    heartbeat: "adaptive",
    reconnect: { maxTimeout: 1_000 },
  });
  const reading = outcomeOf(events);
  await clock.advance(0);
  const { listeners } = abort;
  assert(listeners <= 1, `${listeners}`);
  await clock.run(reading);
  assertEquals(script.requests.length, 91);
  assertEquals(abort.listeners, 0);
  assertEquals(clock.pending, 0);
});

Deno.test("streamEvents gives up a connection that stalls before it makes another", async () => {
  const stream = scriptedStream([
    { chunks: ["data: a\n\n"], end: "stall" },
    { connect: "stall" },
    STOP,
  ], {
    idleTimeout: 5_000,
    connectTimeout: 7_000,
    onRetry: () =>
      assertEquals(
        stream.script.requests.filter(({ outcome }) => outcome === "pending"),
        [],
      ),
  });
  const outcome = await stream.clock.run(outcomeOf(stream.events));
  assertEquals(outcome, { data: ["a"] });
  const [first, second] = stream.script.requests;
  assertInstanceOf(first?.reason, IdleTimeoutError);
  assertInstanceOf(second?.reason, ConnectTimeoutError);
});

Deno.test("streamEvents is no longer open when it says that it was disconnected", async () => {
  const states: string[] = [];
  const stream = scriptedStream([DROP, STOP], {
    onDisconnect: () => states.push(stream.events.state),
  });
  await stream.clock.run(outcomeOf(stream.events));
  assertEquals(states, ["waiting"]);
});

Deno.test("streamEvents counts no attempt for which no request was made", async () => {
  const { clock, events } = scriptedStream([], {
    headers: () => {
      throw new Error("no token");
    },
  });
  const { error } = await clock.run(outcomeOf(events));
  assertInstanceOf(error, Error);
  assertEquals(events.counters.attempts, 0);
});
