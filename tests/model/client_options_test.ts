import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertThrows,
} from "@std/assert";
import {
  AnswerError,
  ModelClient,
  type ModelClientOptions,
  ModelError,
  type ModelProvider,
  type Prompt,
  ResponseFailedError,
} from "../../src/model/mod.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../src/testing/scripted_fetch.ts";
import {
  cutAfter,
  outcomeOf,
  PROMPT,
  PROVIDER,
  scriptedModel,
  type ScriptedModelOptions,
  sse,
  withEnvironment,
} from "../support/model/scripted_model.ts";

/** In JavaScript anything can be passed. */
const client = (options: unknown): ModelClient =>
  new ModelClient(options as ModelClientOptions);

const GOOD = { model: "m", provider: PROVIDER };

const BAD_OPTIONS: [path: string, options: unknown][] = [
  ["options", undefined],
  ["options", null],
  ["options", "gpt-5"],
  ["model", {}],
  ["model", { ...GOOD, model: "" }],
  ["model", { ...GOOD, model: 5 }],
  ["reasoning", { ...GOOD, reasoning: "high" }],
  ["reasoning.effort", { ...GOOD, reasoning: { effort: 3 } }],
  ["reasoning.summary", { ...GOOD, reasoning: { summary: true } }],
  ["deltas", { ...GOOD, deltas: "no" }],
  ["fixture", { ...GOOD, fixture: "" }],
  ["fixture", { ...GOOD, fixture: {} }],
  ["fixture", { ...GOOD, fixture: { path: "x", pace: 1 } }],
  ["fixture", { ...GOOD, fixture: { path: "x", readTextFile: "y" } }],
  ["retryMidStream", { ...GOOD, retryMidStream: 1 }],
  ["retry", { ...GOOD, retry: 5 }],
  ["retry", { ...GOOD, retry: null }],
  ["retry.minTimeout", { ...GOOD, retry: { minTimeout: "200" } }],
  ["maxEventSize", { ...GOOD, maxEventSize: 0 }],
  ["maxEventSize", { ...GOOD, maxEventSize: 1.5 }],
  ["maxEventSize", { ...GOOD, maxEventSize: "1 MB" }],
  ["sendBody", { ...GOOD, sendBody: "chunked" }],
  ["fetch", { ...GOOD, fetch: "https://example.com" }],
  ["clock", { ...GOOD, clock: Date }],
  ["clock.setTimeout", { ...GOOD, clock: { now: () => 0 } }],
  ["random", { ...GOOD, random: 0.5 }],
  ...["maxRetryAfter", "connectTimeout", "eventTimeout", "drainTimeout"]
    .flatMap((name) =>
      [-1, NaN, -Infinity, "1s", null].map((value): [string, unknown] => [
        name,
        { ...GOOD, [name]: value },
      ])
    ),
];

const BAD_PROVIDERS: [path: string, provider: unknown][] = [
  ["provider", undefined],
  ["provider", null],
  ["provider", "openai"],
  ["provider.name", { ...PROVIDER, name: undefined }],
  ["provider.baseUrl", { ...PROVIDER, baseUrl: undefined }],
  ["provider.baseUrl", { ...PROVIDER, baseUrl: "" }],
  ["provider.baseUrl", { ...PROVIDER, baseUrl: "/v1" }],
  ["provider.baseUrl", { ...PROVIDER, baseUrl: "api.example.com/v1" }],
  ["provider.baseUrl", { ...PROVIDER, baseUrl: "ftp://example.com" }],
  ["provider.baseUrlEnv", { ...PROVIDER, baseUrlEnv: 1 }],
  ["provider.wireApi", { ...PROVIDER, wireApi: "completions" }],
  ["provider.dialect", { ...PROVIDER, dialect: "pirate" }],
  ["provider.envKey", { ...PROVIDER, envKey: "" }],
  ["provider.envKeyInstructions", { ...PROVIDER, envKeyInstructions: {} }],
  ["provider.apiKey", { ...PROVIDER, apiKey: 5 }],
  ["provider.headers", { ...PROVIDER, headers: "x" }],
  ["provider.headers", { ...PROVIDER, headers: { "X-Count": 5 } }],
  ["provider.query", { ...PROVIDER, query: "a=b" }],
  ["provider.query.a", { ...PROVIDER, query: { a: 1 } }],
  ...["requestMaxRetries", "streamMaxRetries"].flatMap((name) =>
    [-1, 1.5, NaN, Infinity, "4"].map((value): [string, unknown] => [
      `provider.${name}`,
      { ...PROVIDER, [name]: value },
    ])
  ),
  ...[-1, NaN, "5m"].map((value): [string, unknown] => [
    "provider.idleTimeout",
    { ...PROVIDER, idleTimeout: value },
  ]),
];

