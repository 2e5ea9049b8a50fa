// The rights of a token at a provider with the relay's key: rows B1 and B2 of
// what users' reports break.
import { assert, assertEquals } from "@std/assert";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import {
  JWT_KEY,
  mintToken,
  type TokenClaims,
} from "../../support/rights/token.ts";

/** The stream of a response whose id is `resp_1`. */
const RESPONSE = ["response.created", "response.completed"]
  .map((type, sequence_number) =>
    `event: ${type}\ndata: ${
      JSON.stringify({ type, sequence_number, response: { id: "resp_1" } })
    }\n\n`
  ).join("");

/** More than a relay would hold of an answer: the id comes after it. */
const LONG = "x".repeat(1024 * 1024);

/** A relay, and the provider `raw` behind it, which answers everything. */
interface World extends AsyncDisposable, Pick<TestRelay, "request"> {
  /** The number of requests that have reached the provider. */
  readonly asked: () => number;
}

async function start(
  allowProviderPaths: readonly string[] = [],
  key = "sk-of-the-provider-0123456789",
): Promise<World> {
  let count = 0;
  const provider = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      count++;
      const body = await request.text();
      const isRun = body.includes('"stream":true');
      const [, id] = /"makes":"(\w+)"/.exec(body) ?? [];
      return isRun
        ? new Response(RESPONSE, {
          headers: { "content-type": "text/event-stream" },
        })
        : Response.json(
          id === undefined ? {} : { object: "response", output: LONG, id },
        );
    },
  );
  const relay = await startRelay({
    rights: { jwtKey: JWT_KEY, allowProviderPaths },
    gateway: {
      providers: [{
        name: "raw",
        url: `http://127.0.0.1:${provider.addr.port}/v1`,
        ...(key !== "" && { key }),
      }],
    },
  });
  return {
    request: relay.request,
    asked: () => count,
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await provider.shutdown();
    },
  };
}

async function headersOf(claims: TokenClaims): Promise<Record<string, string>> {
  return { authorization: `Bearer ${await mintToken(claims)}` };
}

