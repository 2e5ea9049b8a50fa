// The socket at which clients make responses: lanes, wrong messages, rights, limits, and
// how a relay takes its leave.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { ResponsesClient } from "../../../support/gateway/responses_client.ts";
import { WIRE_FORMATS } from "../../../support/gateway/wire_formats.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import {
  RawClient,
  RawWebSocket,
  requestUpgrade,
  type UpgradeAnswer,
} from "../../../support/subscribers/raw_websocket.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

const { start, ends } = WIRE_FORMATS["Responses"]!;
const DONE = start + ends[0]![1];

/** Asks for an upgrade; returns the answer, and closes the connection. */
async function answerTo(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<UpgradeAnswer> {
  await using client = await RawClient.connect(url);
  return await requestUpgrade(client, path, headers);
}

Deno.test("Responses of one lane are made one after the other, those of others at once", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.create({ stream_id: "a", input: "a1" });
  client.create({ stream_id: "a", input: "a2" });
  client.create({ stream_id: "b", input: "b1" });
  client.create({ input: "none1" });
  const inputs: Record<
    string,
    Awaited<ReturnType<typeof world.provider.next>>
  > = {};
  for (let i = 0; i < 3; i++) {
    const exchange = await world.provider.next();
    const body = JSON.parse(new TextDecoder().decode(await exchange.body()));
    assert(!("stream_id" in body));
    inputs[body.input] = exchange;
  }
  assertEquals(Object.keys(inputs).toSorted(), ["a1", "b1", "none1"]);
  await inputs["b1"]!.stream(DONE);
  await inputs["b1"]!.end();
  assertEquals((await client.next("response.completed"))["stream_id"], "b");
  await inputs["none1"]!.stream(DONE);
  await inputs["none1"]!.end();
  assertEquals(
    (await client.next("response.completed"))["stream_id"],
    undefined,
  );
  assertEquals(world.provider.count, 3);
  await inputs["a1"]!.stream(DONE);
  await inputs["a1"]!.end();
  const second = await world.provider.next();
  await second.stream(DONE);
  await second.end();
  assertEquals((await client.next("response.completed"))["stream_id"], "a");
  assertEquals((await client.next("response.completed"))["stream_id"], "a");
});

const WRONG: readonly (readonly [string, string, string])[] = [
  ["no JSON", "x", "invalid_message"],
  ["nothing", "", "invalid_message"],
  ["no object", "[]", "invalid_message"],
  [
    "an object that is not whole",
    '{"type":"response.create"',
    "invalid_message",
  ],
  ["more than an object", '{"type":"response.create"} 1', "invalid_message"],
  ["a name that is none", '{type:"response.create"}', "invalid_message"],
  ["no type", "{}", "unknown_type"],
  ["another type", '{"type":"response.steer"}', "unknown_type"],
  ["a type that is no text", '{"type":1}', "unknown_type"],
  [
    "a lane that is no text",
    '{"type":"response.create","stream_id":1}',
    "invalid_message",
  ],
  [
    "an empty id",
    '{"type":"response.create","previous_response_id":""}',
    "invalid_message",
  ],
  [
    "half a character in a lane",
    '{"type":"response.create","stream_id":"\\ud800"}',
    "invalid_message",
  ],
  [
    "a body that takes too long to be read",
    `{"type":"response.create","input":[${"{},".repeat(60_000)}{}]}`,
    "body_too_large",
  ],
];

Deno.test("Each wrong message is told, and costs the client nothing else", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  for (const [what, text, code] of WRONG) {
    client.ws.sendRaw(text);
    const { status, error } = await client.next("error") as {
      status: number;
      error: { code: string };
    };
    assertEquals(error.code, code, what);
    assert(status >= 400 && status < 500);
  }
  client.create();
  const exchange = await world.provider.next();
  await exchange.stream(DONE);
  await exchange.end();
  await client.next("response.completed");
  assertEquals(world.provider.count, 1);
});

Deno.test("A message that is JSON only at its surface is the provider's to refuse", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.ws.sendRaw('{"type":"response.create","input":[nope]}');
  const exchange = await world.provider.next();
  const body = new TextDecoder().decode(await exchange.body());
  assertEquals(body, '{"stream":true,"input":[nope]}');
  await exchange.json(400, { error: { message: "Not JSON" } });
  assertEquals((await client.next("error"))["error"], { message: "Not JSON" });
});

Deno.test("A socket whose client sends bytes in place of text is closed", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  client.ws.sendRaw(new Uint8Array([1]));
  assertEquals(await client.closed(), 4500);
});

Deno.test("A message of more than --max-body is too large", async () => {
  await using world = await startGateway({ limits: { maxBody: 1_000 } });
  await using client = ResponsesClient.open(world.url);
  client.create({ input: "x".repeat(2_000) });
  assertEquals(await client.closed(), 1009);
});

Deno.test("More messages than may wait are refused", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url);
  for (let i = 0; i < 40; i++) client.create({ input: `${i}` });
  const { status, error } = await client.next("error") as {
    status: number;
    error: { code: string };
  };
  assertEquals([status, error.code], [429, "too_many_requests"]);
  await world.provider.next();
});

