// The callers that may take part in a chat, and the refusals of others.
import { assert, assertEquals } from "@std/assert";
import type { CallerStream } from "../../../support/gateway/caller_stream.ts";
import {
  BEGIN,
  type ChatWorld,
  opening,
  REST,
  startChats,
  UI_HEADER,
} from "../../../support/gateway/chat_world.ts";
import {
  JWT_KEY,
  mintToken,
  type TokenClaims,
} from "../../../support/rights/token.ts";

const RIGHTS = { rights: { jwtKey: JWT_KEY } };

async function tokenOf(
  claims: TokenClaims | undefined,
): Promise<Record<string, string>> {
  return claims ? { authorization: `Bearer ${await mintToken(claims)}` } : {};
}

const ALL = ["raw:ada:*"];

const ADA: TokenClaims = { sub: "ada", read: ALL, write: ALL, cancel: ALL };

/** Holders of tokens, and what each may do in the chats of Ada that are not shared. */
const HOLDERS: readonly (readonly [
  name: string,
  claims: TokenClaims | undefined,
  may: Partial<Record<"write" | "read" | "cancel", boolean>>,
  refused: number,
])[] = [
  ["no token", undefined, {}, 401],
  ["Ada", ADA, { write: true, read: true, cancel: true }, 403],
  [
    "Ada, who may write",
    { ...ADA, read: [], cancel: [] },
    { write: true },
    403,
  ],
  [
    "Ada, who may send",
    { sub: "ada", send: ALL },
    { write: true },
    403,
  ],
  ["Ada, who may read", { ...ADA, write: [], cancel: [] }, { read: true }, 403],
  ["Ada, who may stop", { ...ADA, write: [], read: [] }, { cancel: true }, 403],
  [
    "Ada of another route",
    {
      sub: "ada",
      read: ["app:*"],
      write: ["app:*"],
      cancel: ["app:*"],
    },
    {},
    403,
  ],
  [
    "nobody, with Ada's patterns",
    { read: ALL, write: ALL, cancel: ALL },
    {},
    403,
  ],
  ["an empty subject", { ...ADA, sub: "" }, {}, 403],
];

const REQUESTS: Readonly<
  Record<
    "write" | "read" | "cancel",
    (
      world: ChatWorld,
      headers: Record<string, string>,
      may: boolean,
    ) => Promise<CallerStream>
  >
> = {
  async write({ say, provider }, headers, may) {
    const answer = say({ headers });
    if (may) await (await provider.next()).answer(418);
    return await answer;
  },
  read: ({ resume }, headers) => resume("none", headers),
  cancel: ({ stop }, headers) => stop("none", headers),
};

const GRANTED = { write: 418, read: 204, cancel: 204 };

Deno.test("Each holder of a token does in a chat what its token says", async () => {
  for (const [name, claims, may, refused] of HOLDERS) {
    const headers = await tokenOf(claims);
    for (const right of ["write", "read", "cancel"] as const) {
      await using world = await startChats(RIGHTS);
      const isGranted = may[right] ?? false;
      const answer = await REQUESTS[right](world, headers, isGranted);
      await answer.rest();
      assertEquals(
        answer.status,
        isGranted ? GRANTED[right] : refused,
        `${right} by ${name}`,
      );
    }
  }
});

Deno.test("Two users with chats of one id have a chat each", async () => {
  await using world = await startChats(RIGHTS);
  const ada = await tokenOf(ADA);
  // Bob's token is a careless one: it is good for every topic.
  const bob = await tokenOf({
    sub: "bob",
    read: ["*"],
    write: ["*"],
    cancel: ["*"],
  });
  const { exchange, answer } = await world.beginTurn({ headers: ada });
  await exchange.stream(BEGIN, UI_HEADER);
  await (await answer).see(BEGIN);
  assertEquals((await world.resume("7", bob)).status, 204);
  assertEquals((await world.stop("7", bob)).status, 204);
  const other = await world.beginTurn({ headers: bob, text: "Mine" });
  assertEquals(other.exchange.header("rivulet-subject"), "bob");
  await other.exchange.stream(BEGIN + REST, UI_HEADER);
  const theirs = await other.answer;
  assertEquals((await theirs.rest()).text, opening("Mine") + BEGIN + REST);
  await using reader = await world.resume("7", ada);
  assertEquals(reader.status, 200);
  await exchange.end(REST);
  assertEquals((await (await answer).rest()).end, "whole");
  assertEquals(
    [...world.relay.topics].map(({ name }) => name).sort(),
    ["raw:ada:7", "raw:bob:7"],
  );
});

Deno.test("In a shared chat, the patterns of tokens decide alone", async () => {
  await using world = await startChats(RIGHTS, { shared: true });
  const claims = { read: ["raw:7"], write: ["raw:7"], cancel: ["raw:7"] };
  const ada = await tokenOf({ ...claims, sub: "ada" });
  const bob = await tokenOf({ ...claims, sub: "bob" });
  const { exchange, answer } = await world.beginTurn({ headers: ada });
  assertEquals(exchange.header("rivulet-subject"), "ada");
  await exchange.stream(BEGIN, UI_HEADER);
  await (await answer).see(BEGIN);
  await using reader = await world.resume("7", bob);
  assertEquals(reader.status, 200);
  const another = await world.resume("8", bob);
  assertEquals(another.status, 403);
  await another.rest();
  assertEquals((await world.stop("7", bob)).status, 204);
  assert((await reader.rest()).text.includes(`"abort"`));
  await (await answer).rest();
});

const JSON_TYPE = { "content-type": "application/json" };

