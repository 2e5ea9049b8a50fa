// The relay frames its answers itself, whatever a provider says of their length: row
// B5 of what users' reports break (RFC 9112, section 6.3).
import { assert, assertEquals } from "@std/assert";
import {
  type GatewayWorld,
  LIMIT,
  startGateway,
} from "../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { within } from "../../support/within.ts";

/** A second answer, which a caller must never take for one. */
const FORGED = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

/** A body of chunks. */
function chunked(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
}

/** An answer as a caller reads it. */
interface Answer {
  readonly status: number;
  readonly length: string | undefined;
  readonly body: string;
}

/** Splits what has come on a connection into answers, as clients do. */
function answersOf(text: string, methods: readonly string[]): Answer[] {
  const answers: Answer[] = [];
  while (text !== "") {
    const end = text.indexOf("\r\n\r\n");
    assert(end > 0, `Expected the head of an answer: ${text}`);
    const head = text.slice(0, end);
    text = text.slice(end + 4);
    const [, status = ""] = /^HTTP\/1\.1 ([0-9]{3}) /.exec(head) ?? [];
    assert(status !== "", `Expected an answer: ${head}`);
    const [, length] = /\r\ncontent-length: (.*)/i.exec(head) ?? [];
    const isChunked = /\r\ntransfer-encoding: chunked/i.test(head);
    assert(!isChunked || length === undefined, `Two lengths: ${head}`);
    assert(length === undefined || /^[0-9]+$/.test(length), head);
    const method = methods[answers.length];
    let body = "";
    if (method === "HEAD" || ["204", "304"].includes(status)) {
      assert(!isChunked, head);
    } else if (isChunked) {
      for (;;) {
        const [line = ""] = text.split("\r\n");
        const size = parseInt(line, 16);
        const start = line.length + 2;
        body += text.slice(start, start + size);
        text = text.slice(start + size + 2);
        if (size === 0) break;
      }
    } else {
      assert(length !== undefined, `Expected a length: ${head}`);
      body = text.slice(0, Number(length));
      text = text.slice(Number(length));
    }
    answers.push({ status: Number(status), length, body });
  }
  return answers;
}

/** Asks for an answer, and for another one on the same connection. */
async function ask(
  world: GatewayWorld,
  method: string,
  answer: string,
): Promise<Answer> {
  using caller = await RawCaller.open(world.port);
  caller.head(
    method,
    "/v1/x",
    method === "POST" ? { "content-length": "0" } : {},
  );
  caller.head("GET", "/healthz");
  const exchange = await world.provider.next();
  await exchange.raw(answer);
  exchange.close();
  await caller.see('{"status":"ok"}');
  const [first, second, ...others] = answersOf(caller.text, [method, "GET"]);
  assertEquals(others, []);
  assertEquals(second?.body, '{"status":"ok"}');
  return first!; // there are two
}

const CASES: Readonly<
  Record<string, readonly [method: string, answer: string, Answer]>
