import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
} from "@std/assert";
import fc from "fast-check";
import { EventTooLargeError, IdleTimeoutError } from "../../src/fetch/mod.ts";
import {
  ConnectionFailedError,
  ResponseFailedError,
  RetryAfterError,
  RetryLimitError,
  StreamError,
  UnexpectedStatusError,
} from "../../src/model/mod.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import { propertyParameters } from "../support/property.ts";
import {
  cutAfter,
  outcomeOf,
  PROMPT,
  responseOf,
  scriptedModel,
  type ScriptedModelOptions,
  sse,
  textOf,
  USAGE,
  WHOLE,
  WHOLE_CHAT,
  WHOLE_TYPES,
} from "../support/model/scripted_model.ts";

const BUSY: ScriptedConnection = { status: 503 };
const EMPTY: ScriptedConnection = { chunks: [] };
const RESET: ScriptedConnection = { end: "drop" };
const SILENT: ScriptedConnection = { end: "stall" };

type ErrorClass = Parameters<typeof assertInstanceOf>[1];

interface Row {
  readonly name: string;
  readonly connections: readonly ScriptedConnection[];
  readonly options?: ScriptedModelOptions;
  readonly times: readonly number[];
  readonly error?: ErrorClass;
  readonly code?: string;
  /** The types of the events that came. */
  readonly types?: readonly string[];
}

