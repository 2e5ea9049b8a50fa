import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { ConnectTimeoutError } from "../../src/fetch/mod.ts";
import {
  ConnectionFailedError,
  MissingKeyError,
  NotAStreamError,
  RetryAfterError,
  RetryLimitError,
  UnexpectedStatusError,
} from "../../src/model/mod.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import {
  KEY,
  outcomeOf,
  PROMPT,
  PROVIDER,
  scriptedModel,
  type ScriptedModelOptions,
  textOf,
  WHOLE,
  WHOLE_CHAT,
  WHOLE_CHUNKS,
  withEnvironment,
} from "../support/model/scripted_model.ts";

type ErrorClass = Parameters<typeof assertInstanceOf>[1];

interface Row {
  /** The name of the case. */
  readonly name: string;
  readonly connections: readonly ScriptedConnection[];
  readonly options?: ScriptedModelOptions;
  /** The times of requests. */
  readonly times: readonly number[];
  /** The error that it ends with, if any. */
  readonly error?: ErrorClass;
  readonly message?: string;
  /** Other fields of the error. */
  readonly fields?: Record<string, unknown>;
}

/** Sun, 06 Nov 1994 08:49:37 GMT */
const NOW = 784_111_777_000;
const ALMOST_ONE = 1 - Number.EPSILON;

const BUSY: ScriptedConnection = {
  status: 503,
  statusText: "Service Unavailable",
};
const DROP: ScriptedConnection = { connect: "drop" };

const limited = (
  headers: Record<string, string>,
  status = 429,
): ScriptedConnection => ({ status, headers });

const said = (headers: Record<string, string>, delay: number): Row => ({
  name: `waits ${delay} ms after ${JSON.stringify(headers)}`,
  connections: [limited(headers), WHOLE],
  options: { now: NOW },
  times: [NOW, NOW + delay],
});