> = {
  "chunks and a shorter length": [
    "POST",
    `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked(`abc${FORGED}`)
    }`,
    { status: 200, length: undefined, body: `abc${FORGED}` },
  ],
  "chunks and a longer length": [
    "POST",
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 300\r\n\r\n${
      chunked("abc")
    }`,
    { status: 200, length: undefined, body: "abc" },
  ],
  "more than its length": [
    "POST",
    `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc${FORGED}`,
    { status: 200, length: "3", body: "abc" },
  ],
  "204 with a length": [
    "POST",
    `HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello${FORGED}`,
    { status: 204, length: undefined, body: "" },
  ],
  "204 with chunks": [
    "POST",
    `HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked("hello")
    }`,
    { status: 204, length: undefined, body: "" },
  ],
  "205 with a length": [
    "POST",
    `HTTP/1.1 205 Reset Content\r\nContent-Length: ${FORGED.length}\r\n\r\n${FORGED}`,
    { status: 205, length: "0", body: "" },
  ],
  "205 with chunks": [
    "POST",
    `HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked("hello")
    }`,
    { status: 205, length: "0", body: "" },
  ],
  "304 with a length": [
    "GET",
    `HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello${FORGED}`,
    { status: 304, length: "5", body: "" },
  ],
  "304 with chunks": [
    "GET",
    `HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked("hello")
    }`,
    { status: 304, length: undefined, body: "" },
  ],
  "HEAD with a body": [
    "HEAD",
    `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello${FORGED}`,
    { status: 200, length: "5", body: "" },
  ],
  "HEAD with chunks and a length": [
    "HEAD",
    `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked("hello")
    }`,
    { status: 200, length: undefined, body: "" },
  ],
  ...Object.fromEntries([100, 103].map((status) => [
    `${status} before the answer`,
    [
      "POST",
      `HTTP/1.1 ${status} Early\r\nLink: <x>\r\n\r\n${FORGED}`,
      { status: 200, length: "6", body: "forged" },
    ],
  ])),
  "100 times 103 before the answer": [
    "POST",
    "HTTP/1.1 103 Early\r\n\r\n".repeat(100) + FORGED,
    { status: 200, length: "6", body: "forged" },
  ],
};

for (const [name, [method, answer, expected]] of Object.entries(CASES)) {
  Deno.test(`Exactly one answer comes for ${name} (B5)`, async () => {
    await using world = await startGateway();
    assertEquals(await ask(world, method, answer), expected);
  });
}

const REFUSED: Readonly<Record<string, string>> = {
  "101 with an upgrade":
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n${FORGED}`,
  "101": `HTTP/1.1 101 Switching Protocols\r\n\r\n${FORGED}`,
  // A recipient may refuse this, as clients of Node do (RFC 9110, section 8.6).
  "one length twice":
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
  "one length twice in a line":
    "HTTP/1.1 200 OK\r\nContent-Length: 3 , 3\r\n\r\nabc",
  ...Object.fromEntries([102, 104, 199].map((status) => [
    `${status} before the answer`,
    `HTTP/1.1 ${status} Early\r\n\r\n${FORGED}`,
  ])),
  // They could come for ever.
  ...Object.fromEntries([100, 103].map((status) => [
    `101 times ${status} before the answer`,
    `HTTP/1.1 ${status} Early\r\n\r\n`.repeat(101) + FORGED,
  ])),
  ...Object.fromEntries(["\x01", "\x1b", "\x7f"].map((control) => [
    `a header with ${JSON.stringify(control)}`,
    `HTTP/1.1 200 OK\r\nX-A: a${control}b\r\nContent-Length: 2\r\n\r\nhi`,
  ])),
  "two lengths":
    `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc${FORGED}`,
  "two lengths in a line":
    `HTTP/1.1 200 OK\r\nContent-Length: 3, 5\r\n\r\nabc${FORGED}`,
  "a length that is no number":
    `HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc${FORGED}`,
  ...Object.fromEntries(
    ["gzip", "identity", "xchunked", "chunked, gzip", "gzip, chunked"].map(
      (coding) => [
        `the transfer coding '${coding}'`,
        `HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: ${coding}\r\n\r\n${
          chunked(`abc${FORGED}`)
        }`,
      ],
    ),
  ),
};

for (const [name, answer] of Object.entries(REFUSED)) {
  Deno.test(`An answer of no clear length is 502: ${name} (B5)`, async () => {
    await using world = await startGateway();
    const { status, body } = await ask(world, "POST", answer);
    const { code, detail } = JSON.parse(body);
    assertEquals([status, code], [502, "provider_unreachable"]);
    assert(!detail.includes("The relay"), "it is the provider's fault");
    assertEquals(world.provider.count, 1);
  });
}

Deno.test("An event stream with two lengths is framed by the relay (B5)", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  await exchange.raw(
    `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n${
      chunked("data: [DONE]\n\n")
    }`,
  );
  const caller = await answer;
  assertEquals(caller.header("content-length"), null);
  assertEquals(await caller.rest(), {
    text: "data: [DONE]\n\n",
    end: "whole",
  });
});

Deno.test("A run that is answered with 101 ends its topic, and is not asked for again (B5)", async () => {
  await using world = await startGateway();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t" },
  });
  await exchange.raw(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
  );
  assertEquals((await answer).status, 502);
  await (await answer).rest();
  await within(exchange.closed, LIMIT, "the provider's connection to close");
  assertEquals(world.provider.count, 1);
});