const ROWS: Row[] = [
  // Before the first event
  {
    name: "asks again when the stream ends before its first event",
    connections: [EMPTY, WHOLE],
    times: [0, 200],
  },
  {
    name: "asks again when the stream is reset before its first event",
    connections: [RESET, WHOLE],
    times: [0, 200],
  },
  {
    name: "asks again when the stream is silent before its first event",
    connections: [SILENT, WHOLE],
    times: [0, 300_200],
  },
  {
    name: "asks again when there were only comments",
    connections: [{ chunks: [": OPENROUTER PROCESSING\n\n"] }, WHOLE],
    times: [0, 200],
  },
  {
    name: "asks again when the first event was cut off",
    connections: [
      { chunks: [WHOLE_TEXT().slice(0, 30)] },
      { chunks: [WHOLE_TEXT().slice(0, 30)], end: "drop" },
      WHOLE,
    ],
    times: [0, 200, 600],
  },
  {
    name: "asks six times at most",
    connections: Array(6).fill(EMPTY),
    times: [0, 200, 600, 1_400, 3_000, 6_200],
    error: StreamError,
    code: "truncated",
    types: [],
  },
  {
    name: "says how the last stream broke off",
    connections: [EMPTY, SILENT, RESET],
    options: { provider: { streamMaxRetries: 2 } },
    times: [0, 200, 300_600],
    error: StreamError,
    code: "disconnected",
    types: [],
  },
  {
    name: "does not ask again where no retry is allowed",
    connections: [EMPTY],
    options: { provider: { streamMaxRetries: 0 } },
    times: [0],
    error: StreamError,
    code: "truncated",
    types: [],
  },
  {
    name: "asks for no stream later than maxElapsed",
    connections: [EMPTY, EMPTY],
    options: { retry: { maxElapsed: 599 } },
    times: [0, 200],
    error: StreamError,
    code: "truncated",
    types: [],
  },
  {
    name: "asks for a stream as late as maxElapsed",
    connections: [EMPTY, EMPTY, WHOLE],
    options: { retry: { maxElapsed: 600 } },
    times: [0, 200, 600],
  },

  // One budget
  {
    name: "counts streams and requests together",
    connections: [BUSY, EMPTY, BUSY, RESET, { connect: "drop" }],
    options: { provider: { streamMaxRetries: 4 } },
    times: [0, 200, 600, 1_400, 3_000],
    error: ConnectionFailedError,
    types: [],
  },
  {
    name: "has no retry of a request left when streams have used them up",
    connections: [EMPTY, EMPTY, BUSY],
    options: { provider: { requestMaxRetries: 2 } },
    times: [0, 200, 600],
    error: RetryLimitError,
    types: [],
  },
  {
    name: "has no retry of a stream left when requests have used them up",
    connections: [BUSY, BUSY, EMPTY],
    options: { provider: { streamMaxRetries: 2 } },
    times: [0, 200, 600],
    error: StreamError,
    code: "truncated",
    types: [],
  },
  {
    name: "waits as the provider wishes in between",
    connections: [
      EMPTY,
      { status: 429, headers: { "Retry-After": "5" } },
      WHOLE,
    ],
    times: [0, 200, 5_200],
  },
  {
    name: "ends with what a later request is answered with",
    connections: [EMPTY, { status: 401, chunks: ["who are you?"] }],
    times: [0, 200],
    error: UnexpectedStatusError,
    types: [],
  },
  {
    name: "does not wait too long between streams either",
    connections: [EMPTY, { status: 429, headers: { "Retry-After": "61" } }],
    times: [0, 200],
    error: RetryAfterError,
    types: [],
  },

  // After the first event
  ...(["close", "drop", "stall"] as const).map((end): Row => ({
    name: `does not ask again after the first event (${end})`,
    connections: [cutAfter(1, end)],
    times: [0],
    error: StreamError,
    code: { close: "truncated", drop: "disconnected", stall: "idle" }[end],
    types: ["created"],
  })),
  {
    name: "does not ask again after the first event of a second stream",
    connections: [EMPTY, cutAfter(3)],
    times: [0, 200],
    error: StreamError,
    code: "truncated",
    types: ["created", "output_item.added", "output_text.delta"],
  },
  {
    name: "does not ask again when what came was of no account",
    connections: [{ chunks: ["data: \n\n"] }],
    times: [0],
    error: StreamError,
    code: "truncated",
    types: [],
  },

  // Never
  {
    name: "does not ask again after an event that is too large",
    connections: [{ chunks: [`data: ${"x".repeat(2_000)}`], end: "stall" }],
    options: { maxEventSize: 1_000, retryMidStream: true },
    times: [0],
    error: StreamError,
    code: "invalid_stream",
    types: [],
  },
  {
    name: "does not ask again after a response that has failed",
    connections: [{
      chunks: [sse({
        type: "response.failed",
        response: { error: { code: "server_is_overloaded", message: "busy" } },
      })],
    }],
    options: { retryMidStream: true },
    times: [0],
    error: ResponseFailedError,
    code: "server_is_overloaded",
    types: [],
  },
  {
    name: "does not ask again after an error event",
    connections: [{
      chunks: [sse({ type: "error", error: { message: "busy" } })],
      end: "drop",
    }],
    options: { retryMidStream: true },
    times: [0],
    error: ResponseFailedError,
    code: "response_failed",
    types: [],
  },
  {
    name: "does not ask again after the last event",
    connections: [{ ...WHOLE, end: "drop" } as ScriptedConnection],
    options: { retryMidStream: true },
    times: [0],
    types: WHOLE_TYPES,
  },

  // retryMidStream
  {
    name: "begins anew where that is wished",
    connections: [cutAfter(3, "drop"), WHOLE],
    options: { retryMidStream: true },
    times: [0, 200],
    types: [...WHOLE_TYPES.slice(0, 3), "reset", ...WHOLE_TYPES],
  },
  {
    name: "begins anew again and again, within its budget",
    connections: Array(6).fill(cutAfter(1)),
    options: { retryMidStream: true },
    times: [0, 200, 600, 1_400, 3_000, 6_200],
    error: StreamError,
    code: "truncated",
    types: [
      "created",
      ...Array(5).fill(["reset", "created"]).flat(),
    ],
  },
  {
    name: "begins anew without a reset when nothing had come of the second",
    connections: [cutAfter(1), EMPTY, WHOLE],
    options: { retryMidStream: true },
    times: [0, 200, 600],
    types: ["created", "reset", ...WHOLE_TYPES],
  },
  {
    name: "resets once for each stream that had brought something",
    connections: [cutAfter(1), BUSY, cutAfter(2), WHOLE],
    options: { retryMidStream: true },
    times: [0, 200, 600, 1_400],
    types: [
      "created",
      "reset",
      ...WHOLE_TYPES.slice(0, 2),
      "reset",
      ...WHOLE_TYPES,
    ],
  },
  {
    name: "tells of no reset when there is no second stream",
    connections: [cutAfter(1), { status: 400 }],
    options: { retryMidStream: true },
    times: [0, 200],
    error: UnexpectedStatusError,
    types: ["created"],
  },
  {
    name: "does not begin anew where no retry is allowed",
    connections: [cutAfter(1)],
    options: { retryMidStream: true, provider: { streamMaxRetries: 0 } },
    times: [0],
    error: StreamError,
    code: "truncated",
    types: ["created"],
  },

  // deltas: false
  {
    name: "asks again before the first event, without deltas",
    connections: [EMPTY, WHOLE],
    options: { deltas: false },
    times: [0, 200],
    types: ["output_item.done", "completed"],
  },
  {
    name: "does not ask again after the first event, seen or not",
    connections: [cutAfter(3)],
    options: { deltas: false },
    times: [0],
    error: StreamError,
    code: "truncated",
    types: [],
  },
  {
    name: "begins anew without deltas",
    connections: [cutAfter(5, "drop"), WHOLE],
    options: { deltas: false, retryMidStream: true },
    times: [0, 200],
    types: [
      "output_item.done",
      "reset",
      "output_item.done",
      "completed",
    ],
  },
];

