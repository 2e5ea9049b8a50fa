/**
 * Odd streams of providers that can be read all the same: each row of the field
 * study by its number.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
} from "@std/assert";
import {
  ResponseFailedError,
  type ResponseItem,
  snapshot,
  StreamError,
  user,
  type WireApi,
} from "../../src/model/mod.ts";
import {
  type Outcome,
  PROMPT,
  responseOf,
  scriptedModel,
  sse,
  textOf,
} from "../support/model/scripted_model.ts";

interface Read extends Outcome {
  readonly requests: number;
  readonly last: string;
  /** The text of the deltas, and that of the items. */
  readonly texts: readonly [deltas: string, items: string];
}

/** Asks a provider that answers every request with these chunks. */
async function ask(
  wireApi: WireApi,
  chunks: readonly (string | { wait: number })[],
  end: "close" | "drop" | "stall" = "close",
): Promise<Read> {
  const model = scriptedModel([{ chunks, end }], {
    provider: { wireApi },
    afterLast: "repeat",
  });
  const outcome = await model.ask();
  const last = outcome.events.at(-1);
  const { outputText } = snapshot(outcome.events);
  return {
    ...outcome,
    texts: [textOf(outcome.events), outputText],
    requests: model.script.requests.length,
    last: last?.type === "incomplete"
      ? `incomplete: ${last.reason}`
      : last?.type ?? "nothing",
  };
}

const chunk = (
  delta: object,
  finish_reason: string | null = null,
  fields: object = {},
) => ({
  id: "chat_1",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta, finish_reason }],
  ...fields,
});

const USAGE_CHUNK = {
  id: "chat_1",
  choices: [],
  usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
};

/** The items, with as much as matters of each. */
function itemsOf({ events }: Outcome): unknown[] {
  return snapshot(events).output.map((item: ResponseItem) => {
    switch (item.type) {
      case "function_call":
        return [item.call_id, item.name, item.arguments];
      case "message":
        return item.content.map(({ text, refusal }) => text ?? refusal).join();
      case "reasoning":
        return { thought: item.content?.map(({ text }) => text).join() };
      default:
        return item.type;
    }
  });
}

const DONE = "data: [DONE]\n\n";

// G1, by Chat

Deno.test("ModelClient reads an answer whose choices are numbered oddly (G1)", async () => {
  const words = ["The ", "whole ", "answer"];
  const numberings: [string, (place: number) => unknown][] = [
    ["from 1", () => 1],
    ["by chunk", (place) => place],
    ["by chunk, from 1", (place) => place + 1],
    ["downwards", (place) => -place],
    ["for parts", (place) => place > 1 ? 1 : 0],
    ["as text", (place) => `${place}`],
    ["not at all", () => undefined],
    ["null", () => null],
  ];
  for (const [name, indexOf] of numberings) {
    for (const done of [[DONE], []]) {
      const at = (delta: object, place: number, finish: string | null = null) =>
        sse({
          id: "chat_1",
          choices: [{ index: indexOf(place), delta, finish_reason: finish }],
        });
      const read = await ask("chat", [
        ...words.map((content, place) => at({ content }, place)),
        at({}, words.length, "stop"),
        ...done,
      ]);
      assertEquals(read.error, undefined, name);
      assertEquals(read.texts, ["The whole answer", "The whole answer"], name);
      assertEquals([read.last, read.requests], ["completed", 1], name);
    }
  }
  const { texts } = await ask("chat", [
    sse({ choices: { delta: { content: "Hi" }, finish_reason: "stop" } }),
    DONE,
  ]);
  assertEquals(texts, ["Hi", "Hi"]);
});

Deno.test("ModelClient reads the first answer where several were asked for (G1)", async () => {
  const at = (
    index: number,
    content: string,
    finish: string | null = null,
  ) => ({
    choices: [{ index, delta: { content }, finish_reason: finish }],
  });
  const model = scriptedModel([{
    chunks: [
      sse(at(1, "No"), at(0, "Y"), at(1, "pe", "stop"), at(0, "es", "stop")),
      DONE,
    ],
  }], { provider: { wireApi: "chat" } });
  const { events } = await model.ask({ ...PROMPT, extra: { n: 2 } });
  assertEquals(textOf(events), "Yes");
  assertEquals(events.filter(({ type }) => type === "other").length, 2);
});