for (
  const [path, options] of [
    ...BAD_OPTIONS,
    ...BAD_PROVIDERS.map(([path, provider]): [string, unknown] => [
      path,
      { model: "m", provider },
    ]),
  ]
) {
  const shown = Deno.inspect(options).replace(/\s+/g, " ").slice(0, 200);
  Deno.test(`ModelClient names ${path} when it is not valid: ${shown}`, () => {
    const { message } = assertThrows(() => client(options), TypeError);
    const start = `Cannot make a model client as '${path}' is not valid: `;
    assertEquals(message.slice(0, start.length), start);
    assert(message.length > start.length);
  });
}

Deno.test("ModelClient names the number of its retry policy that is out of range", () => {
  for (
    const [name, value] of [
      ["minTimeout", -1],
      ["minTimeout", NaN],
      ["maxTimeout", 100],
      ["multiplier", 0.5],
      ["jitter", 1.5],
      ["maxElapsed", -1],
    ] as const
  ) {
    assertThrows(
      () => client({ ...GOOD, retry: { [name]: value } }),
      RangeError,
      `Cannot make a model client as '${name}' must be`,
    );
  }
});

Deno.test("ModelClient takes all that is valid", () => {
  client({
    ...GOOD,
    reasoning: { effort: "high", summary: "auto" },
    deltas: false,
    fixture: { path: "x", pace: true, readTextFile: () => "" },
    retryMidStream: true,
    maxRetryAfter: Infinity,
    connectTimeout: 0,
    eventTimeout: Infinity,
    drainTimeout: 0,
    maxEventSize: 1,
    retry: { minTimeout: 0, maxElapsed: Infinity, jitter: undefined },
    fetch: undefined,
    clock: undefined,
    random: Math.random,
    provider: {
      ...PROVIDER,
      apiKey: () => "",
      headers: () => ({}),
      query: {},
      idleTimeout: Infinity,
      requestMaxRetries: 0,
      streamMaxRetries: 0,
    },
  });
});

Deno.test("ModelClient is not changed by what its options become later", async () => {
  const script = new ScriptedFetch([cutAfter(5)]);
  const options = {
    ...GOOD,
    provider: { ...PROVIDER, streamMaxRetries: 0 },
    deltas: false,
    fetch: script.fetch,
  };
  const client = new ModelClient(options);
  options.deltas = true;
  const { events } = await outcomeOf(client.stream(PROMPT));
  assertEquals(events.map(({ type }) => type), ["output_item.done"]);
});

