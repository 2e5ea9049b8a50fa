import { assertEquals, assertInstanceOf } from "@std/assert";
import {
  ModelClient,
  providers,
  ResponseFailedError,
  RetryLimitError,
  UnexpectedStatusError,
} from "../../../../src/model/mod.ts";
import {
  KEY,
  scriptedModel,
  sse,
  textOf,
} from "../../../support/model/scripted_model.ts";
import { said, START, stop } from "./decode.ts";

const ANTHROPIC = {
  wireApi: "messages",
  baseUrl: "https://api.anthropic.com",
} as const;

const WHOLE = { chunks: [sse(START, ...said(0, "Hi"), ...stop("end_turn"))] };

const OVERLOADED = {
  type: "error",
  error: { type: "overloaded_error", message: "Overloaded" },
};

Deno.test("ModelClient asks for a message with the key and the version in their headers", async () => {
  const model = scriptedModel([WHOLE], { provider: ANTHROPIC });
  const { events, error } = await model.ask();
  assertEquals(error, undefined);
  assertEquals(textOf(events), "Hi");
  const [{ url, headers } = { url: "", headers: new Headers() }] =
    model.script.requests;
  assertEquals(url, "https://api.anthropic.com/v1/messages");
  assertEquals(headers.get("x-api-key"), KEY);
  assertEquals(headers.get("anthropic-version"), "2023-06-01");
  assertEquals(headers.get("authorization"), null);
});

Deno.test("ModelClient sends the key in the header that the provider wants", async () => {
  for (
    const [keyHeader, expected] of [
      ["api-key", KEY],
      ["Authorization", `Bearer ${KEY}`],
    ] as const
  ) {
    const model = scriptedModel([WHOLE], {
      provider: { ...ANTHROPIC, keyHeader },
    });
    await model.ask();
    const [request] = model.script.requests;
    assertEquals(request?.headers.get(keyHeader), expected);
    assertEquals(request?.headers.get("x-api-key"), null);
  }
});

Deno.test("ModelClient asks again when Anthropic is overloaded, as late as it says", async () => {
  const busy = {
    status: 529,
    headers: { "content-type": "application/json", "retry-after": "7" },
    chunks: [JSON.stringify(OVERLOADED)],
  };
  const model = scriptedModel([busy, WHOLE], { provider: ANTHROPIC });
  const { error } = await model.ask();
  assertEquals(error, undefined);
  assertEquals(model.times, [0, 7_000]);

  const never = scriptedModel([busy], {
    provider: ANTHROPIC,
    afterLast: "repeat",
  });
  const outcome = await never.ask();
  assertInstanceOf(outcome.error, RetryLimitError);
  assertEquals(outcome.error.status, 529);
  assertEquals(never.times.length, 5);
});

Deno.test("ModelClient says that an overload in the stream passes", async () => {
  const model = scriptedModel([
    { chunks: [sse(START, ...said(0, "Hi"), OVERLOADED)] },
  ], { provider: ANTHROPIC });
  const { events, error } = await model.ask();
  assertEquals(textOf(events), "Hi");
  assertInstanceOf(error, ResponseFailedError);
  assertEquals(error.code, "server_is_overloaded");
  assertEquals(error.retryable, true);
  assertEquals(error.providerMessage, "Overloaded");
  assertEquals(error.responseId, "msg_1");
});

Deno.test("ModelClient refuses what Messages has no place for before it asks", async () => {
  let requests = 0;
  const client = new ModelClient({
    model: "claude",
    provider: { ...providers.anthropic, apiKey: "key" },
    fetch: () => {
      requests++;
      return Promise.reject(new Error("asked"));
    },
  });
  const error = await client.stream({ input: "Hi", store: true })
    .catch((error) => error);
  assertInstanceOf(error, TypeError);
  assertEquals(requests, 0);
});

function refused(message: string) {
  return {
    status: 400,
    headers: { "content-type": "application/json" },
    chunks: [JSON.stringify({
      type: "error",
      error: { type: "invalid_request_error", message },
    })],
  };
}

Deno.test("ModelClient learns how many tokens a model allows, and that it takes no effort", async () => {
  const model = scriptedModel([
    refused(
      "max_tokens: 32000 > 8192, which is the maximum allowed number of output tokens for m",
    ),
    refused("adaptive thinking is not supported on this model"),
    WHOLE,
    WHOLE,
  ], { provider: ANTHROPIC, reasoning: { effort: "low" } });
  assertEquals((await model.ask()).error, undefined);
  assertEquals((await model.ask()).error, undefined);
  const sent = model.script.requests.map(({ body }) => {
    const { max_tokens, thinking } = JSON.parse(body);
    return [max_tokens, thinking.type];
  });
  assertEquals(sent, [
    [32_000, "adaptive"],
    [8_192, "adaptive"],
    [8_192, "enabled"],
    [8_192, "enabled"],
  ]);
  assertEquals(model.times.every((time) => time === 0), true);
});

Deno.test("ModelClient does not change a number of tokens that the caller has chosen", async () => {
  const model = scriptedModel([
    refused("max_tokens: 9000 > 8192, which is the maximum allowed number"),
  ], { provider: ANTHROPIC });
  const { error } = await model.ask({ input: "Hi", maxOutputTokens: 9_000 });
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(model.times.length, 1);
});
