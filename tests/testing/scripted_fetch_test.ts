import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
  type ScriptedFetchOptions,
  type ScriptedOutcome,
} from "../../src/testing/scripted_fetch.ts";

const URL_ = "https://example.com/events";

function make(
  connections: ScriptedConnection[],
  options: Omit<ScriptedFetchOptions, "clock"> = {},
) {
  const clock = new FakeClock();
  const script = new ScriptedFetch(connections, { ...options, clock });
  return { clock, script };
}

/** The chunks of a body as text, each with the time at which it came. */
async function readAll(
  clock: FakeClock,
  { body }: Response,
): Promise<[text: string, time: number][]> {
  const chunks: [string, number][] = [];
  for await (const chunk of body ?? []) {
    chunks.push([new TextDecoder().decode(chunk), clock.now()]);
  }
  return chunks;
}

/** A connection or a script, for the name of a test. */
function inspect(value: unknown): string {
  const text = Deno.inspect(value, { breakLength: Infinity, compact: true });
  return text.replaceAll(/RangeError.*?(?= \})/gs, "RangeError")
    .replaceAll(/\s+/g, " ");
}

/** A signal that knows how many listen to it. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = new Set<unknown>();
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(...args: Parameters<typeof addEventListener>) {
      listeners.add(args[1]);
      addEventListener.apply(signal, args);
    },
    removeEventListener(...args: Parameters<typeof removeEventListener>) {
      listeners.delete(args[1]);
      removeEventListener.apply(signal, args);
    },
  });
  return { controller, signal, listeners };
}

Deno.test("ScriptedFetch answers with an event stream unless told otherwise", async () => {
  const { clock, script } = make([{}]);
  const response = await clock.run(script.fetch(`${URL_}#fragment`));
  assertEquals(response.status, 200);
  assertEquals(response.statusText, "");
  assertEquals([...response.headers], [["content-type", "text/event-stream"]]);
  assertEquals(response.url, URL_);
  assertEquals(response.redirected, false);
  assertEquals(await readAll(clock, response), []);
  assertEquals(clock.now(), 0);
});

Deno.test("ScriptedFetch answers with the status, headers and URL of the script", async () => {
  const { script } = make([{
    status: 429,
    statusText: "Slow down",
    headers: [["Content-Type", "text/plain"], ["Retry-After", "2"]],
    url: "https://example.com/moved",
    chunks: ["later"],
  }]);
  const response = await script.fetch(URL_);
  assertEquals(response.status, 429);
  assertEquals(response.statusText, "Slow down");
  assertEquals(response.ok, false);
  assertEquals([...response.headers], [
    ["content-type", "text/plain"],
    ["retry-after", "2"],
  ]);
  assertEquals(response.url, "https://example.com/moved");
  assertEquals(response.redirected, true);
  assertEquals(await response.text(), "later");
});

Deno.test("ScriptedFetch adds the type to headers that have none", async () => {
  const { script } = make([
    { headers: { "X-One": "1" } },
    { headers: { "Content-Type": "" } },
  ]);
  for (const type of ["text/event-stream", ""]) {
    const { headers } = await script.fetch(URL_);
    assertEquals(headers.get("content-type"), type);
  }
});

for (const status of [204, 205, 304]) {
  Deno.test(`ScriptedFetch answers ${status} without a body`, async () => {
    const { script } = make([{ status }]);
    const response = await script.fetch(URL_);
    assertEquals(response.status, status);
    assertEquals(response.body, null);
    assertEquals([...response.headers], []);
    assertEquals(script.requests[0]?.outcome, "ended");
  });
}

Deno.test("ScriptedFetch takes its time before the headers and between chunks", async () => {
  const { clock, script } = make([{
    delay: 100,
    chunks: [
      { wait: 10 },
      "a",
      "b",
      { wait: 5 },
      { wait: 0 },
      { wait: 15 },
      new Uint8Array([0xc3, 0xa9]),
      "",
      { wait: 1_000 },
    ],
  }]);
  const response = await clock.run(script.fetch(URL_));
  assertEquals(clock.now(), 100);
  assertEquals(await clock.run(readAll(clock, response)), [
    ["a", 110],
    ["b", 110],
    ["é", 130],
    ["", 130],
  ]);
  assertEquals(clock.now(), 1_130);
  assertEquals(script.requests[0]?.outcome, "ended");
  assertEquals(clock.pending, 0);
});

Deno.test("ScriptedFetch does nothing ahead of its reader", async () => {
  const { clock, script } = make([{
    chunks: ["a", { wait: 10 }, "b", { wait: 10 }, "c"],
  }]);
  const { body } = await script.fetch(URL_);
  assert(body);
  await clock.advance(1_000);
  const reader = body.getReader();
  const read = async (): Promise<[string | undefined, number]> => {
    const { value } = await clock.run(reader.read());
    return [value && new TextDecoder().decode(value), clock.now()];
  };
  assertEquals(await read(), ["a", 1_000]);
  assertEquals(clock.pending, 1);
  // The server's time passes by itself, up to the chunk that nobody reads.
  await clock.advance(10);
  assertEquals(clock.pending, 0);
  await clock.advance(1_000);
  assertEquals(clock.pending, 0);
  assertEquals(await read(), ["b", 2_010]);
  assertEquals(clock.pending, 1);
  assertEquals(await read(), ["c", 2_020]);
  await clock.advance(1_000);
  assertEquals(script.requests[0]?.outcome, "pending");
  assertEquals(await read(), [undefined, 3_020]);
  assertEquals(script.requests[0]?.outcome, "ended");
});

Deno.test("ScriptedFetch gives away copies of its bytes", async () => {
  const bytes = new Uint8Array([1, 2, 3]);
  const { script } = make([{ chunks: [bytes] }], { afterLast: "repeat" });
  for (let i = 0; i < 2; i++) {
    const { body } = await script.fetch(URL_);
    const { value } = await body!.getReader().read();
    assertEquals(value, new Uint8Array([1, 2, 3]));
    value?.fill(0);
  }
});

Deno.test("ScriptedFetch is not changed by what happens to its script", async () => {
  const chunks = ["a"];
  const answer = { status: 201, chunks };
  const failure: { connect: "drop" | "stall" } = { connect: "drop" };
  const connections = [answer, failure];
  const { script } = make(connections);
  chunks.push("b");
  answer.status = 500;
  failure.connect = "stall";
  connections.pop();
  const response = await script.fetch(URL_);
  assertEquals(response.status, 201);
  assertEquals(await response.text(), "a");
  await assertRejects(() => script.fetch(URL_), TypeError);
});

const THROWN = new RangeError("as scripted");

const FAILURES: {
  connection: ScriptedConnection;
  chunks: string[];
  time: number;
  error: new (...args: string[]) => Error;
  message: string;
}[] = [{
  connection: { connect: "drop" },
  chunks: [],
  time: 0,
  error: TypeError,
  message: "fetch failed: the connection was dropped before there were headers",
}, {
  connection: { connect: "drop", delay: 50 },
  chunks: [],
  time: 50,
  error: TypeError,
  message: "fetch failed: the connection was dropped before there were headers",
}, {
  connection: { connect: { error: THROWN }, delay: 50 },
  chunks: [],
  time: 50,
  error: RangeError,
  message: "as scripted",
}, {
  connection: { end: "drop" },
  chunks: [],
  time: 0,
  error: TypeError,
  message: "fetch failed: the connection was dropped in the middle of the body",
}, {
  connection: { delay: 5, chunks: ["a", "b", { wait: 20 }], end: "drop" },
  chunks: ["a", "b"],
  time: 25,
  error: TypeError,
  message: "fetch failed: the connection was dropped in the middle of the body",
}, {
  connection: { chunks: ["a", { wait: 20 }], end: { error: THROWN } },
  chunks: ["a"],
  time: 20,
  error: RangeError,
  message: "as scripted",
}];

for (const { connection, chunks, time, error, message } of FAILURES) {
  Deno.test(`ScriptedFetch fails as scripted: ${inspect(connection)}`, async () => {
    const { clock, script } = make([connection]);
    const { signal, listeners } = countedSignal();
    const seen: string[] = [];
    const work = async (): Promise<void> => {
      const response = await script.fetch(URL_, { signal });
      for await (const chunk of response.body ?? []) {
        seen.push(new TextDecoder().decode(chunk));
      }
    };
    const thrown = await assertRejects(() => clock.run(work()), error);
    assertEquals(thrown.message, message);
    assertEquals(seen, chunks);
    assertEquals(clock.now(), time);
    assertEquals(script.requests[0]?.outcome, "failed");
    assertStrictEquals(script.requests[0]?.reason, thrown);
    assertEquals([clock.pending, listeners.size], [0, 0]);
  });
}

/** An upload that begins, and goes on when it is told to. */
function upload() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const seen: { cancelled: unknown } = { cancelled: undefined };
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(encoder.encode("begin"));
    },
    async pull(controller) {
      controller.enqueue(encoder.encode(await promise));
      controller.close();
    },
    cancel(reason) {
      seen.cancelled = reason;
    },
  }, { highWaterMark: 0 });
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    body,
    duplex: "half",
  };
  return { init, goOn: resolve, seen };
}

