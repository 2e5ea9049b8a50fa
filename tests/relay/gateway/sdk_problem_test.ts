// The results of the relay's own refusals, and of its base URLs, in SDKs and
// agents.
import Anthropic from "@anthropic-ai/sdk";
import { assert, assertEquals, assertRejects } from "@std/assert";
import OpenAI from "openai";
import { Problem } from "../../../relay/problem.ts";
import { sdkProblem } from "../../../relay/gateway/sdk_problem.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";

const CHAT = WIRE_FORMATS["Chat"]!;
const MESSAGES = WIRE_FORMATS["Anthropic"]!;

/** Counts the requests of an SDK. */
function counted(): { count: number; fetch: typeof fetch } {
  const requests = {
    count: 0,
    fetch: (input: RequestInfo | URL, init?: RequestInit) => {
      requests.count++;
      return fetch(input, init);
    },
  };
  return requests;
}

/** Fills a topic until that is disposed of. */
async function occupy(
  world: GatewayWorld,
  topic: string,
): Promise<AsyncDisposable> {
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": topic },
  });
  await exchange.stream(CHAT.start);
  await (await answer).see(CHAT.start);
  return {
    async [Symbol.asyncDispose]() {
      await exchange.end(CHAT.ends[0]![1]);
      await (await answer).rest();
    },
  };
}

Deno.test("sdkProblem says of every refusal that stays that it is not to be asked again", () => {
  const table: [status: number, code: string, stays: boolean, type: string][] =
    [
      [400, "invalid_topic", true, "invalid_request_error"],
      [401, "token_required", true, "authentication_error"],
      [403, "forbidden", true, "permission_error"],
      [404, "unknown_topic", true, "not_found_error"],
      [408, "body_timeout", false, "invalid_request_error"],
      [409, "topic_exists", true, "invalid_request_error"],
      [409, "topic_ended", true, "invalid_request_error"],
      [409, "topic_busy", true, "invalid_request_error"],
      [409, "key_in_use", false, "invalid_request_error"],
      [410, "cancelled", true, "invalid_request_error"],
      [422, "idempotency_mismatch", true, "invalid_request_error"],
      [429, "too_many_topics_of_token", false, "rate_limit_error"],
      [502, "provider_unreachable", false, "server_error"],
      [503, "draining", false, "server_error"],
      [507, "store_failed", false, "server_error"],
    ];
  for (const [status, code, stays, type] of table) {
    const problem = new Problem(status as 400, code, "Words", { fact: 1 }, {
      "Retry-After": "1",
    });
    const told = sdkProblem(problem);
    assertEquals(told.headers["X-Should-Retry"], stays ? "false" : undefined);
    assertEquals(told.headers["Retry-After"], "1");
    assertEquals(JSON.parse(told.body), {
      ...JSON.parse(problem.body),
      error: { message: "Words", type, code, param: null },
    });
  }
});

Deno.test("openai asks once for a topic that is taken, and shows why (H2, H11)", async () => {
  await using world = await startGateway();
  await using _run = await occupy(world, "t");
  const requests = counted();
  const client = new OpenAI({
    apiKey: "k",
    baseURL: `${world.url}/v1`,
    fetch: requests.fetch,
    defaultHeaders: { "Rivulet-Topic": "t" },
  });
  const error = await assertRejects(() =>
    client.chat.completions.create({ model: "m", messages: [], stream: true })
  );
  assert(error instanceof OpenAI.APIError);
  assertEquals([error.status, error.code, requests.count], [
    409,
    "topic_exists",
    1,
  ]);
  assert(error.message.includes("give each run a topic of its own"));
  assertEquals(world.provider.count, 1);
});

Deno.test("Anthropic's SDK asks once for a topic that is taken, and shows why (H2, H11)", async () => {
  await using world = await startGateway();
  await using _run = await occupy(world, "t");
  const requests = counted();
  const client = new Anthropic({
    apiKey: "k",
    baseURL: `${world.url}/raw`,
    fetch: requests.fetch,
    defaultHeaders: { "Rivulet-Topic": "t" },
  });
  const error = await assertRejects(() =>
    client.messages.create({
      model: "m",
      max_tokens: 1,
      messages: [],
      stream: true,
    })
  );
  assert(error instanceof Anthropic.APIError);
  assertEquals([error.status, requests.count], [409, 1]);
  assert(error.message.includes("give each run a topic of its own"));
});

Deno.test("A version that an SDK puts behind a base URL with one is recognised (H9)", async () => {
  await using world = await startGateway();
  for (
    const [base, target] of [
      [`${world.url}/raw`, "/base/v1/messages"],
      [`${world.url}/raw/v1`, "/base/v1/messages"],
      [`${world.url}/v1`, "/base/v1/messages"],
    ] as const
  ) {
    const client = new Anthropic({ apiKey: "k", baseURL: base, maxRetries: 0 });
    const answer = client.messages.create({
      model: "m",
      max_tokens: 1,
      messages: [],
      stream: true,
    });
    const exchange = await world.provider.next();
    await exchange.body();
    await exchange.stream(MESSAGES.start);
    await exchange.end(MESSAGES.ends[0]![1]);
    for await (const _ of await answer);
    assertEquals(exchange.target, target, base);
  }
});

Deno.test("A provider whose URL has no version gets the path as it is (H9)", async () => {
  await using target = await startGateway();
  await using world = await startGateway({
    gateway: {
      providers: [{
        name: "bare",
        url: target.provider.url.replace("/v1", ""),
      }],
    },
  });
  const answer = world.request("/bare/v1/v1/messages", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const exchange = await target.provider.next();
  assertEquals(exchange.target, "/base/v1/messages");
  await exchange.body();
  await exchange.stream(MESSAGES.start);
  await exchange.end(MESSAGES.ends[0]![1]);
  await (await answer).text();
});