const ROWS: Row[] = [
  { name: "asks once where all is well", connections: [WHOLE], times: [0] },
  {
    name: "asks once where another 2xx brings the stream",
    connections: [{ status: 201, chunks: WHOLE_CHUNKS }],
    times: [0],
  },

  // Which statuses
  // 408, 409 and 425: G6.
  ...[408, 409, 425, 429, 500, 502, 503, 504, 529, 599].map((
    status,
  ): Row => ({
    name: `asks again after status ${status}`,
    connections: [{ status }, { status }, WHOLE],
    times: [0, 200, 600],
  })),
  ...[
    ...[300, 301, 302, 303, 304, 400, 401, 402, 403, 404, 405],
    ...[410, 413, 422, 451, 499],
  ].map((status): Row => ({
    name: `does not ask again after status ${status}`,
    connections: [{
      status,
      ...status === 304 ? {} : { chunks: ["the reason"] },
      headers: { "x-request-id": "req_1" },
    }],
    times: [0],
    error: UnexpectedStatusError,
    fields: {
      status,
      body: status === 304 ? "" : "the reason",
      requestId: "req_1",
      code: status === 402 ? "insufficient_quota" : "unexpected_status",
      retryable: false,
    },
  })),
  ...[404, 422].map((status): Row => ({
    name: `asks again after status ${status} where x-should-retry says so`,
    connections: [limited({ "x-should-retry": "true" }, status), WHOLE],
    times: [0, 200],
  })),
  ...[408, 409, 425, 429, 500, 503].map((status): Row => ({
    name:
      `does not ask again after status ${status} where x-should-retry says so`,
    connections: [limited({ "x-should-retry": "false" }, status)],
    times: [0],
    error: UnexpectedStatusError,
  })),
  ...["", "1", "yes", "TRUE"].map((value): Row => ({
    name: `pays no heed to x-should-retry: ${JSON.stringify(value)}`,
    connections: [limited({ "x-should-retry": value }, 404)],
    times: [0],
    error: UnexpectedStatusError,
  })),
  {
    name: "waits as it is told to by an x-should-retry",
    connections: [
      limited({ "x-should-retry": "true", "Retry-After": "3" }, 404),
      WHOLE,
    ],
    times: [0, 3_000],
  },
  {
    name: "keeps to its limit whatever x-should-retry says",
    connections: [
      ...Array(5).fill({
        status: 404,
        statusText: "Not Found",
        headers: { "x-should-retry": "true" },
      }),
    ],
    times: [0, 200, 600, 1_400, 3_000],
    error: RetryLimitError,
    message: "exceeded retry limit, last status: 404 Not Found",
  },

  // Delays that the provider asks for
  said({ "retry-after-ms": "350" }, 350),
  said({ "retry-after-ms": "12.5" }, 12.5),
  said({ "retry-after-ms": "350", "Retry-After": "9" }, 350),
  said({ "retry-after-ms": "0", "Retry-After": "9" }, 0),
  said({ "retry-after-ms": "soon", "Retry-After": "9" }, 9_000),
  said({ "Retry-After": "2" }, 2_000),
  said({ "Retry-After": "1.5" }, 1_500),
  said({ "Retry-After": "0" }, 0),
  said({ "Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT" }, 10_000),
  said({ "Retry-After": "Sunday, 06-Nov-94 08:49:47 GMT" }, 10_000),
  said({ "Retry-After": "Sun Nov  6 08:49:47 1994" }, 10_000),
  said({ "Retry-After": "Sun, 06 Nov 1994 08:49:30 GMT" }, 0),
  ...["soon", "-1", "", "1e3", "5 minutes", "Infinity"].map((value) =>
    said({ "Retry-After": value }, 200)
  ),
  {
    name: "waits as it is told to after a 500 too",
    connections: [limited({ "Retry-After": "2" }, 500), WHOLE],
    times: [0, 2_000],
  },
  {
    name: "counts a wait that was told as one of its own",
    connections: [limited({ "Retry-After": "2" }), BUSY, WHOLE],
    times: [0, 2_000, 2_400],
  },
  {
    name: "waits as long as maxRetryAfter",
    connections: [limited({ "Retry-After": "60" }), WHOLE],
    times: [0, 60_000],
  },
  {
    name: "does not wait longer than maxRetryAfter, and says the wish",
    connections: [{
      status: 429,
      statusText: "Too Many Requests",
      headers: { "Retry-After": "60.001", "x-request-id": "req_1" },
      chunks: ["slow down"],
    }],
    times: [0],
    error: RetryAfterError,
    message:
      "the provider asks for a wait of 60.001 s, more than the 60 s of 'maxRetryAfter', last status: 429 Too Many Requests: slow down",
    fields: {
      retryAfter: 60_001,
      maxRetryAfter: 60_000,
      status: 429,
      body: "slow down",
      requestId: "req_1",
      code: "retry_after_too_long",
      retryable: true,
    },
  },
  {
    name: "says the wish for days of a date",
    connections: [limited({ "Retry-After": "Wed, 09 Nov 1994 08:49:37 GMT" })],
    options: { now: NOW },
    times: [NOW],
    error: RetryAfterError,
    fields: { retryAfter: 3 * 86_400_000 },
  },
  {
    name: "goes by the caller's maxRetryAfter",
    connections: [
      limited({ "Retry-After": "120" }),
      limited({ "retry-after-ms": "120001" }),
    ],
    options: { maxRetryAfter: 120_000 },
    times: [0, 120_000],
    error: RetryAfterError,
    fields: { retryAfter: 120_001, maxRetryAfter: 120_000 },
  },
  {
    name: "waits for days where maxRetryAfter is Infinity",
    connections: [limited({ "Retry-After": "864000" }), WHOLE],
    options: { maxRetryAfter: Infinity },
    times: [0, 864_000_000],
  },
  {
    name: "says the wish at the last retry too",
    connections: [limited({ "Retry-After": "61" })],
    options: { provider: { requestMaxRetries: 0 } },
    times: [0],
    error: RetryAfterError,
  },
  {
    name: "tells the last wish when the retries are used up",
    connections: [limited({ "Retry-After": "1.5" })],
    options: { provider: { requestMaxRetries: 0 } },
    times: [0],
    error: RetryLimitError,
    fields: { retryAfter: 1_500, attempts: 1 },
  },

  // Delays of the client's own
  {
    name: "doubles its waits",
    connections: [BUSY, BUSY, BUSY, BUSY, WHOLE],
    times: [0, 200, 600, 1_400, 3_000],
  },
  {
    name: "takes a tenth off where chance is least",
    connections: [BUSY, BUSY, WHOLE],
    options: { random: () => 0 },
    times: [0, 180, 540],
  },
  {
    name: "adds less than a tenth where chance is greatest",
    connections: [BUSY, BUSY, WHOLE],
    options: { random: () => ALMOST_ONE },
    times: [0, 220 - 1e-9, 660 - 3e-9],
  },
  {
    name: "waits no longer than the cap",
    connections: [...Array(10).fill(BUSY), WHOLE],
    options: { provider: { requestMaxRetries: 10 } },
    times: [
      ...[0, 200, 600, 1_400, 3_000, 6_200, 12_600, 25_400, 51_000],
      ...[81_000, 111_000],
    ],
  },
  {
    name: "waits as the caller's policy says",
    connections: [BUSY, BUSY, BUSY, WHOLE],
    options: {
      retry: { minTimeout: 1_000, multiplier: 3, maxTimeout: 5_000, jitter: 0 },
      random: () => 0,
    },
    times: [0, 1_000, 4_000, 9_000],
  },
  {
    name: "keeps the rest of its policy where the caller gives a part",
    connections: [BUSY, BUSY, WHOLE],
    options: { retry: { minTimeout: 1_000 }, random: () => 0 },
    times: [0, 900, 2_700],
  },
  {
    name: "takes what is undefined in a policy for not given",
    connections: [BUSY, BUSY, WHOLE],
    options: {
      retry: {
        minTimeout: undefined,
        multiplier: undefined,
        maxTimeout: undefined,
        jitter: undefined,
        maxElapsed: undefined,
      },
      random: () => 0,
    },
    times: [0, 180, 540],
  },

  // Numbers of requests
  {
    name: "makes five requests at most",
    connections: [
      ...Array(4).fill(BUSY),
      {
        status: 429,
        statusText: "Too Many Requests",
        headers: { "x-request-id": "req_5" },
        chunks: ["slow", " down"],
      },
    ],
    times: [0, 200, 600, 1_400, 3_000],
    error: RetryLimitError,
    message:
      "exceeded retry limit, last status: 429 Too Many Requests: slow down",
    fields: {
      attempts: 5,
      status: 429,
      body: "slow down",
      requestId: "req_5",
      retryAfter: undefined,
      code: "retry_limit",
      retryable: true,
    },
  },
  {
    name: "makes one request where no retry is allowed",
    connections: [BUSY],
    options: { provider: { requestMaxRetries: 0 } },
    times: [0],
    error: RetryLimitError,
    message: "exceeded retry limit, last status: 503 Service Unavailable",
    fields: { attempts: 1, body: "" },
  },
  {
    name: "makes no request later than maxElapsed",
    connections: [BUSY, BUSY, BUSY],
    options: { retry: { maxElapsed: 1_399 } },
    times: [0, 200, 600],
    error: RetryLimitError,
    fields: { attempts: 3 },
  },
  {
    name: "makes a request as late as maxElapsed",
    connections: [BUSY, BUSY, BUSY, WHOLE],
    options: { retry: { maxElapsed: 1_400 } },
    times: [0, 200, 600, 1_400],
  },
  {
    name: "does not wait for what would be later than maxElapsed",
    connections: [limited({ "Retry-After": "50" })],
    options: { retry: { maxElapsed: 49_999 } },
    times: [0],
    error: RetryLimitError,
    fields: { retryAfter: 50_000 },
  },
  {
    name: "makes no request later than maxElapsed after a drop",
    connections: [{ ...DROP, delay: 1_000 }],
    options: { retry: { maxElapsed: 1_199 } },
    times: [0],
    error: ConnectionFailedError,
  },

  // The network
  {
    name: "asks again when the connection is dropped",
    connections: [DROP, BUSY, { ...DROP, delay: 50 }, WHOLE],
    times: [0, 200, 600, 1_450],
  },
  {
    name: "gives up when there is no connection to be had",
    connections: [
      ...Array(4).fill(DROP),
      { connect: { error: new Error("no such host") } },
    ],
    times: [0, 200, 600, 1_400, 3_000],
    error: ConnectionFailedError,
    fields: { attempts: 5, code: "connection_failed", retryable: true },
  },
  {
    name: "asks again when the headers take too long",
    connections: [{ connect: "stall" }, WHOLE],
    options: { connectTimeout: 1_000 },
    times: [0, 1_200],
  },
  {
    name: "waits for the headers as long as for anything else",
    connections: [{ connect: "stall" }, WHOLE],
    options: { provider: { idleTimeout: 5_000 } },
    times: [0, 5_200],
  },
  {
    name: "waits for the headers for ever where connectTimeout is 0",
    connections: [{ delay: 1e9, chunks: WHOLE_CHUNKS }],
    options: { connectTimeout: 0 },
    times: [0],
  },
  {
    name: "gives up when the headers take too long every time",
    connections: Array(5).fill({ connect: "stall" }),
    options: { connectTimeout: 1_000 },
    times: [0, 1_200, 2_600, 4_400, 7_000],
    error: ConnectionFailedError,
  },

  // Answers that are no stream
  ...[
    { chunks: ["{}"], headers: { "Content-Type": "application/json" } },
    { chunks: ["<html>"], headers: { "Content-Type": "text/html" } },
    { status: 204 },
  ].map((connection, index): Row => ({
    name: `does not ask again after an answer that is no stream (${index})`,
    connections: [connection],
    times: [0],
    error: NotAStreamError,
  })),
];