Deno.test("A response whose topic cannot be made is refused as it is over HTTP", async () => {
  await using world = await startGateway({ limits: { maxTopics: 1 } });
  await world.create("a");
  await using client = ResponsesClient.open(world.url);
  client.create({ input: "x" });
  const { status, error } = await client.next("error") as {
    status: number;
    error: { code: string };
  };
  assertEquals([status, error.code], [503, "too_many_topics"]);
  assertEquals(world.provider.count, 0);
});

Deno.test("D4: an upgrade of a format without a WebSocket is answered with 426", async () => {
  await using world = await startGateway();
  for (
    const path of [
      "/v1/chat/completions",
      "/v1/messages",
      "/raw/v1/completions",
      "/v1/responses/resp_1",
      "/v1/models",
    ]
  ) {
    const { status, body } = await answerTo(world.url, path);
    assertEquals([path, status], [path, 426]);
    const { code, error } = JSON.parse(body);
    assertEquals([code, error.code], ["no_websocket", "no_websocket"]);
  }
  assertEquals((await answerTo(world.url, "/nobody/v1/responses")).status, 404);
});

Deno.test("A client needs the right to write its topics, and to make responses", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } }, {
    key: "sk-of-the-relay",
  });
  const headers = { "rivulet-topic": "mine-*" };
  for (
    const [claims, isLet] of [
      [{ write: ["mine-*"] }, true],
      [{ write: ["other-*"] }, false],
      [{ read: ["mine-*"] }, false],
      [{ write: ["mine-*"], provider: ["raw:POST responses"] }, true],
      [{ write: ["mine-*"], provider: ["raw:GET models"] }, false],
      [{ write: ["mine-*"], provider: ["*:POST chat/*"] }, false],
    ] as const
  ) {
    const token = await mintToken(claims);
    const { status } = await answerTo(world.url, "/v1/responses", {
      ...headers,
      authorization: `Bearer ${token}`,
    });
    assertEquals([claims, status], [claims, isLet ? 101 : 403]);
  }
  for (
    const [given, status] of [[{}, 401], [
      { authorization: "Bearer x.y.z" },
      401,
    ]] as const
  ) {
    const answer = await answerTo(world.url, "/v1/responses", given);
    assertEquals(answer.status, status);
  }
  const token = await mintToken({ write: ["mine-*"] });
  await using client = ResponsesClient.open(world.url, {
    apiKey: token,
    headers: {
      ...headers,
      "openai-beta": "a=1, responses_websockets=2026-02-06",
    },
  });
  client.create();
  const exchange = await world.provider.next();
  assertEquals(exchange.header("authorization"), "Bearer sk-of-the-relay");
  assertEquals(exchange.header("openai-beta"), "a=1");
  const sent = JSON.stringify(exchange.headers);
  assert(!sent.includes(token));
  assert(!/upgrade|sec-websocket|rivulet/i.test(sent), sent);
  await exchange.stream(DONE);
  await exchange.end();
  await client.next("response.completed");
  // Naming a response at the provider requires a right, as in the body of a
  // POST.
  client.create({ previous_response_id: "resp_of_others" });
  const { error } = await client.next("error") as { error: { code: string } };
  assertEquals(error.code, "forbidden");
});

Deno.test("A socket whose token expires is closed when its response is made", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    rights: { jwtKey: JWT_KEY },
    clock,
    // Pongs take real time.
    delivery: { heartbeat: 600_000 },
  });
  const apiKey = await mintToken({
    write: ["*"],
    exp: Math.floor(clock.wallTime() / 1_000) + 60,
  });
  await using client = ResponsesClient.open(world.url, { apiKey });
  client.create();
  const exchange = await world.provider.next();
  await exchange.stream(start);
  await client.next("response.created");
  await clock.advance(120_000);
  client.create();
  assertEquals((await client.next("error"))["status"], 401);
  await exchange.write(ends[0]![1]);
  await exchange.end();
  await client.next("response.completed");
  assertEquals(await client.closed(), 4401);
});

Deno.test("A relay that is drained closes a socket when its response is made", async () => {
  await using world = await startGateway();
  await using busy = ResponsesClient.open(world.url);
  busy.create();
  const exchange = await world.provider.next();
  await exchange.stream(start);
  await busy.next("response.created");
  await using idle = ResponsesClient.open(world.url);
  idle.create({ generate: false });
  await idle.next("response.completed");
  const drained = world.relay.drain(3_000);
  assertEquals(await idle.closed(), 1012);
  busy.create();
  await exchange.write(ends[0]![1]);
  await exchange.end();
  await busy.next("response.completed");
  assertEquals(await busy.closed(), 1012);
  await within(drained, LIMIT, "the relay to be drained");
  assertEquals(world.provider.count, 1);
});

Deno.test("A client that answers no ping is gone", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    delivery: { heartbeat: 1_000 },
  });
  await using socket = await RawWebSocket.open(world.url, "/v1/responses");
  for (let i = 0; i < 5; i++) await clock.advance(1_000);
  await within(
    until(
      async () => await socket.frame() === undefined || undefined,
      LIMIT,
      "the end of its frames",
    ),
    LIMIT,
    "the socket to be cut",
  );
});