Deno.test("ModelClient reads on after a finish_reason that comes early (G1)", async () => {
  const words = ["The ", "whole ", "answer"];
  // With every chunk, with the first, before anything, and once within.
  const finishes = [/./, /0/, /^$/, /1/];
  for (const [row, finish] of finishes.entries()) {
    for (const end of [[DONE], []]) {
      for (const wait of [0, 1_000, 30_000]) {
        const { texts, last, error, requests } = await ask("chat", [
          sse(chunk({ role: "assistant" }, finish.test("") ? "stop" : null)),
          ...words.flatMap((content, place) => [
            { wait },
            sse(chunk({ content }, finish.test(`${place}`) ? "stop" : null)),
          ]),
          { wait },
          sse(chunk({}, "stop")),
          ...end,
        ]);
        const name = `row ${row}, ${wait} ms`;
        assertEquals(error, undefined, name);
        assertEquals(texts, ["The whole answer", "The whole answer"], name);
        assertEquals([last, requests], ["completed", 1], name);
      }
    }
  }
});

Deno.test("ModelClient does not call complete what broke off after an early finish_reason (G1)", async () => {
  for (const finish of ["stop", "length"]) {
    for (const end of ["drop", "stall"] as const) {
      const { error, texts, events } = await ask("chat", [
        sse(chunk({ content: "The " }, finish)),
        { wait: 10_000 },
        sse(chunk({ content: "whole " }, finish)),
      ], end);
      assertInstanceOf(error, StreamError);
      assertEquals(error.code, end === "drop" ? "disconnected" : "idle");
      assertEquals(texts[0], "The whole ");
      // An item that is done would say that it is whole: a call would be run.
      assert(events.every(({ type }) => type !== "output_item.done"));
    }
  }
});

Deno.test("ModelClient ends soon after a finish_reason that the usage follows (G1)", async () => {
  const { last, error } = await ask("chat", [
    sse(chunk({ content: "Hello" }, "stop"), USAGE_CHUNK),
  ], "stall");
  assertEquals(error, undefined);
  assertEquals(last, "completed");
});

Deno.test("ModelClient reads an answer that comes as a message, whole or in part (G1)", async () => {
  const call = {
    id: "call_1",
    type: "function",
    function: { name: "f", arguments: '{"a":1}' },
  };
  const all = { role: "assistant", content: "Hello there", tool_calls: [call] };
  const message = (message: object, finish: string | null, delta?: object) =>
    sse({
      id: "chat_1",
      choices: [{ index: 0, delta, message, finish_reason: finish }],
    });
  const expected = ["Hello there", ["call_1", "f", '{"a":1}']];
  const streams: [string, string[]][] = [
    ["at once", [message(all, "tool_calls")]],
    ["after its deltas", [
      sse(chunk({ content: "Hello " }), chunk({ content: "there" })),
      sse(chunk({ tool_calls: [{ index: 0, ...call }] })),
      message(all, "tool_calls", {}),
    ]],
    ["after some of its deltas", [
      sse(chunk({ content: "Hello" })),
      message(all, "tool_calls"),
    ]],
    ["beside each delta, so far", [
      message({ content: "Hello " }, null, { content: "Hello " }),
      message({ content: "Hello there" }, null, { content: "there" }),
      message(all, "tool_calls", {}),
    ]],
    ["so far", [
      message({ content: "Hello " }, null),
      message({ content: "Hello there" }, null),
      message({ content: "Hello there" }, null),
      message(all, "tool_calls"),
    ]],
    ["in place of each delta", [
      message({ role: "assistant", content: "Hello " }, null),
      message({ content: "there" }, null),
      message({ tool_calls: [{ index: 0, ...call }] }, null),
      message({}, "tool_calls"),
    ]],
  ];
  for (const [name, chunks] of streams) {
    const read = await ask("chat", [...chunks, DONE]);
    assertEquals(itemsOf(read), expected, name);
    assertEquals(read.texts[0], "Hello there", name);
    assertEquals(read.last, "completed", name);
  }
  // All of the body, as a server sends it that does not know how to stream.
  const body = {
    id: "chat_1",
    object: "chat.completion",
    choices: [{ index: 0, message: all, finish_reason: "tool_calls" }],
  };
  for (const indent of [0, 2]) {
    const read = await ask("chat", [JSON.stringify(body, null, indent)]);
    assertEquals(itemsOf(read), expected);
    assertEquals([read.last, read.requests], ["completed", 1]);
  }
});

