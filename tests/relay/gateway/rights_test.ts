// Tokens of the relay beside keys of the provider.
import { assert, assertEquals } from "@std/assert";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const EVENT = 'data: {"n":1}\n\n';
const DONE = "data: [DONE]\n\n";
const PROVIDER_KEY = "sk-of-the-provider-0123456789";

const ALL = { read: ["*"], write: ["*"], cancel: ["*"], sub: "all" };

/** Runs to the end, and returns the headers that the provider was sent. */
async function run(
  world: GatewayWorld,
  headers: Readonly<Record<string, string>>,
  query = "",
): Promise<Headers> {
  const { exchange, answer } = await world.begin({
    path: `chat/completions${query}`,
    headers,
  });
  await exchange.stream(EVENT + DONE);
  await exchange.end();
  await (await answer).rest();
  const told = new Headers();
  for (const [name, value] of exchange.headers) told.append(name, value);
  assert(!exchange.target.includes("access_token"), exchange.target);
  return told;
}

for (
  const [name, headers] of Object.entries({
    "Rivulet-Token": (token: string) => ({ "rivulet-token": token }),
    "Authorization": (token: string) => ({ authorization: `Bearer ${token}` }),
    "x-api-key": (token: string) => ({ "x-api-key": token }),
    "api-key": (token: string) => ({ "api-key": token }),
  })
) {
  Deno.test(`A token in ${name} lets a caller in, and the provider is told the relay's key alone`, async () => {
    await using world = await startGateway({ rights: { jwtKey: JWT_KEY } }, {
      key: PROVIDER_KEY,
    });
    const token = await mintToken(ALL);
    const told = await run(world, headers(token));
    assertEquals(told.get("authorization"), `Bearer ${PROVIDER_KEY}`);
    for (const [name, value] of told) assert(!value.includes(token), name);
  });

  Deno.test(`A token in ${name} is not passed on where the relay has no key`, async () => {
    await using world = await startGateway({ rights: { jwtKey: JWT_KEY } });
    const token = await mintToken(ALL);
    const told = await run(world, headers(token));
    for (const [name, value] of told) assert(!value.includes(token), name);
  });
}

Deno.test("A token beside the caller's own key leaves that to the provider", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } });
  const token = await mintToken(ALL);
  const told = await run(world, {
    "rivulet-token": token,
    authorization: "Bearer sk-of-the-caller",
    "x-api-key": "another-of-the-caller",
  });
  assertEquals(told.get("authorization"), "Bearer sk-of-the-caller");
  assertEquals(told.get("x-api-key"), "another-of-the-caller");
  assertEquals(told.get("rivulet-token"), null);
});

Deno.test("A token that is said twice is not passed on once", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } });
  const token = await mintToken(ALL);
  const told = await run(world, {
    "rivulet-token": token,
    authorization: `Bearer ${token}`,
    "x-api-key": token,
  });
  for (const [name, value] of told) assert(!value.includes(token), name);
});

Deno.test("A token in the URL is not passed on", async () => {
  await using world = await startGateway({
    rights: { jwtKey: JWT_KEY, allowQueryToken: true },
  });
  const token = await mintToken(ALL);
  const told = await run(world, {}, `?access_token=${token}&a=%20b`);
  for (const [name, value] of told) assert(!value.includes(token), name);
});

Deno.test("A run whose topic is not named takes the right to write to run-*", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } });
  const refused = await world.ask({
    headers: {
      authorization: `Bearer ${await mintToken({ write: ["chat-*"] })}`,
    },
  });
  assertEquals(refused.status, 403);
  await refused.rest();
  await run(world, {
    authorization: `Bearer ${await mintToken({ write: ["run-*"] })}`,
  });
});

Deno.test("An Idempotency-Key joins the run of nobody but who has begun it", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } }, {
    key: PROVIDER_KEY,
  });
  const headersOf = async (sub: string) => ({
    authorization: `Bearer ${await mintToken({ ...ALL, sub })}`,
    "idempotency-key": "k",
  });
  const first = await world.begin({ headers: await headersOf("a") });
  await first.exchange.stream(EVENT);
  const begun = await first.answer;
  await begun.see(EVENT);
  await using joined = await world.ask({ headers: await headersOf("a") });
  assertEquals(joined.header("idempotent-replayed"), "true");
  const other = await world.begin({ headers: await headersOf("b") });
  await other.exchange.stream(DONE);
  await other.exchange.end();
  assertEquals((await (await other.answer).rest()).text, DONE);
  await first.exchange.write(DONE);
  await first.exchange.end();
  await begun.rest();
});

Deno.test("A response is resumed only by who may read its topic", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } }, {
    key: PROVIDER_KEY,
  });
  const event = (type: string, number: number) =>
    `event: ${type}\ndata: ${
      JSON.stringify({
        type,
        sequence_number: number,
        response: { id: "resp_1" },
      })
    }\n\n`;
  const { exchange, answer } = await world.begin({
    path: "responses",
    headers: {
      authorization: `Bearer ${await mintToken(ALL)}`,
      "rivulet-topic": "run-secret",
    },
  });
  await exchange.stream(
    event("response.created", 0) + event("response.completed", 1),
  );
  await exchange.end();
  await (await answer).rest();
  const resume = async (read: readonly string[]) =>
    new CallerStream(
      await world.request("/v1/responses/resp_1?stream=true", {
        headers: {
          authorization: `Bearer ${await mintToken({ read, write: ["*"] })}`,
        },
      }),
    );
  const refused = await resume(["run-other"]);
  assertEquals(refused.status, 403);
  assert(!(await refused.rest()).text.includes("resp_1"));
  const resumed = await resume(["run-secret"]);
  assertEquals(resumed.status, 200);
  assert((await resumed.rest()).text.includes("resp_1"));
});

Deno.test("A token that may do nothing is told nothing of a topic that there is", async () => {
  await using world = await startGateway({ rights: { jwtKey: JWT_KEY } });
  world.relay.topics.create("there").end("complete");
  const answers = await Promise.all(["there", "nowhere"].map(async (topic) => {
    const answer = await world.ask({
      headers: {
        authorization: `Bearer ${await mintToken({})}`,
        "rivulet-topic": topic,
      },
    });
    return [answer.status, (await answer.rest()).text] as const;
  }));
  assertEquals(answers[0], answers[1]);
  assertEquals(answers[0]?.[0], 403);
});
