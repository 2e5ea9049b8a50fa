/**
 * The tests that the reference has of its own, through the whole client; and
 * what its framing makes of odd bytes, beside what ours does.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { StreamError } from "../../src/model/mod.ts";
import {
  cutAfter,
  type Outcome,
  PROMPT,
  responseOf,
  scriptedModel,
  sse,
  textOf,
  WHOLE,
  WHOLE_CHUNKS,
} from "../support/model/scripted_model.ts";

const encoder = new TextEncoder();

const askChat = (...chunks: (string | Uint8Array)[]): Promise<Outcome> =>
  scriptedModel([{ chunks }], { provider: { wireApi: "chat" } }).ask();

const chunk = (
  delta: Record<string, unknown>,
  finish: string | null = null,
): string =>
  sse({
    id: "chat_1",
    model: "m",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });

const itemsOf = ({ events }: Outcome): unknown[] =>
  events.flatMap((event) =>
    event.type === "output_item.done" ? [event.item] : []
  );

const message = (text: string) => ({
  type: "message",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text, annotations: [] }],
});

const reasoning = (text: string) => ({
  type: "reasoning",
  summary: [],
  content: [{ type: "reasoning_text", text }],
});

// stream_no_completed.rs

Deno.test("ModelClient retries a stream that ends before response.completed, at most eleven requests", async () => {
  const model = scriptedModel([cutAfter(0), WHOLE]);
  assertEquals((await model.ask()).error, undefined);
  assertEquals(model.times.length, 2);

  const never = scriptedModel([cutAfter(0)], { afterLast: "repeat" });
  const { error } = await never.ask();
  assertInstanceOf(error, StreamError);
  assert(never.times.length >= 2 && never.times.length <= 11);
});

// previous_response_id.rs

Deno.test("ModelClient sends the response that it goes on from", async () => {
  const model = scriptedModel([WHOLE, WHOLE]);
  const first = await model.ask();
  const last = first.events.at(-1);
  assert(last?.type === "completed");
  await model.ask({ ...PROMPT, previousResponseId: last.responseId });
  const sent = model.script.requests.map(({ body }) =>
    JSON.parse(body).previous_response_id
  );
  assertEquals(sent, [undefined, "resp_1"]);
});

// chat_completions_sse.rs

Deno.test("ModelClient streams text by Chat, without reasoning", async () => {
  const outcome = await askChat(
    chunk({ content: "Hel" }),
    chunk({ content: "lo" }),
    chunk({}, "stop"),
    "data: [DONE]\n\n",
  );
  assertEquals(outcome.error, undefined);
  assertEquals(itemsOf(outcome), [message("Hello")]);
});

Deno.test("ModelClient streams reasoning by Chat that is text", async () => {
  const outcome = await askChat(
    chunk({ reasoning: "thi" }),
    chunk({ reasoning: "nk" }),
    chunk({ content: "Hello" }),
    chunk({}, "stop"),
  );
  assertEquals(itemsOf(outcome), [reasoning("think"), message("Hello")]);
});

Deno.test("ModelClient streams reasoning by Chat that is an object", async () => {
  for (const field of ["text", "content"]) {
    const outcome = await askChat(
      chunk({ reasoning: { [field]: "think" } }),
      chunk({ content: "Hello" }, "stop"),
    );
    assertEquals(itemsOf(outcome), [reasoning("think"), message("Hello")]);
  }
});

Deno.test("ModelClient passes on by Chat what comes in a message", async () => {
  const event = {
    id: "chat_1",
    model: "m",
    choices: [{ index: 0, message: { reasoning: "think", odd: 1 } }],
  };
  const outcome = await askChat(
    sse(event),
    chunk({ content: "Hello" }, "stop"),
  );
  assertEquals(outcome.error, undefined);
  // The readable parts are read (G1), and the rest is passed on.
  assertEquals(itemsOf(outcome), [reasoning("think"), message("Hello")]);
  assert(
    outcome.events.some((one) =>
      one.type === "other" &&
      JSON.stringify(one.event) === JSON.stringify(event)
    ),
  );
});

Deno.test("ModelClient streams reasoning by Chat before a call", async () => {
  const outcome = await askChat(
    chunk({ reasoning: "think" }),
    chunk({
      tool_calls: [{
        index: 0,
        id: "call_1",
        type: "function",
        function: { name: "shell", arguments: "{}" },
      }],
    }),
    chunk({}, "tool_calls"),
    "data: [DONE]\n\n",
  );
  assertEquals(itemsOf(outcome), [reasoning("think"), {
    type: "function_call",
    call_id: "call_1",
    name: "shell",
    arguments: "{}",
    status: "completed",
  }]);
  assertEquals(outcome.events.at(-1)?.type, "completed");
});

Deno.test("ModelClient passes on data by Chat that is not JSON", async () => {
  const outcome = await askChat(
    "data: not-json\n\n",
    chunk({ content: "Hello" }, "stop"),
    "data: [DONE]\n\n",
  );
  assertEquals(outcome.error, undefined);
  assertEquals(textOf(outcome.events), "Hello");
  assert(
    outcome.events.some((event) =>
      event.type === "other" && event.event === "not-json"
    ),
  );
});

Deno.test("ModelClient reads bytes by Chat that are not UTF-8, and goes on", async () => {
  const bytes = encoder.encode(chunk({ content: "a?b" }));
  bytes[bytes.indexOf("?".charCodeAt(0))] = 0xff;
  const outcome = await askChat(bytes, chunk({ content: "c" }, "stop"));
  assertEquals(outcome.error, undefined);
  assertEquals(textOf(outcome.events), "a\ufffdbc");
});

// Framing

const whole = WHOLE_CHUNKS.join("");

for (
  const [name, body] of [
    ["CRLF", whole.replaceAll("\n", "\r\n")],
    ["CR", whole.replaceAll("\n", "\r")],
    ["no space after the colon", whole.replaceAll("data: ", "data:")],
    ["a BOM", `\ufeff${whole}`],
    [
      "data in several lines",
      whole.replaceAll('"type":', '"type":\ndata: '),
    ],
    [
      "comments and fields that are unknown",
      whole.replaceAll("data:", ": hi\nx: y\nid: 1\ndata:"),
    ],
    ["pings without data", whole.replaceAll("data:", "event: ping\n\ndata:")],
  ] as const
) {
  Deno.test(`ModelClient reads a stream with ${name}, whole and byte by byte`, async () => {
    const expected = await scriptedModel([WHOLE]).ask();
    const bytes = encoder.encode(body);
    const each = Array.from(bytes, (byte) => Uint8Array.of(byte));
    for (const chunks of [[bytes], each]) {
      assertEquals(await scriptedModel([{ chunks }]).ask(), expected);
    }
  });
}

Deno.test("ModelClient drops a last event that is cut within its data", async () => {
  const { events, error } = await scriptedModel([
    { chunks: [whole.slice(0, -3)] },
  ]).ask();
  assertInstanceOf(error, StreamError);
  assertEquals(error.code, "truncated");
  assertEquals(events.length, 5);
});

Deno.test("ModelClient does not forward the output that response.completed repeats", async () => {
  const wire = responseOf("Hello there");
  const output = [{ type: "message", role: "assistant", content: [] }];
  const last = { ...wire.at(-1), response: { id: "resp_1", output } };
  const { events } = await scriptedModel([
    { chunks: [sse(...wire.slice(0, -1), last)] },
  ]).ask();
  assertEquals(events.at(-1), {
    type: "completed",
    responseId: "resp_1",
    usage: undefined,
    sequenceNumber: 5,
  });
  assertEquals(
    events.filter(({ type }) => type === "output_item.done").length,
    1,
  );
});
