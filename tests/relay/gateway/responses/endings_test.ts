// Responses over a WebSocket: whatever becomes of a response, `openai`'s own client is told
// so in one message, and its topic ends as that of a POST would.
import { assertEquals, assertMatch } from "@std/assert";
import type { TopicEnd } from "../../../../relay/topics/end.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { ResponsesClient } from "../../../support/gateway/responses_client.ts";
import type { ProviderExchange } from "../../../support/gateway/raw_provider.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";

const { start, delta, ends } = WIRE_FORMATS["Responses"]!;

const HEADERS = { "rivulet-topic": "t", "rivulet-if-ended": "renew" };

/**
 * The endings of a response: the provider's behaviour, the client's messages,
 * and the end of the topic.
 */
const CASES: Readonly<
  Record<string, {
    play(exchange: ProviderExchange): Promise<void>;
    type: string;
    says: Readonly<Record<string, unknown>>;
    end: TopicEnd;
  }>
> = {
  ...Object.fromEntries(ends.map(([name, wire, end]) => {
    const [, data = ""] = /^data: (.*)$/m.exec(wire) ?? [];
    const { type, ...says } = JSON.parse(data);
    return [name, {
      play: async (exchange: ProviderExchange) => {
        await exchange.stream(start + delta("a") + wire);
        await exchange.end();
      },
      type,
      says,
      end,
    }];
  })),
  "a stream that ends without a last word": {
    play: async (exchange) => {
      await exchange.stream(start);
      await exchange.end();
    },
    type: "error",
    says: { status: 502 },
    end: {
      status: "truncated",
      reason: "stream closed before response.completed",
    },
  },
  "a stream that breaks off": {
    play: async (exchange) => {
      await exchange.stream(start);
      exchange.reset();
    },
    type: "error",
    says: { status: 502 },
    end: { status: "truncated" },
  },
  "an error of the provider": {
    play: (exchange) =>
      exchange.json(400, {
        error: { message: "Too long", type: "e", code: "c", param: "input" },
      }),
    type: "error",
    says: {
      status: 400,
      error: { message: "Too long", type: "e", code: "c", param: "input" },
    },
    end: { status: "failed" },
  },
  "an error that is no JSON": {
    play: (exchange) => exchange.answer(404, {}, "<html>"),
    type: "error",
    says: { status: 404 },
    end: { status: "failed" },
  },
  "a whole response in place of a stream": {
    play: (exchange) =>
      exchange.json(200, {
        object: "response",
        id: "resp_1",
        status: "completed",
        output: [],
      }),
    type: "response.completed",
    says: {
      response: {
        object: "response",
        id: "resp_1",
        status: "completed",
        output: [],
      },
    },
    end: { status: "failed" },
  },
};

for (const [name, { play, type, says, end }] of Object.entries(CASES)) {
  Deno.test(`A response over a WebSocket ends: ${name}`, async () => {
    await using world = await startGateway();
    await using client = ResponsesClient.open(world.url, { headers: HEADERS });
    client.create({ input: "Hi" });
    const exchange = await world.provider.next();
    await exchange.body();
    await play(exchange);
    const told = await client.next(type);
    for (const [field, value] of Object.entries(says)) {
      assertEquals(told[field], value);
    }
    const ended = await world.ended("t");
    assertEquals(ended.status, end.status);
    if (end.reason && !name.includes("breaks")) {
      assertEquals(ended.reason, ended.reason);
    }
    // The connection goes on: the next response is made on it.
    client.create({ input: "Again" });
    const next = await world.provider.next();
    await next.body();
    await next.stream(start + ends[0]![1]);
    await next.end();
    await client.next("response.completed");
    assertEquals(client.code, undefined);
    assertEquals(world.provider.count, 2);
  });
}

Deno.test("A refusal that may pass tells when to ask again, and its topic waits", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url, { headers: HEADERS });
  client.create({ input: "Hi" });
  const exchange = await world.provider.next();
  await exchange.answer(429, {
    "content-type": "application/json",
    "retry-after": "7",
    "x-request-id": "r",
  }, '{"error":{"message":"Slow down","code":"rate_limit_exceeded"}}');
  const told = await client.next("error");
  assertEquals(told["status"], 429);
  assertEquals(told["headers"], { "retry-after": "7", "x-request-id": "r" });
  assertEquals((await world.describe("t"))?.state, "pending");
});

Deno.test("A response over a WebSocket that is cancelled ends with a last word", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url, { headers: HEADERS });
  client.create({ input: "Hi" });
  const exchange = await world.provider.next();
  await exchange.stream(start);
  await client.next("response.created");
  await world.cancel("t", "enough");
  const { response } = await client.next("response.failed") as {
    response: { error: unknown };
  };
  assertEquals(response.error, {
    code: "invalid_prompt",
    message: "The run was cancelled: enough",
  });
  await exchange.closed;
  assertEquals(client.messages.length, 2);
  assertEquals(client.code, undefined);
});

Deno.test("A response that is cancelled before its stream is a 410, and its session is refused", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url, {
    headers: { ...HEADERS, "session-id": "s" },
  });
  client.create();
  const exchange = await world.provider.next();
  await world.cancel("t", "enough");
  await exchange.closed;
  const first = await client.next("error");
  assertEquals(first["status"], 410);
  client.create();
  const second = await client.next("error");
  assertEquals(second["status"], 400);
  assertEquals(
    (second["error"] as { code: string }).code,
    "session_cancelled",
  );
  assertEquals(second["headers"] as object, { "X-Should-Retry": "false" });
  assertEquals(world.provider.count, 1);
});

Deno.test("A client that leaves leaves its run to others, or cancels it", async () => {
  for (const onDisconnect of ["continue", "cancel"]) {
    await using world = await startGateway();
    const client = ResponsesClient.open(world.url, {
      headers: { ...HEADERS, "rivulet-on-disconnect": onDisconnect },
    });
    client.create();
    const exchange = await world.provider.next();
    await exchange.stream(start);
    await client.next("response.created");
    await client[Symbol.asyncDispose]();
    if (onDisconnect === "cancel") await exchange.closed;
    else {
      await exchange.write(ends[0]![1]);
      await exchange.end();
    }
    const { status } = await world.ended("t");
    assertEquals(status, onDisconnect === "cancel" ? "cancelled" : "complete");
  }
});

Deno.test("The topics of a connection are told in the answer to its upgrade", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.create();
  const exchange = await world.provider.next();
  await exchange.stream(start + ends[0]![1]);
  await exchange.end();
  await client.next("response.completed");
  const names = await world.names();
  assertEquals(names.length, 1);
  assertMatch(names[0]!, /^run-[0-9a-f-]{36}-[0-9a-z]{9}-[0-9a-f]{8}$/);
  await world.ended(names[0]!);
  assertEquals((await world.events(names[0]!)).length, 2);
});