/** Makes a request; returns the status of its answer. */
async function statusOf(
  world: World,
  request: string,
  claims: TokenClaims,
  body?: unknown,
): Promise<number> {
  const [method = "", path = ""] = request.split(" ");
  const before = world.asked();
  const answer = await world.request(`/v1/${path}`, {
    method,
    headers: {
      ...await headersOf(claims),
      "rivulet-topic": "chat-7-in",
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (answer.status === 403) {
    if (method !== "HEAD") assertEquals(JSON.parse(text).code, "forbidden");
    assertEquals(world.asked(), before, "the provider is not asked");
  }
  return answer.status;
}

const PUBLISHER: TokenClaims = { write: ["chat-7-in"], sub: "publisher" };

const BY_DEFAULT = [
  "POST responses",
  "POST chat/completions",
  "POST messages",
  "POST messages/count_tokens?beta=true",
  "GET models",
  "HEAD models",
  "GET models/vendor/model-1",
];

const NEVER_BY_DEFAULT = [
  "GET files",
  "GET files?models",
  "POST files",
  "DELETE files/file-1",
  "GET organization/projects",
  "DELETE models/ft:1",
  "GET chat/completions/chatcmpl-1",
  "POST messages/batches",
  "GET responses",
  "GET responses/resp_unknown",
  "GET responses/resp_unknown?stream=true&starting_after=0",
  "GET responses/resp_unknown/input_items",
  "DELETE responses/resp_unknown",
  "POST responses/resp_unknown/cancel",
  "GET /models",
  "PUT responses",
  "OPTIONS files",
];

Deno.test("A token makes runs and lists models, and does no more at a provider (B1)", async () => {
  await using world = await start();
  for (const request of BY_DEFAULT) {
    assertEquals(await statusOf(world, request, PUBLISHER), 200, request);
  }
  for (const request of NEVER_BY_DEFAULT) {
    assertEquals(await statusOf(world, request, PUBLISHER), 403, request);
  }
});

Deno.test("A token with rivulet.provider does what its patterns say, and nothing else (B1)", async () => {
  await using world = await start(["raw:GET batches"]);
  const claims = { ...PUBLISHER, provider: ["raw:GET files*", "*:DELETE x/*"] };
  for (
    const [request, status] of [
      ["GET files", 200],
      ["GET files/f1/content", 200],
      ["DELETE x/1", 200],
      ["DELETE files/f1", 403],
      ["POST files", 403],
      // Neither the default nor the operator's patterns are added.
      ["POST responses", 403],
      ["GET models", 403],
      ["GET batches", 403],
    ] as const
  ) assertEquals(await statusOf(world, request, claims), status, request);
  const all = { ...PUBLISHER, provider: ["*:*"] };
  assertEquals(await statusOf(world, "PATCH anything/at/all", all), 200);
  const other = { ...PUBLISHER, provider: ["other:*"] };
  assertEquals(await statusOf(world, "GET models", other), 403);
  const none = { ...PUBLISHER, provider: [] };
  assertEquals(await statusOf(world, "GET models", none), 403);
  const admin = { admin: true };
  assertEquals(await statusOf(world, "GET organization/x", admin), 200);
});

Deno.test("--allow-provider-path allows more to tokens that say nothing of providers (B1)", async () => {
  await using world = await start(["raw:GET files/*", "other:GET batches"]);
  assertEquals(await statusOf(world, "GET files/f1", PUBLISHER), 200);
  assertEquals(await statusOf(world, "GET models", PUBLISHER), 200);
  assertEquals(await statusOf(world, "GET files", PUBLISHER), 403);
  assertEquals(await statusOf(world, "DELETE files/f1", PUBLISHER), 403);
  assertEquals(await statusOf(world, "GET batches", PUBLISHER), 403);
});

Deno.test("A right at a provider takes the right to write the topic too (B1)", async () => {
  await using world = await start();
  const claims = { write: ["other"], provider: ["*:*"] };
  assertEquals(await statusOf(world, "GET models", claims), 403);
});

Deno.test("A provider without the relay's key judges by the caller's own (B1)", async () => {
  await using world = await start([], "");
  assertEquals(await statusOf(world, "GET files", PUBLISHER), 200);
});

for (
  const pattern of [
    "GET files",
    "openai:GET /files",
    "openai:GET",
    "openai:get files",
    "openai:GET files?x",
    "",
    "*",
  ]
) {
  Deno.test(`A token with the pattern '${pattern}' for providers is refused (B1)`, async () => {
    await using world = await start();
    const answer = await world.request("/topics", {
      headers: await headersOf({ ...PUBLISHER, provider: [pattern] }),
    });
    assertEquals(answer.status, 401);
    assertEquals((await answer.json()).reason, "claims");
  });
}

/** Makes a run of tenant A whose response is `resp_1`. */
async function makeResponse({ request }: World): Promise<void> {
  const answer = await request("/v1/responses", {
    method: "POST",
    headers: {
      ...await headersOf({ write: ["a-*"], sub: "a" }),
      "content-type": "application/json",
      "rivulet-topic": "a-run",
    },
    body: JSON.stringify({ stream: true }),
  });
  assertEquals(await answer.text(), RESPONSE);
}

const SPELLINGS = [
  "GET responses/resp_1",
  "HEAD responses/resp_1",
  "GET responses/resp_1?stream=true&starting_after=0",
  "GET responses/resp_1?stream=true&starting_after=0000",
  "GET responses/resp_1?stream=True",
  "GET responses/resp_1?stream=1",
  "GET responses/resp_1?stream=false",
  "GET responses/resp_1?stream=true&starting_after=9999999999999999",
  "GET responses/resp_1?stream=false&stream=true",
  "GET responses/resp%5F1",
  "GET responses/resp_1/",
  "GET responses//resp_1",
  "GET responses%2fresp_1",
  "GET %72esponses/resp_1",
  "GET responses/%72esp_1",
  "GET responses/%2572esp_1",
  "GET responses/.%2fresp_1",
  "GET responses/%2fresp_1",
  "GET .%2fresponses/resp_1",
  "GET /responses/resp_1",
  "GET responses;x/resp_1",
  "GET responses/resp_1%3fx",
  "GET responses/resp_1%3bx",
  "GET responses/resp_1;x",
  "GET Responses/resp_1",
  "GET responses/resp_1%20",
  "GET responses/resp_1/input_items",
  "POST responses/resp_1/cancel",
  "DELETE responses/resp_1",
];

Deno.test("Every spelling of a response's URL takes the right to read its topic (B2)", async () => {
  await using world = await start(["raw:GET responses/*"]);
  await makeResponse(world);
  for (const provider of [undefined, ["*:*"]]) {
    const other = {
      read: ["b-*"],
      cancel: ["b-*"],
      write: ["*"],
      sub: "b",
      ...(provider && { provider }),
    };
    for (const request of SPELLINGS) {
      assertEquals(await statusOf(world, request, other), 403, request);
    }
  }
});

Deno.test("A caller that may read a response's topic has the response (B2)", async () => {
  await using world = await start();
  await makeResponse(world);
  const reader = { read: ["a-*"], write: ["*"] };
  for (
    const [request, status] of [
      ["GET responses/resp_1", 200],
      ["GET responses/resp_1?stream=true", 200],
      ["GET responses/resp_1?stream=True", 200],
      ["GET responses/resp_1/input_items", 200],
      // Changing a response requires the right to cancel its topic.
      ["DELETE responses/resp_1", 403],
      ["POST responses/resp_1/cancel", 403],
    ] as const
  ) assertEquals(await statusOf(world, request, reader), status, request);
  const owner = { ...reader, cancel: ["a-*"] };
  assertEquals(
    await statusOf(world, "POST responses/resp_1/cancel", owner),
    200,
  );
  assertEquals(await statusOf(world, "DELETE responses/resp_1", owner), 200);
});

Deno.test("A run goes on only from a response that its caller made or may read (B2)", async () => {
  await using world = await start();
  await makeResponse(world);
  const body = { previous_response_id: "resp_1" };
  const ask = (claims: TokenClaims) =>
    statusOf(world, "POST responses", { write: ["*"], ...claims }, body);
  assertEquals(await ask({ sub: "b", read: ["b-*"] }), 403);
  assertEquals(await ask({ sub: "a" }), 200);
  assertEquals(await ask({ sub: "b", read: ["a-run"] }), 200);
  assert(world.asked() > 0);
});

Deno.test("A response that was made without a stream is its maker's too (B2)", async () => {
  await using world = await start();
  const a = { write: ["*"], read: ["chat-7-*"], cancel: ["*"], sub: "a" };
  const b = { write: ["*"], read: ["b-*"], cancel: ["b-*"], sub: "b" };
  const makes = { makes: "resp_2" };
  const goesOn = { previous_response_id: "resp_2" };
  assertEquals(await statusOf(world, "POST responses", a, makes), 200);
  for (
    const [request, body] of [
      ["POST responses", goesOn],
      ["GET responses/resp_2", undefined],
      ["GET responses/resp_2/input_items", undefined],
      ["POST responses/resp_2/cancel", undefined],
      ["DELETE responses/resp_2", undefined],
    ] as const
  ) {
    assertEquals(await statusOf(world, request, b, body), 403, request);
    assertEquals(await statusOf(world, request, a, body), 200, request);
  }
  // That another caller gets the response does not make it another's.
  const reader = { ...b, read: ["chat-7-*"] };
  assertEquals(await statusOf(world, "POST responses", reader, goesOn), 200);
  assertEquals(await statusOf(world, "POST responses", b, makes), 200);
  assertEquals(await statusOf(world, "POST responses", b, goesOn), 403);
});

Deno.test("A response is its maker's when its topic is gone, too (B2)", async () => {
  await using world = await start();
  await makeResponse(world);
  const gone = await world.request("/topics/a-run", {
    method: "DELETE",
    headers: await headersOf({ write: ["a-*"] }),
  });
  assertEquals(gone.status, 204);
  const body = { previous_response_id: "resp_1" };
  const ask = (claims: TokenClaims) =>
    statusOf(world, "POST responses", { write: ["*"], ...claims }, body);
  assertEquals(await ask({ sub: "b", read: ["b-*"] }), 403);
  assertEquals(await ask({ sub: "a" }), 200);
  assertEquals(await ask({ sub: "b", read: ["a-run"] }), 200);
  for (const request of SPELLINGS) {
    const other = { read: ["b-*"], cancel: ["b-*"], write: ["*"], sub: "b" };
    assertEquals(await statusOf(world, request, other), 403, request);
  }
});

Deno.test("A run goes on from what the relay does not know only with a right to get it (B2)", async () => {
  await using world = await start();
  const all = ["raw:POST responses", "raw:GET responses/*"];
  const table: [unknown, number, number, number][] = [
    [{ previous_response_id: "resp_unknown" }, 403, 200, 200],
    [{ Previous_Response_ID: "resp_unknown" }, 403, 200, 200],
    [{ conversation: "conv_1" }, 403, 403, 200],
    [{ conversation: { id: "conv_1" } }, 403, 403, 200],
    [{ previous_response_id: null, conversation: null }, 200, 200, 200],
    [{ input: "previous_response_id" }, 200, 200, 200],
  ];
  for (const [body, byDefault, withResponses, withAll] of table) {
    for (
      const [provider, status] of [
        [undefined, byDefault],
        [all, withResponses],
        [["*:*"], withAll],
      ] as const
    ) {
      assertEquals(
        await statusOf(world, "POST responses", {
          ...PUBLISHER,
          ...(provider && { provider }),
        }, body),
        status,
        JSON.stringify([body, provider]),
      );
    }
  }
});

/**
 * The objects that a run may name at a provider, by path, and the places for
 * their names.
 */
const USED: readonly (readonly [path: string, body: unknown])[] = [
  ["files/f", { input: [{ content: [{ type: "input_file", file_id: "f" }] }] }],
  ["files/f", { messages: [{ content: [{ file: { file_id: "f" } }] }] }],
  ["files/f", {
    messages: [{
      content: [{ type: "document", source: { type: "file", file_id: "f" } }],
    }],
  }],
  ["files/f", {
    tools: [{
      type: "code_interpreter",
      container: { type: "auto", file_ids: ["f"] },
    }],
  }],
  ["files/f", {
    prompt: { variables: { x: { type: "input_file", File_ID: "f" } } },
  }],
  ["vector_stores/v", {
    tools: [{ type: "file_search", vector_store_ids: ["v"] }],
  }],
  ["containers/c", { container: "c" }],
  ["containers/c", { container: { id: "c" } }],
  ["containers/c", { tools: [{ type: "code_interpreter", container: "c" }] }],
  ["prompts/p", { prompt: { id: "p", variables: {} } }],
  ["conversations/v", { conversation: "v" }],
  ["responses/r", { previous_response_id: "r" }],
  ["responses/r", { previous_response_id: ["r"] }],
  ["files/f", { input: [{ file_id: ["f"] }] }],
  ["responses/r", { prompt_cache_options: { comparison_response_id: "r" } }],
  ["messages/m", { thread: { type: "continue", previous_message_id: "m" } }],
  ["skills/s", {
    container: { skills: [{ type: "custom", skill_id: "s" }] },
  }],
  ["skills/s", {
    tools: [{
      type: "shell",
      environment: {
        type: "container_auto",
        skills: [{ type: "skill_reference", skill_id: "s" }],
      },
    }],
  }],
  // Of a type that is there twice, a provider may take the other.
  ["skills/s", {
    container: { skills: [{ type: "anthropic", skill_id: "s" }] },
  }],
  ["tunnels/t", { tools: [{ type: "mcp", tunnel_id: "t" }] }],
  ["audio/voices/v", { audio: { format: "mp3", voice: { id: "v" } } }],
  // A body is not itself a word of a model to a tool.
  ["files/f", { type: "tool_use", input: [{ file_id: "f" }] }],
];

const RUN_PATHS = [
  "responses",
  "responses/compact",
  "responses/input_tokens",
  "chat/completions",
  "completions",
  "messages",
  "messages/count_tokens",
];

Deno.test("A run uses nothing at a provider that its caller may not get there (B1, B2)", async () => {
  await using world = await start();
  for (const [used, body] of USED) {
    const run = `raw:POST *`;
    const get = `raw:GET ${used}`;
    for (const path of RUN_PATHS) {
      const what = `${path} ${JSON.stringify(body)}`;
      const ask = (claims: TokenClaims) =>
        statusOf(world, `POST ${path}`, { ...PUBLISHER, ...claims }, body);
      assertEquals(await ask({}), 403, what);
      assertEquals(
        await ask({ provider: [run, "raw:GET other/*"] }),
        403,
        what,
      );
      assertEquals(await ask({ provider: [run, get] }), 200, what);
    }
  }
});

/** Queries that a server may read as fields of the body, as some frameworks do. */
const QUERIES: readonly (readonly [path: string, query: string])[] = [
  ["responses/r", "previous_response_id=r"],
  ["responses/r", "Previous%5fResponse_ID=%72"],
  ["responses/r", "x=1&previous_response_id[]=r"],
  ["conversations/v", "conversation[id]=v"],
  ["files/f", "file_ids%5B0%5D=f"],
  ["prompts/p", "prompt[id]=p"],
  ["messages/m", "thread[previous_message_id]=m"],
  ["skills/s", "container[skills][0][skill_id]=s"],
  ["audio/voices/v", "audio[voice][id]=v"],
];

Deno.test("A run names in its query no more than in its body (B1, B2)", async () => {
  await using world = await start();
  for (const [used, query] of QUERIES) {
    for (const body of [{ input: "x" }, undefined]) {
      const ask = (claims: TokenClaims) =>
        statusOf(
          world,
          `POST responses?${query}`,
          { ...PUBLISHER, ...claims },
          body,
        );
      assertEquals(await ask({}), 403, query);
      const provider = ["raw:POST *", `raw:GET ${used}`];
      assertEquals(await ask({ provider }), 200, query);
    }
  }
  assertEquals(
    await statusOf(world, "POST responses?prompt=p&file_id=", PUBLISHER, {}),
    200,
  );
});

Deno.test("A run may say what it likes to tools and in texts (B1)", async () => {
  await using world = await start();
  const BODIES = [
    { prompt: "file_id", input: 'a "file_id": "f"' },
    { tools: [{ parameters: { properties: { file_id: { default: "f" } } } }] },
    { tools: [{ input_schema: { examples: [{ file_id: "f" }] } }] },
    {
      messages: [{ content: [{ type: "tool_use", input: { file_id: "f" } }] }],
    },
    { metadata: { container: "mine", prompt: { id: "p" } } },
    { container: null, file_ids: [], prompt: { variables: {} } },
    { tools: [{ type: "code_interpreter", container: { type: "auto" } }] },
    { audio: { format: "mp3", voice: "alloy" } },
    { container: { skills: [{ type: "anthropic", skill_id: "pptx" }] } },
    { diagnostics: { previous_message_id: "msg_1" } },
  ];
  for (const body of BODIES) {
    for (const path of RUN_PATHS) {
      assertEquals(
        await statusOf(world, `POST ${path}`, PUBLISHER, body),
        200,
        JSON.stringify(body),
      );
    }
  }
});

/** Bodies that a provider may read, and the relay does not. */
const UNREAD: readonly (readonly [type: string, body: BodyInit])[] = [
  ["text/plain", '{"previous_response_id":"resp_1"}'],
  ["application/octet-stream", '{"previous_response_id":"resp_1"}'],
  [
    "application/json",
    Uint8Array.from(
      '{"previous_response_id":"resp_1"}',
      (character) => character.charCodeAt(0),
    ).reduce<Uint8Array<ArrayBuffer>>(
      (bytes, byte, index) => {
        bytes[2 * index] = byte;
        return bytes;
      },
      new Uint8Array(68), // UTF-16
    ),
  ],
  ["application/json", "{previous_response_id:'resp_1'}"],
  ["application/json", "{container : 'c'}"],
  ["application/json", "{prompt: {id: 'p'}}"],
  ["application/json", '[{"previous_response_id":"resp_1"}]'],
  // Of a name that is there twice, providers take the first or the last.
  ["application/json", '{"file_id":"resp_1","file_id":null}'],
  [
    "application/json",
    '{"previous_response\\u005fid":"resp_1","previous_response_id":0}',
  ],
  [
    "application/json",
    `{"file_id":${"[".repeat(20_000)}${"]".repeat(20_000)}}`,
  ],
];

Deno.test("A body that the relay cannot read makes no run with its key (B2)", async () => {
  await using world = await start();
  await makeResponse(world);
  const before = world.asked();
  const ask = async (
    claims: TokenClaims,
    type: string,
    body: BodyInit,
    path = "responses",
  ) => {
    const answer = await world.request(`/v1/${path}`, {
      method: "POST",
      headers: { ...await headersOf(claims), "content-type": type },
      body,
    });
    await answer.body?.cancel();
    return answer.status;
  };
  const claims = { write: ["*"], sub: "b" };
  for (const [type, body] of UNREAD) {
    for (const path of RUN_PATHS) {
      assertEquals(
        await ask(claims, type, body, path),
        400,
        `${path} ${type} ${String(body).slice(0, 100)}`,
      );
    }
  }
  assertEquals(world.asked(), before);
  for (const [type, body] of UNREAD) {
    assertEquals(await ask({ ...claims, provider: ["*:*"] }, type, body), 200);
  }
});
