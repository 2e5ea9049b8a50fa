/**
 * Requests of the model client on the wire, by the runtime's own `fetch`.
 *
 * @module
 */
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { Buffer } from "node:buffer";
import { Readable } from "node:stream";
import {
  ModelClient,
  type ModelClientOptions,
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
  await serving;
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
      return Promise.resolve(make() as Response);
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
