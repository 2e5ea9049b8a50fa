import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { count } from "../../../relay/options/kinds.ts";
import {
  option,
  type Setting,
  settingsOf,
  valueAt,
} from "../../../relay/options/option.ts";
import { relayRows } from "../../../relay/options/rows.ts";
import {
  ConfigurationError,
  readConfiguration,
} from "../../../relay/options/read_configuration.ts";
import { readSetting } from "../../../relay/options/reading.ts";
import {
  type CommandOptions,
  settings,
} from "../../../relay/options/schema.ts";
import { propertyParameters } from "../../support/property.ts";

/** The settings of the world besides flags. */
interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

const SECRET = "a-secret-that-is-long-enough-for-this";

function surroundings({ env = {}, files = {} }: World) {
  return {
    environment: (name: string) =>
      Object.hasOwn(env, name) ? env[name] : undefined,
    readText(path: string): Promise<string> {
      return Object.hasOwn(files, path)
        ? Promise.resolve(files[path] ?? "")
        : Promise.reject(new Error("there is none"));
    },
  };
}

async function optionsOf(
  args: readonly string[],
  world: World = {},
): Promise<CommandOptions> {
  const command = await readConfiguration(args, surroundings(world));
  assert(command.kind === "run", command.kind);
  return command.options;
}

/** Returns the options that follow from a file. */
function fromFile(config: unknown): Promise<CommandOptions> {
  const files = { "c.json": JSON.stringify(config) };
  return optionsOf(["--config", "c.json"], { files });
}

async function problemsOf(
  args: readonly string[],
  world: World = {},
): Promise<readonly string[]> {
  const error = await assertRejects(
    () => readConfiguration(args, surroundings(world)),
    ConfigurationError,
  );
  assertEquals(error.code, "invalid_configuration");
  return error.problems;
}

interface Printed {
  readonly config: Record<string, unknown>;
  readonly from: Record<string, string>;
  readonly hidden: Record<string, string>;
}

async function printed(
  args: readonly string[],
  world: World = {},
): Promise<Printed & { readonly text: string }> {
  const command = await readConfiguration(
    [...args, "--print-config"],
    surroundings(world),
  );
  assert(command.kind === "print");
  return { ...JSON.parse(command.text), text: command.text };
}

/** The setting that has a key in the file. */
function settingOf(key: string): Setting {
  const setting = settings.find(({ file }) => file === key);
  assert(setting, key);
  return setting;
}

/** The same options, but for one value. */
function withValue(
  options: object,
  [name = "", inner]: readonly string[],
  value: unknown,
): object {
  const group: unknown = Object.entries(options)
    .find(([key]) => key === name)?.[1];
  return {
    ...options,
    [name]: inner === undefined || typeof group !== "object"
      ? value
      : { ...group, [inner]: value },
  };
}

