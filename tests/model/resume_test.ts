import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import fc from "fast-check";
import { ConnectionError } from "../../src/fetch/mod.ts";
import {
  ModelClient,
  type ModelError,
  NotAStreamError,
  type Prompt,
  type ResponseEvent,
  RetryLimitError,
  StreamError,
  UnexpectedStatusError,
} from "../../src/model/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import { propertyParameters } from "../support/property.ts";
import {
  readRecordings,
  recordingsMissing,
} from "../support/recordings/recordings.ts";
import {
  cutAfter,
  KEY,
  type Outcome,
  outcomeOf,
  PROMPT,
  PROVIDER,
  responseOf,
  scriptedModel,
  type ScriptedModelOptions,
  sse,
  textOf,
} from "../support/model/scripted_model.ts";

const BACKGROUND: Prompt = { ...PROMPT, background: true, store: true };
const WIRE = responseOf("Hello there");

/** The events from that number on. */
const from = (
  number: number,
  end: "close" | "drop" | "stall" = "close",
): ScriptedConnection => ({ chunks: [sse(...WIRE.slice(number))], end });

/** OpenAI's refusal. */
const TOO_OLD: ScriptedConnection = {
  status: 400,
  chunks: [JSON.stringify({
    error: {
      message:
        "Response with id 'resp_1' can no longer be streamed because it is more than 5 minutes old.",
      type: "invalid_request_error",
      param: "stream",
      code: null,
    },
  })],
};

const BUSY: ScriptedConnection = { status: 503 };

/** Returns the events of a stream without a fault. */
async function undisturbed(deltas = true): Promise<ResponseEvent[]> {
  const { events, error } = await scriptedModel([from(0)], { deltas })
    .ask(BACKGROUND);
  assertEquals(error, undefined);
  return events;
}

interface Row {
  readonly name: string;
  readonly connections: readonly ScriptedConnection[];
  readonly options?: ScriptedModelOptions;
  readonly prompt?: Prompt;
  /** The requests: as `starting_after`, or all, or anew. */
  readonly asked: readonly (number | "all" | "anew")[];
  readonly times?: readonly number[];
  /** The error that it ends with; without one, every event comes once. */
  readonly error?: { code: ModelError["code"] };
  /** Checks the cause at the bottom of the error. */
  readonly cause?: (cause: unknown) => void;
  /** The number of events. */
  readonly events?: number;
}

const isGap = (after: number, got: number | undefined) => (cause: unknown) => {
  assertInstanceOf(cause, Error);
  assertEquals(
    cause.message,
    `Cannot go on with the response as the events must follow number ${after}: got number ${got}`,
  );
};

const isTooOld = (cause: unknown) => {
  assertInstanceOf(cause, UnexpectedStatusError);
  assertEquals(cause.status, 400);
  assert(cause.body.includes("more than 5 minutes old"), cause.body);
};

