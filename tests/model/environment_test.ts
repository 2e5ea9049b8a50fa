import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import {
  EnvironmentError,
  FixtureError,
  MissingKeyError,
  ModelClient,
  type ModelProvider,
  providers,
  RetryLimitError,
  StreamError,
} from "../../src/model/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../src/testing/scripted_fetch.ts";
import {
  KEY,
  type Outcome,
  outcomeOf,
  PROMPT,
  WHOLE,
  withEnvironment,
} from "../support/model/scripted_model.ts";

/** Every setting that is read; unset, unless a test says otherwise. */
const UNSET = {
  OPENAI_API_KEY: undefined,
  OPENAI_BASE_URL: undefined,
  OPENAI_REQUEST_MAX_RETRIES: undefined,
  OPENAI_STREAM_MAX_RETRIES: undefined,
  OPENAI_STREAM_IDLE_TIMEOUT_MS: undefined,
  RIVULET_SSE_FIXTURE: undefined,
};

const BUSY: ScriptedConnection = { status: 503 };
const EMPTY: ScriptedConnection = { chunks: [] };

/** Asks with this environment and this provider. */
function ask(
  environment: Record<string, string | undefined>,
  connections: readonly ScriptedConnection[],
  provider: Partial<ModelProvider> = {},
): Promise<Outcome & { script: ScriptedFetch; clock: FakeClock }> {
  return withEnvironment({ ...UNSET, ...environment }, async () => {
    const clock = new FakeClock();
    const script = new ScriptedFetch(connections, {
      clock,
      afterLast: connections.length > 0 ? "repeat" : "throw",
    });
    const client = new ModelClient({
      model: "m",
      provider: { ...providers.openai, ...provider },
      fetch: script.fetch,
      clock,
      random: () => 0.5,
    });
    const outcome = await clock.run(outcomeOf(client.stream(PROMPT)));
    return { ...outcome, script, clock };
  });
}

// Keys

Deno.test("ModelClient reads the key that the provider names", async () => {
  for (const name of ["OPENAI_API_KEY", "GROQ_API_KEY"]) {
    const { script, error } = await ask({ [name]: KEY }, [WHOLE], {
      envKey: name,
    });
    assertEquals(error, undefined);
    const [request] = script.requests;
    assertEquals(request?.headers.get("authorization"), `Bearer ${KEY}`);
  }
});

Deno.test("ModelClient takes the spaces off a key", async () => {
  const { script } = await ask({ OPENAI_API_KEY: ` ${KEY}\n` }, [WHOLE]);
  const [request] = script.requests;
  assertEquals(request?.headers.get("authorization"), `Bearer ${KEY}`);
});

for (const value of [undefined, "", " ", "\t\n "]) {
  Deno.test(`ModelClient does not ask where the key is ${JSON.stringify(value)}`, async () => {
    const { script, error } = await ask({ OPENAI_API_KEY: value }, [WHOLE]);
    assertInstanceOf(error, MissingKeyError);
    assertEquals(error.variable, "OPENAI_API_KEY");
    assertEquals(error.code, "missing_key");
    assertEquals(error.retryable, false);
    assertEquals(
      error.message,
      `Missing environment variable: \`OPENAI_API_KEY\`. ${providers.openai.envKeyInstructions}`,
    );
    assertEquals(script.requests.length, 0);
  });
}

Deno.test("ModelClient takes a key that is given over that of the environment", async () => {
  for (const apiKey of ["given", () => "given"]) {
    const { script } = await ask({ OPENAI_API_KEY: KEY }, [WHOLE], { apiKey });
    const [request] = script.requests;
    assertEquals(request?.headers.get("authorization"), "Bearer given");
  }
});

Deno.test("ModelClient takes a key that is blank for one that is not given", async () => {
  for (const apiKey of ["", " ", () => "", () => undefined]) {
    const { script } = await ask({ OPENAI_API_KEY: KEY }, [WHOLE], { apiKey });
    const [request] = script.requests;
    assertEquals(request?.headers.get("authorization"), `Bearer ${KEY}`);
  }
});

Deno.test("ModelClient sends no key to a provider that has none", async () => {
  const { script } = await ask({ OPENAI_API_KEY: KEY }, [WHOLE], {
    envKey: undefined,
  });
  const [request] = script.requests;
  assertEquals(request?.headers.has("authorization"), false);
});

// The URL

Deno.test("ModelClient asks where OPENAI_BASE_URL says", async () => {
  const cases: [string | undefined, string][] = [
    [undefined, "https://api.openai.com/v1/responses"],
    ["", "https://api.openai.com/v1/responses"],
    [" ", "https://api.openai.com/v1/responses"],
    ["http://localhost:8080/v2", "http://localhost:8080/v2/responses"],
    ["http://localhost:8080/v2/", "http://localhost:8080/v2/responses"],
    [" http://localhost:8080\n", "http://localhost:8080/responses"],
  ];
  for (const [value, url] of cases) {
    const { script, error } = await ask({
      OPENAI_API_KEY: KEY,
      OPENAI_BASE_URL: value,
    }, [WHOLE]);
    assertEquals(error, undefined);
    assertEquals(script.requests[0]?.url, url);
  }
});