/** A value of each setting, other than its default: as text, and as an option. */
const VALUES: Readonly<Record<string, readonly [string, unknown]>> = {
  sources: ["news=http://x/?a=1,2,from=now,once", [
    {
      name: "news",
      url: "http://x/?a=1,2",
      from: "now",
      reconnect: false,
      repeats: "keep",
    },
  ]],
  failFast: ["true", true],
  sourceTimeout: ["1h", 3_600_000],
  fixtures: ["a=b=c.sse,loop", [{ name: "a", path: "b=c.sse", loop: true }]],
  allowSources: ["https://*.example.com/events/*", [
    "https://*.example.com/events/*",
  ]],
  allowAddresses: ["10.0.0.0/8", ["10.0.0.0/8"]],
  allowProviderPaths: ["openai:*", ["openai:*"]],
  jwtKey: [SECRET, SECRET],
  jwks: ["https://keys.example/jwks", "https://keys.example/jwks"],
  jwtAudience: ["relay", "relay"],
  jwtIssuer: ["us", "us"],
  allowQueryToken: ["true", true],
  origins: ["https://app.example.com", ["https://app.example.com"]],
  host: ["localhost", "localhost"],
  port: ["0", 0],
  insecureOpen: ["true", true],
  page: ["true", false], // its flag is its contrary
  trustedProxies: ["fd00::/8", ["fd00::/8"]],
  maxConnections: ["7", 7],
  maxConnectionsPerAddress: ["7", 7],
  maxSubscriptions: ["7", 7],
  maxMessage: ["2KiB", 2_048],
  maxMessageRate: ["0.5", 0.5],
  maxMessageBytesRate: ["1MiB", 1_048_576],
  maxHead: ["4096", 4_096],
  headTimeout: ["1s", 1_000],
  maxBody: ["1GiB", 1_073_741_824],
  maxUpload: ["3KiB", 3_072],
  bodyTimeout: ["250ms", 250],
  idleTimeout: ["1m", 60_000],
  maxTopics: ["7", 7],
  maxTopicsPerToken: ["7", 7],
  maxEvent: ["5", 5],
  maxPublishRate: ["12.25", 12.25],
  maxUpstreams: ["7", 7],
  maxUpstreamsPerClient: ["7", 7],
  maxMemory: ["2GiB", 2 ** 31],
  maxQueued: ["1KiB", 1_024],
  maxQueuedPerClient: ["1KiB", 1_024],
  maxReceived: ["1KiB", 1_024],
  maxReceivedPerClient: ["1KiB", 1_024],
  maxBodyRate: ["1MiB", 1_048_576],
  maxBodyChunkRate: ["12.25", 12.25],
  maxEvents: ["7", 7],
  maxBytes: ["7", 7],
  maxAge: ["2h", 7_200_000],
  endedTtl: ["500ms", 500],
  store: ["sqlite:a.db", "sqlite:a.db"],
  maxStore: ["1GiB", 1_073_741_824],
  awaitedTtl: ["3s", 3_000],
  heartbeat: ["30s", 30_000],
  slowTimeout: ["40s", 40_000],
  ackTimeout: ["40s", 40_000],
  onSlow: ["gap", "gap"],
  drain: ["0s", 0],
  awaitTopics: ["true", false], // its flag is its contrary
  providers: [
    "local=http://localhost:1/v1/,idempotent,websocket,on-disconnect=cancel,topic=codex:{session}:*",
    [
      {
        name: "local",
        url: "http://localhost:1/v1",
        keyHeader: "authorization",
        idempotent: true,
        websocket: true,
        onDisconnect: "cancel",
        topic: "codex:{session}:*",
      },
    ],
  ],
  chats: ["app=http://localhost:3000/api/chat,shared", [
    { name: "app", url: "http://localhost:3000/api/chat", shared: true },
  ]],
  providerTimeout: ["1h", 3_600_000],
  idleCancel: ["30", 30_000],
  record: ["runs", "runs"],
  recordMaxBytes: ["1MiB", 1_048_576],
  recordMaxAge: ["1h", 3_600_000],
  links: ["true", true],
  workers: ["auto", "auto"],
  logLevel: ["debug", "debug"],
  logFormat: ["json", "json"],
  publicMetrics: ["true", true],
};