const ROWS: Row[] = [
  ...(["close", "drop", "stall"] as const).map((end): Row => ({
    name: `goes on after the last event that came (${end})`,
    connections: [cutAfter(3, end), from(3)],
    asked: ["anew", 2],
    times: [0, end === "stall" ? 300_200 : 200],
  })),
  {
    name: "goes on after the first event",
    connections: [cutAfter(1), from(1)],
    asked: ["anew", 0],
  },
  {
    name: "goes on before the last event",
    connections: [cutAfter(5), from(5)],
    asked: ["anew", 4],
  },
  {
    name: "goes on after an event that was cut off",
    connections: [
      { chunks: [sse(...WIRE.slice(0, 4)).slice(0, -3)] },
      from(3),
    ],
    asked: ["anew", 2],
  },
  {
    name: "goes on after a last event without its blank line (G4)",
    connections: [
      { chunks: [sse(...WIRE.slice(0, 4)).slice(0, -1)] },
      from(4),
    ],
    asked: ["anew", 3],
  },
  {
    name: "goes on where background is among the extra",
    connections: [cutAfter(3), from(3)],
    prompt: { ...PROMPT, extra: { background: true } },
    asked: ["anew", 2],
  },
  {
    name: "goes on without deltas",
    connections: [cutAfter(3), from(3)],
    options: { deltas: false },
    asked: ["anew", 2],
  },
  {
    name: "goes on rather than begin anew",
    connections: [cutAfter(3), from(3)],
    options: { retryMidStream: true },
    asked: ["anew", 2],
  },
  {
    name: "goes on again and again",
    connections: [
      cutAfter(1),
      { chunks: [sse(...WIRE.slice(1, 2))] },
      { chunks: [sse(...WIRE.slice(2, 4))], end: "drop" },
      from(4),
    ],
    asked: ["anew", 0, 1, 3],
    times: [0, 200, 600, 1_400],
  },
  {
    name: "asks for the same again when nothing came of it",
    connections: [
      cutAfter(3),
      { chunks: [] },
      { chunks: [": hi\n\n"], end: "drop" },
      { end: "stall" },
      from(3),
    ],
    asked: ["anew", 2, 2, 2, 2],
    times: [0, 200, 600, 1_400, 303_000],
  },
  {
    name: "asks anew, not for the rest, when nothing had come",
    connections: [{ chunks: [] }, from(0)],
    asked: ["anew", "anew"],
  },
  {
    name: "passes over what it has when all of it comes again",
    connections: [cutAfter(3), from(0)],
    asked: ["anew", 2],
  },
  {
    name: "passes over what it has, chunk by chunk",
    connections: [cutAfter(4), { chunks: WIRE.map((event) => sse(event)) }],
    asked: ["anew", 3],
  },
  {
    name: "passes over what it has when some of it comes again",
    connections: [cutAfter(3), from(2)],
    asked: ["anew", 2],
  },
  {
    name: "asks for the same again when a replay breaks off in what it has",
    connections: [cutAfter(4), cutAfter(2), from(4)],
    asked: ["anew", 3, 3],
  },
  {
    name: "goes on after a replay that broke off",
    connections: [cutAfter(2), cutAfter(4), from(4)],
    asked: ["anew", 1, 3],
  },
  {
    name: "passes over a ping before the rest",
    connections: [
      cutAfter(3),
      { chunks: [`event: ping\ndata: \n\n${sse(...WIRE.slice(3))}`] },
    ],
    asked: ["anew", 2],
  },
  {
    name: "hears that the provider has failed where the rest should be",
    connections: [
      cutAfter(3),
      { chunks: [sse({ type: "error", error: { code: "invalid_prompt" } })] },
    ],
    asked: ["anew", 2],
    error: { code: "invalid_prompt" },
    events: 3,
  },

  // Gaps
  {
    name: "asks for all when there is a gap",
    connections: [cutAfter(3), from(4), from(0)],
    asked: ["anew", 2, "all"],
    times: [0, 200, 600],
  },
  {
    name: "asks for all when there is a gap in what it has",
    connections: [
      cutAfter(3),
      { chunks: [sse(...WIRE.slice(0, 2), ...WIRE.slice(4))] },
      from(0),
    ],
    asked: ["anew", 2, "all"],
  },
  {
    name: "breaks off when there is a gap twice",
    connections: [cutAfter(3), from(4), from(5)],
    asked: ["anew", 2, "all"],
    error: { code: "truncated" },
    cause: isGap(2, 5),
    events: 3,
  },
  {
    name: "breaks off when the rest has no numbers",
    connections: [
      cutAfter(3),
      { chunks: [sse({ type: "response.in_progress" })] },
      { chunks: [sse({ type: "response.in_progress" })] },
    ],
    asked: ["anew", 2, "all"],
    error: { code: "truncated" },
    cause: isGap(2, undefined),
    events: 3,
  },
  {
    name: "begins anew when there is a gap twice, where that is wished",
    connections: [cutAfter(3), from(4), from(4), from(0)],
    options: { retryMidStream: true },
    asked: ["anew", 2, "all", "anew"],
    times: [0, 200, 600, 1_400],
  },

  // Refusals
  {
    name: "asks for all when it comes too late",
    connections: [cutAfter(3), TOO_OLD, from(0)],
    asked: ["anew", 2, "all"],
  },
  {
    name: "breaks off when it comes too late for all",
    connections: [cutAfter(3), TOO_OLD, TOO_OLD],
    asked: ["anew", 2, "all"],
    error: { code: "truncated" },
    cause: isTooOld,
    events: 3,
  },
  {
    name: "begins anew when it comes too late for all, where that is wished",
    connections: [cutAfter(3), TOO_OLD, TOO_OLD, from(0)],
    options: { retryMidStream: true },
    asked: ["anew", 2, "all", "anew"],
  },
  {
    name: "breaks off when the answer is no stream",
    connections: [cutAfter(3), ...Array(2).fill({ status: 204 })],
    asked: ["anew", 2, "all"],
    error: { code: "truncated" },
    cause: (cause) => assertInstanceOf(cause, NotAStreamError),
    events: 3,
  },
  {
    name: "says how the network failed, where it did",
    connections: [cutAfter(3, "drop"), TOO_OLD, TOO_OLD],
    asked: ["anew", 2, "all"],
    error: { code: "disconnected" },
    cause: (cause) => assertInstanceOf(cause, ConnectionError),
    events: 3,
  },

  // Busy
  {
    name: "waits for a provider that is busy",
    connections: [
      cutAfter(3),
      BUSY,
      { status: 429, headers: { "Retry-After": "2" } },
      { connect: "drop" },
      from(3),
    ],
    asked: ["anew", 2, 2, 2, 2],
    times: [0, 200, 600, 2_600, 4_200],
  },
  {
    name: "ends when the provider is busy for too long",
    connections: [cutAfter(3), ...Array(4).fill(BUSY)],
    options: { retryMidStream: true },
    asked: ["anew", 2, 2, 2, 2],
    error: { code: "retry_limit" },
    events: 3,
  },

  // The budget
  {
    name: "goes on five times at most",
    connections: [1, 2, 3, 4, 5, 5].map((end, index) => ({
      chunks: [sse(...WIRE.slice(index, end))],
    })),
    asked: ["anew", 0, 1, 2, 3, 4],
    error: { code: "truncated" },
    events: 5,
  },
  {
    name: "does not ask for all when the retries are used up",
    connections: [cutAfter(3), TOO_OLD],
    options: { provider: { streamMaxRetries: 1 } },
    asked: ["anew", 2],
    error: { code: "truncated" },
    cause: isTooOld,
    events: 3,
  },
  {
    name: "does not begin anew when the retries are used up",
    connections: [cutAfter(3), TOO_OLD, TOO_OLD],
    options: { provider: { streamMaxRetries: 2 }, retryMidStream: true },
    asked: ["anew", 2, "all"],
    error: { code: "truncated" },
    cause: isTooOld,
    events: 3,
  },
  {
    name: "does not go on where no retry is allowed",
    connections: [cutAfter(3)],
    options: { provider: { streamMaxRetries: 0 } },
    asked: ["anew"],
    error: { code: "truncated" },
    events: 3,
  },

  // Not in the background
  {
    name: "does not go on without background",
    connections: [cutAfter(3)],
    prompt: PROMPT,
    asked: ["anew"],
    error: { code: "truncated" },
    events: 3,
  },
  {
    name: "does not go on where the extra has no background after all",
    connections: [cutAfter(3)],
    prompt: { ...BACKGROUND, extra: { background: false } },
    asked: ["anew"],
    error: { code: "truncated" },
    events: 3,
  },
  {
    name: "does not go on after an event that is too large",
    connections: [
      cutAfter(3),
      { chunks: [`data: ${"x".repeat(20_000)}`] },
    ],
    options: { maxEventSize: 10_000 },
    asked: ["anew", 2],
    error: { code: "invalid_stream" },
    events: 3,
  },
  {
    name: "does not go on after a response that has failed",
    connections: [{
      chunks: [
        sse(...WIRE.slice(0, 2), {
          type: "response.failed",
          sequence_number: 2,
          response: { error: { code: "server_error", message: "" } },
        }),
      ],
    }],
    asked: ["anew"],
    error: { code: "response_failed" },
    events: 2,
  },
];