const ABORTS: {
  stage: string;
  connection: ScriptedConnection;
  init?: RequestInit;
  time: number;
  chunks: string[];
}[] = [
  {
    stage: "while the request's body is read",
    connection: { delay: 100 },
    init: upload().init,
    time: 10,
    chunks: [],
  },
  {
    stage: "during the delay before the headers",
    connection: { delay: 100 },
    time: 10,
    chunks: [],
  },
  {
    stage: "during the delay before a failure to connect",
    connection: { connect: "drop", delay: 100 },
    time: 10,
    chunks: [],
  },
  {
    stage: "when headers never come",
    connection: { connect: "stall" },
    time: 100_000,
    chunks: [],
  },
  {
    stage: "during a wait before the first chunk",
    connection: { chunks: [{ wait: 100 }, "a"] },
    time: 10,
    chunks: [],
  },
  {
    stage: "during a wait between chunks",
    connection: { chunks: ["a", { wait: 100 }, "b"] },
    time: 10,
    chunks: ["a"],
  },
  {
    stage: "during a wait before the end",
    connection: { chunks: ["a", { wait: 100 }] },
    time: 10,
    chunks: ["a"],
  },
  {
    stage: "during a wait before a failure",
    connection: { chunks: ["a", { wait: 100 }], end: "drop" },
    time: 10,
    chunks: ["a"],
  },
  {
    stage: "at the moment at which a wait ends",
    connection: { chunks: ["a", { wait: 10 }, "b"], end: "stall" },
    time: 10,
    chunks: ["a"],
  },
  {
    stage: "when the body has stalled",
    connection: { chunks: ["a"], end: "stall" },
    time: 100_000,
    chunks: ["a"],
  },
];

