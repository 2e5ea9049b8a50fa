/**
 * What providers send that is odd, and readable all the same: each row of the
 * field study by its number.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  ResponseFailedError,
  StreamError,
  type WireApi,
} from "../../src/model/mod.ts";
import {
  type Outcome,
  responseOf,
  scriptedModel,
  sse,
  textOf,
} from "../support/model/scripted_model.ts";

interface Read extends Outcome {
  readonly requests: number;
  readonly last: string;
}

/** Asks a provider that answers every request with these chunks. */
async function ask(
  wireApi: WireApi,
  chunks: readonly string[],
  end: "close" | "drop" | "stall" = "close",
): Promise<Read> {
  const model = scriptedModel([{ chunks, end }], {
    provider: { wireApi },
    afterLast: "repeat",
  });
  const outcome = await model.ask();
  const last = outcome.events.at(-1);
  return {
    ...outcome,
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