const BAD_PROMPTS: [path: string, prompt: unknown][] = [
  ["prompt", undefined],
  ["prompt", "Hello"],
  ["prompt.input", {}],
  ["prompt.input", { input: 5 }],
  ["prompt.input.0", { input: ["Hello"] }],
  ["prompt.input.1", { input: [...PROMPT.input, {}] }],
  ["prompt.input.0", { input: [{ role: "user" }] }],
  ["prompt.input.0", { input: [{ role: "user", content: [{}] }] }],
  ["prompt.instructions", { ...PROMPT, instructions: 1 }],
  ["prompt.userInstructions", { ...PROMPT, userInstructions: [] }],
  ["prompt.tools", { ...PROMPT, tools: {} }],
  ["prompt.tools.0.type", { ...PROMPT, tools: [{ name: "shell" }] }],
  ["prompt.previousResponseId", { ...PROMPT, previousResponseId: 1 }],
  ["prompt.store", { ...PROMPT, store: "yes" }],
  ["prompt.include", { ...PROMPT, include: "x" }],
  ["prompt.include.0", { ...PROMPT, include: [1] }],
  ["prompt.text", { ...PROMPT, text: "short" }],
  ["prompt.background", { ...PROMPT, background: 1 }],
  ["prompt.extra", { ...PROMPT, extra: [] }],
  ["prompt.toolChoice", { ...PROMPT, toolChoice: "some" }],
  ["prompt.parallelToolCalls", { ...PROMPT, parallelToolCalls: 1 }],
  ["prompt.temperature", { ...PROMPT, temperature: "hot" }],
  ["prompt.temperature", { ...PROMPT, temperature: -1 }],
  ["prompt.topP", { ...PROMPT, topP: 2 }],
  ["prompt.maxOutputTokens", { ...PROMPT, maxOutputTokens: 0 }],
  ["prompt.stop", { ...PROMPT, stop: [1] }],
  ["prompt.seed", { ...PROMPT, seed: 0.5 }],
  ["prompt.logprobs", { ...PROMPT, logprobs: "yes" }],
  ["prompt.input.0.output", {
    input: [{ type: "function_call_output", call_id: "c", output: { a: 1 } }],
  }],
  ["prompt.input.0.output", {
    input: [{ type: "custom_tool_call_output", call_id: "c", output: ["x"] }],
  }],
  ["prompt.input.0.call_id", {
    input: [{ type: "function_call_output", output: "x" }],
  }],
  ["prompt.input.0.arguments", {
    input: [{ type: "function_call", call_id: "c", name: "f", arguments: {} }],
  }],
  ["prompt.input.0", { input: [{ type: "message", role: "user" }] }],
];

for (const [path, prompt] of BAD_PROMPTS) {
  const shown = Deno.inspect(prompt).replace(/\s+/g, " ").slice(0, 120);
  Deno.test(`ModelClient names ${path} when it is not valid: ${shown}`, async () => {
    const { client, script } = scriptedModel([]);
    // In JavaScript anything can be passed.
    const asked = client.stream(prompt as Prompt);
    const { message } = await assertRejects(() => asked, TypeError);
    const start = `Cannot stream as '${path}' is not valid: `;
    assertEquals(message.slice(0, start.length), start);
    assertEquals(script.requests.length, 0);
  });
}

// Keys

const SECRETS = {
  key: "sk-proj-1234567890abcdef",
  header: "header-secret-9876543210",
  query: "query-secret-5555555555",
  body: "body-secret-7777777777",
};

const SECRET_PROVIDER: Partial<ModelProvider> = {
  apiKey: SECRETS.key,
  headers: { "api-key": SECRETS.header },
  query: { code: SECRETS.query },
  requestMaxRetries: 0,
  streamMaxRetries: 0,
};

const SECRET_PROMPT: Prompt = {
  ...PROMPT,
  background: true,
  extra: { tools: [{ type: "mcp", authorization: SECRETS.body }] },
};

const QUOTE = `Incorrect key provided: ${
  Object.values(SECRETS).join(" ")
}, https://example.com/v1/responses?code=${SECRETS.query}`;

/** Asserts that no way of showing an error shows a secret. */
function assertNoSecrets(error: unknown): asserts error is Error {
  assert(error instanceof Error, String(error));
  const parts: string[] = [];
  const seen = new Set<unknown>();
  const add = (value: unknown): void => {
    if (typeof value !== "object" || value === null) {
      parts.push(String(value));
      return;
    }
    if (seen.has(value)) return;
    seen.add(value);
    parts.push(
      String(value),
      JSON.stringify(value),
      Deno.inspect(value, { depth: 20, showHidden: true, getters: true }),
    );
    if (value instanceof Headers) parts.push(JSON.stringify([...value]));
    // The message, the stack and the cause among them.
    for (const name of Object.getOwnPropertyNames(value)) {
      add(Reflect.get(value, name));
    }
  };
  add(error);
  const shown = parts.join("\n");
  for (const secret of Object.values(SECRETS)) {
    assert(!shown.includes(secret), `${secret} is shown in ${shown}`);
  }
}

