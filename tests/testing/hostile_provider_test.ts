import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { readEvents } from "../../src/sse/mod.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import {
  FakeClock,
  formatHostilePlan,
  type HostileAnswer,
  HostileConnectionError,
  type HostileFault,
  type HostilePlan,
  HostilePlanError,
  HostileProvider,
  type HostileProviderOptions,
  parseHostilePlan,
} from "../../src/testing/mod.ts";
import { propertyParameters } from "../support/property.ts";

const ORIGIN = "http://localhost";

/** A question in each format, whose answer is streamed, and what its path is. */
const QUESTIONS = {
  responses: { model: "m", input: "one two three", stream: true },
  "chat/completions": {
    model: "m",
    messages: [{ role: "user", content: "one two three" }],
    stream: true,
  },
  messages: {
    model: "m",
    max_tokens: 100,
    messages: [{ role: "user", content: "one two three" }],
    stream: true,
  },
} as const;

type Path = keyof typeof QUESTIONS;

const PATHS: readonly Path[] = ["responses", "chat/completions", "messages"];

function make(options: Omit<HostileProviderOptions, "clock"> = {}) {
  const clock = new FakeClock(1_700_000_000_250);
  const provider = new HostileProvider({ ...options, clock });
  const post = (
    path: string,
    body: unknown,
    init: { plan?: string; signal?: AbortSignal } = {},
  ): Promise<Response> =>
    provider.fetch(
      new Request(`${ORIGIN}/v1/${path}`, {
        method: "POST",
        body: JSON.stringify(body),
        headers: init.plan === undefined ? {} : { Hostile: init.plan },
        ...init.signal && { signal: init.signal },
      }),
    );
  const get = (path: string): Promise<Response> =>
    provider.fetch(new Request(`${ORIGIN}/v1/${path}`));
  return { clock, provider, post, get };
}

/** The chunks of a body as text, each with when it came, and how the body ended. */
async function chunksOf(
  clock: FakeClock,
  response: Response,
  chunks: [text: string, time: number][] = [],
): Promise<{ chunks: [text: string, time: number][]; error: unknown }> {
  const start = clock.now();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push([decoder.decode(chunk), clock.now() - start]);
    }
    return { chunks, error: undefined };
  } catch (error) {
    return { chunks, error };
  }
}

async function eventsOf(response: Response): Promise<ServerSentEvent[]> {
  assert(response.body);
  return await Array.fromAsync(readEvents(response.body));
}

/** The `sequence_number` of each event. */
const numbers = (
  events: readonly ServerSentEvent[],
): (number | undefined)[] =>
  events.map(({ data }) => JSON.parse(data).sequence_number);

/** The text that a stream of a format says. */
function textOf(path: Path, events: readonly ServerSentEvent[]): string {
  return events.map(({ data }) => {
    if (data === "[DONE]") return "";
    const value = JSON.parse(data);
    switch (path) {
      case "responses":
        return value.type.endsWith("text.delta") ? value.delta : "";
      case "chat/completions":
        return value.choices[0]?.delta.content ?? "";
      case "messages":
        return value.delta?.text ?? "";
    }
  }).join("");
}