for (const row of ROWS) {
  Deno.test(`ResponseStream ${row.name}`, async () => {
    const model = scriptedModel(row.connections, row.options);
    const { events, error } = await model.ask(row.prompt ?? BACKGROUND);
    assertEquals(
      model.script.requests.map(({ method, url }) => {
        if (method === "POST") return "anew";
        const after = new URL(url).searchParams.get("starting_after");
        return after === null ? "all" : Number(after);
      }),
      row.asked,
    );
    if (row.times) assertEquals(model.times, row.times);
    assertEquals(model.clock.pending, 0);
    if (row.error) {
      assertInstanceOf(error, Error);
      assertEquals(Reflect.get(error, "code"), row.error.code);
      assertEquals(Reflect.get(error, "responseId"), "resp_1");
      row.cause?.(error.cause);
      assertEquals(events.length, row.events);
      return;
    }
    assertEquals(error, undefined);
    const last = events.findLastIndex(({ type }) => type === "reset");
    assertEquals(
      events.slice(last + 1),
      await undisturbed(row.options?.deltas),
    );
    assertEquals(last >= 0, row.asked.lastIndexOf("anew") > 1);
  });
}

Deno.test("ResponseStream does not go on without a number, or an id", async () => {
  for (
    const strip of [
      ({ sequence_number: _, ...event }: Record<string, unknown>) => event,
      ({ response: _, ...event }: Record<string, unknown>) => event,
    ]
  ) {
    const model = scriptedModel([
      { chunks: [sse(...WIRE.slice(0, 3).map(strip))] },
    ]);
    const { error } = await model.ask(BACKGROUND);
    assertInstanceOf(error, StreamError);
    assertEquals(error.code, "truncated");
    assertEquals(model.times, [0]);
  }
});

