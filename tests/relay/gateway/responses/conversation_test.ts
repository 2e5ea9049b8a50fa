// A response that goes on from another of the same connection: the relay sends the provider
// all of the input, since nobody else knows what came before.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { Conversation } from "../../../../relay/gateway/responses/conversation.ts";
import { Problem } from "../../../../relay/problem.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../../support/gateway/gateway_world.ts";
import { ResponsesClient } from "../../../support/gateway/responses_client.ts";

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
}

const MESSAGE = {
  type: "message",
  id: "msg_1",
  role: "assistant",
  content: [{ type: "output_text", text: "Hello" }],
};

/** Answers with these items; returns the body that was asked with. */
async function answer(
  { provider }: GatewayWorld,
  id: string,
  items: readonly object[] = [MESSAGE],
  atEnd: readonly object[] = [],
): Promise<Record<string, unknown>> {
  const exchange = await provider.next();
  const body = JSON.parse(new TextDecoder().decode(await exchange.body()));
  await exchange.stream(
    event("response.created", { response: { id } }) +
      items.map((item) => event("response.output_item.done", { item }))
        .join("") +
      event("response.completed", {
        response: { id, status: "completed", output: atEnd },
      }),
  );
  await exchange.end();
  return body;
}

const USER = { type: "message", role: "user", content: "Hi" };

Deno.test("A warm-up is answered without a provider, and the next response goes on from it", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  const tools = [{ type: "function", name: "f", parameters: {} }];
  client.create({
    generate: false,
    store: false,
    stream: true,
    tools,
    input: [{ type: "message", role: "developer", content: "Be brief" }],
  });
  await client.next("response.created");
  const { response } = await client.next("response.completed") as {
    response: { id: string; output: unknown; usage: { total_tokens: number } };
  };
  assertMatch(response.id, /^resp_/);
  assertEquals(response.output, []);
  assertEquals(response.usage.total_tokens, 0);
  assertEquals(world.provider.count, 0);
  client.create({
    previous_response_id: response.id,
    store: false,
    tools,
    input: [USER],
  });
  assertEquals(await answer(world, "resp_1"), {
    stream: true,
    model: "m",
    store: false,
    tools,
    input: [
      { type: "message", role: "developer", content: "Be brief" },
      USER,
    ],
  });
});

Deno.test("A turn has the input and the output of all before it, whichever event has told them", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  const call = {
    type: "function_call",
    call_id: "c",
    name: "f",
    arguments: "",
  };
  const output = { type: "function_call_output", call_id: "c", output: "1" };
  client.create({ store: false, input: "Hi" });
  assertEquals((await answer(world, "resp_1", [call])).input, "Hi");
  await client.next("response.completed");
  client.create({
    store: false,
    previous_response_id: "resp_1",
    input: [output],
  });
  const second = await answer(world, "resp_2", [], [MESSAGE]);
  assertEquals(second.input, [USER, call, output]);
  assert(!("previous_response_id" in second));
  await client.next("response.completed");
  // From the second, and once more from the first.
  client.create({ store: false, previous_response_id: "resp_2", input: [] });
  assertEquals((await answer(world, "resp_3")).input, [
    USER,
    call,
    output,
    MESSAGE,
  ]);
  await client.next("response.completed");
  client.create({ store: false, previous_response_id: "resp_1", input: "b" });
  assertEquals((await answer(world, "resp_4")).input, [
    USER,
    call,
    { ...USER, content: "b" },
  ]);
  await client.next("response.completed");
});

Deno.test("Reasoning goes on if its provider can read it: it has kept it, or has encrypted it", async () => {
  const plain = { type: "reasoning", id: "rs_1", summary: [] };
  const encrypted = { ...plain, encrypted_content: "x" };
  for (
    const [store, item, isSent] of [
      [false, plain, false],
      [false, encrypted, true],
      [true, plain, true],
      [undefined, plain, true],
    ] as const
  ) {
    await using world = await startGateway();
    await using client = ResponsesClient.open(world.url);
    client.create({ store, input: "Hi" });
    await answer(world, "resp_1", [item]);
    await client.next("response.completed");
    client.create({ store, previous_response_id: "resp_1", input: [] });
    const { input } = await answer(world, "resp_2");
    assertEquals(input, isSent ? [USER, item] : [USER]);
  }
});