Deno.test("ModelClient reads text under its other names (G1)", async () => {
  const choices: object[] = [
    { delta: "Hi" },
    { text: "Hi" },
    { delta: {}, text: "Hi" },
    { delta: { text: "Hi" } },
    { delta: { content: { type: "text", text: "Hi" } } },
    { delta: { content: ["H", { type: "output_text", text: "i" }] } },
    { delta: { content: "Hi" }, text: "Hi" },
    { delta: { content: "Hi", text: "Hi" } },
    { message: { content: [{ type: "text", text: "Hi" }] } },
  ];
  for (const choice of choices) {
    const { texts, last } = await ask("chat", [
      sse({ id: "c", choices: [{ index: 0, ...choice }] }),
      sse(chunk({}, "stop")),
      DONE,
    ]);
    assertEquals(texts, ["Hi", "Hi"], JSON.stringify(choice));
    assertEquals(last, "completed");
  }
});

// G1 and G2, by Responses

const RESPONSE = { id: "resp_1", model: "m", status: "completed" };
const REASONING = {
  type: "reasoning",
  id: "rs_1",
  summary: [{ type: "summary_text", text: "Hm" }],
};
const MESSAGE = {
  type: "message",
  id: "msg_1",
  role: "assistant",
  status: "completed",
  content: [{ type: "output_text", text: "Hello there", annotations: [] }],
};
const CALL = {
  type: "function_call",
  id: "fc_1",
  call_id: "call_1",
  name: "f",
  arguments: '{"a":1}',
  status: "completed",
};
const OUTPUT = [REASONING, MESSAGE, CALL];
const CREATED = {
  type: "response.created",
  response: { ...RESPONSE, status: "in_progress" },
};
const completedWith = (output: unknown, type = "response.completed") => ({
  type,
  response: { ...RESPONSE, output },
});
const added = (output_index: number, item: object) => ({
  type: "response.output_item.added",
  output_index,
  item,
});
const done = (output_index: number, item: object) => ({
  type: "response.output_item.done",
  output_index,
  item,
});
const delta = (output_index: number, text: string, item_id?: string) => ({
  type: "response.output_text.delta",
  output_index,
  content_index: 0,
  item_id,
  delta: text,
});

Deno.test("ModelClient reads output that is only in the last event (G1)", async () => {
  const streams: [string, object[]][] = [
    ["all of it", [CREATED, completedWith(OUTPUT)]],
    ["without a beginning", [completedWith(OUTPUT)]],
    ["as response.done (G3)", [
      CREATED,
      completedWith(OUTPUT, "response.done"),
    ]],
    ["as a response that is no event", [{
      object: "response",
      ...RESPONSE,
      output: OUTPUT,
    }]],
    ["the rest of it", [
      CREATED,
      added(1, { ...MESSAGE, content: [] }),
      delta(1, "Hello"),
      completedWith(OUTPUT),
    ]],
    ["one of the items", [
      CREATED,
      added(0, { ...MESSAGE, content: [] }),
      delta(0, "Hello there"),
      done(0, MESSAGE),
      completedWith([MESSAGE, CALL, REASONING]),
    ]],
    ["the end of an item", [
      CREATED,
      done(0, REASONING),
      added(1, { ...MESSAGE, content: [] }),
      done(1, { ...MESSAGE, content: [] }),
      done(2, CALL),
      completedWith(OUTPUT),
    ]],
    ["nothing new, under other ids", [
      CREATED,
      ...OUTPUT.flatMap((
        item,
        place,
      ) => [added(place, item), done(place, item)]),
      completedWith(OUTPUT.map((item) => ({ ...item, id: `new_${item.id}` }))),
    ]],
  ];
  for (const [name, events] of streams) {
    const read = await ask("responses", [sse(...events)]);
    assertEquals(read.error, undefined, name);
    assertEquals([read.last, read.requests], ["completed", 1], name);
    const { output, outputText } = snapshot(read.events);
    assertEquals(outputText, "Hello there", name);
    assertEquals(
      output.map(({ type }) => type).sort(),
      ["function_call", "message", "reasoning"],
      name,
    );
    const call = output.find(({ type }) => type === "function_call");
    assertEquals(call?.["arguments"], '{"a":1}', name);
    // If there are deltas at all, they make up the whole text.
    assertEquals(read.texts[0] || "Hello there", "Hello there", name);
  }
  const all = await ask("responses", [sse(CREATED, completedWith(OUTPUT))]);
  assertEquals(all.texts[0], "Hello there");
});