for (const { name, connections, options, times, ...expected } of ROWS) {
  Deno.test(`ModelClient ${name}`, async () => {
    const model = scriptedModel(connections, options);
    const { events, error } = await model.ask();
    // Chance is a fraction: the sums differ in the last digits.
    const round = (time: number) => Math.round(time * 1e6) / 1e6;
    assertEquals(model.times.map(round), times.map(round));
    assertEquals(model.clock.pending, 0);
    if (!expected.error) {
      assertEquals(error, undefined);
      assertEquals(textOf(events), "Hello there");
      return;
    }
    assertInstanceOf(error, expected.error);
    assert(error instanceof Error);
    if (expected.message !== undefined) {
      assertEquals(error.message, expected.message);
    }
    for (const [field, value] of Object.entries(expected.fields ?? {})) {
      assertEquals(Reflect.get(error, field), value, field);
    }
  });
}

Deno.test("ModelClient has the reference's words for its errors", async () => {
  const words: [ScriptedConnection, string][] = [
    [
      { status: 400, statusText: "Bad Request", chunks: ["no such model"] },
      "unexpected status 400 Bad Request: no such model",
    ],
    [
      { status: 500, statusText: "Internal Server Error" },
      "exceeded retry limit, last status: 500 Internal Server Error",
    ],
    [
      { chunks: [": hi\n\n"] },
      "stream disconnected before completion: stream closed before response.completed",
    ],
    [
      { end: "stall" },
      "stream disconnected before completion: idle timeout waiting for SSE",
    ],
  ];
  for (const [connection, message] of words) {
    const provider = { requestMaxRetries: 0, streamMaxRetries: 0 };
    const { error } = await scriptedModel([connection], { provider }).ask();
    assert(error instanceof Error);
    // More may follow: the reference leaves out what is known of it.
    assertEquals(error.message.slice(0, message.length), message);
  }
  await withEnvironment({ RIVULET_TEST_KEY: undefined }, async () => {
    for (
      const [envKeyInstructions, message] of [
        [undefined, "Missing environment variable: `RIVULET_TEST_KEY`."],
        [
          "Go and get one.",
          "Missing environment variable: `RIVULET_TEST_KEY`. Go and get one.",
        ],
      ]
    ) {
      const { error } = await scriptedModel([], {
        provider: {
          apiKey: undefined,
          envKey: "RIVULET_TEST_KEY",
          envKeyInstructions,
        },
      }).ask();
      assertInstanceOf(error, MissingKeyError);
      assertEquals(error.message, message);
    }
  });
});