Deno.test("A run that came over a WebSocket is followed like any other", async () => {
  await using world = await startGateway();
  await using client = ResponsesClient.open(world.url, {
    headers: { "rivulet-topic": "agent-7-*" },
  });
  client.create({ input: "Hi" });
  const exchange = await world.provider.next();
  await exchange.stream(start);
  await client.next("response.created");
  const name = await until(
    async () =>
      (await world.names()).find((name) => name.startsWith("agent-7-")),
    LIMIT,
    "the topic",
  );
  await using follower = await RawWebSocket.open(world.url, `/topics/${name}`);
  await follower.message("live");
  await exchange.write(ends[0]![1]);
  await exchange.end();
  assertEquals((await follower.message("end"))["status"], "complete");
  // By its id, too, as after a POST.
  const again = await world.request("/v1/responses/resp_1?stream=true", {
    headers: { authorization: "Bearer sk-of-the-caller" },
  });
  assertEquals(again.headers.get("rivulet-topic"), name);
  assertMatch(await again.text(), /response\.completed/);
  assertEquals(world.provider.count, 1);
});

Deno.test("A response over a WebSocket is recorded as a run is", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rivulet-responses-" });
  try {
    {
      await using world = await startGateway({ gateway: { record: folder } });
      await using client = ResponsesClient.open(world.url);
      client.create({ input: "Hi" });
      const exchange = await world.provider.next();
      await exchange.body();
      await exchange.stream(DONE);
      await exchange.end();
      await client.next("response.completed");
    }
    const names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    const [facts = "", stream = ""] = names.toSorted();
    const recorded = await Deno.readTextFile(`${folder}/${stream}`);
    // Its comments tell the times, and the end.
    assertEquals(recorded.replaceAll(/^: .*\n\n?/gm, ""), DONE);
    assertMatch(recorded, /: end complete/);
    const text = await Deno.readTextFile(`${folder}/${facts}`);
    const { path, body, end } = JSON.parse(text);
    assertEquals([path, body.input], ["/base/v1/responses", "Hi"]);
    assertEquals(end.status, "complete");
    assert(!text.includes("sk-of-the-caller"), text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("A client that does not read is cut, and its run goes on for others", async () => {
  await using world = await startGateway({ retention: { maxEvents: 100 } });
  await using socket = await RawWebSocket.open(world.url, "/v1/responses");
  await socket.say({ type: "response.create", model: "m", input: "Hi" });
  socket.client.pause();
  const exchange = await world.provider.next();
  await exchange.body();
  await exchange.stream(start);
  const name = await until(
    async () => {
      const [name = ""] = await world.names();
      const isBegun = ((await world.describe(name))?.next ?? 1) > 1;
      return isBegun ? name : undefined;
    },
    LIMIT,
    "the topic",
  );
  // More than the buffers of the machine take, and the relay for a client.
  const delta = WIRE_FORMATS["Responses"]!.delta("x".repeat(64 * 1024));
  for (let sent = 0; sent < 1_000; sent++) await exchange.write(delta);
  await exchange.write(ends[0]![1]);
  await exchange.end();
  assertEquals((await world.ended(name)).status, "complete");
  socket.client.resume();
  await within(socket.client.closed, LIMIT, "the client to be cut");
  assertEquals((await (await world.request("/healthz")).json()).status, "ok");
});

Deno.test("A client that takes nothing for --slow-timeout is cut, and its run goes on", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({
    clock,
    delivery: { heartbeat: 3_600_000, slowTimeout: 10_000 },
  });
  await using socket = await RawWebSocket.open(world.url, "/v1/responses");
  await socket.say({ type: "response.create", model: "m", input: "Hi" });
  socket.client.pause();
  const exchange = await world.provider.next();
  await exchange.body();
  await exchange.stream(start);
  const topic = await until(
    () => [...world.relay.topics].find(({ log }) => log.next > 1),
    LIMIT,
    "the topic",
  );
  // More than the buffers of the machine take, and less than the relay keeps for a client.
  const before = topic.log.next;
  const delta = WIRE_FORMATS["Responses"]!.delta("x".repeat(64 * 1024));
  const count = 220;
  for (let sent = 0; sent < count; sent++) await exchange.write(delta);
  await until(
    () => topic.log.next === before + count || undefined,
    LIMIT,
    "all of it",
  );
  const cuts = async (): Promise<string | undefined> => {
    const text = await (await world.request("/metrics")).text();
    return /rivulet_connections_cut_total\{reason="slow"\} (\d+)/.exec(text)
      ?.[1];
  };
  assertEquals(await cuts() ?? "0", "0");
  for (let i = 0; i < 8; i++) await clock.advance(2_500);
  assertEquals(await cuts(), "1");
  socket.client.resume();
  await within(socket.client.closed, LIMIT, "the client to be cut");
  await exchange.write(ends[0]![1]);
  await exchange.end();
  assertEquals((await world.ended(topic.name)).status, "complete");
});