Deno.test("ModelClient reads the text of a response that has nothing else (G1)", async () => {
  const { texts, last } = await ask("responses", [
    sse(CREATED, {
      type: "response.completed",
      response: { ...RESPONSE, output_text: "Hello" },
    }),
  ]);
  assertEquals(texts, ["Hello", "Hello"]);
  assertEquals(last, "completed");
});

Deno.test("ModelClient keeps what an item's end leaves out (G2)", async () => {
  const whole = [
    delta(0, "Hello "),
    { ...delta(0, "there") },
  ];
  const ends: object[] = [
    { ...MESSAGE, content: [] },
    { ...MESSAGE, content: null },
    { ...MESSAGE, content: [{ type: "output_text", text: "" }] },
    { ...MESSAGE, content: "Hello" },
    { ...MESSAGE, content: "Hello there" },
    { type: "message" },
  ];
  for (const end of ends) {
    const { texts, last } = await ask("responses", [
      sse(CREATED, added(0, { ...MESSAGE, content: [] }), ...whole),
      sse(done(0, end), completedWith([])),
    ]);
    assertEquals(texts, ["Hello there", "Hello there"], JSON.stringify(end));
    assertEquals(last, "completed");
  }
  // A call whose arguments only its deltas have.
  const args = {
    type: "response.function_call_arguments.delta",
    output_index: 0,
    delta: CALL.arguments,
  };
  const begun = added(0, { ...CALL, arguments: "", status: "in_progress" });
  for (const end of [[done(0, { ...CALL, arguments: "" })], []]) {
    const read = await ask("responses", [
      sse(CREATED, begun, args, ...end, completedWith([])),
    ]);
    assertEquals(itemsOf(read), [["call_1", "f", '{"a":1}']]);
    assertEquals(read.last, "completed");
  }
  const cut = await ask("responses", [
    sse(CREATED, begun, { ...args, delta: '{"a' }, completedWith([])),
  ]);
  assertEquals(cut.last, "incomplete: tool_call_arguments");
});

Deno.test("ModelClient tells items apart whose places are odd (G1)", async () => {
  const second = { ...MESSAGE, id: "msg_2" };
  const empty = (item: object) => ({ ...item, content: [] });
  const said = (item: object, text: string) => ({
    ...item,
    content: [{ type: "output_text", text, annotations: [] }],
  });
  const streams: [string, object[]][] = [
    ["all at 0, one after the other", [
      added(0, empty(MESSAGE)),
      delta(0, "Hello ", "msg_1"),
      done(0, said(MESSAGE, "Hello ")),
      added(0, empty(second)),
      delta(0, "there", "msg_2"),
      done(0, said(second, "there")),
    ]],
    ["all at 0, at the same time", [
      added(0, empty(MESSAGE)),
      added(0, empty(second)),
      delta(0, "Hello ", "msg_1"),
      delta(0, "there", "msg_2"),
      done(0, said(second, "there")),
      done(0, said(MESSAGE, "Hello ")),
    ]],
    ["all at 0, without their beginnings", [
      delta(0, "Hello ", "msg_1"),
      done(0, said(MESSAGE, "Hello ")),
      delta(0, "there", "msg_2"),
      done(0, said(second, "there")),
    ]],
    ["told twice", [
      added(0, empty(MESSAGE)),
      added(0, empty(MESSAGE)),
      delta(0, "Hello ", "msg_1"),
      added(0, empty(MESSAGE)),
      done(0, said(MESSAGE, "Hello ")),
      done(0, said(MESSAGE, "Hello ")),
      done(1, said(second, "there")),
      done(1, said(second, "there")),
    ]],
    ["from 3, as text", [
      { ...added(0, empty(MESSAGE)), output_index: "3" },
      { ...delta(0, "Hello ", "msg_1"), output_index: "3" },
      { ...done(0, said(MESSAGE, "Hello ")), output_index: "3" },
      { ...done(0, said(second, "there")), output_index: "4" },
    ]],
    ["never done", [
      added(0, empty(MESSAGE)),
      delta(0, "Hello ", "msg_1"),
      added(1, empty(second)),
      delta(1, "there", "msg_2"),
    ]],
  ];
  for (const [name, events] of streams) {
    for (
      const output of [[], [said(MESSAGE, "Hello "), said(second, "there")]]
    ) {
      const { texts, last } = await ask("responses", [
        sse(CREATED, ...events, completedWith(output)),
      ]);
      assertEquals(texts[1], "Hello there", name);
      assertEquals(last, "completed", name);
    }
  }
});