Deno.test("A response of another connection is the provider's to know", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.create({ previous_response_id: "resp_elsewhere", input: "Hi" });
  const exchange = await world.provider.next();
  const body = JSON.parse(new TextDecoder().decode(await exchange.body()));
  assertEquals(body.previous_response_id, "resp_elsewhere");
  const error = {
    type: "invalid_request_error",
    code: "previous_response_not_found",
    message: "Previous response with id 'resp_elsewhere' not found.",
    param: "previous_response_id",
  };
  await exchange.json(400, { error });
  assertEquals((await client.next("error"))["error"], error);
  // It was nothing to go on from, and a warm-up cannot either.
  client.create({ previous_response_id: "resp_elsewhere", generate: false });
  const told = (await client.next("error"))["error"] as { code: string };
  assertEquals(told.code, "previous_response_not_found");
  assertEquals(world.provider.count, 1);
});

Deno.test("A response that is kept no more is refused with the error after which clients send everything", async () => {
  await using world = await startGateway({ limits: { maxBody: 2_000 } });
  await using client = ResponsesClient.open(world.url);
  client.create({ input: "Hi" });
  await answer(world, "resp_1", [{ ...MESSAGE, text: "x".repeat(3_000) }]);
  await client.next("response.completed");
  client.create({ previous_response_id: "resp_1", input: "b" });
  const told = (await client.next("error"))["error"] as { code: string };
  assertEquals(told.code, "previous_response_not_found");
  assertEquals(world.provider.count, 1);
  // Everything is sent.
  client.create({ input: "a and b" });
  await answer(world, "resp_2");
  await client.next("response.completed");
});

Deno.test("Nothing goes on from a response that failed", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.create({ input: "Hi" });
  const exchange = await world.provider.next();
  await exchange.stream(event("response.failed", {
    response: { id: "resp_1", status: "failed", error: { code: "x" } },
  }));
  await exchange.end();
  await client.next("response.failed");
  client.create({ previous_response_id: "resp_1", input: "b" });
  const next = await world.provider.next();
  const body = JSON.parse(new TextDecoder().decode(await next.body()));
  assertEquals(body.previous_response_id, "resp_1");
});

Deno.test("Conversation keeps the newest responses within its bytes, and shared pieces once", () => {
  const counted: number[] = [];
  const conversation = new Conversation(100, (bytes) => counted.push(bytes));
  const piece = (length: number): Uint8Array => new Uint8Array(length);
  const [a, b] = [piece(40), piece(40)];
  conversation.add("1", [a]);
  conversation.add("2", [a, b]);
  assertEquals(conversation.bytes, 80);
  assertEquals(conversation.before("1"), [a]);
  conversation.add("3", [a, b, piece(30)]);
  // The older two share all that they have with it: that alone is too much.
  assertEquals(conversation.bytes, 0);
  for (const id of ["1", "2", "3"]) {
    assertThrows(() => conversation.before(id), Problem, "not found");
  }
  conversation.add("4", [piece(60)]);
  conversation.add("5", [piece(60)]);
  assertThrows(() => conversation.before("4"), Problem);
  assertEquals(conversation.bytes, 60);
  assertEquals(conversation.before("elsewhere"), undefined);
  assertEquals(conversation.before(undefined), []);
  assertThrows(() => conversation.before(Conversation.ownId()), Problem);
  for (let i = 0; i < 200; i++) conversation.add(`n${i}`, [piece(1)]);
  assertEquals(conversation.bytes, 64);
  conversation.clear();
  assertEquals(conversation.bytes, 0);
  assertEquals(counted.at(-1), 0);
});