for (const { stage, connection, init, time, chunks } of ABORTS) {
  Deno.test(`ScriptedFetch heeds the signal ${stage}`, async () => {
    const { clock, script } = make([connection]);
    const { controller, signal, listeners } = countedSignal();
    const reason = { because: stage };
    // Set before the script's timers, so called before those of the same time.
    clock.setTimeout(() => controller.abort(reason), time);
    const seen: string[] = [];
    const work = async (): Promise<void> => {
      const response = await script.fetch(URL_, { ...init, signal });
      for await (const chunk of response.body ?? []) {
        seen.push(new TextDecoder().decode(chunk));
      }
    };
    const thrown = await assertRejects(() => clock.run(work()));
    assertStrictEquals(thrown, reason);
    assertEquals(clock.now(), time);
    assertEquals(seen, chunks);
    assertEquals(script.requests[0]?.outcome, "aborted");
    assertStrictEquals(script.requests[0]?.reason, reason);
    assertEquals([clock.pending, listeners.size], [0, 0]);
  });
}

Deno.test("ScriptedFetch heeds the signal when nobody reads", async () => {
  const { clock, script } = make([{ chunks: ["a", { wait: 100 }, "b"] }]);
  const controller = new AbortController();
  const { body } = await script.fetch(URL_, { signal: controller.signal });
  const reader = body!.getReader();
  await reader.read();
  assertEquals(clock.pending, 1);
  controller.abort();
  assertEquals(clock.pending, 0);
  assertEquals(script.requests[0]?.outcome, "aborted");
  const error = await assertRejects(() => reader.read(), DOMException);
  assertEquals(error.name, "AbortError");
});

for (
  const [what, connection] of [
    ["the delay", { delay: 10, end: "stall" }],
    ["a wait", { chunks: [{ wait: 10 }, "a", { wait: 10 }, "b"] }],
  ] as const
) {
  Deno.test(`ScriptedFetch heeds the signal when ${what} is just over`, async () => {
    const fake = new FakeClock();
    const controller = new AbortController();
    const script = new ScriptedFetch([connection], {
      clock: {
        now: () => fake.now(),
        setTimeout: (callback, delay) =>
          fake.setTimeout(() => {
            callback();
            controller.abort();
          }, delay),
      },
    });
    const { signal } = controller;
    const work = async (): Promise<string> =>
      await (await script.fetch(URL_, { signal })).text();
    const error = await assertRejects(() => fake.run(work()), DOMException);
    assertEquals(error.name, "AbortError");
    assertEquals(script.requests[0]?.outcome, "aborted");
    assertEquals([fake.now(), fake.pending], [10, 0]);
  });
}