/** Tried by themselves: they have a use with another setting only, or come from files. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  "jwtKeyFile",
  "storeToken",
  "storeTokenFile",
  "linkName",
]);

Deno.test("readConfiguration takes every setting from a flag, the environment and the file", async (t) => {
  const keys = settings.map(({ file }) => file)
    .filter((key) => !ELSEWHERE.has(key));
  assertEquals(Object.keys(VALUES).sort(), keys.toSorted());
  const defaults = await optionsOf([]);
  for (const [key, [text, value]] of Object.entries(VALUES)) {
    await t.step(key, async () => {
      const setting = settingOf(key);
      const { path } = setting;
      const flag = `--${setting.flag}`;
      const args = setting.kind.takes === "nothing" ? [flag] : [flag, text];
      const ways: readonly (readonly [string, CommandOptions])[] = [
        ["flag", await optionsOf(args)],
        [
          "environment",
          await optionsOf([], { env: { [setting.variable]: text } }),
        ],
        ["file", await fromFile({ [key]: value })],
      ];
      const otherwise = valueAt(defaults, path);
      assert(JSON.stringify(otherwise) !== JSON.stringify(value), "other");
      for (const [way, options] of ways) {
        assertEquals(valueAt(options, path), value, way);
        assertEquals(
          withValue(options, path, 0),
          withValue(defaults, path, 0),
          way,
        );
      }
    });
  }
});

Deno.test("readConfiguration takes the token for a parent, and for nothing else", async () => {
  const parent = ["--store", "http://parent"];
  const env = { RIVULET_STORE_TOKEN: "t.o.k-_~+/=" };
  const ways = [
    await optionsOf([...parent, "--store-token", "t.o.k-_~+/="]),
    await optionsOf(parent, { env }),
    await optionsOf(["--store", "unix:relay.sock"], { env }),
    await fromFile({ store: "https://parent", storeToken: "t.o.k-_~+/=" }),
  ];
  for (const { storeToken } of ways) assertEquals(storeToken, "t.o.k-_~+/=");
  for (
    const store of [[], ["--store", "sqlite:a.db"], ["--store", "nats://h"]]
  ) {
    const [problem = "", more] = await problemsOf(store, { env });
    assertStringIncludes(problem, "RIVULET_STORE_TOKEN: expected --store");
    assert(!problem.includes("t.o.k"));
    assertEquals(more, undefined);
  }
  const file = { files: { "token.txt": "t.o.k" } };
  const [unused = ""] = await problemsOf(
    ["--store-token-file", "token.txt"],
    file,
  );
  assertStringIncludes(unused, "expected --store");
  for (const wrong of ["a b", "a\nb", "a\u007f", "\u00e9", "=", "a=b", "a,b"]) {
    const [problem = ""] = await problemsOf([
      ...parent,
      "--store-token",
      wrong,
    ]);
    assertStringIncludes(problem, "--store-token: expected a token of letters");
  }
});

Deno.test("readConfiguration takes a name for the log of a parent, and for nothing else", async () => {
  const name = ["--link-name", "edge 1"];
  const parent = ["--store", "http://parent"];
  for (
    const { linkName } of [
      await optionsOf([...parent, ...name]),
      await optionsOf(parent, { env: { RIVULET_LINK_NAME: "edge 1" } }),
      await fromFile({ store: "http://parent", linkName: "edge 1" }),
    ]
  ) assertEquals(linkName, "edge 1");
  for (
    const store of [[], ["--store", "sqlite:a.db"], ["--store", "nats://h"]]
  ) {
    assertEquals(await problemsOf([...store, ...name]), [
      "flag --link-name: expected --store to be the address of a relay with --links, which is told the name",
    ]);
  }
});

Deno.test("readConfiguration takes flags before the environment, that before the file, and that before the defaults", async () => {
  const files = { "c.json": '{"port": 3, "host": "::1", "origins": ["null"]}' };
  const env = {
    RIVULET_CONFIG: "c.json",
    RIVULET_PORT: "2",
    RIVULET_ORIGIN: "https://a.example https://b.example",
  };
  const world = { env, files };
  const all = await optionsOf(["--port", "1", "--origin", "*"], world);
  assertEquals([all.port, all.host, all.origins], [1, "::1", ["*"]]);
  const two = await optionsOf([], world);
  assertEquals([two.port, two.host], [2, "::1"]);
  assertEquals(two.origins, ["https://a.example", "https://b.example"]);
  const one = await optionsOf([], { env: { RIVULET_CONFIG: "c.json" }, files });
  assertEquals([one.port, one.host, one.origins], [3, "::1", ["null"]]);
  const none = await optionsOf([]);
  assertEquals([none.port, none.host, none.origins], [8_787, "127.0.0.1", []]);
  const other = { "d.json": '{"port": 4}' };
  const { port } = await optionsOf(["--config", "d.json"], {
    env: { RIVULET_CONFIG: "c.json" },
    files: { ...files, ...other },
  });
  assertEquals(port, 4);
});

Deno.test("readConfiguration does not look at what is overruled", async () => {
  const env = { RIVULET_PORT: "none" };
  assertEquals((await optionsOf(["--port", "1"], { env })).port, 1);
});

Deno.test("readConfiguration takes the last of several flags, and an empty variable for none", async () => {
  const env = { RIVULET_HOST: "", RIVULET_SOURCE: "" };
  const { port, host, sources } = await optionsOf(
    ["--port", "1", "--port=2"],
    { env },
  );
  assertEquals([port, host, sources], [2, "127.0.0.1", []]);
});

Deno.test("readConfiguration turns toggles on and off", async () => {
  const table: [string[], string | undefined, boolean][] = [
    [[], undefined, false],
    [["--insecure-open"], undefined, true],
    [["--insecure-open", "--no-insecure-open"], undefined, false],
    [[], "true", true],
    [[], "1", true],
    [[], "false", false],
    [[], "0", false],
    [["--no-insecure-open"], "true", false],
  ];
  for (const [args, variable, expected] of table) {
    const env = variable === undefined
      ? {}
      : { RIVULET_INSECURE_OPEN: variable };
    const { rights } = await optionsOf(args, { env });
    assertEquals(rights.insecureOpen, expected, `${args} ${variable}`);
  }
  const negated = await optionsOf(["--no-known-topics-only"], {
    files: { "c.json": '{"awaitTopics": false}' },
    env: { RIVULET_CONFIG: "c.json" },
  });
  assertEquals(negated.delivery.awaitTopics, true);
  const { delivery } = await fromFile({ awaitTopics: false });
  assertEquals(delivery.awaitTopics, false);
});

Deno.test("readConfiguration takes lists with spaces, as JSON, of texts and of objects", async () => {
  const expected = [
    { name: "a", url: "http://x/?q=1,2", from: "now" },
    { name: "b", url: "http://y/", from: "start" },
  ];
  const lists = [
    "a=http://x/?q=1,2,from=now  b=http://y/",
    ' ["a=http://x/?q=1,2,from=now", {"name": "b", "url": "http://y/"}]',
  ];
  for (const RIVULET_SOURCE of lists) {
    const { sources } = await optionsOf([], { env: { RIVULET_SOURCE } });
    assertEquals(
      sources.map(({ name, url, from }) => ({ name, url, from })),
      expected,
    );
  }
  const { sources, fixtures } = await fromFile({
    sources: [{ name: "a", url: "http://x/", reconnect: { minTimeout: 5 } }],
    fixtures: ["f=my file.sse,loop"],
  });
  assertEquals(sources[0]?.reconnect, { minTimeout: 5 });
  assertEquals(fixtures, [{ name: "f", path: "my file.sse", loop: true }]);
});

Deno.test("readConfiguration takes durations and sizes in the file as numbers, and as texts", async () => {
  const written = await fromFile({
    endedTtl: "10m",
    maxAge: "never",
    maxBody: "1KiB",
  });
  const counted = await fromFile({ endedTtl: 600_000, maxBody: 1_024 });
  for (const { retention, limits } of [written, counted]) {
    const { endedTtl, maxAge } = retention;
    assertEquals(
      [endedTtl, maxAge, limits.maxBody],
      [600_000, Infinity, 1_024],
    );
  }
  const { retention } = await optionsOf(["--max-age", "never"], {
    env: { RIVULET_MAX_AGE: "1h" },
  });
  assertEquals(retention.maxAge, Infinity);
});

Deno.test("readConfiguration finds the keys of the providers that are named, and of no others", async () => {
  const asked: string[] = [];
  const keys: Record<string, string> = {
    OPENAI_API_KEY: "sk-openai",
    MY_OWN_API_KEY: "sk-own",
  };
  const command = await readConfiguration(
    ["--provider", "openai", "--provider", "my-own=http://x/v1"],
    {
      environment(name) {
        if (name.endsWith("_API_KEY")) asked.push(name);
        return keys[name];
      },
      readText: () => Promise.reject(new Error("none is read")),
    },
  );
  assert(command.kind === "run");
  assertEquals(command.options.gateway.providers.map(({ key }) => key), [
    "sk-openai",
    "sk-own",
  ]);
  assertEquals(asked, ["OPENAI_API_KEY", "MY_OWN_API_KEY"]);
  const { gateway } = await optionsOf([], {
    env: { ...keys, RIVULET_CONFIG: "c.json" },
    files: {
      "c.json": JSON.stringify({
        providers: [
          { name: "openai", key: "sk-file" },
          { name: "anthropic", url: "http://x/v1" },
        ],
      }),
    },
  });
  assertEquals(gateway.providers, [
    {
      name: "openai",
      url: "https://api.openai.com/v1",
      key: "sk-file",
      keyHeader: "authorization",
    },
    { name: "anthropic", url: "http://x/v1", keyHeader: "x-api-key" },
  ]);
});

Deno.test("readConfiguration finds the secrets of chats, and shows none", async () => {
  const world = {
    env: { MY_APP_CHAT_SECRET: "a-secret-of-the-chat" },
  };
  const args = ["--chat", "my-app=http://x/api/chat", "--chat", "b=http://x/"];
  const { chats } = await optionsOf(args, world);
  assertEquals(chats, [
    {
      name: "my-app",
      url: "http://x/api/chat",
      secret: "a-secret-of-the-chat",
    },
    { name: "b", url: "http://x/" },
  ]);
  const { config, hidden } = await printed(args, world);
  assertEquals(config["chats"], [
    { name: "my-app", url: "http://x/api/chat" },
    { name: "b", url: "http://x/" },
  ]);
  assertEquals(hidden, {
    "chats[0].secret": "environment MY_APP_CHAT_SECRET",
  });
});

Deno.test("readConfiguration reads a key from its file", async () => {
  const files = { "key.txt": `${SECRET}\n`, "empty": "\n" };
  const { rights } = await optionsOf(["--jwt-key-file", "key.txt"], { files });
  assertEquals(rights.jwtKey?.trim(), SECRET);
  const open = ["--host", "0.0.0.0", "--jwt-key-file"];
  assertEquals(await problemsOf([...open, "nowhere"], { files }), [
    "flag --jwt-key-file: expected a file that can be read, got 'nowhere': there is none",
  ]);
  assertEquals(await problemsOf([...open, "empty"], { files }), [
    "flag --jwt-key-file: expected a file with a key, got 'empty', which is empty",
  ]);
  assertEquals(
    await problemsOf([...open, "key.txt"], {
      files,
      env: { RIVULET_JWT_KEY: SECRET },
    }),
    [
      "flag --jwt-key-file: expected a key or a file with one, got both: there is environment RIVULET_JWT_KEY too",
    ],
  );
});

Deno.test("readConfiguration lets a relay with a key listen anywhere, and no other", async () => {
  const anywhere = ["--host", "0.0.0.0"];
  for (
    const args of [
      ["--jwt-key", SECRET],
      ["--jwks", "https://x/"],
      ["--insecure-open"],
    ]
  ) {
    assertEquals((await optionsOf([...anywhere, ...args])).host, "0.0.0.0");
  }
  const [problem = "", ...others] = await problemsOf([], {
    env: { RIVULET_HOST: "0.0.0.0" },
  });
  assertEquals(others, []);
  assertMatch(
    problem,
    /^environment RIVULET_HOST: expected a loopback .*--jwt-key.*--jwks.*--insecure-open.*'0\.0\.0\.0'$/,
  );
});

Deno.test("readConfiguration names the setting, its source, what came and what is wanted", async (t) => {
  const json = (config: unknown): World => ({
    files: { "c.json": JSON.stringify(config) },
    env: { RIVULET_CONFIG: "c.json" },
  });
  const table: [string, string[], World, RegExp][] = [
    [
      "a flag's value",
      ["--port", "x"],
      {},
      /^flag --port: expected a whole number from 0 to 65535, got 'x'$/,
    ],
    [
      "a flag's value that is too large",
      ["--port", "65536"],
      {},
      /^flag --port: .*65535, got '65536'$/,
    ],
    [
      "a flag that there is not",
      ["--prot", "x"],
      {},
      /^flag --prot: .*--port\?/,
    ],
    [
      "a negated flag that there is not",
      ["--no-nsecure-open"],
      {},
      /--insecure-open\?/,
    ],
    [
      "a flag like no other",
      ["--xyzzyplugh"],
      {},
      /^flag --xyzzyplugh: there is no such flag; --help/,
    ],
    ["a letter", ["-p"], {}, /^flag -p: there is no such flag/],
    ["a flag without its value", ["--port"], {}, /^flag --port: .*nothing$/],
    [
      "a flag in place of a value",
      ["--host", "--port=1"],
      {},
      /^flag --host: .*another flag/,
    ],
    [
      "a toggle with a value",
      ["--insecure-open=yes"],
      {},
      /^flag --insecure-open: expected no value; --no-insecure-open/,
    ],
    [
      "a value that is not negated",
      ["--no-port"],
      {},
      /^flag --no-port: there is no such/,
    ],
    [
      "a variable",
      [],
      { env: { RIVULET_TTL: "10" } },
      /^environment RIVULET_TTL: expected a duration above 0 such as .*, got '10'$/,
    ],
    [
      "a toggle's variable",
      [],
      { env: { RIVULET_PUBLIC_METRICS: "on" } },
      /^environment RIVULET_PUBLIC_METRICS: expected true, false, 1 or 0, got 'on'$/,
    ],
    [
      "one of a list",
      ["--source", "a=http://x/", "--source", "b"],
      {},
      /^flag --source: expected NAME=URL.*, got 'b'$/,
    ],
    [
      "one of a variable's list",
      [],
      { env: { RIVULET_SOURCE: "a=http://x/ b=ftp://y/" } },
      /^environment RIVULET_SOURCE: expected a URL of http or https, got 'b=ftp:\/\/y\/'$/,
    ],
    [
      "a variable's JSON",
      [],
      { env: { RIVULET_ORIGIN: "[x" } },
      /^environment RIVULET_ORIGIN: expected values with spaces.*'\[x'$/,
    ],
    [
      "a choice",
      ["--on-slow", "cry"],
      {},
      /^flag --on-slow: expected one of gap, close, got 'cry'$/,
    ],
    [
      "a file's key",
      [],
      json({ prot: 1 }),
      /^file c\.json, key prot: .* did you mean port\?$/,
    ],
    [
      "a file's key that every object has",
      [],
      json({ toString: 1 }),
      /^file c\.json, key toString: there is no such key/,
    ],
    [
      "a key set in the environment beside a key",
      ["--jwt-key", SECRET],
      { env: { RIVULET_JWKS: "http://x/" } },
      /^environment RIVULET_JWKS: expected one of --jwt-key and --jwks, got both$/,
    ],
    ["a provider's key", ["--provider", "openai"], {
      env: { OPENAI_API_KEY: "a b" },
    }, /^environment OPENAI_API_KEY: expected a key without spaces/],
    [
      "a file's value",
      [],
      json({ port: "8787" }),
      /^file c\.json, key port: expected a whole number.*, got '8787'$/,
    ],
    [
      "a file's list",
      [],
      json({ origins: "x" }),
      /^file c\.json, key origins: expected a list, got 'x'$/,
    ],
    [
      "what is in a file's list",
      [],
      json({ sources: [{ name: "a", url: 5 }] }),
      /^file c\.json, key sources\[0\]\.url: expected a URL.*, got 5$/,
    ],
    [
      "a key in a file's list",
      [],
      json({ fixtures: [{ name: "a", path: "b", lop: true }] }),
      /^file c\.json, key fixtures\[0\]: expected no key 'lop'$/,
    ],
    [
      "a policy",
      [],
      json({
        sources: [{ name: "a", url: "http://x/", reconnect: { jitter: 2 } }],
      }),
      /^file c\.json, key sources\[0\]\.reconnect: .*jitter/,
    ],
    [
      "a policy's field",
      [],
      json({
        sources: [{
          name: "a",
          url: "http://x/",
          reconnect: { maxAttempts: 0.5 },
        }],
      }),
      /^file c\.json, key sources\[0\]\.reconnect\.maxAttempts: expected .*, got 0\.5$/,
    ],
    ["a file that is a list", [], {
      files: { "c.json": "[]" },
      env: { RIVULET_CONFIG: "c.json" },
    }, /^file c\.json: expected an object.*got a list$/],
    [
      "no file",
      ["--config", "d.json"],
      {},
      /^flag --config: expected a file that can be read, got 'd\.json': there is none$/,
    ],
    [
      "no file of a variable",
      [],
      { env: { RIVULET_CONFIG: "d.json" } },
      /^environment RIVULET_CONFIG: /,
    ],
    [
      "two of a topic",
      ["--source", "a=http://x/", "--fixture", "a=x"],
      {},
      /^flag --source: .*--source and --fixture.*'a' has two$/,
    ],
    [
      "two of a provider",
      ["--provider", "a=http://x/", "--provider", "a=http://y/"],
      {},
      /^flag --provider: .*two 'a'$/,
    ],
    [
      "a key and a key set",
      ["--jwks", "http://x/"],
      { env: { RIVULET_JWT_KEY: SECRET } },
      /^flag --jwks: expected one of --jwt-key \(environment RIVULET_JWT_KEY\) and --jwks, got both$/,
    ],
    [
      "an origin",
      ["--origin", "app.example.com"],
      {},
      /^flag --origin: expected an origin .*'app\.example\.com'$/,
    ],
    [
      "a pattern",
      ["--allow-source", "ftp://x/*"],
      {},
      /^flag --allow-source: expected .*'ftp:\/\/x\/\*'$/,
    ],
    [
      "an address",
      ["--trusted-proxy", "proxy"],
      {},
      /^flag --trusted-proxy: expected an address.*, got 'proxy'$/,
    ],
    [
      "two of a chat",
      ["--chat", "a=http://x/", "--chat", "a=http://y/"],
      {},
      /^flag --chat: .*two 'a'$/,
    ],
    [
      "a chat without a URL",
      ["--chat", "app"],
      {},
      /^flag --chat: expected NAME=URL\[,shared\], got 'app'$/,
    ],
    [
      "a chat with the name of a path",
      ["--chat", "v1=http://x/"],
      {},
      /^flag --chat: expected another name than v1/,
    ],
    [
      "a chat's URL with a query",
      ["--chat", "a=http://x/?key=1"],
      {},
      /^flag --chat: expected a URL without user, query and fragment/,
    ],
    [
      "a provider",
      ["--provider", "nobody"],
      {},
      /^flag --provider: expected NAME=URL, or one of openai.*, got 'nobody'$/,
    ],
    [
      "a long value",
      ["--host", "", "--port", "9".repeat(500)],
      {},
      /^flag --(host|port): .*got '(9{100}…)?'$/,
    ],
    [
      "a value of several lines",
      ["--port", "1\n2\x1b[2J"],
      {},
      /got '1\\n2\\u001b\[2J'$/,
    ],
  ];
  for (const [name, args, world, expected] of table) {
    await t.step(name, async () => {
      for (const problem of await problemsOf(args, world)) {
        assertMatch(problem, expected);
      }
    });
  }
});

Deno.test("readConfiguration takes a file that begins with a byte order mark", async () => {
  const files = { "c.json": '\uFEFF{"port": 3}' };
  assertEquals((await optionsOf(["--config", "c.json"], { files })).port, 3);
});

Deno.test("readSetting never shows what is secret", () => {
  const [setting] = settingsOf({
    pin: option(count, {
      flag: "pin",
      topic: "rights",
      help: [],
      secret: true,
    }),
  });
  assert(setting);
  const outcome = readSetting(setting, {
    flags: new Map([["pin", ["s3cr3t"]]]),
    environment: () => undefined,
    file: new Map(),
    path: "",
  });
  assertEquals(outcome, {
    kind: "wrong",
    problem: "flag --pin: expected a whole number, 1 at least",
  });
});

Deno.test("readConfiguration tells all that is wrong at once", async () => {
  const problems = await problemsOf(
    [
      "--port",
      "x",
      "stray",
      "--nope",
      "its value",
      "--ttl",
      "0s",
      "--source",
      "a=http://x/",
      "--source",
      "a=http://y/",
    ],
    {
      env: {
        RIVULET_CONFIG: "c.json",
        RIVULET_HOST: "0.0.0.0",
        RIVULET_MAX_TOPICS: "-1",
      },
      files: { "c.json": '{"maxEvents": "many", "other": 1}' },
    },
  );
  const places = problems.map((problem) =>
    problem.slice(0, problem.indexOf(":"))
  );
  assertEquals(places.toSorted(), [
    "argument 3",
    "environment RIVULET_HOST",
    "environment RIVULET_MAX_TOPICS",
    "file c.json, key maxEvents",
    "file c.json, key other",
    "flag --nope",
    "flag --port",
    "flag --source",
    "flag --ttl",
  ]);
});

Deno.test("readConfiguration says no secret, whatever is wrong", async (t) => {
  const secret = "s3cr3t";
  const json = (text: string): World => ({
    files: { "c.json": text },
    env: { RIVULET_CONFIG: "c.json" },
  });
  const table: [string, string[], World][] = [
    ["a key that is too short", ["--jwt-key", secret], {}],
    ["a key in the environment", [], { env: { RIVULET_JWT_KEY: secret } }],
    ["a key that is no text", [], json(`{"jwtKey": ["${secret}"]}`)],
    ["a key in a file that is no JSON", [], json(`{"jwtKey" "${secret}"}`)],
    ["a key in a file that has no quotes", [], json(`{"jwtKey": ${secret}}`)],
    ["a key that is a number", [], json('{"jwtKey": 31415926}')],
    ["a key in a file that ends early", [], json(`{"jwtKey": "${secret}`)],
    ["a key in a file that is a text", [], json(`"${secret}"`)],
    [
      "a key of a provider",
      [],
      json(`{"providers": [{"name": "openai", "key": "${secret} x"}]}`),
    ],
    [
      "a key beside what is unknown",
      [],
      json(`{"providers": [{"name": "openai", "key": "${secret}", "x": 1}]}`),
    ],
    ["a provider's variable", ["--provider", "openai"], {
      env: { OPENAI_API_KEY: `${secret} x` },
    }],
    ["a user of a source", ["--source", `.a=http://me:${secret}@x/`], {}],
    ["a query of a source", ["--source", `.a=http://x/?q=${secret}`], {}],
    ["a user of a key set", [
      "--jwks",
      `ftp://x/`,
      "--source",
      `.a=http://${secret}@x/`,
    ], {}],
    ["a user of a provider", ["--provider", `a=http://me:${secret}@x/`], {}],
    ["a user of a chat", ["--chat", `a=http://me:${secret}@x/`], {}],
    ["a chat's variable", ["--chat", "a=http://x/"], {
      env: { A_CHAT_SECRET: `${secret} x` },
    }],
    ["a key whose flag is split", ["--jwt-key=", secret], {}],
    ["a key whose flag is misspelt", [`--jwt-kee=${secret}`], {}],
    ["a key whose flag is misspelt, after it", ["--jwt-kee", secret], {}],
    ["a key that begins as a flag does", ["--jwt-key", `--${secret}`], {}],
  ];
  for (const [name, args, world] of table) {
    await t.step(name, async () => {
      const text = (await problemsOf(args, world)).join("\n");
      assert(!text.includes(secret) && !text.includes("31415926"), text);
    });
  }
});

Deno.test("--print-config shows what holds, where it came from, and no secret", async () => {
  const world = {
    env: {
      RIVULET_JWT_KEY: SECRET,
      OPENAI_API_KEY: "sk-openai",
      RIVULET_CONFIG: "c.json",
    },
    files: {
      "c.json": JSON.stringify({
        providers: ["openai", {
          name: "own",
          url: "http://x/v1",
          key: "sk-own",
        }],
        sources: [{ name: "s", url: "https://me:pass@x/?q=qqq" }],
        maxAge: 1_500,
      }),
    },
  };
  const { text, config, from, hidden } = await printed(["--ttl", "2h"], world);
  for (const secret of [SECRET, "sk-openai", "sk-own", "pass", "qqq"]) {
    assert(!text.includes(secret), secret);
  }
  assertEquals(
    [
      config["endedTtl"],
      config["maxAge"],
      config["ackTimeout"],
      config["port"],
    ],
    ["2h", "1500ms", "never", 8_787],
  );
  assertEquals(
    [from["endedTtl"], from["maxAge"], from["port"]],
    ["flag --ttl", "file c.json, key maxAge", "default"],
  );
  assertEquals(hidden, {
    "sources[0].url": "file c.json, key sources",
    jwtKey: "environment RIVULET_JWT_KEY",
    "providers[0].key": "environment OPENAI_API_KEY",
    "providers[1].key": "file c.json, key providers",
  });
  assertEquals(config["providers"], [
    {
      name: "openai",
      url: "https://api.openai.com/v1",
      keyHeader: "authorization",
    },
    { name: "own", url: "http://x/v1", keyHeader: "authorization" },
  ]);
});

Deno.test("--print-config names the file of a key, and not the key", async () => {
  const files = { "key.txt": SECRET };
  const { text, config, hidden } = await printed(
    ["--jwt-key-file", "key.txt"],
    { files },
  );
  assertEquals([config["jwtKeyFile"], hidden], ["key.txt", {}]);
  assert(!text.includes(SECRET));
});

Deno.test("--print-config tells what is wrong, as a start would", async () => {
  const [problem = ""] = await problemsOf(["--print-config", "--port", "x"]);
  assertStringIncludes(problem, "--port");
});

Deno.test("What --print-config prints is a file from which the same holds", async () => {
  const parts = fc.subarray(
    Object.entries(VALUES).filter(([key]) =>
      key !== "jwtKey" && key !== "sources"
    ),
  );
  await fc.assert(
    fc.asyncProperty(parts, fc.nat(), async (chosen, ttl) => {
      const args = chosen.flatMap(([key, [text]]) => {
        const setting = settingOf(key);
        return setting.kind.takes === "nothing"
          ? [`--${setting.flag}`]
          : [`--${setting.flag}`, text];
      });
      args.push("--ttl", `${1 + ttl % 100_000}ms`);
      const first = await printed(args);
      const files = { "c.json": JSON.stringify(first.config) };
      const second = await printed(["--config", "c.json"], { files });
      assertEquals(second.config, first.config);
      const { clock: _, ...options } = await optionsOf(args);
      const { clock: _2, ...again } = await fromFile(first.config);
      assertEquals(again, options);
    }),
    propertyParameters(200),
  );
});

Deno.test("Durations and sizes are written so that they are read as the same", () => {
  const { endedTtl } = relayRows.retention;
  const { maxBody } = relayRows.limits;
  fc.assert(
    fc.property(
      fc.constantFrom(endedTtl.kind, maxBody.kind),
      fc.oneof(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 900 }).map((n) => n * 60_000),
        fc.integer({ min: 1, max: 900 }).map((n) => n * 1_048_576),
      ),
      (kind, value) => {
        assert(kind.takes === "value");
        assertEquals(kind.fromJson(kind.toJson(value)), value);
      },
    ),
    propertyParameters(500),
  );
});