const plans: fc.Arbitrary<HostilePlan> = (() => {
  const ms = fc.integer({ min: 0, max: 2 ** 31 - 1 });
  const ordinal = fc.integer({ min: 1, max: 1_000_000 });
  const seconds = fc.double({ min: 0, max: 1e9, noNaN: true })
    .map((value) => value + 0); // not -0
  const text = fc.string({ unit: "binary" });
  const after = fc.record({ after: ordinal });
  const within = fc.record({ within: ordinal });
  const silence = { silence: ms };
  const optional = { requiredKeys: ["kind", "at"] as ["kind", "at"] };
  const answer: fc.Arbitrary<HostileAnswer> = fc.oneof(
    fc.record({ kind: fc.constant("run" as const), deltas: ordinal }, {
      requiredKeys: ["kind"],
    }),
    fc.record({
      kind: fc.constant("recording" as const),
      name: text.filter((name) => name !== ""),
    }),
    fc.record({ kind: fc.constant("body" as const), text }),
    fc.record({
      kind: fc.constant("status" as const),
      status: fc.integer({ min: 400, max: 599 }),
      retryAfter: fc.oneof(
        fc.record({ seconds }),
        fc.record({ date: seconds }),
        fc.record({ milliseconds: ms }),
      ),
    }, { requiredKeys: ["kind", "status"] }),
    fc.record({ kind: fc.constantFrom("json", "html", "empty") }),
  );
  const fault: fc.Arbitrary<HostileFault> = fc.oneof(
    fc.record({
      kind: fc.constantFrom("stall", "reset", "cut"),
      at: fc.oneof(
        fc.constantFrom("request" as const, "head" as const, "end" as const),
        after,
        within,
      ),
      ...silence,
    }, optional),
    fc.record({
      kind: fc.constant("truncate" as const),
      at: fc.oneof(
        fc.constantFrom("head" as const, "end" as const),
        after,
        within,
      ),
      ...silence,
    }, optional),
    fc.record({
      kind: fc.constant("error" as const),
      at: fc.oneof(fc.constant("head" as const), after),
      ...silence,
    }, optional),
  );
  return fc.record({
    answer,
    delay: ms,
    pace: ms,
    chunk: fc.oneof(
      fc.constantFrom("event" as const, "whole" as const),
      fc.array(ordinal, { minLength: 1 }),
    ),
    lines: fc.constantFrom("lf", "crlf", "cr"),
    bom: fc.constant(true as const),
    comments: ordinal,
    pings: ordinal,
    sequence: fc.oneof(
      fc.record({
        kind: fc.constantFrom("duplicate", "missing", "reordered"),
        event: ordinal,
      }),
      fc.record({ kind: fc.constant("unnumbered" as const) }),
    ),
    fault,
  }, { requiredKeys: [] });
})();

Deno.test("parseHostilePlan() reads what formatHostilePlan() writes, which a header can hold", () => {
  fc.assert(
    fc.property(plans, (plan) => {
      const text = formatHostilePlan(plan);
      assertEquals(parseHostilePlan(text), plan);
      assertEquals(
        parseHostilePlan(new Headers({ Hostile: text }).get("Hostile") ?? ""),
        plan,
      );
      const backwards = text.split("; ").reverse().join(";");
      assertEquals(parseHostilePlan(backwards), plan);
    }),
    propertyParameters(1_000),
  );
});

const TEXTS: [text: string, plan: HostilePlan][] = [
  ["", {}],
  [" ; ", {}],
  ["stall", { fault: { kind: "stall", at: "request" } }],
  ["reset", { fault: { kind: "reset", at: "request" } }],
  ["truncate", { fault: { kind: "truncate", at: "head" } }],
  ["error", { fault: { kind: "error", at: "head" } }],
  ["hold", { fault: { kind: "stall", at: "end" } }],
  ["after = 3 ;cut", { fault: { kind: "cut", at: { after: 3 } } }],
  ["retry-after=0.5; status=503", {
    answer: { kind: "status", status: 503, retryAfter: { seconds: 0.5 } },
  }],
  ["chunk=1, 7", { chunk: [1, 7] }],
  ["body=data%3A%20%C3%A9%0A%0A", {
    answer: { kind: "body", text: "data: é\n\n" },
  }],
];

for (const [text, plan] of TEXTS) {
  Deno.test(`parseHostilePlan() reads '${text}'`, () => {
    assertEquals(parseHostilePlan(text), plan);
  });
}

const NO_PLANS: [text: string, message: string][] = [
  ["nonsense", "'nonsense' is no part of one"],
  ["toString", "'toString' is no part of one"],
  ["stall=3", "'stall=3' is no part of one"],
  ["pace", "'pace' is no part of one"],
  ["pace=fast", "'pace' must be a number: current value is 'fast'"],
  ["pace=", "'pace' must be a number"],
  ["pace=-1", "'pace' must be a number"],
  ["pace=1.5", "at pace"],
  ["pace=1; pace=2", "'pace' does not go with what is before it"],
  ["json; html", "'html' does not go with what is before it"],
  ["stall; at=head; after=3", "'after' does not go with what is before it"],
  ["after=1; within=1; stall", "at fault.at"],
  ["after=1", "at fault"],
  ["retry-after=2", "at answer"],
  ["status=200", "at answer.status"],
  ["truncate; at=request", "at fault.at"],
  ["error; within=2", "at fault.at"],
  ["stall; at=noon", "at fault.at"],
  ["chunk=0", "at chunk"],
  ["chunk=", "'chunk' must be a number"],
  ["comments=0", "at comments"],
  ["body=%", "'body' must be text as encodeURIComponent() writes it"],
];

