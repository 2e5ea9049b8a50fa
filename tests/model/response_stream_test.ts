import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import {
  ModelClient,
  providers,
  type ResponseEvent,
  type ResponseStream,
  StreamError,
} from "../../src/model/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import {
  cutAfter,
  PROMPT,
  PROVIDER,
  responseOf,
  type ScriptedModel,
  scriptedModel,
  type ScriptedModelOptions,
  sse,
  textOf,
  USAGE,
  WHOLE,
  WHOLE_TYPES,
} from "../support/model/scripted_model.ts";

const WIRE = responseOf("Hello there");

/** Each event in a chunk of its own, a second apart. */
const SLOW: ScriptedConnection = {
  chunks: WIRE.flatMap((event) => [{ wait: 1_000 }, sse(event)]),
};

interface Open {
  readonly model: ScriptedModel;
  readonly clock: FakeClock;
  readonly abort: CountedAbort;
  readonly stream: ResponseStream;
  /** Asserts that nothing is left of it. */
  assertClosed(outcome?: string): void;
}

async function open(
  connections: readonly ScriptedConnection[] = [WHOLE],
  options: ScriptedModelOptions = {},
): Promise<Open> {
  const model = scriptedModel(connections, options);
  const { clock, client, script } = model;
  const abort = new CountedAbort();
  const asked = client.stream(PROMPT, { signal: abort.signal });
  const stream = await clock.run(asked);
  return {
    model,
    clock,
    abort,
    stream,
    assertClosed(outcome = "aborted") {
      assertEquals(clock.pending, 0);
      assertEquals(abort.listeners, 0);
      assertEquals(script.requests.at(-1)?.outcome, outcome);
    },
  };
}