Deno.test("ModelClient names a status that has no phrase", async () => {
  const { error } = await scriptedModel([{ status: 418, chunks: ["tea"] }])
    .ask();
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(error.message, "unexpected status 418: tea");
});

Deno.test("ModelClient keeps the start of a long body", async () => {
  const { error } = await scriptedModel([
    { status: 400, chunks: ["x".repeat(70_000)] },
  ]).ask();
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(error.body, "x".repeat(65_536));
  assertEquals(error.truncated, true);
});

Deno.test("ModelClient says why there was no connection", async () => {
  const cause = new Error("no such host");
  const { error } = await scriptedModel([{ connect: { error: cause } }], {
    provider: { requestMaxRetries: 0 },
  }).ask();
  assertInstanceOf(error, ConnectionFailedError);
  assert(error.cause instanceof Error);
  assertEquals(error.message, error.cause.message);
  assertStrictEquals(error.cause.cause, cause);

  const late = await scriptedModel([{ connect: "stall" }], {
    provider: { requestMaxRetries: 0 },
  }).ask();
  assertInstanceOf(late.error, ConnectionFailedError);
  assertInstanceOf(late.error.cause, ConnectTimeoutError);
});

// Abort

for (
  const [when, connections, duration] of [
    ["for the headers", [{ connect: "stall" }], 10],
    ["for the body of an error", [{ status: 400, end: "stall" }], 10],
    ["to ask again", [BUSY], 100],
    [
      "as long as the provider wishes",
      [limited({ "Retry-After": "9" })],
      5_000,
    ],
  ] satisfies [string, ScriptedConnection[], number][]
) {
  Deno.test(`ModelClient is aborted while it waits ${when}`, async () => {
    const model = scriptedModel(connections);
    const { client, clock } = model;
    const abort = new CountedAbort();
    const asked = outcomeOf(client.stream(PROMPT, { signal: abort.signal }));
    await clock.advance(duration);
    assertEquals(model.times, [0]);
    const reason = new Error("enough");
    abort.abort(reason);
    const { error } = await asked;
    assertStrictEquals(error, reason);
    assertEquals(clock.now(), duration);
    assertEquals(clock.pending, 0);
    assertEquals(abort.listeners, 0);
  });
}