for (const [text, message] of NO_PLANS) {
  Deno.test(`parseHostilePlan() refuses '${text}'`, () => {
    assertThrows(() => parseHostilePlan(text), HostilePlanError, message);
  });
}

Deno.test("HostileProvider says the last text again, in every format", async () => {
  for (const path of PATHS) {
    const { post } = make();
    const events = await eventsOf(await post(path, QUESTIONS[path]));
    assertEquals(textOf(path, events), "one two three");
  }
});

Deno.test("HostileProvider says the events of a response as OpenAI does", async () => {
  const { post } = make();
  const events = await eventsOf(await post("responses", QUESTIONS.responses));
  assertEquals(events.map(({ event }) => event), [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
  ]);
  assertEquals(numbers(events), events.map((_, index) => index));
  for (const { event, data } of events) {
    assertEquals(JSON.parse(data).type, event);
  }
  assertEquals(JSON.parse(events.at(-1)?.data ?? "").response.usage, {
    input_tokens: 3,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 3,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 6,
  });
});

Deno.test("HostileProvider sends usage in Chat only where it is asked for", async () => {
  const { post } = make();
  const question = QUESTIONS["chat/completions"];
  const without = await eventsOf(await post("chat/completions", question));
  assert(without.every(({ data }) => !data.includes("usage")));
  const events = await eventsOf(
    await post("chat/completions", {
      ...question,
      stream_options: { include_usage: true },
    }),
  );
  assertEquals(events.length, without.length + 1);
  assertEquals(events.at(-1)?.data, "[DONE]");
  const usage = JSON.parse(events.at(-2)?.data ?? "");
  assertEquals([usage.choices, usage.usage.total_tokens], [[], 6]);
});

Deno.test("HostileProvider says as many deltas as planned, and no more than asked for", async () => {
  const limits = {
    responses: "max_output_tokens",
    "chat/completions": "max_completion_tokens",
    messages: "max_tokens",
  };
  for (const path of PATHS) {
    const { post } = make({ plan: "deltas=5" });
    const question = QUESTIONS[path];
    const long = await eventsOf(await post(path, question));
    assertEquals(textOf(path, long), "one two three one two");
    const short = await eventsOf(
      await post(path, { ...question, [limits[path]]: 2 }),
    );
    assertEquals(textOf(path, short), "one two");
    const reasons =
      /"finish_reason":"length"|"stop_reason":"max_tokens"|"reason":"max_output_tokens"/;
    assert(short.some(({ data }) => reasons.test(data)));
    assert(!long.some(({ data }) => reasons.test(data)));
  }
});

Deno.test("HostileProvider gives equal requests equal answers", async () => {
  for (const path of PATHS) {
    for (const stream of [true, false]) {
      const { post, clock } = make();
      const question = { ...QUESTIONS[path], stream };
      const [first, second] = [
        await post(path, question),
        await make().post(path, question),
      ];
      assertEquals([...first.headers], [...second.headers]);
      const text = await first.text();
      assertEquals(text, await second.text());
      await clock.advance(60_000);
      assertEquals(await (await post(path, question)).text(), text);
      const other = await post(path, { ...question, model: "n" });
      assert(await other.text() !== text);
    }
  }
});

/** Plans, and their effect on a stream of `data: 1` to `data: 3`. */
const BODY = "body=data%3A1%0A%0Adata%3A2%0A%0Adata%3A3%0A%0A";