function WHOLE_TEXT(): string {
  return sse(...responseOf("Hello there"));
}

for (const row of ROWS) {
  Deno.test(`ResponseStream ${row.name}`, async () => {
    const model = scriptedModel(row.connections, row.options);
    const { events, error } = await model.ask();
    assertEquals(model.times, row.times);
    assertEquals(events.map(({ type }) => type), row.types ?? WHOLE_TYPES);
    assertEquals(model.clock.pending, 0);
    if (!row.error) return assertEquals(error, undefined);
    assertInstanceOf(error, row.error);
    if (row.code !== undefined) {
      assertEquals(Reflect.get(Object(error), "code"), row.code);
    }
  });
}

Deno.test("ResponseStream asks again by Chat too, before the first event", async () => {
  const model = scriptedModel([
    { chunks: [": OPENROUTER PROCESSING\n\n"], end: "drop" },
    WHOLE_CHAT,
  ], { provider: { wireApi: "chat" } });
  const { events, error } = await model.ask();
  assertEquals(error, undefined);
  assertEquals(textOf(events), "Hello there");
  assertEquals(model.times, [0, 200]);
});

Deno.test("ResponseStream does not ask again when Chat has said how it ends", async () => {
  const [chunk] = WHOLE_CHAT.connect === undefined
    ? WHOLE_CHAT.chunks ?? []
    : [];
  for (const end of ["close", "drop", "stall"] as const) {
    const model = scriptedModel([{ chunks: [chunk!], end }], {
      provider: { wireApi: "chat" },
      retryMidStream: true,
    });
    const { events, error } = await model.ask();
    assertEquals(error, undefined);
    assertEquals(events.at(-1)?.type, "completed");
    assertEquals(model.times, [0]);
    assertEquals(model.clock.now(), end === "stall" ? 2_000 : 0);
    assertEquals(model.clock.pending, 0);
  }
});

Deno.test("ResponseStream tells which request the events come from after a reset", async () => {
  const { ask } = scriptedModel([
    BUSY,
    cutAfter(1),
    EMPTY,
    cutAfter(1),
    BUSY,
    WHOLE,
  ], { retryMidStream: true, provider: { requestMaxRetries: 5 } });
  const { events, error } = await ask();
  assertEquals(error, undefined);
  // The empty one is asked for again with the reset that came before it.
  assertEquals(events.filter(({ type }) => type === "reset"), [
    { type: "reset", attempt: 3 },
    { type: "reset", attempt: 6 },
  ]);
});