Deno.test("ScriptedFetch heeds the signal of a Request", async () => {
  const { script } = make([{ connect: "stall" }]);
  const controller = new AbortController();
  const request = new Request(URL_, { signal: controller.signal });
  const answer = script.fetch(request);
  const reason = new Error("of the Request");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => answer), reason);
});

Deno.test("ScriptedFetch lets the signal of the init win, null too", async () => {
  const request = () => new Request(URL_, { signal: AbortSignal.abort() });
  const { script } = make([{}, {}]);
  const { signal } = new AbortController();
  assertEquals((await script.fetch(request(), { signal })).status, 200);
  assertEquals((await script.fetch(request(), { signal: null })).status, 200);
});

Deno.test("ScriptedFetch makes no request when it is aborted beforehand", async () => {
  const { script } = make([{}]);
  const reason = new Error("beforehand");
  const signal = AbortSignal.abort(reason);
  const thrown = await assertRejects(() => script.fetch(URL_, { signal }));
  assertStrictEquals(thrown, reason);
  assertEquals(script.requests, []);
  assertEquals((await script.fetch(URL_)).status, 200);
});

Deno.test("ScriptedFetch does not mind an abort after the end", async () => {
  const { script } = make([{ chunks: ["a"] }]);
  const { controller, signal, listeners } = countedSignal();
  const response = await script.fetch(URL_, { signal });
  assertEquals(listeners.size, 1);
  assertEquals(await response.text(), "a");
  assertEquals(listeners.size, 0);
  controller.abort();
  assertEquals(script.requests[0]?.outcome, "ended");
});

const CANCELS: [stage: string, connection: ScriptedConnection][] = [
  ["before it is read", { chunks: ["a"] }],
  ["during a wait", { chunks: [{ wait: 100 }, "a"] }],
  ["when it has stalled", { end: "stall" }],
];

for (const [stage, connection] of CANCELS) {
  Deno.test(`ScriptedFetch can be cancelled ${stage}`, async () => {
    const { clock, script } = make([connection]);
    const { controller, signal, listeners } = countedSignal();
    const { body } = await script.fetch(URL_, { signal });
    const reader = body!.getReader();
    const reading = stage.startsWith("before") ? undefined : reader.read();
    await clock.advance(10);
    await reader.cancel("enough");
    assertEquals((await reading)?.done ?? true, true);
    controller.abort();
    assertEquals(script.requests[0]?.outcome, "cancelled");
    assertEquals(script.requests[0]?.reason, "enough");
    assertEquals([clock.pending, listeners.size], [0, 0]);
  });
}

Deno.test("ScriptedFetch remembers what it was asked for", async () => {
  const { clock, script } = make([{}], { afterLast: "repeat" });
  const headers = new Headers({ "Last-Event-ID": "7" });
  await script.fetch(new URL("HTTPS://Example.com/a/../b?c#d"), { headers });
  headers.set("Last-Event-ID", "8");
  await clock.advance(250);
  await script.fetch(
    new Request(URL_, { method: "post", body: "žluťoučký" }),
    { headers },
  );
  const [first, second] = script.requests;
  assertEquals(script.requests.length, 2);
  assertEquals(first?.time, 0);
  assertEquals(first?.method, "GET");
  assertEquals(first?.url, "https://example.com/b?c#d");
  assertEquals(first?.body, "");
  assertEquals(first?.headers.get("last-event-id"), "7");
  assertEquals(first?.outcome, "pending");
  assertEquals(first?.reason, undefined);
  assertEquals(second?.time, 250);
  assertEquals(second?.method, "POST");
  assertEquals(second?.url, URL_);
  assertEquals(second?.body, "žluťoučký");
  assertEquals(second?.headers.get("last-event-id"), "8");
});

function streamOf(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(chunks);
}