const SENT: {
  plan: string;
  chunks: [text: string, time: number][];
  error?: string;
  outcome?: string;
}[] = [{
  plan: "",
  chunks: [["data:1\n\n", 0], ["data:2\n\n", 0], ["data:3\n\n", 0]],
}, {
  plan: "pace=10",
  chunks: [["data:1\n\n", 0], ["data:2\n\n", 10], ["data:3\n\n", 20]],
}, {
  plan: "chunk=whole",
  chunks: [["data:1\n\ndata:2\n\ndata:3\n\n", 0]],
}, {
  plan: "chunk=10,3",
  chunks: [["data:1\n\nda", 0], ["ta:", 0], ["2\n\ndata:3\n", 0], ["\n", 0]],
}, {
  plan: "chunk=5; pace=10",
  chunks: [
    ["data:", 0],
    ["1\n\n", 0],
    ["data:", 10],
    ["2\n\n", 10],
    ["data:", 20],
    ["3\n\n", 20],
  ],
}, {
  plan: "comments=2; pace=10",
  chunks: [
    [": hostile\n\n", 0],
    ["data:1\n\n", 0],
    ["data:2\n\n", 10],
    [": hostile\n\n", 10],
    ["data:3\n\n", 20],
  ],
}, {
  plan: "pings=3; bom; lines=crlf",
  chunks: [
    ["\uFEFF", 0],
    ["event: ping\r\ndata:\r\n\r\n", 0],
    ["data:1\n\n", 0],
    ["data:2\n\n", 0],
    ["data:3\n\n", 0],
  ],
}, {
  plan: "duplicate=2",
  chunks: [
    ["data:1\n\n", 0],
    ["data:2\n\n", 0],
    ["data:2\n\n", 0],
    ["data:3\n\n", 0],
  ],
}, {
  plan: "missing=2",
  chunks: [["data:1\n\n", 0], ["data:3\n\n", 0]],
}, {
  plan: "reordered=1",
  chunks: [["data:2\n\n", 0], ["data:1\n\n", 0], ["data:3\n\n", 0]],
}, {
  plan: "stall; after=2; silence=500",
  chunks: [["data:1\n\n", 0], ["data:2\n\n", 0], ["data:3\n\n", 500]],
}, {
  plan: "stall; within=2; silence=500",
  chunks: [
    ["data:1\n\n", 0],
    ["data", 0],
    [":2\n\n", 500],
    ["data:3\n\n", 500],
  ],
}, {
  plan: "stall; at=head; silence=500",
  chunks: [["data:1\n\n", 500], ["data:2\n\n", 500], ["data:3\n\n", 500]],
}, {
  plan: "truncate; after=1",
  chunks: [["data:1\n\n", 0]],
}, {
  plan: "truncate; within=1",
  chunks: [["data", 0]],
}, {
  plan: "truncate",
  chunks: [],
}, {
  plan: "reset; after=1",
  chunks: [["data:1\n\n", 0]],
  error: "connection_reset",
  outcome: "broken",
}, {
  plan: "cut; within=2; silence=7; chunk=whole",
  chunks: [["data:1\n\ndata", 0]],
  error: "connection_cut",
  outcome: "broken",
}, {
  plan: "reset; at=end",
  chunks: [["data:1\n\n", 0], ["data:2\n\n", 0], ["data:3\n\n", 0]],
  error: "connection_reset",
  outcome: "broken",
}, {
  plan: "reset; after=9",
  chunks: [["data:1\n\n", 0], ["data:2\n\n", 0], ["data:3\n\n", 0]],
  error: "connection_reset",
  outcome: "broken",
}];

for (const { plan, chunks, error, outcome = "ended" } of SENT) {
  Deno.test(`HostileProvider follows the plan '${plan}'`, async () => {
    const { clock, provider, post } = make();
    const response = await post(
      "chat/completions",
      QUESTIONS["chat/completions"],
      { plan: `${BODY}; ${plan}` },
    );
    const sent = await clock.run(chunksOf(clock, response));
    assertEquals(sent.chunks, chunks);
    if (sent.error instanceof HostileConnectionError) {
      assertEquals(sent.error.code, error);
    } else assertEquals(sent.error, error);
    assertEquals(provider.requests[0]?.outcome, outcome);
    assertEquals(await provider.requests[0]?.done, outcome);
    assertEquals(clock.pending, 0);
  });
}

Deno.test("HostileProvider ends the lines of what it makes up as planned", async () => {
  for (const [lines, end] of [["crlf", "\r\n"], ["cr", "\r"], ["lf", "\n"]]) {
    const { post } = make({ plan: `lines=${lines}` });
    const text = await (await post("messages", QUESTIONS.messages)).text();
    assert(text.endsWith(
      `event: message_stop${end}data: {"type":"message_stop"}${end}${end}`,
    ));
    assertEquals(/[\r\n]+?/.exec(text)?.[0], end?.[0]);
  }
});

