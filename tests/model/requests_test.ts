/**
 * Requests of the model client on the wire, by the runtime's own `fetch`.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Buffer } from "node:buffer";
import process from "node:process";
import { Readable } from "node:stream";
import {
  ConnectionFailedError,
  ModelClient,
  type ModelClientOptions,
  StreamError,
  UnexpectedStatusError,
  UnsupportedFetchError,
} from "../../src/model/mod.ts";
import { RawServer } from "../support/http/raw_server.ts";
import {
  outcomeOf,
  PROMPT,
  PROVIDER,
  WHOLE_CHUNKS,
} from "../support/model/scripted_model.ts";

/** `Deno` itself is defined on every runtime here. */
const ON_DENO = /^Deno\//.test(globalThis.navigator?.userAgent ?? "");

const STREAM = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n` +
  `Connection: close\r\n\r\n${WHOLE_CHUNKS.join("")}`;

const answer = (status: string, body: string, headers = "") =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n` +
  `Connection: close\r\n${headers}\r\n${body}`;

/** A client, and a server that answers one request after the other. */
async function ask(
  answers: readonly string[],
  options: Partial<ModelClientOptions> = {},
  times = 1,
): Promise<{ heads: string[]; outcomes: unknown[] }> {
  using server = new RawServer();
  const heads: string[] = [];
  const serving = (async () => {
    for (const text of answers) {
      const connection = await server.accept();
      heads.push(await connection.readHead());
      const length = /\r\ncontent-length: (\d+)/.exec(heads.at(-1) ?? "")?.[1];
      if (length === undefined) await connection.readUntil("\r\n0\r\n\r\n");
      else await connection.readBytes(Number(length));
      await connection.write(text);
      connection[Symbol.dispose]();
    }
  })();
  const client = new ModelClient({
    model: "m",
    provider: { ...PROVIDER, baseUrl: server.origin },
    random: () => 0,
    retry: { minTimeout: 1 },
    ...options,
  });
  const outcomes: unknown[] = [];
  for (let i = 0; i < times; i++) {
    const { events, error } = await outcomeOf(client.stream(PROMPT));
    outcomes.push(error ?? events.at(-1)?.type);
  }
  // Fewer requests than answers: the test tells, rather than wait for more.
  server[Symbol.dispose]();
  await serving.catch(() => {});
  return { heads, outcomes };
}

const isWhole = (head: string) =>
  /\r\ncontent-length: \d+\r\n/.test(head) && !/transfer-encoding/.test(head);

Deno.test("ModelClient sends a body with its length, and in chunks on Deno (G7)", async () => {
  const { heads, outcomes } = await ask([STREAM]);
  assertEquals(outcomes, ["completed"]);
  assertEquals(heads.map(isWhole), [!ON_DENO]);
});

Deno.test("ModelClient sends a body as it is told to (G7)", async () => {
  for (const sendBody of ["whole", "stream"] as const) {
    const { heads, outcomes } = await ask([STREAM], { sendBody });
    assertEquals(outcomes, ["completed"]);
    assertEquals(heads.map(isWhole), [sendBody === "whole"]);
  }
});

Deno.test("ModelClient takes a 401 for what it is, at once (G7: nodejs/undici#5018)", async () => {
  const { heads, outcomes: [error] } = await ask([
    answer("401 Unauthorized", '{"error":{"message":"Wrong key"}}'),
  ]);
  assertInstanceOf(error, UnexpectedStatusError);
  assertEquals(error.providerMessage, "Wrong key");
  assertEquals(heads.length, 1);
});

Deno.test("ModelClient asks once more, and from then on, with a length where one is wanted (G7)", async () => {
  const refusal = answer("411 Length Required", "");
  const answers = ON_DENO ? [refusal, STREAM, STREAM] : [STREAM, STREAM];
  const { heads, outcomes } = await ask(answers, {}, 2);
  assertEquals(outcomes, ["completed", "completed"]);
  assertEquals(
    heads.map(isWhole),
    ON_DENO ? [false, true, true] : [true, true],
  );
});

Deno.test("ModelClient keeps to a stream that was asked for (G7)", async () => {
  const { heads, outcomes: [error] } = await ask(
    [answer("411 Length Required", "")],
    { sendBody: "stream" },
  );
  assertInstanceOf(error, UnexpectedStatusError);
  assert(!isWhole(heads[0] ?? ""));
});

// Answers that are not those of the standard

/** A client over one answer, made anew for each request. */
async function askWith(
  make: () => unknown,
): Promise<{ requests: number; last: unknown }> {
  let requests = 0;
  const client = new ModelClient({
    model: "m",
    provider: PROVIDER,
    fetch: () => {
      requests++;
      // Packages have classes of their own, with what of a Response is looked at.
      try {
        return Promise.resolve(make() as Response);
      } catch (error) {
        return Promise.reject(error);
      }
    },
  });
  const { events, error } = await outcomeOf(client.stream(PROMPT));
  return { requests, last: error ?? events.at(-1)?.type };
}