const BODIES: [name: string, body: () => BodyInit | null, text: string][] = [
  ["none", () => null, ""],
  ["text", () => "é", "é"],
  ["bytes", () => new Uint8Array([0xc3, 0xa9, 0xff]), "é\ufffd"],
  ["a blob", () => new Blob(["é"]), "é"],
  ["a form", () => new URLSearchParams({ a: "é" }), "a=%C3%A9"],
  [
    "a stream",
    () => streamOf(new Uint8Array([65, 0xc3]), new Uint8Array([0xa9])),
    "Aé",
  ],
  [
    "a stream that is cut off",
    () => streamOf(new Uint8Array([65, 0xc3])),
    "A\ufffd",
  ],
];

for (const [name, body, text] of BODIES) {
  Deno.test(`ScriptedFetch reads the request's body: ${name}`, async () => {
    const { clock, script } = make([{}]);
    const init: RequestInit & { duplex: "half" } = {
      method: "POST",
      body: body(),
      duplex: "half",
    };
    await clock.run(script.fetch(URL_, init));
    assertEquals(script.requests[0]?.body, text);
  });
}

Deno.test("ScriptedFetch answers when it has read the request", async () => {
  const { clock, script } = make([{ delay: 100 }]);
  const { init, goOn } = upload();
  const answer = script.fetch(URL_, init);
  await clock.advance(1_000);
  assertEquals(script.requests[0]?.body, "begin");
  assertEquals(clock.pending, 0);
  goOn(" end");
  await clock.run(answer);
  assertEquals(script.requests[0]?.body, "begin end");
  assertEquals(script.requests[0]?.time, 0);
  assertEquals(clock.now(), 1_100);
});

Deno.test("ScriptedFetch cancels the request's body when it is aborted", async () => {
  const { clock, script } = make([{}]);
  const { init, seen } = upload();
  const controller = new AbortController();
  const answer = script.fetch(URL_, { ...init, signal: controller.signal });
  await clock.advance(0);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => answer), reason);
  assertStrictEquals(seen.cancelled, reason);
  assertEquals(script.requests[0]?.body, "begin");
});

Deno.test("ScriptedFetch fails when the request's body does", async () => {
  const { script } = make([{}]);
  const cause = new Error("of the body");
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    duplex: "half",
    body: new ReadableStream({
      start: (controller) => controller.error(cause),
    }),
  };
  const error = await assertRejects(() => script.fetch(URL_, init), TypeError);
  assertStrictEquals(error.cause, cause);
  assertEquals(script.requests[0]?.outcome, "failed");
});

Deno.test("ScriptedFetch refuses what fetch refuses, and keeps its place", async () => {
  const { script } = make([{}]);
  const bad: [string, RequestInit?][] = [
    ["not a URL"],
    [URL_, { body: "with GET" }],
    [URL_, { headers: { "a b": "" } }],
    [URL_, { method: "a b" }],
  ];
  for (const [url, init] of bad) {
    await assertRejects(() => script.fetch(url, init), TypeError);
  }
  assertEquals(script.requests, []);
  assertEquals((await script.fetch(URL_)).status, 200);
});

Deno.test("ScriptedFetch gives its connections out in the order of the requests", async () => {
  const { clock, script } = make([
    { delay: 30, chunks: ["1"] },
    { delay: 10, chunks: ["2"] },
    { connect: "drop" },
    { chunks: ["4"] },
  ]);
  const { fetch } = script;
  const answers = ["a", "b", "c", "d"].map(async (path) => {
    try {
      return await (await fetch(`https://example.com/${path}`)).text();
    } catch {
      return "failed";
    }
  });
  assertEquals(await clock.run(Promise.all(answers)), [
    "1",
    "2",
    "failed",
    "4",
  ]);
  assertEquals(
    script.requests.map(({ url, outcome }) => [url.slice(-1), outcome]),
    [["a", "ended"], ["b", "ended"], ["c", "failed"], ["d", "ended"]],
  );
});

const EXHAUSTED: [connections: ScriptedConnection[], message: string][] = [
  [
    [],
    `Cannot answer request 1 (GET ${URL_}) as 0 connections are scripted: add one, or set 'afterLast' to "repeat"`,
  ],
  [
    [{}],
    `Cannot answer request 2 (GET ${URL_}) as 1 connection is scripted: add one, or set 'afterLast' to "repeat"`,
  ],
  [
    [{}, { status: 503 }],
    `Cannot answer request 3 (GET ${URL_}) as 2 connections are scripted: add one, or set 'afterLast' to "repeat"`,
  ],
];