Deno.test("ModelClient asks for nothing when it is aborted beforehand", async () => {
  const { client, script } = scriptedModel([WHOLE]);
  const reason = new Error("enough");
  const error = await client.stream(PROMPT, {
    signal: AbortSignal.abort(reason),
  }).then(() => undefined, (error) => error);
  assertStrictEquals(error, reason);
  assertEquals(script.requests.length, 0);
});

Deno.test("ModelClient leaves no listener behind, however a request ends", async () => {
  for (
    const connection of [
      WHOLE,
      { status: 400 },
      { status: 204 },
      { chunks: [": hi\n\n"] },
    ]
  ) {
    const abort = new CountedAbort();
    const model = scriptedModel([connection], {
      provider: { streamMaxRetries: 0 },
    });
    await model.ask(PROMPT, abort.signal);
    assertEquals(abort.listeners, 0);
    assertEquals(model.clock.pending, 0);
  }
});

// Redirects

const redirect = (location: string, status: number): ScriptedConnection => ({
  status,
  headers: { location },
});

for (const status of [307, 308]) {
  for (
    const [location, url] of [
      ["/v2/responses", "https://example.com/v2/responses"],
      ["https://example.com/v2/x?a=b", "https://example.com/v2/x?a=b"],
      ["https://example.com:8443/x", "https://example.com:8443/x"],
      ["?again", "https://example.com/v1/responses?again"],
    ]
  ) {
    Deno.test(`ModelClient follows ${status} to ${location} with all it has`, async () => {
      const model = scriptedModel([redirect(location!, status), WHOLE]);
      const { events, error } = await model.ask();
      assertEquals(error, undefined);
      assertEquals(textOf(events), "Hello there");
      assertEquals(model.times, [0, 0]);
      const [first, second] = model.script.requests;
      assert(first && second);
      assertEquals(second.url, url);
      assertEquals(second.method, "POST");
      assertEquals(second.body, first.body);
      assertEquals(second.headers.get("authorization"), `Bearer ${KEY}`);
      assertEquals([...second.headers], [...first.headers]);
    });
  }
  for (
    const location of [
      "https://example.org/v1/responses",
      "https://evil.example.com/v1/responses",
      "http://example.com/v1/responses",
      "//example.org/",
      "ftp://example.com/",
      "http://",
    ]
  ) {
    Deno.test(`ModelClient does not follow ${status} to ${location}`, async () => {
      const model = scriptedModel([redirect(location, status)]);
      const { error } = await model.ask();
      assertInstanceOf(error, UnexpectedStatusError);
      assertEquals(error.status, status);
      assertEquals(model.times, [0]);
    });
  }
}

for (const status of [300, 301, 302, 303]) {
  Deno.test(`ModelClient does not follow ${status}`, async () => {
    const model = scriptedModel([redirect("/v2/responses", status)]);
    const { error } = await model.ask();
    assertInstanceOf(error, UnexpectedStatusError);
    assertEquals(model.times, [0]);
  });
}

Deno.test("ModelClient does not follow a redirect to nowhere", async () => {
  const { error } = await scriptedModel([{ status: 307 }]).ask();
  assertInstanceOf(error, UnexpectedStatusError);
});

Deno.test("ModelClient follows a redirect from http to https, and to no other port of http", async () => {
  const provider = { baseUrl: "http://example.com/v1" };
  const up = scriptedModel([redirect("https://example.com/v1", 308), WHOLE], {
    provider,
  });
  assertEquals((await up.ask()).error, undefined);
  const beside = scriptedModel([redirect("http://example.com:81/v1", 308)], {
    provider,
  });
  assertInstanceOf((await beside.ask()).error, UnexpectedStatusError);
});

Deno.test("ModelClient follows ten redirects, and not for ever", async () => {
  const hop = redirect("/v2/responses", 307);
  const ten = scriptedModel([...Array(10).fill(hop), WHOLE]);
  assertEquals((await ten.ask()).error, undefined);
  const more = scriptedModel([hop], { afterLast: "repeat" });
  assertInstanceOf((await more.ask()).error, UnexpectedStatusError);
  assertEquals(more.times.length, 11);
});