for (const type of [null, "text/plain", "application/json"]) {
  Deno.test(`ModelClient reads an event stream of the type ${type} (G11)`, async () => {
    const { requests, last } = await askWith(() => {
      const response = new Response(WHOLE_CHUNKS.join(""));
      if (type === null) response.headers.delete("content-type");
      else response.headers.set("content-type", type);
      return response;
    });
    assertEquals([requests, last], [1, "completed"]);
  });
}

const streamHeaders = new Headers({ "Content-Type": "text/event-stream" });

Deno.test("ModelClient reads bodies that are streams of Node (G12)", async () => {
  const { requests, last } = await askWith(() => ({
    status: 200,
    url: "",
    headers: streamHeaders,
    body: Readable.from(WHOLE_CHUNKS.map((text) => Buffer.from(text))),
  }));
  assertEquals([requests, last], [1, "completed"]);
});

Deno.test("ModelClient says at once that fetch does not stream (G12)", async () => {
  const { requests, last } = await askWith(() => ({
    status: 200,
    headers: streamHeaders,
    text: () => new Promise(() => {}),
  }));
  assertInstanceOf(last, UnsupportedFetchError);
  assert(last.message.includes("'fetch'"), last.message);
  assertEquals(requests, 1);
});

Deno.test("ModelClient reads the refusal to a fetch that does not stream (G12)", async () => {
  const { requests, last } = await askWith(() => ({
    status: 401,
    headers: new Headers({ "Content-Type": "application/json" }),
    text: () => Promise.resolve('{"error":{"message":"Wrong key"}}'),
  }));
  assertInstanceOf(last, UnexpectedStatusError);
  assertEquals(last.providerMessage, "Wrong key");
  assertEquals(requests, 1);
});

// The limits of the runtime's own fetch

/** The error of Node's fetch after 300 seconds without headers. */
const giveUp = (code: string, name: string) => {
  const cause = Object.assign(new Error("Headers Timeout Error"), { code });
  cause.name = name;
  return new TypeError("fetch failed", { cause });
};

for (
  const [code, name] of [
    ["UND_ERR_HEADERS_TIMEOUT", "HeadersTimeoutError"],
    ["UND_ERR_BODY_TIMEOUT", "BodyTimeoutError"],
  ] as const
) {
  Deno.test(`ModelClient does not ask again where the runtime gives up: ${name} (G14)`, async () => {
    const { requests, last } = await askWith(() => {
      throw giveUp(code, name);
    });
    assertInstanceOf(last, ConnectionFailedError);
    assert(last.message.includes("'dispatcher'"), last.message);
    assertEquals([requests, last.retryable], [1, true]);
  });

  Deno.test(`ResponseStream does not ask again where the runtime gives up: ${name} (G14)`, async () => {
    const { requests, last } = await askWith(() =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.error(giveUp(code, name));
          },
        }),
        { headers: streamHeaders },
      )
    );
    assertInstanceOf(last, StreamError);
    assert(last.message.includes("'dispatcher'"), last.message);
    assertEquals(requests, 1);
  });
}

/** Node's class of dispatchers, which no global name leads to. */
interface AgentClass {
  new (limits: { headersTimeout: number; bodyTimeout: number }): {
    close(): Promise<void>;
  };
}

const ON_NODE = process.versions.node !== undefined && !ON_DENO &&
  process.versions.bun === undefined;

if (ON_NODE) {
  Deno.test("ModelClient waits as long as the dispatcher that its fetch is given (G14)", async () => {
    await fetch("data:,"); // which loads Node's fetch
    const symbol = Symbol.for("undici.globalDispatcher.1");
    // The types of no runtime know of it.
    const agent = Reflect.get(globalThis, symbol) as {
      constructor: AgentClass;
    };
    const Agent = agent.constructor;
    const patient = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
    const hasty = new Agent({ headersTimeout: 100, bodyTimeout: 100 });
    using server = new RawServer();
    const ask = (dispatcher: unknown) => {
      const client = new ModelClient({
        model: "m",
        provider: { ...PROVIDER, baseUrl: server.origin, idleTimeout: 0 },
        fetch: (input, init) => {
          const options: RequestInit & { dispatcher: unknown } = {
            ...init,
            dispatcher,
          };
          return fetch(input, options);
        },
      });
      return outcomeOf(client.stream(PROMPT));
    };
    const waits = ask(patient);
    const first = await server.accept();
    await first.readHead();
    const failed = ask(hasty);
    const second = await server.accept();
    await second.readHead();
    const { error } = await failed;
    assertInstanceOf(error, ConnectionFailedError);
    assertEquals(error.attempts, 1);
    // It has waited for longer than the one that gave up.
    await first.write(STREAM);
    first[Symbol.dispose]();
    const { events } = await waits;
    assertEquals(events.at(-1)?.type, "completed");
    await Promise.all([patient.close(), hasty.close()]);
  });
}