Deno.test("HostileProvider plays a recording byte for byte, whatever is in it", async () => {
  const recording =
    "\uFEFF: PROCESSING\r\n\r\n: and\n\ndata: é\r\rdata\n\nid: 7\n\ndata: cut of";
  const { post } = make({
    recordings: { odd: recording, "a b": new Uint8Array([0xFF, 0x0A, 0x0A]) },
  });
  for (const chunk of ["event", "whole", "1", "2,3"]) {
    const response = await post("responses", QUESTIONS.responses, {
      plan: `recording=odd; chunk=${chunk}`,
    });
    assertEquals(
      new Uint8Array(await response.arrayBuffer()),
      new TextEncoder().encode(recording),
    );
  }
  const bytes = await post("responses", {}, { plan: "recording=a%20b" });
  assertEquals([...new Uint8Array(await bytes.arrayBuffer())], [255, 10, 10]);
  // Only what has data is an event.
  const cut = await post("responses", {}, {
    plan: "recording=odd; truncate; after=2",
  });
  assertEquals(
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(
      await cut.arrayBuffer(),
    ),
    recording.slice(0, recording.indexOf("id:")),
  );
  const none = await post("responses", {}, { plan: "recording=none" });
  assertEquals(none.status, 400);
  assert((await none.text()).includes("'none'"));
});

Deno.test("HostileProvider writes an error into the stream as each format does", async () => {
  const { post } = make({ plan: "error; after=2" });
  const [responses, chat, messages] = await Promise.all(
    PATHS.map(async (path) =>
      await eventsOf(await post(path, QUESTIONS[path]))
    ),
  );
  assert(responses && chat && messages);
  assertEquals(responses.map(({ event }) => event), [
    "response.created",
    "response.in_progress",
    "error",
    "response.failed",
  ]);
  assertEquals(numbers(responses), [0, 1, 2, 3]);
  const failed = JSON.parse(responses[3]?.data ?? "").response;
  assertEquals([failed.status, failed.error.code], ["failed", "server_error"]);
  assertEquals(chat.length, 3);
  assertEquals(JSON.parse(chat[2]?.data ?? "").error.type, "server_error");
  assertEquals(messages[2]?.event, "error");
  assertEquals(
    JSON.parse(messages[2]?.data ?? "").error.type,
    "overloaded_error",
  );
  assertEquals(messages.length, 3);
});

Deno.test("HostileProvider numbers events wrongly, or not at all, as planned", async () => {
  const { post } = make();
  const numbersOf = async (plan: string) =>
    numbers(
      await eventsOf(await post("responses", QUESTIONS.responses, { plan })),
    );
  assertEquals(await numbersOf("duplicate=3"), [
    0,
    1,
    2,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
  ]);
  assertEquals(await numbersOf("missing=3"), [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]);
  assertEquals(await numbersOf("reordered=3"), [
    0,
    1,
    3,
    2,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
  ]);
  assertEquals(await numbersOf("reordered=11"), [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
  ]);
  assertEquals(
    await numbersOf("unnumbered"),
    Array.from({ length: 11 }, () => undefined),
  );
});

const RETRIES: [plan: string, header: string, value: string | null][] = [
  ["status=429", "Retry-After", null],
  ["status=429; retry-after=2", "Retry-After", "2"],
  ["status=503; retry-after=0.25", "Retry-After", "0.25"],
  ["status=429; retry-after-ms=1500", "Retry-After-Ms", "1500"],
  // The clock shows a quarter of a second past 22:13:20.
  [
    "status=429; retry-after-date=2",
    "Retry-After",
    "Tue, 14 Nov 2023 22:13:23 GMT",
  ],
  [
    "status=529; retry-after-date=0",
    "Retry-After",
    "Tue, 14 Nov 2023 22:13:21 GMT",
  ],
];

for (const [plan, header, value] of RETRIES) {
  Deno.test(`HostileProvider answers '${plan}' with ${header}: ${value}`, async () => {
    const { post } = make();
    for (const path of PATHS) {
      const response = await post(path, QUESTIONS[path], { plan });
      assertEquals(String(response.status), plan.slice(7, 10));
      assertEquals(response.headers.get(header), value);
      const body = await response.text();
      assertEquals(response.headers.get("Content-Length"), `${body.length}`);
      const { type, error } = JSON.parse(body);
      assertEquals(type, path === "messages" ? "error" : undefined);
      assertEquals(typeof error.message, "string");
    }
  });
}

Deno.test("HostileProvider answers with what is no event stream", async () => {
  const { post } = make();
  const shape = async (plan: string) => {
    const response = await post("responses", QUESTIONS.responses, { plan });
    const text = await response.text();
    return [
      response.status,
      response.headers.get("Content-Type")?.replace(/;.*/, ""),
      text.slice(0, 9),
    ];
  };
  assertEquals(await shape("json"), [200, "application/json", '{"error":']);
  assertEquals(await shape("html"), [200, "text/html", "<!doctype"]);
  assertEquals(await shape("empty"), [200, "text/event-stream", ""]);
  assertEquals(await shape("json; comments=1; pings=1; bom"), [
    200,
    "application/json",
    '{"error":',
  ]);
});