Deno.test("ResponseStream.final() has only what came after the reset", async () => {
  const first = responseOf("First try", "resp_1").slice(0, 5);
  const second = responseOf("Second try", "resp_2");
  const model = scriptedModel([
    { chunks: [sse(...first)], end: "drop" },
    { chunks: [sse(...second)], headers: { "x-request-id": "req_2" } },
  ], { retryMidStream: true });
  const final = await model.clock.run(
    model.client.stream(PROMPT).then(async (stream) => {
      const final = await stream.final();
      assertEquals(stream.response.requestId, "req_2");
      return final;
    }),
  );
  assertEquals(final.status, "completed");
  assertEquals(final.responseId, "resp_2");
  assertEquals(final.outputText, "Second try");
  assertEquals(final.output.length, 1);
  assertEquals(final.usage, USAGE);
});

Deno.test("ResponseStream forgets the calls of what came before the reset", async () => {
  const call = {
    type: "response.output_item.done",
    output_index: 1,
    item: {
      type: "function_call",
      id: "fc_1",
      call_id: "call_1",
      name: "shell",
      arguments: "{",
      status: "incomplete",
    },
  };
  const { events, error } = await scriptedModel([
    { chunks: [sse(responseOf("x")[0], call)] },
    WHOLE,
  ], { retryMidStream: true }).ask();
  assertEquals(error, undefined);
  assertEquals(events.at(-1), {
    type: "completed",
    responseId: "resp_1",
    usage: USAGE,
    sequenceNumber: 5,
  });
});

Deno.test("ResponseStream says what it knows in the error", async () => {
  const model = scriptedModel([
    {
      chunks: [sse(...responseOf("Hello there").slice(0, 3))],
      headers: { "x-request-id": "req_1" },
      end: "drop",
    },
  ]);
  const { error } = await model.ask();
  assertInstanceOf(error, StreamError);
  assertEquals(error.responseId, "resp_1");
  assertEquals(error.requestId, "req_1");
  assertEquals(error.retryable, true);
});

Deno.test("ResponseStream says which clock has run out", async () => {
  const comments = Array.from({ length: 40 }, () => [
    { wait: 10_000 },
    ": keep-alive\n\n",
  ]).flat();
  const cases: [ScriptedModelOptions, ScriptedConnection, string, number][] = [
    // By default comments do not count, as in the reference.
    [{}, { chunks: comments }, "events", 300_000],
    [{ eventTimeout: 60_000 }, { chunks: comments }, "events", 60_000],
    // Whichever runs out first.
    [{}, SILENT, "bytes", 300_000],
    [{ provider: { idleTimeout: 1_000 } }, SILENT, "bytes", 1_000],
    [{ eventTimeout: Infinity }, SILENT, "bytes", 300_000],
  ];
  for (const [options, connection, clock, time] of cases) {
    const model = scriptedModel([connection], {
      ...options,
      provider: { streamMaxRetries: 0, ...options.provider },
    });
    const { error } = await model.ask();
    assertInstanceOf(error, StreamError);
    assertEquals(error.code, "idle");
    assertInstanceOf(error.cause, IdleTimeoutError);
    assertEquals(error.cause.clock, clock);
    assertEquals(model.clock.now(), time);
  }
});

Deno.test("ResponseStream takes comments for life where eventTimeout is Infinity", async () => {
  const comments = Array.from({ length: 40 }, () => [
    { wait: 10_000 },
    ": keep-alive\n\n",
  ]).flat();
  const model = scriptedModel(
    [{ chunks: [...comments, WHOLE_TEXT()] }],
    { eventTimeout: Infinity },
  );
  assertEquals((await model.ask()).error, undefined);
  assertEquals(model.clock.now(), 400_000);
});