Deno.test("ResponseStream goes on where the provider leaves numbers out", async () => {
  const odd = WIRE.map((event, index) => ({
    ...event,
    sequence_number: index < 3 ? index : index + 10,
  }));
  const model = scriptedModel([
    { chunks: [sse(...odd.slice(0, 3))] },
    { chunks: [sse(...odd.slice(3))] },
    { chunks: [sse(...odd)] },
  ]);
  const { events, error } = await model.ask(BACKGROUND);
  assertEquals(error, undefined);
  assertEquals(textOf(events), "Hello there");
  assertEquals(model.times, [0, 200, 600]);
});

Deno.test("ResponseStream asks for the rest with the key and the query, and without a body", async () => {
  let keys = 0;
  const model = scriptedModel([
    { chunks: [sse(...responseOf("Hello there", "resp/1?").slice(0, 3))] },
    {
      chunks: [sse(...responseOf("Hello there", "resp/1?").slice(3))],
      headers: { "x-request-id": "req_2" },
    },
  ], {
    provider: {
      apiKey: () => `${KEY} ${++keys}`,
      query: { "api-version": "v1" },
      headers: { "X-Title": "Rivulet" },
    },
  });
  const { clock, client, script } = model;
  const stream = await clock.run(client.stream(BACKGROUND));
  const final = await clock.run(stream.final());
  assertEquals(final.outputText, "Hello there");
  assertEquals(stream.response.requestId, "req_2");
  const [first, second] = script.requests;
  assert(first && second);
  assertEquals(JSON.parse(first.body).background, true);
  assertEquals(second.method, "GET");
  assertEquals(
    second.url,
    "https://example.com/v1/responses/resp%2F1%3F?api-version=v1&stream=true&starting_after=2",
  );
  assertEquals(second.body, "");
  assertEquals(second.headers.get("authorization"), `Bearer ${KEY} 2`);
  assertEquals(second.headers.get("accept"), "text/event-stream");
  assertEquals(second.headers.get("content-type"), null);
  assertEquals(second.headers.get("x-title"), "Rivulet");
  assertEquals(second.headers.get("openai-beta"), "responses=experimental");
});

Deno.test("ResponseStream keeps the limit's error when the provider is busy for too long", async () => {
  const model = scriptedModel([cutAfter(3), BUSY, BUSY], {
    provider: { requestMaxRetries: 2 },
  });
  const { error } = await model.ask(BACKGROUND);
  assertInstanceOf(error, RetryLimitError);
  assertEquals(error.attempts, 3);
  assertEquals(error.responseId, "resp_1");
});

Deno.test("ResponseStream is aborted wherever it is when it goes on", async () => {
  const rest: ScriptedConnection[] = [
    { connect: "stall" },
    { end: "stall" },
    { chunks: [sse(...WIRE.slice(0, 2))], end: "stall" },
    { status: 400, end: "stall" },
  ];
  for (const connection of rest) {
    const model = scriptedModel([cutAfter(3), connection]);
    const abort = new CountedAbort();
    const asked = outcomeOf(
      model.client.stream(BACKGROUND, { signal: abort.signal }),
    );
    await model.clock.advance(1_000);
    assertEquals(model.times, [0, 200]);
    const reason = new Error("enough");
    abort.abort(reason);
    const { events, error } = await asked;
    assertEquals(error, reason);
    assertEquals(events.length, 3);
    assertEquals(model.clock.pending, 0);
    assertEquals(abort.listeners, 0);
    assert(
      model.script.requests.every(({ outcome }) => outcome !== "pending"),
    );
  }
});

