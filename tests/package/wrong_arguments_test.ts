// Wrong arguments of the package's functions, and what each is answered with (F4, F2): what was
// expected, what came, and what to do.
import { assert, assertEquals } from "@std/assert";
import * as core from "../../mod.ts";
import * as client from "../../relay/client/mod.ts";
import * as relay from "../../relay/mod.ts";
import * as model from "../../src/model/mod.ts";
import * as sse from "../../src/sse/mod.ts";
import * as testing from "../../src/testing/mod.ts";

/** Passes a value off as what a function takes, as callers in JavaScript do. */
function wrong<T>(value: unknown): T {
  return value as T; // that it is not one is what is tested
}

const URL = "https://example.com/events";
const PROVIDER = { name: "x", baseUrl: "https://example.com/v1" };

/** Options of a client that asks nobody. */
function clientOptions(changes: object): model.ModelClientOptions {
  return wrong({
    model: "m",
    provider: PROVIDER,
    fetch: () => Promise.reject(new Error("Nobody is to be asked")),
    ...changes,
  });
}

function prompt(value: unknown): () => unknown {
  return () => new model.ModelClient(clientOptions({})).stream(wrong(value));
}

function stream(options: unknown): () => unknown {
  return () => core.streamEvents(URL, wrong<core.StreamEventsOptions>(options));
}

const READ =
  "Cannot read events as 'body' must be a ReadableStream of bytes: current value is ";
const STREAM =
  `Cannot stream events as 'input' must be an absolute URL, such as "https://example.com/events": current value is `;
const REFUSED =
  " that fetch does not accept, as it is relative to nothing, malformed, or has a password";
const RELAY = "Cannot make a relay of these options: ";
const PROMPT =
  "Cannot stream as 'prompt' is not valid: must be an object, such as { input: \"Hello\" }: current value is ";
const INPUT =
  "Cannot stream as 'prompt.input' is not valid: must be a text or an array of items: current value is ";
const ITEM =
  " is not valid: must be an item with a 'type', or a message with 'role' and 'content'";
const SCHEMA =
  "must be a Standard Schema, such as z.object({ ... }) of zod: current value is ";