Deno.test("ModelClient follows each redirect to where it leads", async () => {
  const model = scriptedModel([
    redirect("/v2/responses", 307),
    redirect("/v3/responses", 308),
    WHOLE,
  ]);
  assertEquals((await model.ask()).error, undefined);
  assertEquals(
    model.script.requests.map(({ url }) => new URL(url).pathname),
    ["/v1/responses", "/v2/responses", "/v3/responses"],
  );
});

Deno.test("ModelClient asks again where it was redirected to", async () => {
  const model = scriptedModel([
    redirect("/v2/responses", 308),
    BUSY,
    WHOLE,
  ]);
  assertEquals((await model.ask()).error, undefined);
  assertEquals(
    model.script.requests.map(({ url, time }) => [new URL(url).pathname, time]),
    [["/v1/responses", 0], ["/v2/responses", 0], ["/v2/responses", 200]],
  );
});

Deno.test("ModelClient follows a redirect whose URL has what is hidden in errors", async () => {
  const version = "2025-04-01-preview";
  const location = `https://example.com/elsewhere?api-version=${version}`;
  const model = scriptedModel([redirect(location, 307), WHOLE], {
    provider: { query: { "api-version": version } },
  });
  assertEquals((await model.ask()).error, undefined);
  assertEquals(model.script.requests[1]?.url, location);
});

// The request

Deno.test("ModelClient asks a function for the key on every attempt", async () => {
  let asked = 0;
  const model = scriptedModel([BUSY, DROP, WHOLE], {
    provider: { apiKey: () => Promise.resolve(`key ${++asked}`) },
  });
  assertEquals((await model.ask()).error, undefined);
  assertEquals(
    model.script.requests.map(({ headers }) => headers.get("authorization")),
    ["Bearer key 1", "Bearer key 2", "Bearer key 3"],
  );
});

Deno.test("ModelClient takes a key from a function that is not async", async () => {
  const model = scriptedModel([WHOLE], { provider: { apiKey: () => "now" } });
  assertEquals((await model.ask()).error, undefined);
  const [request] = model.script.requests;
  assertEquals(request?.headers.get("authorization"), "Bearer now");
});

Deno.test("ModelClient does not ask again when the key's function throws", async () => {
  const reason = new Error("the vault is locked");
  const model = scriptedModel([], {
    provider: { apiKey: () => Promise.reject(reason) },
  });
  assertStrictEquals((await model.ask()).error, reason);
  assertEquals(model.times, []);
});

for (const name of ["apiKey", "headers"] as const) {
  Deno.test(`ModelClient is aborted while the function of ${name} hangs`, async () => {
    const { client, clock, script } = scriptedModel([], {
      provider: { [name]: () => new Promise(() => {}) },
    });
    const abort = new CountedAbort();
    const asked = outcomeOf(client.stream(PROMPT, { signal: abort.signal }));
    await clock.advance(1_000);
    const reason = new Error("enough");
    abort.abort(reason);
    assertStrictEquals((await asked).error, reason);
    assertEquals(script.requests.length, 0);
    assertEquals(abort.listeners, 0);
    assertEquals(clock.pending, 0);
  });
}

Deno.test("ModelClient does not ask when it is aborted while the key comes", async () => {
  const abort = new AbortController();
  const reason = new Error("enough");
  const model = scriptedModel([], {
    provider: {
      apiKey: () => {
        abort.abort(reason);
        return "key";
      },
    },
  });
  const { error } = await model.ask(PROMPT, abort.signal);
  assertStrictEquals(error, reason);
  assertEquals(model.times, []);
});

Deno.test("F3: ModelClient does not wait for the headers when it is aborted while the key comes", async () => {
  const abort = new CountedAbort();
  const reason = new Error("enough");
  const model = scriptedModel([], {
    provider: {
      apiKey: () => {
        abort.abort(reason);
        return "key";
      },
      headers: () => new Promise(() => {}),
    },
  });
  const { error } = await model.ask(PROMPT, abort.signal);
  assertStrictEquals(error, reason);
  assertEquals(model.times, []);
  assertEquals(abort.listeners, 0);
});

for (const name of ["apiKey", "headers"] as const) {
  Deno.test(`F3: ModelClient is aborted by the function of ${name}, which hangs`, async () => {
    const abort = new CountedAbort();
    const reason = new Error("enough");
    const model = scriptedModel([], {
      provider: {
        [name]: () => {
          abort.abort(reason);
          return new Promise(() => {});
        },
      },
    });
    const { error } = await model.ask(PROMPT, abort.signal);
    assertStrictEquals(error, reason);
    assertEquals(model.times, []);
    assertEquals(abort.listeners, 0);
  });
}