Deno.test("ModelClient reads OPENAI_BASE_URL for OpenAI only", async () => {
  const environment = { OPENAI_API_KEY: KEY, OPENAI_BASE_URL: "http://x.test" };
  const cases: [string | undefined, string][] = [
    [undefined, "https://example.com/responses"],
    // The URL that is given goes before the environment...
    ["OPENAI_BASE_URL", "https://example.com/responses"],
    // ...unless the variable was chosen along with it.
    ["MY_BASE_URL", "http://y.test/responses"],
  ];
  for (const [baseUrlEnv, url] of cases) {
    const { script } = await ask(
      { ...environment, MY_BASE_URL: "http://y.test" },
      [WHOLE],
      { baseUrl: "https://example.com", baseUrlEnv },
    );
    assertEquals(script.requests[0]?.url, url);
  }
  const variables: Record<string, string> = {
    openai: "OPENAI_BASE_URL",
    anthropic: "ANTHROPIC_BASE_URL",
  };
  for (const [name, { baseUrlEnv }] of Object.entries(providers)) {
    assertEquals(baseUrlEnv, variables[name]);
  }
});

for (
  const value of [
    "localhost:8080",
    "ftp://example.com",
    "/v1",
    "https://",
    `user:${KEY}@x`,
  ]
) {
  Deno.test(`ModelClient does not ask where OPENAI_BASE_URL is ${value.replace(KEY, "a key")}`, async () => {
    const { script, error } = await ask({
      OPENAI_API_KEY: KEY,
      OPENAI_BASE_URL: value,
    }, [WHOLE]);
    assertInstanceOf(error, EnvironmentError);
    assertEquals(error.variable, "OPENAI_BASE_URL");
    assertEquals(
      error.message,
      "Cannot stream as the environment variable OPENAI_BASE_URL must be a URL of http or https",
    );
    assertEquals(script.requests.length, 0);
  });
}

// Numbers

const waits = [0, 200, 600, 1_400, 3_000, 6_200, 12_600];

Deno.test("ModelClient takes OPENAI_REQUEST_MAX_RETRIES between the option and the default", async () => {
  const cases: [string | undefined, number | undefined, number][] = [
    [undefined, undefined, 4],
    ["", undefined, 4],
    ["  ", undefined, 4],
    ["2", undefined, 2],
    [" 2 ", undefined, 2],
    ["0", undefined, 0],
    ["2", 1, 1],
    ["2", 0, 0],
    // Not read where it is not needed.
    ["many", 1, 1],
  ];
  for (const [value, requestMaxRetries, retries] of cases) {
    const { script, error } = await ask(
      {
        OPENAI_API_KEY: KEY,
        OPENAI_REQUEST_MAX_RETRIES: value,
      },
      [BUSY],
      { requestMaxRetries },
    );
    assertInstanceOf(error, RetryLimitError);
    assertEquals(
      script.requests.map(({ time }) => time),
      waits.slice(0, retries + 1),
    );
  }
});

Deno.test("ModelClient takes OPENAI_STREAM_MAX_RETRIES between the option and the default", async () => {
  const cases: [string | undefined, number | undefined, number][] = [
    [undefined, undefined, 5],
    ["2", undefined, 2],
    ["0", undefined, 0],
    ["6", undefined, 6],
    ["2", 1, 1],
  ];
  for (const [value, streamMaxRetries, retries] of cases) {
    const { script, error } = await ask(
      {
        OPENAI_API_KEY: KEY,
        OPENAI_STREAM_MAX_RETRIES: value,
      },
      [EMPTY],
      { streamMaxRetries },
    );
    assertInstanceOf(error, StreamError);
    assertEquals(
      script.requests.map(({ time }) => time),
      waits.slice(0, retries + 1),
    );
  }
});

Deno.test("ModelClient takes OPENAI_STREAM_IDLE_TIMEOUT_MS between the option and the default", async () => {
  const cases: [string | undefined, number | undefined, number][] = [
    [undefined, undefined, 300_000],
    ["1500", undefined, 1_500],
    ["1500", 700, 700],
  ];
  for (const [value, idleTimeout, time] of cases) {
    const { clock, error } = await ask(
      { OPENAI_API_KEY: KEY, OPENAI_STREAM_IDLE_TIMEOUT_MS: value },
      [{ end: "stall" }],
      { idleTimeout, streamMaxRetries: 0 },
    );
    assertInstanceOf(error, StreamError);
    assertEquals(error.code, "idle");
    assertEquals(clock.now(), time);
  }
});