Deno.test("HostileProvider takes the plan of the header, else of the queue, else of the options", async () => {
  const { provider, post, get } = make({ plan: "status=418" });
  provider.enqueue("status=500", { answer: { kind: "run" } });
  const statuses = [
    (await post("responses", {}, { plan: "status=429" })).status,
    (await get("models")).status,
    (await get("models")).status,
    (await get("models")).status,
  ];
  assertEquals(statuses, [429, 500, 200, 418]);
  assertEquals(provider.requests.map(({ plan }) => formatHostilePlan(plan)), [
    "status=429",
    "status=500",
    "run",
    "status=418",
  ]);
});

Deno.test("HostileProvider takes no plan of a queue with a mistake in it", () => {
  const { provider } = make();
  assertThrows(() => provider.enqueue("html", "nonsense"), HostilePlanError);
  assertThrows(
    () => provider.enqueue({ delay: -1 }),
    HostilePlanError,
    "delay",
  );
  assertThrows(() => new HostileProvider({ plan: "x" }), HostilePlanError);
});

Deno.test("HostileProvider refuses a plan that it cannot read, and says why", async () => {
  const { post } = make();
  const response = await post("messages", QUESTIONS.messages, { plan: "x" });
  assertEquals(response.status, 400);
  assert((await response.text()).includes("'x' is no part of one"));
  const { error } = await (await post("responses", {}, { plan: "x" })).json();
  assertEquals(error.code, "invalid_plan");
});

Deno.test("HostileProvider refuses what a provider refuses", async () => {
  const { post, get, provider } = make();
  const statusOf = async (answer: Promise<Response>) => {
    const response = await answer;
    assert((await response.text()).includes('"error"'));
    return response.status;
  };
  assertEquals(await statusOf(post("chat/completions", {})), 400);
  assertEquals(await statusOf(post("messages", { model: "m" })), 400);
  assertEquals(await statusOf(post("nothing", {})), 404);
  assertEquals(await statusOf(get("responses/resp_none")), 404);
  assertEquals(await statusOf(post("files", {})), 400);
  const notJson = provider.fetch(
    new Request(`${ORIGIN}/v1/responses`, { method: "POST", body: "{" }),
  );
  assertEquals(await statusOf(notJson), 400);
});

Deno.test("HostileProvider lets in who has the key", async () => {
  const { provider } = make({ apiKey: "sk-of-the-test" });
  const statusOf = async (headers: HeadersInit) => {
    const response = await provider.fetch(
      new Request(`${ORIGIN}/v1/models`, { headers }),
    );
    assert(!(await response.text()).includes("sk-of"));
    return response.status;
  };
  assertEquals(await statusOf({}), 401);
  assertEquals(await statusOf({ Authorization: "Bearer sk-of" }), 401);
  assertEquals(await statusOf({ Authorization: "Bearer sk-of-the-test" }), 200);
  assertEquals(await statusOf({ "X-Api-Key": "sk-of-the-test" }), 200);
});

Deno.test("HostileProvider takes its time before the head", async () => {
  const { clock, post } = make();
  const plan = "delay=40; stall; silence=60";
  const start = clock.now();
  const response = await clock.run(post("responses", {}, { plan }));
  assertEquals([response.status, clock.now() - start], [200, 100]);
});

Deno.test("HostileProvider breaks the connection before the head", async () => {
  for (const kind of ["reset", "cut"] as const) {
    const { clock, provider, post } = make();
    const plan = `${kind}; silence=60`;
    const error = await assertRejects(
      () => clock.run(post("responses", {}, { plan })),
      HostileConnectionError,
    );
    assertEquals(error.code, `connection_${kind}`);
    assertEquals(provider.requests[0]?.outcome, "broken");
  }
});