/** Calls by name, and the message of each. */
const ROWS: readonly (readonly [string, () => unknown, string])[] = [
  [
    "readEvents(response)",
    () => sse.readEvents(wrong(new Response("data: a\n\n"))),
    `${READ}a Response; pass its 'body'`,
  ],
  [
    "readEvents(text)",
    () => sse.readEvents(wrong("data: a\n\n")),
    `${READ}a string`,
  ],
  [
    "readEvents(null)",
    () => sse.readEvents(wrong(new Response(null).body)),
    `${READ}null`,
  ],
  ["readEvents()", () => sse.readEvents(wrong(undefined)), `${READ}undefined`],
  ["readEvents([])", () => sse.readEvents(wrong([])), `${READ}an array`],
  ["readEvents({})", () => sse.readEvents(wrong({})), `${READ}an object`],
  [
    "readEvents(bytes)",
    () => sse.readEvents(wrong(new Uint8Array(3))),
    `${READ}an Uint8Array`,
  ],
  [
    "readEvents(locked)",
    () => {
      const { body } = new Response("a");
      body?.getReader();
      return sse.readEvents(wrong(body));
    },
    "Cannot read events as 'body' must not be locked: somebody reads it, or has read it",
  ],
  [
    "readEvents, maxEventSize",
    () => sse.readEvents(new Response("a").body!, wrong({ maxEventSize: "x" })),
    "Cannot parse as 'maxEventSize' must be a positive integer: current value is x",
  ],
  [
    "SseParser, onEvent",
    () => new sse.SseParser(wrong({ onEvent: 5 })),
    "Cannot parse as 'onEvent' must be a function: current value is 5",
  ],
  [
    "streamEvents(relative)",
    () => core.streamEvents("nope"),
    `${STREAM}a string${REFUSED}`,
  ],
  [
    "streamEvents(password)",
    () => core.streamEvents("nope://user:secret@"),
    `${STREAM}a string${REFUSED}`,
  ],
  [
    "streamEvents()",
    () => core.streamEvents(wrong(undefined)),
    `${STREAM}undefined${REFUSED}`,
  ],
  [
    "streamEvents(5)",
    () => core.streamEvents(wrong(5)),
    `${STREAM}a number${REFUSED}`,
  ],
  [
    "streamEvents(ftp)",
    () => core.streamEvents("ftp://example.com/"),
    "Cannot stream events as 'input' must be a URL of http or https: current value is one of ftp",
  ],
  [
    "streamEvents(wss)",
    () => core.streamEvents("wss://example.com/"),
    "Cannot stream events as 'input' must be a URL of http or https: current value is one of wss",
  ],
  [
    "schemas: function",
    stream({ schemas: { price: () => 1 } }),
    `Cannot stream events as 'schemas.price' ${SCHEMA}a function`,
  ],
  [
    "schemas: type",
    stream({ schemas: { price: "number" } }),
    `Cannot stream events as 'schemas.price' ${SCHEMA}a string`,
  ],
  [
    "schemas: null",
    stream({ schemas: { price: null } }),
    `Cannot stream events as 'schemas.price' ${SCHEMA}null`,
  ],
  [
    "schemas: []",
    stream({ schemas: [] }),
    "Cannot stream events as 'schemas' must be an object with a schema for each type of event: current value is an array",
  ],
  [
    "schemas: 5",
    stream({ schemas: 5 }),
    "Cannot stream events as 'schemas' must be an object with a schema for each type of event: current value is a number",
  ],
  [
    "fetch: 5",
    stream({ fetch: 5 }),
    "Cannot stream events as 'fetch' must be a function: current value is a number",
  ],
  [
    "idleTimeout",
    stream({ idleTimeout: -1 }),
    "Cannot stream events as 'idleTimeout' must be a number of milliseconds, 0 or more: current value is -1",
  ],
  [
    "maxEventSize",
    stream({ maxEventSize: 0 }),
    "Cannot parse as 'maxEventSize' must be a positive integer: current value is 0",
  ],
  [
    "subscribe without a topic",
    () => client.subscribe("ws://example.com/"),
    "Cannot subscribe as the topic must be named in the URL (/topics/NAME) or as 'topic'",
  ],
  [
    "subscribe(ftp)",
    () => client.subscribe("ftp://example.com/topics/t?access_token=secret"),
    "Cannot connect as 'url' must be http(s) or ws(s): current value is ftp:",
  ],
  [
    "subscribe(no URL)",
    () => client.subscribe("nope"),
    "Cannot connect as 'url' must be http(s) or ws(s): current value is none:",
  ],
  [
    "connect(no URL)",
    () => client.connect("nope"),
    "Cannot connect as 'url' must be http(s) or ws(s): current value is none:",
  ],
  [
    "connect(host:port)",
    () => client.connect("localhost:8787"),
    "Cannot connect as 'url' must be http(s) or ws(s): current value is localhost:",
  ],
  [
    "connect(file)",
    () => client.connect("file:///ws"),
    "Cannot connect as 'url' must be http(s) or ws(s): current value is file:",
  ],
  [
    "subscribe, after",
    () => client.subscribe("ws://example.com/topics/t", wrong({ after: 5 })),
    "Cannot subscribe as 'after' is invalid: current value is 5",
  ],
  [
    "subscribe, window",
    () => client.subscribe("ws://example.com/topics/t", { window: -1 }),
    "Cannot subscribe as 'window' is invalid: current value is -1",
  ],
  [
    "createRelay(prot)",
    () => relay.createRelay(wrong({ prot: 5 })),
    `${RELAY}there is no option 'prot': did you mean 'port'?`,
  ],
  [
    "createRelay(maxBody)",
    () => relay.createRelay(wrong({ maxBody: 5 })),
    `${RELAY}there is no option 'maxBody': did you mean 'limits.maxBody'?`,
  ],
  [
    "createRelay(limits.maxBdy)",
    () => relay.createRelay(wrong({ limits: { maxBdy: 5 } })),
    `${RELAY}there is no option 'limits.maxBdy': did you mean 'limits.maxBody'?`,
  ],
  [
    "createRelay(two)",
    () => relay.createRelay(wrong({ prot: 5, zzzzzzzzzz: 6 })),
    `${RELAY}there is no option 'prot': did you mean 'port'?; there is no option 'zzzzzzzzzz'`,
  ],
  [
    "createRelay(null)",
    () => relay.createRelay(wrong(null)),
    `${RELAY}expected an object, got null`,
  ],
  [
    "createRelay(port)",
    () => relay.createRelay(wrong({ port: "x" })),
    `${RELAY}port: expected a number, got a string`,
  ],
  [
    "createRelay(large port)",
    () => relay.createRelay({ port: 70_000 }),
    `${RELAY}port: expected a number of at most 65535`,
  ],
  [
    "createRelay(no clock)",
    () => relay.createRelay(wrong({ clock: {} })),
    `${RELAY}clock: expected a clock with now() and setTimeout()`,
  ],
  [
    "createRelay(source)",
    () => relay.createRelay({ sources: [{ name: "a", url: "nope" }] }),
    `${RELAY}sources[0].url: expected a URL of http or https`,
  ],
  [
    "ModelClient()",
    () => new model.ModelClient(wrong(undefined)),
    "Cannot make a model client as 'options' is not valid: Invalid input: expected object, received undefined",
  ],
  [
    "ModelClient, model",
    () => new model.ModelClient(clientOptions({ model: 5 })),
    "Cannot make a model client as 'model' is not valid: Invalid input: expected string, received number",
  ],
  [
    "ModelClient, provider",
    () => new model.ModelClient(clientOptions({ provider: "openai" })),
    "Cannot make a model client as 'provider' is not valid: Invalid input: expected object, received string",
  ],
  [
    "ModelClient, fetch",
    () => new model.ModelClient(clientOptions({ fetch: 5 })),
    "Cannot make a model client as 'fetch' is not valid: must be a function",
  ],
  ["stream()", prompt(undefined), `${PROMPT}undefined`],
  ["stream(text)", prompt("hello"), `${PROMPT}a string`],
  ["stream([])", prompt([]), `${PROMPT}an array`],
  ["stream({})", prompt({}), `${INPUT}undefined`],
  ["stream(messages)", prompt({ messages: [] }), `${INPUT}undefined`],
  ["stream, input 5", prompt({ input: 5 }), `${INPUT}a number`],
  ["stream, input null", prompt({ input: null }), `${INPUT}null`],
  [
    "stream, input [5]",
    prompt({ input: [5] }),
    `Cannot stream as 'prompt.input.0'${ITEM}`,
  ],
  [
    "stream, input ['a']",
    prompt({ input: ["a"] }),
    `Cannot stream as 'prompt.input.0'${ITEM}`,
  ],
  [
    "stream, tools",
    prompt({ input: "a", tools: [{ name: "a" }] }),
    "Cannot stream as 'prompt.tools.0.type' is not valid: Invalid input: expected string, received undefined",
  ],
];