for (const [connections, message] of EXHAUSTED) {
  Deno.test(`ScriptedFetch says when more than ${connections.length} requests are made`, async () => {
    const { script } = make(connections);
    for (const _ of connections) await script.fetch(URL_);
    const error = await assertRejects(() => script.fetch(URL_), Error);
    assertEquals(error.message, message);
    // Not what a network's failure looks like.
    assert(!(error instanceof TypeError));
    assertEquals(script.requests.length, connections.length + 1);
    assertEquals(script.requests.at(-1)?.outcome, "failed");
    assertStrictEquals(script.requests.at(-1)?.reason, error);
  });
}

Deno.test("ScriptedFetch repeats the last connection when it is told to", async () => {
  const { script } = make([{ chunks: ["a"] }, { status: 503, chunks: ["b"] }], {
    afterLast: "repeat",
  });
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    const response = await script.fetch(URL_);
    seen.push(`${response.status} ${await response.text()}`);
  }
  assertEquals(seen, ["200 a", "503 b", "503 b", "503 b"]);
  const outcomes: ScriptedOutcome[] = ["ended", "ended", "ended", "ended"];
  assertEquals(script.requests.map(({ outcome }) => outcome), outcomes);
});

Deno.test("ScriptedFetch takes the time of the machine by default", async () => {
  const before = performance.timeOrigin + performance.now();
  const script = new ScriptedFetch([{ delay: 1, chunks: ["a", { wait: 1 }] }]);
  const response = await script.fetch(URL_);
  assertEquals(await response.text(), "a");
  const time = script.requests[0]?.time ?? 0;
  const passed = performance.timeOrigin + performance.now() - time;
  assert(time >= before && passed >= 1);
});

/** Passes values that TypeScript would reject, or cannot check. */
function untyped(connection: unknown): ScriptedConnection[] {
  // The cast is the point: callers in JavaScript have no types.
  return [{}, connection as ScriptedConnection];
}

const INVALID: [
  script: ScriptedConnection[],
  error: new (...args: string[]) => Error,
  message: string,
][] = [
  ...[-1, NaN, Infinity].flatMap((
    time,
  ): [ScriptedConnection[], typeof RangeError, string][] => [
    [
      [{}, { delay: time }],
      RangeError,
      `Cannot script connection 2 as 'delay' must be a number of milliseconds, 0 or more: current value is ${time}`,
    ],
    [
      [{ connect: "drop", delay: time }],
      RangeError,
      `Cannot script connection 1 as 'delay' must be`,
    ],
    [
      [{ chunks: ["a", { wait: time }] }],
      RangeError,
      `Cannot script connection 1 as 'wait' must be a number of milliseconds, 0 or more: current value is ${time}`,
    ],
  ]),
  ...[0, 101, 199, 600, 200.5, NaN].map((
    status,
  ): [ScriptedConnection[], typeof RangeError, string] => [
    [{ status }],
    RangeError,
    `Cannot script connection 1 as 'status' must be an integer from 200 to 599: current value is ${status}`,
  ]),
  [[{ status: 204, chunks: ["a"] }], TypeError, "status 204 has no body"],
  [[{ status: 304, end: "drop" }], TypeError, "status 304 has no body"],
  [[{ headers: { "a b": "c" } }], TypeError, ""],
  [untyped({ end: "of days" }), TypeError, "current value is of days"],
  [untyped({ connect: "close" }), TypeError, "current value is close"],
  [untyped({ chunks: [1] }), RangeError, "'wait' must be"],
];

for (const [connections, error, message] of INVALID) {
  Deno.test(`ScriptedFetch refuses ${inspect(connections)}`, () => {
    assertThrows(() => new ScriptedFetch(connections), error, message);
  });
}

Deno.test("ScriptedFetch refuses to repeat nothing", () => {
  assertThrows(
    () => new ScriptedFetch([], { afterLast: "repeat" }),
    TypeError,
    "no connection to repeat",
  );
});

Deno.test("ScriptedFetch has types for which wrong scripts are errors", () => {
  const _scripts: ScriptedConnection[] = [
    // @ts-expect-error A connection that fails has no status.
    { connect: "drop", status: 503 },
    // @ts-expect-error A connection that fails has no body.
    { connect: "stall", chunks: [] },
    // @ts-expect-error Not an end.
    { end: "abort" },
    // @ts-expect-error Not a chunk.
    { chunks: [1] },
  ];
});