/**
 * A provider that keeps a response, and cuts every connection to it.
 *
 * @param body The whole response, as bytes.
 * @param cuts How many bytes each connection has at most; later ones have all.
 * @param replays Whether it pays no heed to `starting_after`.
 */
function keeping(
  body: Uint8Array,
  cuts: readonly { at: number; end: "close" | "drop" }[],
  replays: boolean,
): typeof fetch {
  const blocks = new TextDecoder().decode(body).split(/(?<=\n\n)/);
  let connections = 0;
  return (input) => {
    const after = new URL(String(input)).searchParams.get("starting_after");
    const rest = after === null || replays
      ? blocks
      : blocks.filter((block) =>
        Number(/"sequence_number":(\d+)/.exec(block)?.[1]) > Number(after)
      );
    const { at, end } = cuts[connections++] ?? { at: Infinity, end: "close" };
    const bytes = new TextEncoder().encode(rest.join(""));
    let sent = false;
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        const chunk = bytes.slice(0, at);
        if (!sent && chunk.length > 0) {
          sent = true;
          return controller.enqueue(chunk);
        }
        if (end === "close") controller.close();
        else controller.error(new TypeError("reset"));
      },
    }, { highWaterMark: 0 });
    return Promise.resolve(
      new Response(stream, {
        headers: { "Content-Type": "text/event-stream" },
      }),
    );
  };
}

async function read(
  fetch: typeof globalThis.fetch,
  deltas: boolean,
): Promise<Outcome> {
  const clock = new FakeClock();
  const client = new ModelClient({
    model: "m",
    provider: { ...PROVIDER, streamMaxRetries: 1_000 },
    retry: { minTimeout: 0 },
    deltas,
    clock,
    fetch,
  });
  const outcome = await clock.run(outcomeOf(client.stream(BACKGROUND)));
  assertEquals(clock.pending, 0);
  return outcome;
}

async function checkCuts(body: Uint8Array, runs: number): Promise<void> {
  const whole = {
    true: await read(keeping(body, [], false), true),
    false: await read(keeping(body, [], false), false),
  };
  assertEquals(whole.true.error, undefined);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          at: fc.nat(body.length),
          end: fc.constantFrom("close" as const, "drop" as const),
        }),
        { minLength: 1, maxLength: 8 },
      ),
      fc.boolean(),
      fc.boolean(),
      async (cuts, replays, deltas) => {
        const cut = await read(keeping(body, cuts, replays), deltas);
        assertEquals(cut, whole[deltas ? "true" : "false"]);
      },
    ),
    propertyParameters(runs),
  );
}

Deno.test("ResponseStream has the same events wherever it is cut, and however often", async () => {
  const text = "Grüße, 世界 😀 and so on";
  await checkCuts(new TextEncoder().encode(sse(...responseOf(text))), 300);
});

const RECORDED =
  "ResponseStream has the events of a recording wherever it is cut";
Deno.test({
  name: RECORDED,
  ignore: recordingsMissing(RECORDED),
  async fn() {
    const recordings = await readRecordings();
    const body = recordings.get(
      "openai.responses.background-modestarting-after-vcr-0.sse",
    );
    assert(body);
    await checkCuts(body, 100);
  },
});

const PAIR = "ResponseStream goes on as OpenAI's client was recorded to";
Deno.test({
  name: PAIR,
  ignore: recordingsMissing(PAIR),
  async fn() {
    const recordings = await readRecordings();
    const [first, second] = [0, 1].map((index) =>
      recordings.get(
        `openai.responses.background-modestarting-after-vcr-${index}.sse`,
      )
    );
    assert(first && second);
    const text = new TextDecoder().decode(first);
    const model = scriptedModel([
      { chunks: [text.slice(0, text.indexOf("\n\n") + 2)], end: "drop" },
      { chunks: [second] },
    ]);
    const resumed = await model.ask(BACKGROUND);
    assertEquals(
      new URL(model.script.requests[1]?.url ?? "").search,
      "?stream=true&starting_after=0",
    );
    const whole = await scriptedModel([{ chunks: [first] }]).ask(BACKGROUND);
    assertEquals(resumed, whole);
    assertEquals(textOf(resumed.events), "2 + 2 equals 4.");
    assertEquals(resumed.events.at(-1)?.type, "completed");
  },
});