Deno.test("ResponseStream says what was too large", async () => {
  const { error } = await scriptedModel([
    { chunks: [`data: ${"x".repeat(2_000)}`] },
  ], { maxEventSize: 1_000 }).ask();
  assertInstanceOf(error, StreamError);
  assertInstanceOf(error.cause, EventTooLargeError);
});

Deno.test("ResponseStream is aborted while it waits to ask again", async () => {
  for (
    const options of [{}, {
      retryMidStream: true,
    }] satisfies ScriptedModelOptions[]
  ) {
    const first = options.retryMidStream ? cutAfter(1) : EMPTY;
    const model = scriptedModel([first], options);
    const abort = new CountedAbort();
    const asked = outcomeOf(
      model.client.stream(PROMPT, { signal: abort.signal }),
    );
    await model.clock.advance(150);
    const reason = new Error("enough");
    abort.abort(reason);
    const { error } = await asked;
    assertStrictEquals(error, reason);
    assertEquals(model.times, [0]);
    assertEquals(model.clock.pending, 0);
    assertEquals(abort.listeners, 0);
  }
});

Deno.test("ResponseStream is aborted while it asks again", async () => {
  const model = scriptedModel([EMPTY, { connect: "stall" }]);
  const abort = new CountedAbort();
  const asked = outcomeOf(
    model.client.stream(PROMPT, { signal: abort.signal }),
  );
  await model.clock.advance(300);
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals((await asked).error, reason);
  assertEquals(model.script.requests[1]?.outcome, "aborted");
  assertEquals(model.clock.pending, 0);
  assertEquals(abort.listeners, 0);
});

Deno.test("ResponseStream never makes more requests than the larger limit allows", async () => {
  const failure: fc.Arbitrary<ScriptedConnection> = fc.oneof(
    fc.constantFrom(BUSY, EMPTY, RESET, SILENT),
    fc.constantFrom<ScriptedConnection>({ connect: "drop" }, {
      connect: "stall",
    }),
    fc.constant<ScriptedConnection>({
      status: 429,
      headers: { "Retry-After": "0" },
    }),
    fc.constant<ScriptedConnection>({
      status: 409,
      headers: { "x-should-retry": "true" },
    }),
    fc.tuple(
      fc.integer({ min: 0, max: 5 }),
      fc.constantFrom("close" as const, "drop" as const, "stall" as const),
    ).map(([events, end]) => cutAfter(events, end)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(failure, { minLength: 1, maxLength: 12 }),
      fc.nat(6),
      fc.nat(6),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      async (
        connections,
        requestMaxRetries,
        streamMaxRetries,
        retryMidStream,
        deltas,
        background,
      ) => {
        const model = scriptedModel(connections, {
          provider: { requestMaxRetries, streamMaxRetries },
          retryMidStream,
          deltas,
          afterLast: "repeat",
        });
        const { events, error } = await model.ask({ ...PROMPT, background });
        assert(error instanceof Error, "a script of failures never ends well");
        const most = 1 + Math.max(requestMaxRetries, streamMaxRetries);
        assert(
          model.times.length <= most,
          `${model.times.length} requests, ${most} allowed`,
        );
        // Events are never repeated, except after a reset.
        const numbers: number[] = [];
        for (const event of events) {
          if (event.type === "reset") numbers.length = 0;
          else if (event.sequenceNumber !== undefined) {
            assert(event.sequenceNumber >= (numbers.at(-1) ?? 0));
            numbers.push(event.sequenceNumber);
          }
        }
        if (!retryMidStream) {
          assert(events.every(({ type }) => type !== "reset"));
        }
        assertEquals(model.clock.pending, 0);
        assert(
          model.script.requests.every(({ outcome }) => outcome !== "pending"),
        );
      },
    ),
    propertyParameters(400),
  );
});