Deno.test("HostileProvider sees that the client leaves, before the head and after it", async () => {
  for (const plan of ["stall", "delay=1000"]) {
    const { clock, provider, post } = make();
    const client = new AbortController();
    const answer = post("responses", QUESTIONS.responses, {
      plan,
      signal: client.signal,
    });
    await provider.requested(1);
    await clock.advance(500);
    assertEquals(provider.requests[0]?.outcome, "pending");
    const reason = new Error("enough");
    client.abort(reason);
    assertEquals(await assertRejects(() => answer), reason);
    assertEquals(await provider.requests[0]?.done, "aborted");
    assertEquals(clock.pending, 0);
  }
  for (const plan of ["stall; after=2", "pace=1000; ", "hold"]) {
    for (const how of ["abort", "cancel"] as const) {
      const { clock, provider, post } = make();
      const client = new AbortController();
      const response = await post("responses", QUESTIONS.responses, {
        plan,
        signal: client.signal,
      });
      const reader = response.body!.getReader(); // a stream has one
      const count = plan === "hold" ? 11 : plan.startsWith("stall") ? 2 : 1;
      for (let index = 0; index < count; index++) {
        assertEquals((await reader.read()).done, false);
      }
      let hasCome = false;
      const next = reader.read().then(() => hasCome = true, () => {});
      await clock.advance(plan.startsWith("pace") ? 999 : 3_600_000);
      assertEquals(hasCome, false);
      if (how === "abort") client.abort();
      else await reader.cancel();
      assertEquals(await provider.requests[0]?.done, "aborted");
      assertEquals(provider.requests[0]?.events, count);
      assertEquals(clock.pending, 0);
      await next;
    }
  }
});

Deno.test("HostileProvider remembers what it was asked", async () => {
  const seen: string[] = [];
  const { clock, provider } = make({
    onRequest: ({ method, path }) => seen.push(`${method} ${path}`),
  });
  const response = await provider.fetch(
    new Request(`${ORIGIN}/v1/embeddings?a=b`, {
      method: "POST",
      headers: { "X-Of-The-Test": "1" },
      body: '{"model":"m","input":"é"}',
    }),
  );
  assertEquals(seen, ["POST /v1/embeddings"]);
  const [request] = provider.requests;
  assert(request);
  assertEquals(request.time, clock.now());
  assertEquals(request.query.get("a"), "b");
  assertEquals(request.headers.get("X-Of-The-Test"), "1");
  assertEquals(request.body, '{"model":"m","input":"é"}');
  assertEquals(request.outcome, "pending");
  const { data } = await response.json();
  assertEquals(request.outcome, "ended");
  assertEquals(data[0].embedding.length, 8);
  provider.forget();
  assertEquals(provider.requests, []);
});

Deno.test("HostileProvider.requested() waits until so many were made, or no longer", async () => {
  const { provider, get } = make();
  await provider.requested(0);
  const client = new AbortController();
  const third = provider.requested(3, { signal: client.signal });
  const second = provider.requested(2);
  await get("models");
  await get("models");
  await second;
  client.abort(new Error("enough"));
  await assertRejects(() => third, Error, "enough");
  await assertRejects(
    () => provider.requested(1, { signal: client.signal }),
    Error,
    "enough",
  );
  await provider.requested(2);
});