// G3

Deno.test("ModelClient reads Copilot's reasoning, and keeps its signature (G3)", async () => {
  const read = await ask("chat", [
    sse(
      chunk({ role: "assistant", reasoning_text: "Hm" }),
      chunk({ reasoning_text: "m", content: null }),
      chunk({ reasoning_opaque: "c2lnbmVk", content: null }),
      chunk({ content: "Hi" }),
      chunk({}, "stop"),
    ),
    DONE,
  ]);
  assertEquals(itemsOf(read), [{ thought: "Hmm" }, "Hi"]);
  assertEquals(
    snapshot(read.events).output[0]?.["reasoning_opaque"],
    "c2lnbmVk",
  );
  assert(read.events.every(({ type }) => type !== "other"));
});

// G5

const WORDS = "The model is not there";

/** Errors that no name and no type says to be one. */
const BARE_ERRORS: [name: string, body: unknown][] = [
  ["FastAPI's detail", { detail: WORDS }],
  ["FastAPI's list", {
    detail: [{ loc: ["body", "model"], msg: WORDS, type: "value_error" }],
  }],
  ["code and message", { code: 404, message: WORDS }],
  ["code and message, as text", { code: "model_not_found", message: WORDS }],
  ["status and message", { status: 404, message: WORDS }],
  ["type and message", { type: "invalid_request_error", message: WORDS }],
  ["errors", { errors: [{ message: WORDS, code: 404 }] }],
  ["Google's list", [{ error: { code: 404, message: WORDS } }]],
  ["error", { error: { code: 404, message: WORDS } }],
  ["error, as text", { error: WORDS }],
];

Deno.test("ModelClient tells the words of an error in any shape (G5)", async () => {
  for (const wire of ["responses", "chat"] as const) {
    for (const [name, body] of BARE_ERRORS) {
      const json = JSON.stringify(body);
      const streams: [string, string][] = [
        ["an event", `data: ${json}\n\n`],
        ["an event, without its end", `data: ${json}`],
        ["an event named error", `event: error\ndata: ${json}\n\n`],
        ["a line error:", `error: ${json}\n\n`],
        ["JSON alone", json],
        ["JSON alone, in lines", `${JSON.stringify(body, null, 2)}\n`],
      ];
      const start = wire === "chat"
        ? sse(chunk({ content: "Hel" }))
        : sse(CREATED, delta(0, "Hel"));
      for (const [how, text] of streams) {
        for (const before of ["", start]) {
          const { error, requests } = await ask(wire, [before, text]);
          const row = `${wire}: ${name}, ${how}, after ${before.length}`;
          assertInstanceOf(error, ResponseFailedError, row);
          assertEquals(error.providerMessage, WORDS, row);
          assertEquals(requests, 1, row);
        }
      }
    }
  }
});

Deno.test("ModelClient takes an error that no event has where it stands (G5)", async () => {
  const start = sse(chunk({ content: "Hel" }));
  const lines = ["error: Oh\n\n", '{"error":"Oh"}\n', "ERROR:Oh\r\n"];
  for (const line of lines) {
    for (const after of [DONE, sse(chunk({}, "stop")) + DONE]) {
      const { error } = await ask("chat", [start + line + after]);
      assertInstanceOf(error, ResponseFailedError, line);
      assertEquals(error.providerMessage, "Oh");
    }
    const whole = start + sse(chunk({}, "stop")) + DONE;
    assertEquals((await ask("chat", [whole + line])).last, "completed");
  }
  const quiet = sse(chunk({ content: "Hi" })).replace(
    "data",
    "error: null\ndata",
  );
  const { last } = await ask("chat", [quiet, sse(chunk({}, "stop"))]);
  assertEquals(last, "completed");
});