const LONG = "x".repeat(257);

/** Requests that are not a turn of a chat, and their refusals. */
const WRONG: readonly (readonly [
  name: string,
  path: string,
  init: RequestInit,
  status: number,
  code: string,
  words: string,
])[] = [
  [
    "an unknown route",
    "/chat/none",
    { method: "POST", headers: JSON_TYPE, body: "{}" },
    404,
    "not_found",
    "no chat 'none'",
  ],
  [
    "an unknown route's stream",
    "/chat/none/7/stream",
    {},
    404,
    "not_found",
    "no chat 'none'",
  ],
  [
    "another method",
    "/chat/raw",
    { method: "PUT" },
    405,
    "method_not_allowed",
    "Expected POST",
  ],
  [
    "a stop by GET",
    "/chat/raw/7/stop",
    {},
    405,
    "method_not_allowed",
    "Expected POST",
  ],
  [
    "no body",
    "/chat/raw",
    { method: "POST" },
    415,
    "unsupported_media_type",
    "application/json",
  ],
  [
    "text",
    "/chat/raw",
    { method: "POST", body: "{}" },
    415,
    "unsupported_media_type",
    "application/json",
  ],
  [
    "JSON in UTF-16",
    "/chat/raw",
    {
      method: "POST",
      headers: { "content-type": "application/json; charset=utf-16" },
      body: "{}",
    },
    415,
    "unsupported_media_type",
    "Expected a body in UTF-8",
  ],
  [
    "no JSON",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: "{" },
    400,
    "invalid_body",
    "a body of JSON",
  ],
  [
    "no object",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: "[]" },
    400,
    "invalid_body",
    "expected an object",
  ],
  [
    "no id",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: "{}" },
    400,
    "invalid_body",
    "id: expected a string",
  ],
  [
    "an empty id",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":""}` },
    400,
    "invalid_body",
    "id:",
  ],
  [
    "an id of a number",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":7}` },
    400,
    "invalid_body",
    "id: expected a string",
  ],
  [
    "half a character as id",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":"\\ud800"}` },
    400,
    "invalid_body",
    "Unicode",
  ],
  [
    "a long id",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":"${LONG}"}` },
    400,
    "invalid_body",
    "id:",
  ],
  [
    "an id too long for a topic",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":"${LONG.slice(100)}"}` },
    400,
    "invalid_topic",
    "128 characters",
  ],
  [
    "messages that are no array",
    "/chat/raw",
    { method: "POST", headers: JSON_TYPE, body: `{"id":"7","messages":{}}` },
    400,
    "invalid_body",
    "messages: Expected an array",
  ],
  [
    "a body in an unknown coding",
    "/chat/raw",
    {
      method: "POST",
      headers: { ...JSON_TYPE, "content-encoding": "lzw" },
      body: "{}",
    },
    415,
    "unsupported_media_type",
    "lzw",
  ],
  [
    "JSON that takes long",
    "/chat/raw",
    {
      method: "POST",
      headers: JSON_TYPE,
      body: `{"id":"7","messages":[${"{},".repeat(60_000)}1]}`,
    },
    413,
    "body_too_large",
    "faster to read",
  ],
  [
    "a page of another origin",
    "/chat/raw",
    {
      method: "POST",
      headers: { ...JSON_TYPE, origin: "https://example.com" },
      body: `{"id":"7"}`,
    },
    403,
    "origin_not_allowed",
    "origin",
  ],
];

Deno.test("What is no turn of a chat is refused before the application is asked", async () => {
  await using world = await startChats();
  for (const [name, path, init, status, code, words] of WRONG) {
    const answer = await world.request(path, init);
    const problem = await answer.json();
    assertEquals([answer.status, problem.code], [status, code], name);
    assert(
      `${problem.detail}`.toLowerCase().includes(words.toLowerCase()),
      `${name}: ${problem.detail}`,
    );
  }
  assertEquals(world.provider.count, 0);
  assertEquals(await world.names(), []);
});

/** The message that the last of these is told as; `null` if it is left out. */
const MESSAGES:
  readonly (readonly [name: string, body: object, told: unknown])[] = [
    ["the last of several", { messages: [{ id: "1" }, { id: "2" }] }, {
      id: "2",
    }],
    ["one alone", { message: { id: "3" } }, { id: "3" }],
    ["none", {}, null],
    ["an empty list", { messages: [] }, null],
    ["any value", { messages: [{ id: "1" }, 5] }, 5],
    ["a file, whose data is left out of a long request", {
      messages: [{
        parts: [{ type: "file", url: `data:,${"x".repeat(70_000)}` }],
      }],
    }, { parts: [{ type: "file", url: "" }] }],
    ["a message of many words", {
      messages: [{
        parts: Array.from({ length: 300 }, () => "x".repeat(1_000)),
      }],
    }, null],
    ["a message that is nested deeply", {
      messages: [JSON.parse("[".repeat(1_000) + "]".repeat(1_000))],
    }, null],
  ];

Deno.test("A turn begins with the message that it answers, unless that is very large", async () => {
  await using world = await startChats();
  for (const [name, body, told] of MESSAGES) {
    const answer = world.request("/chat/raw", {
      method: "POST",
      headers: JSON_TYPE,
      body: JSON.stringify({ id: name, ...body }),
    });
    const exchange = await world.provider.next();
    await exchange.answer(204);
    await answer;
    const [event] = await world.events(
      exchange.header("rivulet-topic") ?? "",
    );
    assertEquals(JSON.parse(event!.data).data.message, told, name);
  }
});
