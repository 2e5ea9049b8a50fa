// A request and its answer are framed as they came, and their headers are the same bytes (D1, D6, D8).
import { assert, assertEquals } from "@std/assert";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";

/** Text of which each character is one byte. */
function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const JSON_TYPE = "content-type: application/json\r\n";
const FORM_TYPE = "content-type: multipart/form-data; boundary=b\r\n";

/** A request, without its Host: the framing that the provider gets, and the body. */
const REQUESTS: Readonly<
  Record<string, readonly [string, Record<string, string>, string]>
> = {
  "a POST of JSON": [
    `POST /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}content-length: 2\r\n\r\n{}`,
    { "content-length": "2" },
    "{}",
  ],
  "a run": [
    `POST /v1/responses HTTP/1.1\r\n${JSON_TYPE}content-length: 15\r\n\r\n{"stream":true}`,
    { "content-length": "15" },
    '{"stream":true}',
  ],
  "a PUT of JSON": [
    `PUT /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}content-length: 2\r\n\r\n{}`,
    { "content-length": "2" },
    "{}",
  ],
  "a PATCH of JSON": [
    `PATCH /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}content-length: 2\r\n\r\n{}`,
    { "content-length": "2" },
    "{}",
  ],
  "a DELETE with JSON": [
    `DELETE /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}content-length: 2\r\n\r\n{}`,
    { "content-length": "2" },
    "{}",
  ],
  "a GET with JSON": [
    `GET /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}content-length: 2\r\n\r\n{}`,
    { "content-length": "2" },
    "{}",
  ],
  "a form": [
    `POST /v1/files HTTP/1.1\r\n${FORM_TYPE}content-length: 9\r\n\r\n--b--\r\n\r\n`,
    { "content-length": "9" },
    "--b--\r\n\r\n",
  ],
  "an upload without a length": [
    `POST /v1/files HTTP/1.1\r\n${FORM_TYPE}transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n`,
    { "transfer-encoding": "chunked" },
    "ab",
  ],
  "JSON without a length, which the relay has read by then": [
    `POST /v1/embeddings HTTP/1.1\r\n${JSON_TYPE}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
    { "content-length": "2" },
    "{}",
  ],
  "a POST of nothing": [
    `POST /v1/batches/b/cancel HTTP/1.1\r\ncontent-length: 0\r\n\r\n`,
    { "content-length": "0" },
    "",
  ],
  "a POST of JSON that is empty": [
    `POST /v1/batches/b/cancel HTTP/1.1\r\n${JSON_TYPE}content-length: 0\r\n\r\n`,
    { "content-length": "0" },
    "",
  ],
  "a POST without a body": ["POST /v1/files HTTP/1.1\r\n\r\n", {}, ""],
  "a PATCH without a body": ["PATCH /v1/files HTTP/1.1\r\n\r\n", {}, ""],
  "a DELETE without a body": ["DELETE /v1/files HTTP/1.1\r\n\r\n", {}, ""],
  "a DELETE with a type and no body": [
    `DELETE /v1/files HTTP/1.1\r\n${JSON_TYPE}\r\n`,
    {},
    "",
  ],
  "a DELETE of nothing": [
    "DELETE /v1/files HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    { "content-length": "0" },
    "",
  ],
  "a GET": ["GET /v1/files HTTP/1.1\r\n\r\n", {}, ""],
  "a HEAD": ["HEAD /v1/files HTTP/1.1\r\n\r\n", {}, ""],
  "an OPTIONS": ["OPTIONS /v1/files HTTP/1.1\r\n\r\n", {}, ""],
};

for (const [name, [request, framing, body]] of Object.entries(REQUESTS)) {
  Deno.test(`The framing of ${name} is passed on (D1)`, async () => {
    await using world = await startGateway();
    using caller = await RawCaller.open(world.port);
    caller.send(
      bytes(request.replace("HTTP/1.1\r\n", "HTTP/1.1\r\nhost: localhost\r\n")),
    );
    const exchange = await world.provider.next();
    const told = exchange.headers.filter(([name]) =>
      name === "content-length" || name === "transfer-encoding"
    );
    assertEquals(Object.fromEntries(told), framing);
    assertEquals(new TextDecoder().decode(await exchange.body()), body);
    await exchange.answer(200, {}, request.startsWith("HEAD") ? "" : "yes");
    const answer = await caller.see("\r\n\r\n");
    assert(answer.startsWith("HTTP/1.1 200 "), answer);
  });
}

const ODD = "caf\xe9 \xc3\xa9 \x80\xff";

for (
  const [kind, type] of [["a stream", "text/event-stream"], [
    "JSON",
    "application/json",
  ]]
) {
  Deno.test(`Headers of a request and of ${kind} are the same bytes on both sides (D6)`, async () => {
    await using world = await startGateway();
    for (
      const [head, body] of [
        ["GET /v1/models HTTP/1.1\r\n", ""],
        ["POST /v1/files HTTP/1.1\r\ncontent-length: 2\r\n", "hi"],
      ]
    ) {
      using caller = await RawCaller.open(world.port);
      caller.send(
        bytes(`${head}host: localhost\r\nx-odd: ${ODD}\r\n\r\n${body}`),
      );
      const exchange = await world.provider.next();
      // The provider of the tests reads a head as Latin-1.
      assertEquals(exchange.header("x-odd"), ODD);
      await exchange.body();
      await exchange.raw(
        bytes(
          `HTTP/1.1 200 ${ODD}\r\nContent-Type: ${type}\r\nX-Odd: ${ODD}\r\nContent-Length: 10\r\nConnection: close\r\n\r\ndata: 1\n\n\n`,
        ),
      );
      await caller.see("data: 1\n\n");
      const text = caller.text;
      assert(text.startsWith(`HTTP/1.1 200 ${ODD}\r\n`), text);
      assert(text.includes(`\r\nx-odd: ${ODD}\r\n`), text);
    }
  });
}

/** Headers of an answer. */
const MANY: Readonly<Record<string, readonly string[]>> = {
  "100 headers": Array.from({ length: 100 }, (_, i) => `X-${i}: ${i}`),
  "4,990 headers": Array.from({ length: 4_990 }, (_, i) => `X-${i}: ${i}`),
  "many cookies": Array.from({ length: 300 }, (_, i) => `Set-Cookie: a${i}=b`),
  "a header of 60 KB": [`X-Long: ${"a".repeat(60_000)}`],
  "280 KB of headers": Array.from(
    { length: 70 },
    (_, i) => `X-${i}: ${"a".repeat(4_000)}`,
  ),
};

for (const [name, headers] of Object.entries(MANY)) {
  Deno.test(`An answer with ${name} is passed on (D8)`, async () => {
    await using world = await startGateway();
    using caller = await RawCaller.open(world.port);
    caller.head("GET", "/v1/models");
    const exchange = await world.provider.next();
    await exchange.raw(
      `HTTP/1.1 200 OK\r\n${
        headers.join("\r\n")
      }\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`,
    );
    const answer = await caller.see("\r\n\r\nok");
    assert(answer.startsWith("HTTP/1.1 200 "), answer.slice(0, 100));
    for (const header of headers) {
      // A cookie is for the host of the provider.
      const isKept = !header.startsWith("Set-Cookie");
      const line = header.replace(/^[^:]+/, (name) => name.toLowerCase());
      assertEquals(answer.includes(`\r\n${line}\r\n`), isKept, line);
    }
  });
}

for (
  const [name, headers, message] of [
    [
      "400 KB of headers",
      `X-Long: ${"a".repeat(400_000)}\r\n`,
      "the head of the answer is larger than 307200 bytes",
    ],
    [
      "6,000 headers",
      "X-A: b\r\n".repeat(6_000),
      "the answer has more than 5000 headers",
    ],
  ] as const
) {
  Deno.test(`An answer with ${name} is refused with 502, and says why (D8)`, async () => {
    await using world = await startGateway();
    const asked = world.request("/v1/batches", { method: "POST", body: "{}" });
    const exchange = await world.provider.next();
    await exchange.body();
    await exchange.raw(`HTTP/1.1 200 OK\r\n${headers}\r\n`);
    const response = await asked;
    assertEquals(response.status, 502);
    const { detail } = await response.json();
    assert(detail.includes(message), detail);
    await exchange.closed;
    assertEquals(world.provider.count, 1);
  });
}