for (const [name, call, message] of ROWS) {
  Deno.test(`Wrong arguments: ${name} (F4)`, async () => {
    let thrown: unknown;
    try {
      await call();
    } catch (error) {
      thrown = error;
    }
    assert(thrown instanceof Error, `Nothing was thrown: ${thrown}`);
    assertEquals(thrown.message, message);
  });
}

Deno.test("A ModelClient takes a text, and the fetch of a HostileProvider (F2, F4)", async () => {
  for (const wireApi of ["responses", "chat"] as const) {
    const provider = new testing.HostileProvider();
    const client = new model.ModelClient({
      model: "hostile-1",
      provider: { ...PROVIDER, wireApi },
      fetch: provider.fetch,
    });
    const response = await client.stream({ input: "Say this" });
    const said = JSON.stringify((await response.final()).output);
    assert(said.includes('"Say this"'), said);
    assertEquals(provider.requests.length, 1);
  }
});

Deno.test("A HostileProvider is asked as fetch is, and as servers ask (F2)", async () => {
  const provider = new testing.HostileProvider();
  const url = "https://example.com/v1/models";
  const answers = [
    await provider.fetch(url),
    await provider.fetch(new globalThis.URL(url), { method: "GET" }),
    await provider.fetch(new Request(url), { remoteAddr: {}, completed: 1 }),
  ];
  for (const answer of answers) {
    assertEquals(answer.status, 200);
    await answer.body?.cancel();
  }
});