const json = { "Content-Type": "application/json" };
const failed = (error: unknown): ScriptedConnection => ({
  chunks: [sse({ type: "response.failed", response: { error } })],
});

const LEAKS: [
  name: string,
  connections: ScriptedConnection[],
  options?: ScriptedModelOptions,
][] = [
  ["of a status", [{
    status: 401,
    statusText: SECRETS.key,
    headers: { "x-echo": SECRETS.key, "set-cookie": `key=${SECRETS.key}` },
    chunks: [QUOTE],
  }]],
  ["of the last status", [{ status: 503, chunks: [QUOTE] }]],
  ["of too long a wait", [{
    status: 429,
    headers: { "Retry-After": "999" },
    chunks: [QUOTE],
  }]],
  ["of a redirect", [{
    status: 307,
    headers: { location: `https://example.org/?code=${SECRETS.query}` },
  }]],
  ["of JSON in place of a stream", [{
    headers: json,
    chunks: [JSON.stringify({ error: { message: QUOTE } })],
  }]],
  ["of a page in place of a stream", [{
    headers: { "Content-Type": `text/html; x=${SECRETS.key}` },
    chunks: [QUOTE],
  }]],
  ["of the network", [{ connect: { error: new TypeError(QUOTE) } }]],
  ["of the network, with a cause", [{
    connect: {
      error: new TypeError("no", { cause: new Error(QUOTE) }),
    },
  }]],
  ["of headers that take too long", [{ connect: "stall" }]],
  ["of a stream that breaks off", [{ end: { error: new Error(QUOTE) } }]],
  ["of a stream that is cut off", [{ chunks: [`data: ${QUOTE}`] }]],
  ["of a stream that is silent", [{ end: "stall" }]],
  [
    "of an event that is too large",
    [{ chunks: [`data: ${QUOTE}`] }],
    { maxEventSize: 10 },
  ],
  ["of a response that failed", [
    failed({ code: "invalid_api_key", message: QUOTE, param: SECRETS.header }),
  ]],
  ["of a response that failed in detail", [
    failed({ code: SECRETS.key, details: [{ key: SECRETS.key }, 5, null] }),
  ]],
  ["of an error event", [
    { chunks: [sse({ type: "error", code: "x", message: QUOTE })] },
  ]],
  ["of an error event without JSON", [
    { chunks: [`event: error\ndata: ${QUOTE}\n\n`] },
  ]],
  [
    "of an error in Chat",
    [{
      chunks: [sse({ error: { message: QUOTE, metadata: { raw: QUOTE } } })],
    }],
    { provider: { wireApi: "chat" } },
  ],
  [
    "of what cannot be continued",
    [cutAfter(2), { status: 400, chunks: [QUOTE] }, {
      headers: json,
      chunks: [QUOTE],
    }],
    { provider: { streamMaxRetries: 5 } },
  ],
];

for (const [name, connections, options] of LEAKS) {
  Deno.test(`ModelClient shows no key in the error ${name}`, async () => {
    const model = scriptedModel(connections, {
      ...options,
      provider: { ...SECRET_PROVIDER, ...options?.provider },
    });
    // Chat has no place for it.
    const isChat = options?.provider?.wireApi === "chat";
    const { error } = await model.ask({
      ...SECRET_PROMPT,
      background: !isChat,
    });
    assertInstanceOf(error, ModelError);
    assertNoSecrets(error);
    assertEquals(model.times.length, connections.length);
  });
}