Deno.test("ModelClient tells the words of an error before a provider's silence (G5)", async () => {
  for (const end of ["drop", "stall"] as const) {
    const { error, requests } = await ask("chat", [
      sse(chunk({ content: "Hel" })),
      `error: {"code":500,"message":"${WORDS}"}\n\n`,
    ], end);
    assertInstanceOf(error, ResponseFailedError);
    assertEquals(error.providerMessage, WORDS);
    assertEquals(requests, 1);
  }
});

Deno.test("ModelClient takes nothing for an error that is none (G5)", async () => {
  const notes = [
    { code: 0, message: "ok" },
    { code: 200, message: "ok" },
    { message: "Processing" },
    { type: "status", message: "Processing", code: 7 },
    { errors: [], detail: "" },
  ];
  const chat = await ask("chat", [
    sse(...notes, chunk({ content: "Hi" }), chunk({}, "stop")),
    DONE,
  ]);
  assertEquals([chat.texts[0], chat.last], ["Hi", "completed"]);
  const responses = await ask("responses", [
    sse(...notes, ...responseOf("Hi")),
  ]);
  assertEquals([responses.texts[0], responses.last], ["Hi", "completed"]);
});

// G4

const ODD_ENDS = ["", "\n", "\r\n", "\r"];

Deno.test("ModelClient reads the last event without its blank line: response.completed (G4)", async () => {
  const whole = sse(...responseOf("Hello there"));
  for (const end of ODD_ENDS) {
    const chunks = [whole.replace(/\n\n$/, end)];
    const { events, error, requests, last } = await ask("responses", chunks);
    assertEquals(error, undefined);
    assertEquals([last, requests], ["completed", 1]);
    assertEquals(textOf(events), "Hello there");
  }
});

Deno.test("ModelClient reads the last event without its blank line: usage and [DONE] (G4)", async () => {
  const start = [chunk({ content: "Hello" }), chunk({}, "stop")];
  for (const end of ODD_ENDS) {
    const chunks = [sse(...start, USAGE_CHUNK).replace(/\n\n$/, end)];
    const { events } = await ask("chat", chunks);
    const last = events.at(-1);
    assert(last?.type === "completed");
    assertEquals(last.usage?.totalTokens, 5);
    const done = [`${sse(chunk({ content: "Hello" }))}data: [DONE]${end}`];
    assertEquals((await ask("chat", done)).last, "completed");
  }
});

Deno.test("ModelClient reads the last event without its blank line: a lone error (G4)", async () => {
  const failure = { code: "invalid_prompt", message: "No such tool" };
  for (const wire of ["responses", "chat"] as const) {
    for (const end of ODD_ENDS) {
      const { error, requests } = await ask(wire, [
        `event: error\ndata: ${JSON.stringify({ error: failure })}${end}`,
      ]);
      assertInstanceOf(error, ResponseFailedError);
      assertEquals(error.providerMessage, "No such tool");
      assertEquals(requests, 1);
    }
  }
});

Deno.test("ModelClient takes no event that was cut within its data (G4)", async () => {
  const whole = sse(...responseOf("Hello there"));
  for (const cut of [-3, -10, -60]) {
    const { error, events } = await ask("responses", [whole.slice(0, cut)]);
    assertInstanceOf(error, StreamError);
    assertEquals(error.code, "truncated");
    assert(events.every(({ type }) => type !== "other"));
  }
  // And what has begun with one is asked for again.
  const { error, requests } = await ask("responses", ['data: {"type":"re']);
  assertInstanceOf(error, StreamError);
  assertEquals(requests, 6);
});

// G15