Deno.test("ModelClient reads the key from the environment on every attempt", async () => {
  await withEnvironment({ RIVULET_TEST_KEY: "first" }, async () => {
    const { client, clock, script } = scriptedModel([BUSY, BUSY, WHOLE], {
      provider: { apiKey: undefined, envKey: "RIVULET_TEST_KEY" },
    });
    const asked = outcomeOf(client.stream(PROMPT));
    await clock.advance(199);
    Deno.env.set("RIVULET_TEST_KEY", "second");
    await clock.advance(1);
    Deno.env.delete("RIVULET_TEST_KEY");
    await clock.advance(400);
    const { error } = await asked;
    assertInstanceOf(error, MissingKeyError);
    assertEquals(error.variable, "RIVULET_TEST_KEY");
    assertEquals(
      script.requests.map(({ headers }) => headers.get("authorization")),
      ["Bearer first", "Bearer second"],
    );
  });
});

Deno.test("ModelClient asks a function for the headers on every attempt", async () => {
  let asked = 0;
  const model = scriptedModel([BUSY, WHOLE], {
    provider: {
      headers: () => Promise.resolve({ "X-Count": `${++asked}` }),
    },
  });
  assertEquals((await model.ask()).error, undefined);
  assertEquals(
    model.script.requests.map(({ headers }) => headers.get("x-count")),
    ["1", "2"],
  );
});

Deno.test("ModelClient sends the reference's headers", async () => {
  for (
    const [wireApi, connection, path, beta] of [
      ["responses", WHOLE, "/v1/responses", "responses=experimental"],
      ["chat", WHOLE_CHAT, "/v1/chat/completions", null],
    ] as const
  ) {
    const model = scriptedModel([connection], { provider: { wireApi } });
    assertEquals((await model.ask()).error, undefined);
    const [request] = model.script.requests;
    assert(request);
    const { headers } = request;
    assertEquals(request.method, "POST");
    assertEquals(request.url, `https://example.com${path}`);
    assertEquals(headers.get("authorization"), `Bearer ${KEY}`);
    assertEquals(headers.get("accept"), "text/event-stream");
    assertEquals(headers.get("content-type"), "application/json");
    assertEquals(headers.get("openai-beta"), beta);
    const body = JSON.parse(request.body);
    assertEquals(body.model, "m");
    assertEquals(body.stream, true);
  }
});

Deno.test("ModelClient sends no key where there is none", async () => {
  const model = scriptedModel([WHOLE], { provider: { apiKey: undefined } });
  assertEquals((await model.ask()).error, undefined);
  const [request] = model.script.requests;
  assertEquals(request?.headers.has("authorization"), false);
});

Deno.test("ModelClient sends the provider's headers over its own", async () => {
  const model = scriptedModel([WHOLE], {
    provider: {
      headers: {
        "Authorization": "Basic abc",
        "OpenAI-Beta": "responses=v2",
        "X-Title": "Rivulet",
      },
    },
  });
  assertEquals((await model.ask()).error, undefined);
  const headers = model.script.requests[0]?.headers;
  assertEquals(headers?.get("authorization"), "Basic abc");
  assertEquals(headers?.get("openai-beta"), "responses=v2");
  assertEquals(headers?.get("x-title"), "Rivulet");
});

Deno.test("ModelClient puts the provider's query into the URL", async () => {
  const url = async (baseUrl: string, query?: Record<string, string>) => {
    const model = scriptedModel([WHOLE], {
      provider: { baseUrl, ...(query && { query }) },
    });
    assertEquals((await model.ask()).error, undefined);
    return model.script.requests[0]?.url;
  };
  const azure = "https://me.openai.azure.com/openai";
  const version = "api-version=2025-04-01-preview";
  assertEquals(
    await url(azure, { "api-version": "2025-04-01-preview" }),
    `${azure}/responses?${version}`,
  );
  assertEquals(
    await url(`${azure}?${version}`),
    `${azure}/responses?${version}`,
  );
  assertEquals(
    await url(`${azure}/?a=1&b=2`, { b: "3", c: "x y&z" }),
    `${azure}/responses?a=1&b=3&c=x+y%26z`,
  );
  assertEquals(
    await url("https://example.com/v1/"),
    "https://example.com/v1/responses",
  );
  assertEquals(
    await url("https://example.com/v1//"),
    "https://example.com/v1/responses",
  );
  assertEquals(
    await url("https://example.com"),
    "https://example.com/responses",
  );
  assertEquals(
    await url("https://example.com/"),
    "https://example.com/responses",
  );
});