Deno.test("ModelClient shows what is no key in its errors", async () => {
  const details = {
    code: "server_is_overloaded",
    message: `busy, ${SECRETS.key}`,
    type: "server_error",
    param: null,
    more: [1, "two", { three: true }],
  };
  const model = scriptedModel([failed(details)], { provider: SECRET_PROVIDER });
  const { error } = await model.ask();
  assertInstanceOf(error, ResponseFailedError);
  assertEquals(error.code, "server_is_overloaded");
  assertEquals(error.providerMessage, "busy, [redacted]");
  assertEquals(error.details, { ...details, message: "busy, [redacted]" });
  const status = scriptedModel([{ status: 400, chunks: [QUOTE] }], {
    provider: SECRET_PROVIDER,
  });
  const refused = (await status.ask()).error;
  assertInstanceOf(refused, AnswerError);
  assert(refused.body.startsWith("Incorrect key provided: [redacted]"));
});

Deno.test("ModelClient shows no key that comes from a function or the environment", async () => {
  const providers: Partial<ModelProvider>[] = [
    { apiKey: () => Promise.resolve(SECRETS.key) },
    { apiKey: undefined, envKey: "RIVULET_TEST_KEY" },
    { headers: () => Promise.resolve({ Authorization: SECRETS.key }) },
  ];
  await withEnvironment({ RIVULET_TEST_KEY: SECRETS.key }, async () => {
    for (const provider of providers) {
      const model = scriptedModel([{ status: 401, chunks: [QUOTE] }], {
        provider: { ...SECRET_PROVIDER, ...provider },
      });
      const { error } = await model.ask();
      assert(error instanceof ModelError);
      const { key } = SECRETS;
      assert(!Deno.inspect(error, { depth: 20 }).includes(key));
    }
  });
});

Deno.test("ModelClient shows no key of a later attempt", async () => {
  let keys = 0;
  const model = scriptedModel([
    { chunks: [] },
    { chunks: [sse({ type: "error", message: `no ${SECRETS.key}2` })] },
  ], { provider: { apiKey: () => SECRETS.key + ++keys } });
  const { error } = await model.ask();
  assertInstanceOf(error, ResponseFailedError);
  assertEquals(error.providerMessage, "no [redacted]");
});

Deno.test("ModelClient shows no key that HTTP does not allow", async () => {
  const providers: Partial<ModelProvider>[] = [
    { apiKey: `${SECRETS.key}\u20ac` },
    { apiKey: `${SECRETS.key}\nX: y` },
    { headers: { "api-key": `${SECRETS.header}\0` } },
    { headers: { "bad name": SECRETS.header } },
    { headers: () => ({ "api-key": `${SECRETS.header}\u20ac` }) },
  ];
  for (const provider of providers) {
    const model = scriptedModel([], {
      provider: { ...SECRET_PROVIDER, ...provider },
    });
    const { error } = await model.ask();
    assertInstanceOf(error, TypeError);
    assertNoSecrets(error);
    assertEquals(model.times, []);
  }
});

Deno.test("ModelClient shows no key of options that are not valid", () => {
  const bad: unknown[] = [
    { ...PROVIDER, apiKey: { key: SECRETS.key } },
    { ...PROVIDER, apiKey: [SECRETS.key] },
    { ...PROVIDER, headers: [["api-key", SECRETS.header]] },
    { ...PROVIDER, headers: { "api-key": [SECRETS.header] } },
    { ...PROVIDER, query: { code: [SECRETS.query] } },
    { ...PROVIDER, baseUrl: `htp://user:${SECRETS.key}@example.com` },
    { ...PROVIDER, wireApi: SECRETS.key },
    { ...PROVIDER, requestMaxRetries: SECRETS.key },
    SECRETS.key,
  ];
  for (const provider of bad) {
    assertNoSecrets(
      assertThrows(() => client({ model: "m", provider }), TypeError),
    );
  }
  assertNoSecrets(assertThrows(() => client(SECRETS.key), TypeError));
});