Deno.test("ModelClient waits for ever where OPENAI_STREAM_IDLE_TIMEOUT_MS is 0", async () => {
  const { clock, error } = await ask(
    { OPENAI_API_KEY: KEY, OPENAI_STREAM_IDLE_TIMEOUT_MS: "0" },
    [{ chunks: [{ wait: 1e9 }], end: "drop" }],
    { streamMaxRetries: 0 },
  );
  assertInstanceOf(error, StreamError);
  assertEquals(error.code, "disconnected");
  assertEquals(clock.now(), 1e9);
});

for (
  const name of [
    "OPENAI_REQUEST_MAX_RETRIES",
    "OPENAI_STREAM_MAX_RETRIES",
    "OPENAI_STREAM_IDLE_TIMEOUT_MS",
  ]
) {
  Deno.test(`ModelClient says what is wrong with ${name}`, async () => {
    for (
      const value of [
        "many",
        "-1",
        "1.5",
        "1e3",
        "0x10",
        "Infinity",
        "NaN",
        "4 times",
        "9".repeat(16),
        "\u0665",
      ]
    ) {
      const { script, error } = await ask(
        { OPENAI_API_KEY: KEY, [name]: value },
        [WHOLE],
      );
      assertInstanceOf(error, EnvironmentError);
      assertEquals(error.variable, name);
      assertEquals(error.code, "invalid_environment");
      assertEquals(error.retryable, false);
      assertEquals(
        error.message,
        `Cannot stream as the environment variable ${name} must be a whole number, 0 or more: current value is '${value}'`,
      );
      assertEquals(script.requests.length, 0);
    }
  });
}

Deno.test("ModelClient reads its settings when it asks, every time", async () => {
  await withEnvironment({ ...UNSET, OPENAI_API_KEY: KEY }, async () => {
    const clock = new FakeClock();
    const script = new ScriptedFetch([WHOLE], { clock, afterLast: "repeat" });
    const client = new ModelClient({
      model: "m",
      provider: providers.openai,
      fetch: script.fetch,
      clock,
    });
    for (const host of ["a.test", "b.test"]) {
      Deno.env.set("OPENAI_BASE_URL", `https://${host}/v1`);
      const { error } = await clock.run(outcomeOf(client.stream(PROMPT)));
      assertEquals(error, undefined);
    }
    assertEquals(script.requests.map(({ url }) => url), [
      "https://a.test/v1/responses",
      "https://b.test/v1/responses",
    ]);
  });
});

// The fixture

const FIXTURE = "fixtures/demo.sse";

Deno.test("ModelClient streams from RIVULET_SSE_FIXTURE, without a key", async () => {
  const { script, events, error } = await ask({
    RIVULET_SSE_FIXTURE: FIXTURE,
    // Of no account here.
    OPENAI_BASE_URL: "nonsense",
    OPENAI_REQUEST_MAX_RETRIES: "many",
  }, []);
  assertEquals(error, undefined);
  assertEquals(events.at(-1)?.type, "completed");
  assertEquals(script.requests.length, 0);
});

Deno.test("ModelClient streams from RIVULET_SSE_FIXTURE by Chat too", async () => {
  const { events, error } = await ask(
    { RIVULET_SSE_FIXTURE: "fixtures/chat.sse" },
    [],
    { wireApi: "chat" },
  );
  assertEquals(error, undefined);
  assertEquals(events.at(-1)?.type, "completed");
});

Deno.test("ModelClient reads RIVULET_SSE_FIXTURE every time", async () => {
  await withEnvironment(
    { ...UNSET, RIVULET_SSE_FIXTURE: "fixtures/nothing.sse" },
    async () => {
      const client = new ModelClient({
        model: "m",
        provider: providers.openai,
      });
      const first = await outcomeOf(client.stream(PROMPT));
      assertInstanceOf(first.error, FixtureError);
      Deno.env.set("RIVULET_SSE_FIXTURE", FIXTURE);
      const second = await outcomeOf(client.stream(PROMPT));
      assertEquals(second.error, undefined);
    },
  );
});

Deno.test("ModelClient asks the network where RIVULET_SSE_FIXTURE is blank", async () => {
  for (const value of ["", "  "]) {
    const { script } = await ask({
      OPENAI_API_KEY: KEY,
      RIVULET_SSE_FIXTURE: value,
    }, [WHOLE]);
    assertEquals(script.requests.length, 1);
  }
});

Deno.test("ModelClient takes a fixture that is given over RIVULET_SSE_FIXTURE", async () => {
  await withEnvironment(
    { ...UNSET, RIVULET_SSE_FIXTURE: "fixtures/nothing.sse" },
    async () => {
      const client = new ModelClient({
        model: "m",
        provider: providers.openai,
        fixture: FIXTURE,
        clock: new FakeClock(),
      });
      const { events, error } = await outcomeOf(client.stream(PROMPT));
      assertEquals(error, undefined);
      assert(events.length > 0);
    },
  );
});