Deno.test("HostileProvider goes on with a background response, whoever reads it", async () => {
  const { clock, provider, post, get } = make();
  const question = { ...QUESTIONS.responses, background: true };
  const response = await post("responses", question, {
    plan: "pace=100; reset; after=3",
  });
  const first = await clock.run(chunksOf(clock, response));
  assertEquals(first.chunks.length, 3);
  const created = /^data: (.*)$/m.exec(first.chunks[0]?.[0] ?? "")?.[1] ?? "";
  const { id, status } = JSON.parse(created).response;
  assertEquals(status, "queued");
  const statusNow = async () =>
    (await (await get(`responses/${id}`)).json()).status;
  assertEquals(await statusNow(), "in_progress");

  // 200 ms have passed: events 3 and on come when they are said.
  await clock.advance(150);
  const rest = await clock.run(
    get(`responses/${id}?stream=true&starting_after=2`)
      .then((response) => chunksOf(clock, response)),
  );
  assertEquals(
    rest.chunks.map(([text]) =>
      Number(/"sequence_number":(\d+)/.exec(text)?.[1])
    ),
    [3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
  assertEquals(
    rest.chunks.map(([, time]) => time),
    [0, 50, 150, 250, 350, 450, 550, 650, 750],
  );
  assertEquals(await statusNow(), "completed");
  // A response that has ended cannot be cancelled.
  const cancelled = await post(`responses/${id}/cancel`, {});
  assertEquals((await cancelled.json()).status, "completed");
  assertEquals(
    (await eventsOf(await get(`responses/${id}?stream=true`))).length,
    12,
  );
  await clock.advance(300_000);
  const old = await get(`responses/${id}?stream=true`);
  assertEquals(old.status, 400);
  assert((await old.text()).includes("more than 5 minutes old"));
  // The same again is another response.
  const again = await post("responses", { ...question, stream: false });
  assertEquals((await again.json()).status, "queued");
  const twice = await post("responses", { ...question, stream: false });
  assert((await twice.json()).id !== id);
  assertEquals(provider.requests.at(-1)?.outcome, "ended");
});

Deno.test("HostileProvider ends the streams of a response that is cancelled", async () => {
  const { clock, provider, post, get } = make();
  const response = await post(
    "responses",
    { ...QUESTIONS.responses, background: true },
    { plan: "pace=100" },
  );
  const soFar: [string, number][] = [];
  const reading = chunksOf(clock, response, soFar);
  await clock.advance(450);
  assertEquals(provider.requests[0]?.events, 5);
  const [, id] = /"id":"(resp_\w+)"/.exec(soFar[0]?.[0] ?? "") ?? [];
  const cancelled = await post(`responses/${id}/cancel`, {});
  assertEquals((await cancelled.json()).status, "cancelled");
  const { chunks, error } = await reading;
  assertEquals([chunks.length, error], [5, undefined]);
  assertEquals(clock.pending, 0);
  // Nor is there more for who comes later.
  const later = await get(`responses/${id}?stream=true&starting_after=3`);
  assertEquals(numbers(await eventsOf(later)), [4]);
  assertEquals(
    (await (await get(`responses/${id}`)).json()).status,
    "cancelled",
  );
});

Deno.test("HostileProvider refuses to stream or cancel what is not in the background", async () => {
  const { post, get } = make();
  const { id } = await (await post("responses", {
    ...QUESTIONS.responses,
    stream: false,
  })).json();
  assertEquals((await (await get(`responses/${id}`)).json()).id, id);
  assertEquals((await get(`responses/${id}?stream=true`)).status, 400);
  assertEquals((await post(`responses/${id}/cancel`, {})).status, 400);
  const background = await (await post("responses", {
    ...QUESTIONS.responses,
    stream: false,
    background: true,
  })).json();
  const query = "stream=true&starting_after=x";
  assertEquals((await get(`responses/${background.id}?${query}`)).status, 400);
});

Deno.test("HostileProvider says what came of a file", async () => {
  const { provider } = make();
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob([new Uint8Array([0, 255, 13, 10])]), "odd.bin");
  const response = await provider.fetch(
    new Request(`${ORIGIN}/v1/files`, { method: "POST", body: form }),
  );
  const { bytes, filename, purpose, sha256 } = await response.json();
  assertEquals([bytes, filename, purpose], [4, "odd.bin", "batch"]);
  assertEquals(
    sha256,
    "e9489f37fb3051e9efa1dc916004d7274e7b63975e3209708947267f2393a9be",
  );
});

Deno.test("HostileProvider is found under any prefix", async () => {
  const { provider } = make();
  const response = await provider.fetch(
    new Request(`${ORIGIN}/api/v1/models/some%2Fmodel`),
  );
  assertEquals((await response.json()).id, "some/model");
});

Deno.test("HostileProvider takes recordings apart at the ends of their events, whatever the lines end in", async () => {
  for (const end of ["\n", "\r", "\r\n"]) {
    const events = [
      `id: 1${end}data: a${end}data: b${end}${end}`,
      `data${end}${end}`,
    ];
    const { clock, provider, post } = make({
      recordings: { it: events.join("") },
    });
    const response = await post("responses", {}, { plan: "recording=it" });
    const { chunks } = await chunksOf(clock, response);
    assertEquals(chunks.map(([text]) => text), events);
    assertEquals(provider.requests[0]?.events, 2);
  }
});

Deno.test("HostileProvider calls a tool with the end of a long prompt, not all of it", async () => {
  const provider = new HostileProvider();
  const response = await provider.fetch("http://localhost/v1/responses", {
    method: "POST",
    body: JSON.stringify({
      model: "m",
      input: `${"word ".repeat(5_000)}echo hello`,
      tools: [{
        type: "function",
        name: "f",
        parameters: {
          type: "object",
          properties: { command: { type: "string" } },
        },
      }],
    }),
  });
  const { output } = await response.json();
  const { command } = JSON.parse(output[0].arguments);
  assertEquals(command.length, 500);
  assert(command.endsWith("echo hello"));
});