// Usage, which Chat has to ask for

const bodies = (model: ReturnType<typeof scriptedModel>): unknown[] =>
  model.script.requests.map(({ body }) => JSON.parse(body).stream_options);

const REFUSALS = [
  "Unrecognized request argument supplied: stream_options",
  '{"error":{"message":"Extra inputs are not permitted","param":"stream_options"}}',
  "include_usage is not supported",
];

for (const status of [400, 422]) {
  for (const refusal of REFUSALS) {
    Deno.test(`ModelClient does without usage after ${status}: ${refusal}`, async () => {
      const model = scriptedModel(
        [{ status, chunks: [refusal] }, WHOLE_CHAT, WHOLE_CHAT],
        { provider: { wireApi: "chat", requestMaxRetries: 0 } },
      );
      const { events, error } = await model.ask();
      assertEquals(error, undefined);
      assertEquals(textOf(events), "Hello there");
      assertEquals((await model.ask()).error, undefined);
      // At once, beside the budget, and remembered.
      assertEquals(model.times, [0, 0, 0]);
      const asked = { include_usage: true };
      assertEquals(bodies(model), [asked, undefined, undefined]);
    });
  }
}

Deno.test("ModelClient asks again in its whole budget when it does without usage", async () => {
  const model = scriptedModel([
    { status: 400, chunks: [REFUSALS[0]!] },
    ...Array(4).fill(BUSY),
    WHOLE_CHAT,
  ], { provider: { wireApi: "chat" } });
  assertEquals((await model.ask()).error, undefined);
  assertEquals(model.times, [0, 0, 200, 600, 1_400, 3_000]);
});

Deno.test("ModelClient does without usage in every response that is under way", async () => {
  const model = scriptedModel([
    { status: 400, chunks: [REFUSALS[0]!], delay: 10 },
    { status: 400, chunks: [REFUSALS[0]!], delay: 20 },
    WHOLE_CHAT,
    WHOLE_CHAT,
  ], { provider: { wireApi: "chat" } });
  const both = Promise.all([
    outcomeOf(model.client.stream(PROMPT)),
    outcomeOf(model.client.stream(PROMPT)),
  ]);
  const outcomes = await model.clock.run(both);
  assertEquals(outcomes.map(({ error }) => error), [undefined, undefined]);
});

for (
  const [status, refusal] of [
    [400, "no such model"],
    [404, REFUSALS[0]!],
    [401, REFUSALS[0]!],
  ] as const
) {
  Deno.test(`ModelClient does not ask differently after ${status}: ${refusal}`, async () => {
    const model = scriptedModel([{ status, chunks: [refusal] }], {
      provider: { wireApi: "chat" },
    });
    const { error } = await model.ask();
    assertInstanceOf(error, UnexpectedStatusError);
    assertEquals(error.body, refusal);
    assertEquals(model.times, [0]);
  });
}

Deno.test("ModelClient asks differently only once", async () => {
  const refusal: ScriptedConnection = { status: 400, chunks: [REFUSALS[0]!] };
  const model = scriptedModel([refusal, refusal], {
    provider: { wireApi: "chat" },
  });
  assertInstanceOf((await model.ask()).error, UnexpectedStatusError);
  assertEquals(model.times, [0, 0]);
});

Deno.test("ModelClient does not ask for usage by Responses, nor differently", async () => {
  const model = scriptedModel([{ status: 400, chunks: [REFUSALS[0]!] }]);
  assertInstanceOf((await model.ask()).error, UnexpectedStatusError);
  assertEquals(bodies(model), [undefined]);
});

Deno.test("ModelClient asks with the same body every time", async () => {
  const model = scriptedModel([BUSY, DROP, { chunks: [] }, WHOLE]);
  assertEquals((await model.ask()).error, undefined);
  const [first, ...others] = model.script.requests.map(({ body }) => body);
  assert(first !== undefined && first !== "");
  assertEquals(others, [first, first, first]);
});

Deno.test("ModelClient takes RangeErrors of its retry policy for the caller's", async () => {
  await assertRejects(
    // deno-lint-ignore require-await -- a constructor's error, as a promise
    async () => scriptedModel([], { retry: { jitter: 2 } }),
    RangeError,
    "Cannot make a model client as 'jitter' must be between 0 and 1: current value is 2",
  );
  assertEquals(PROVIDER.requestMaxRetries, 4);
});