async function collect(stream: ResponseStream): Promise<ResponseEvent[]> {
  const events: ResponseEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

const typesOf = (events: readonly ResponseEvent[]) =>
  events.map(({ type }) => type);

/** Returns the error with which a promise rejects. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => undefined, (error) => error);

// final()

Deno.test("ResponseStream.final() reads the response to its end", async () => {
  const { stream, clock, assertClosed } = await open([SLOW]);
  const final = await clock.run(stream.final());
  assert(final.status === "completed");
  assertEquals(final.responseId, "resp_1");
  assertEquals(final.model, "m");
  assertEquals(final.outputText, "Hello there");
  assertEquals(final.output.map(({ type }) => type), ["message"]);
  assertEquals(final.usage, USAGE);
  assertClosed();
});

Deno.test("ResponseStream.final() has the same without deltas", async () => {
  const { stream } = await open();
  const { stream: without } = await open([WHOLE], { deltas: false });
  const { model: _, ...final } = await stream.final();
  assertEquals(await without.final(), final);
});

Deno.test("ResponseStream.final() is there after the iteration", async () => {
  const { stream, clock } = await open([SLOW]);
  assertEquals(typesOf(await clock.run(collect(stream))), WHOLE_TYPES);
  assertEquals((await stream.final()).outputText, "Hello there");
});

Deno.test("ResponseStream.final() waits for an iteration, and takes nothing from it", async () => {
  for (const first of ["final", "iteration"]) {
    const { stream, clock } = await open([SLOW]);
    let final;
    if (first === "final") final = stream.final();
    const iteration = collect(stream);
    final ??= stream.final();
    assertEquals(typesOf(await clock.run(iteration)), WHOLE_TYPES);
    assertEquals((await final).outputText, "Hello there");
  }
});

Deno.test("ResponseStream.final() waits for an iteration that began in the same turn", async () => {
  const { stream, clock } = await open([SLOW]);
  const final = stream.final();
  const first = stream.next();
  assertEquals((await clock.run(first)).value?.type, "created");
  assertEquals(
    (await clock.run(collect(stream))).length,
    WHOLE_TYPES.length - 1,
  );
  assertEquals((await final).outputText, "Hello there");
});

Deno.test("ResponseStream.final() gives everyone the same", async () => {
  const { stream, clock } = await open([SLOW]);
  const [first, second] = await clock.run(
    Promise.all([stream.final(), stream.final()]),
  );
  assertStrictEquals(first, second);
  assertStrictEquals(await stream.final(), first);
});

Deno.test("ResponseStream has no more events once final() has taken them", async () => {
  const { stream } = await open();
  await stream.final();
  assertEquals(await collect(stream), []);
  assertEquals(await stream.next(), { done: true, value: undefined });

  const { stream: broken } = await open([cutAfter(3)]);
  const error = await failureOf(broken.final());
  assertStrictEquals(await failureOf(broken.next()), error);
});

Deno.test("ResponseStream.final() says how far an incomplete response came", async () => {
  const { stream } = await open([{
    chunks: [
      sse(...WIRE.slice(0, 5), {
        type: "response.incomplete",
        response: {
          id: "resp_1",
          incomplete_details: { reason: "max_output_tokens" },
        },
      }),
    ],
  }]);
  const final = await stream.final();
  assert(final.status === "incomplete");
  assertEquals(final.reason, "max_output_tokens");
  assertEquals(final.outputText, "Hello there");
});

Deno.test("ResponseStream.final() rejects as the iteration does", async () => {
  const { stream, assertClosed } = await open([cutAfter(3)]);
  const final = failureOf(stream.final());
  const error = await failureOf(collect(stream));
  assertInstanceOf(error, StreamError);
  assertStrictEquals(await final, error);
  // For good.
  assertStrictEquals(await failureOf(stream.next()), error);
  assertStrictEquals(await failureOf(stream.final()), error);
  assertClosed("ended");
});

Deno.test("ResponseStream.final() rejects when the response is left, cancelled or aborted", async () => {
  const left = await open([SLOW]);
  await left.clock.run(left.stream.next());
  await left.stream.return();
  const error = await failureOf(left.stream.final());
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");

  const reason = new Error("enough");
  for (
    const stop of [
      ({ stream }: Open) => stream.cancel(reason),
      ({ abort }: Open) => abort.abort(reason),
    ]
  ) {
    const opened = await open([SLOW]);
    const final = failureOf(opened.stream.final());
    await opened.clock.advance(1_500);
    await stop(opened);
    assertStrictEquals(await final, reason);
    opened.assertClosed();
  }
});

// next()

Deno.test("ResponseStream answers calls that overlap in their order", async () => {
  for (const connection of [WHOLE, SLOW]) {
    const { stream, clock } = await open([connection]);
    const calls = Array.from(
      { length: WHOLE_TYPES.length + 2 },
      () => stream.next(),
    );
    const results = await clock.run(Promise.all(calls));
    assertEquals(results.map(({ value }) => value?.type), [
      ...WHOLE_TYPES,
      undefined,
      undefined,
    ]);
    assertEquals(
      results.map(({ done }) => done).indexOf(true),
      WHOLE_TYPES.length,
    );
  }
});

Deno.test("ResponseStream answers all calls that overlap when it breaks off", async () => {
  const { stream } = await open([cutAfter(2)]);
  const calls = Array.from({ length: 4 }, () => failureOf(stream.next()));
  const [first, second, third, fourth] = await Promise.all(calls);
  assertEquals([first, second], [undefined, undefined]);
  assertInstanceOf(third, StreamError);
  assertStrictEquals(fourth, third);
});

Deno.test("ResponseStream gives the events that came before it broke off", async () => {
  const { stream } = await open([cutAfter(3, "drop")]);
  const types: string[] = [];
  await assertRejects(async () => {
    for await (const { type } of stream) types.push(type);
  }, StreamError);
  assertEquals(types, WHOLE_TYPES.slice(0, 3));
});

Deno.test("ResponseStream goes on where an iteration was, and ends once", async () => {
  const { stream } = await open();
  await stream.next();
  assertEquals(typesOf(await collect(stream)), WHOLE_TYPES.slice(1));
  assertEquals(await collect(stream), []);
  assertStrictEquals(stream[Symbol.asyncIterator](), stream);
});

// Leaving

Deno.test("ResponseStream closes the connection when a loop is left", async () => {
  const { stream, assertClosed } = await open([SLOW_AFTER(3)]);
  for await (const { type } of stream) {
    if (type === "output_text.delta") break;
  }
  assertClosed();
  assertEquals(await stream.next(), { done: true, value: undefined });
  assertEquals(await collect(stream), []);
});

Deno.test("ResponseStream closes the connection when a loop throws", async () => {
  const { stream, assertClosed } = await open([SLOW_AFTER(3)]);
  const error = new Error("mine");
  assertStrictEquals(
    await failureOf((async () => {
      for await (const _ of stream) throw error;
    })()),
    error,
  );
  assertClosed();
});

Deno.test("ResponseStream closes the connection at the end of its scope", async () => {
  const opened = await open([SLOW_AFTER(3)]);
  {
    await using stream = opened.stream;
    assertEquals((await stream.next()).value?.type, "created");
  }
  opened.assertClosed();
});

Deno.test("ResponseStream.return() answers calls that wait", async () => {
  const { stream, clock, assertClosed } = await open([SLOW]);
  const calls = [stream.next(), stream.next()];
  await clock.advance(500);
  assertEquals(await stream.return(), { done: true, value: undefined });
  for (const call of calls) {
    assertEquals(await call, { done: true, value: undefined });
  }
  assertEquals(await stream.return(), { done: true, value: undefined });
  assertClosed();
});

Deno.test("ResponseStream.cancel() rejects calls that wait, and later ones, with its reason", async () => {
  const { stream, clock, assertClosed } = await open([SLOW]);
  const reason = new Error("enough");
  const calls = [stream.next(), stream.next()].map(failureOf);
  await clock.advance(500);
  await stream.cancel(reason);
  for (const call of calls) assertStrictEquals(await call, reason);
  assertStrictEquals(await failureOf(stream.next()), reason);
  assertStrictEquals(await failureOf(stream.final()), reason);
  assertEquals(clock.now(), 500);
  assertClosed();
});

Deno.test("ResponseStream.cancel() has a reason of its own", async () => {
  const { stream } = await open([SLOW]);
  await stream.cancel();
  const error = await failureOf(stream.next());
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");
});

Deno.test("ResponseStream.cancel() changes nothing after the end", async () => {
  const { stream, assertClosed } = await open();
  const events = await collect(stream);
  await stream.cancel(new Error("too late"));
  await stream.return();
  assertEquals(await stream.next(), { done: true, value: undefined });
  assertEquals((await stream.final()).outputText, textOf(events));
  assertClosed();

  const { stream: broken } = await open([cutAfter(2)]);
  const error = await failureOf(collect(broken));
  await broken.cancel(new Error("too late"));
  assertStrictEquals(await failureOf(broken.next()), error);
});

// Aborting

Deno.test("ResponseStream drops what has come when it is aborted", async () => {
  const { stream, abort, assertClosed } = await open([WHOLE]);
  assertEquals((await stream.next()).value?.type, "created");
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals(await failureOf(stream.next()), reason);
  assertStrictEquals(await failureOf(stream.next()), reason);
  assertStrictEquals(await failureOf(collect(stream)), reason);
  assertStrictEquals(await failureOf(stream.final()), reason);
  assertClosed();
});

Deno.test("ResponseStream drops what has come when it is left or cancelled", async () => {
  for (const connection of [WHOLE, cutAfter(3), cutAfter(3, "drop")]) {
    const left = await open([connection]);
    for await (const _ of left.stream) break;
    assertEquals(await collect(left.stream), []);
    left.assertClosed();

    const reason = new Error("enough");
    const cancelled = await open([connection]);
    await cancelled.stream.next();
    await cancelled.stream.cancel(reason);
    assertStrictEquals(await failureOf(cancelled.stream.next()), reason);
    cancelled.assertClosed();
  }
});

Deno.test("ResponseStream is aborted at once while it waits", async () => {
  for (const connection of [SLOW, cutAfter(0, "stall")]) {
    const { stream, clock, abort, assertClosed } = await open([connection]);
    const call = failureOf(stream.next());
    await clock.advance(500);
    const reason = new Error("enough");
    abort.abort(reason);
    assertStrictEquals(await call, reason);
    assertEquals(clock.now(), 500);
    assertClosed();
  }
});

Deno.test("ResponseStream rejects with a signal's own reason", async () => {
  const { stream, abort } = await open([SLOW]);
  abort.abort();
  const error = await failureOf(stream.next());
  assertStrictEquals(error, abort.signal.reason);
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "AbortError");
});

Deno.test("ResponseStream does not mind an abort after the end", async () => {
  const { stream, abort } = await open();
  const events = await collect(stream);
  abort.abort(new Error("too late"));
  assertEquals(typesOf(events), WHOLE_TYPES);
  assertEquals((await stream.final()).outputText, "Hello there");
  assertEquals(await stream.next(), { done: true, value: undefined });
});

// The rest, and its reading

Deno.test("ResponseStream closes a connection that is held open after the last event", async () => {
  const { stream, clock, assertClosed } = await open([
    { chunks: [sse(...WIRE)], end: "stall" },
  ]);
  assertEquals(typesOf(await collect(stream)), WHOLE_TYPES);
  assertEquals(clock.now(), 0);
  assertClosed();
});

Deno.test("ResponseStream reads nothing while events are to be taken", async () => {
  let reads = 0;
  const chunks = [
    sse(...WIRE.slice(0, 3)),
    sse(...WIRE.slice(3, 5)),
    sse(...WIRE.slice(5)),
  ];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks[reads++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(new TextEncoder().encode(chunk));
    },
  }, { highWaterMark: 0 });
  const clock = new FakeClock();
  const client = new ModelClient({
    model: "m",
    provider: PROVIDER,
    clock,
    fetch: () =>
      Promise.resolve(
        new Response(body, {
          headers: { "Content-Type": "text/event-stream" },
        }),
      ),
  });
  const stream = await client.stream(PROMPT);
  const seen: number[] = [];
  await clock.advance(60_000);
  seen.push(reads);
  for await (const _ of stream) {
    await clock.advance(60_000);
    seen.push(reads);
  }
  // Each as late as can be, and the end of the body not at all.
  assertEquals(seen, [0, 1, 1, 1, 2, 2, 3, 3]);
  assertEquals(clock.pending, 0);
});

Deno.test("ResponseStream does not count the time that its consumer takes", async () => {
  const { stream, clock } = await open([{
    chunks: [sse(WIRE[0]), sse(...WIRE.slice(1))],
  }], { provider: { idleTimeout: 1_000 } });
  await stream.next();
  await clock.advance(3_600_000);
  assertEquals(typesOf(await collect(stream)), WHOLE_TYPES.slice(1));
});

Deno.test("ResponseStream.response is that of the request that brought the stream", async () => {
  const model = scriptedModel([
    { status: 503, headers: { "x-request-id": "req_1" } },
    { chunks: [], headers: { "x-request-id": "req_2" } },
    {
      status: 201,
      headers: { "x-request-id": "req_3" },
      chunks: [sse(...WIRE)],
    },
  ]);
  const { clock, client } = model;
  const stream = await clock.run(client.stream(PROMPT));
  assertEquals(stream.response.requestId, "req_2");
  await clock.run(stream.next());
  assertEquals(stream.response.requestId, "req_3");
  assertEquals(stream.response.status, 201);
  assertEquals(stream.response.headers.get("x-request-id"), "req_3");
  await stream.cancel();
});

// After the end

const chunk = (fields: Record<string, unknown>) =>
  sse({ id: "chat_1", model: "m", ...fields });

const STOPPED = [{ content: "Hi" }, {}].map((delta, index) =>
  chunk({
    choices: [{ index: 0, delta, finish_reason: index > 0 ? "stop" : null }],
  })
).join("");

const LATE_USAGE = chunk({
  choices: [],
  usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
});

const chat = { wireApi: "chat" } as const;

Deno.test("ResponseStream waits two seconds in all for what follows the end", async () => {
  const pings = Array.from({ length: 30 }, () => [
    { wait: 700 },
    "event: ping\ndata: \n\n",
  ]).flat();
  const { stream, clock, assertClosed } = await open([
    { chunks: [STOPPED, ...pings, LATE_USAGE] },
  ], { provider: chat });
  const final = await clock.run(stream.final());
  assertEquals(final.status, "completed");
  assertEquals(final.usage, undefined);
  assertEquals(clock.now(), 2_000);
  assertClosed();
});

Deno.test("ResponseStream reads on where each chunk of an answer says that it is the last", async () => {
  for (const deltas of [true, false]) {
    const chunks = Array.from({ length: 30 }, () => [
      { wait: 700 },
      chunk({
        id: "c",
        choices: [{ delta: { content: "a" }, finish_reason: "length" }],
      }),
    ]).flat();
    const { stream, clock } = await open([
      { chunks: [...chunks, LATE_USAGE, "data: [DONE]\n\n"] },
    ], { provider: chat, deltas });
    const final = await clock.run(stream.final());
    assertEquals(final.status, "incomplete");
    assertEquals(final.outputText, "a".repeat(30));
    assertEquals(final.usage, USAGE);
  }
});

Deno.test("ResponseStream waits for what follows the end as long as drainTimeout", async () => {
  for (
    const [drainTimeout, usage, time] of [
      [500, undefined, 500],
      [1_001, USAGE, 1_000],
      [Infinity, USAGE, 1_000],
    ] as const
  ) {
    const { stream, clock } = await open([
      { chunks: [STOPPED, { wait: 1_000 }, LATE_USAGE, "data: [DONE]\n\n"] },
    ], { provider: chat, drainTimeout });
    const final = await clock.run(stream.final());
    assertEquals(final.usage, usage);
    assertEquals(clock.now(), time);
  }
});

Deno.test("ResponseStream does not count its consumer's time after the end either", async () => {
  const { stream, clock, assertClosed } = await open([
    { chunks: [STOPPED, chunk({ choices: [], odd: 1 }), LATE_USAGE] },
  ], { provider: chat });
  const types: string[] = [];
  for await (const { type } of stream) {
    types.push(type);
    await clock.advance(10_000);
  }
  assert(types.includes("usage"));
  assertClosed("ended");
});

Deno.test("ResponseStream is aborted while it waits for what follows the end", async () => {
  const { stream, clock, abort, assertClosed } = await open([
    { chunks: [STOPPED], end: "stall" },
  ], { provider: chat });
  const collected = failureOf(collect(stream));
  await clock.advance(500);
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals(await collected, reason);
  assertClosed();
});

// From a file

Deno.test("ResponseStream of a fixture is left, cancelled and aborted like any other", async () => {
  const reason = new Error("enough");
  const stops: [
    (stream: ResponseStream, abort: AbortController) => unknown,
    unknown,
  ][] = [
    [(stream) => stream.return(), undefined],
    [(stream) => stream.cancel(reason), reason],
    [(_, abort) => abort.abort(reason), reason],
  ];
  for (const [stop, expected] of stops) {
    const abort = new CountedAbort();
    const clock = new FakeClock();
    const client = new ModelClient({
      model: "m",
      provider: providers.openai,
      fixture: { path: "x", readTextFile: () => Promise.resolve(sse(...WIRE)) },
      clock,
    });
    const stream = await client.stream(PROMPT, { signal: abort.signal });
    assertEquals(stream.response.status, 200);
    assertEquals((await stream.next()).value?.type, "created");
    await stop(stream, abort);
    assertStrictEquals(await failureOf(stream.next()), expected);
    assertEquals(abort.listeners, 0);
    assertEquals(clock.pending, 0);
  }
});

function SLOW_AFTER(events: number): ScriptedConnection {
  return { chunks: [sse(...WIRE.slice(0, events))], end: "stall" };
}