Deno.test("ModelClient keeps logprobs, annotations, images, refusals and the price of Chat (G15)", async () => {
  const token = (token: string) => ({ token, logprob: -0.5, top_logprobs: [] });
  const annotation = {
    type: "url_citation",
    url_citation: { url: "https://example.com/" },
  };
  const url = "data:image/png;base64,iVBORw0KGgo=";
  const at = (delta: object, tokens?: object[]) => ({
    id: "chat_1",
    choices: [{ index: 0, delta, logprobs: tokens && { content: tokens } }],
    service_tier: "flex",
  });
  const usage = { ...USAGE_CHUNK.usage, cost: 0.002, cost_details: { a: 1 } };
  for (const deltas of [true, false]) {
    const model = scriptedModel([{
      chunks: [
        sse(
          at({ content: "Hel" }, [token("Hel")]),
          at({ content: "lo" }, [token("l"), token("o")]),
          at({ content: "", annotations: [annotation] }),
          at({ images: [{ type: "image_url", image_url: { url } }] }),
          at({ refusal: "No" }),
          chunk({}, "stop"),
          { ...USAGE_CHUNK, usage },
        ),
        DONE,
      ],
    }], { provider: { wireApi: "chat" }, deltas });
    const final = await model.clock.run(
      model.client.stream(PROMPT).then((stream) => stream.final()),
    );
    assertEquals(final.output, [{
      type: "message",
      role: "assistant",
      status: "completed",
      content: [
        {
          type: "output_text",
          text: "Hello",
          annotations: [annotation],
          logprobs: [token("Hel"), token("l"), token("o")],
        },
        { type: "output_image", image_url: url },
        { type: "refusal", refusal: "No" },
      ],
    }]);
    assertEquals(final.usage?.cost, 0.002);
    assertEquals(final.usage?.serviceTier, "flex");
    assertEquals(final.usage?.raw, usage);
  }
});

Deno.test("ModelClient sends the model's images back as they came, by Chat (G15)", async () => {
  const image = {
    type: "image_url",
    image_url: { url: "data:image/png;base64,AA" },
  };
  const answer = {
    chunks: [
      sse(chunk({ content: "Look", images: [image] }), chunk({}, "stop")),
      DONE,
    ],
  };
  const model = scriptedModel([answer, answer], {
    provider: { wireApi: "chat" },
  });
  const { output } = snapshot((await model.ask()).events);
  await model.ask({
    input: ["Draw", ...output, "Again"].map((one) =>
      typeof one === "string" ? user(one) : one
    ),
  });
  const { messages } = JSON.parse(model.script.requests[1]?.body ?? "");
  assertEquals(messages[1], {
    role: "assistant",
    content: "Look",
    images: [image],
  });
});

Deno.test("ResponseStream.textStream gives the text alone, and all of it", async () => {
  const bodies: [WireApi, string][] = [
    ["responses", sse(...responseOf("Hello there"))],
    ["responses", sse(CREATED, completedWith(OUTPUT))],
    ["responses", sse(CREATED, done(0, MESSAGE), completedWith([]))],
    [
      "chat",
      sse(
        chunk({ reasoning: "Hm" }),
        chunk({ content: "Hello " }),
        chunk({ content: "there", refusal: "No" }),
        chunk({}, "length"),
      ),
    ],
  ];
  for (const [wireApi, body] of bodies) {
    for (const deltas of [true, false]) {
      const model = scriptedModel([{ chunks: [body] }], {
        provider: { wireApi },
        deltas,
      });
      const read = async (): Promise<[string, string]> => {
        const stream = await model.client.stream(PROMPT);
        const pieces = await Array.fromAsync(stream.textStream);
        assert(pieces.every((piece) => piece !== ""));
        return [pieces.join(""), (await stream.final()).outputText];
      };
      assertEquals(
        await model.clock.run(read()),
        ["Hello there", "Hello there"],
        body,
      );
    }
  }
});

Deno.test("ResponseStream.textStream closes the stream when it is left, and throws what it throws", async () => {
  const cut = sse(...responseOf("Hello there").slice(0, 4));
  const model = scriptedModel([{ chunks: [cut], end: "stall" }, {
    chunks: [cut],
  }]);
  const leave = async (): Promise<string | undefined> => {
    const stream = await model.client.stream(PROMPT);
    for await (const piece of stream.textStream) return piece;
  };
  assertEquals(await model.clock.run(leave()), "Hello ");
  assertEquals(model.clock.pending, 0);
  const fail = async (): Promise<void> => {
    const stream = await model.client.stream(PROMPT);
    await Array.fromAsync(stream.textStream);
  };
  await assertRejects(() => model.clock.run(fail()), StreamError);
});
