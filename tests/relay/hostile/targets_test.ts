// Requests that nobody means: odd paths, methods, versions, upgrades.
import { assert, assertEquals } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { RawHttp } from "../../support/http/raw_http.ts";
import { startRelay } from "../../support/relay/relay.ts";

const HOST = "Host: localhost\r\n";

/** Request lines, and what they are answered with; 0: nothing, and it is closed. */
const LINES: readonly (readonly [line: string, ...statuses: number[]])[] = [
  // Forms of a target (RFC 9112, section 3.2).
  ["GET http://localhost/healthz HTTP/1.1", 200],
  ["GET HTTP://LOCALHOST/healthz HTTP/1.1", 200, 400],
  ["GET https://localhost/healthz HTTP/1.1", 200],
  ["GET ftp://relay/healthz HTTP/1.1", 400],
  ["GET relay:80 HTTP/1.1", 400],
  ["GET * HTTP/1.1", 400],
  ["OPTIONS * HTTP/1.1", 204],
  ["POST * HTTP/1.1", 400],
  ["OPTIONS ** HTTP/1.1", 400],
  ["GET ?after=start HTTP/1.1", 400],
  ["GET healthz HTTP/1.1", 400],
  ["GET  HTTP/1.1", 400],
  ["GET HTTP/1.1", 400],
  ["GET /healthz#fragment HTTP/1.1", 200, 400],
  // A relay is nobody's proxy.
  ["CONNECT relay:80 HTTP/1.1", 405],
  ["CONNECT /topics/t HTTP/1.1", 405],
  // Methods.
  ["DANCE /topics HTTP/1.1", 400, 405, 501],
  ["get /healthz HTTP/1.1", 400, 405, 501],
  ["GET\0 /healthz HTTP/1.1", 400],
  ["TRACE /topics HTTP/1.1", 404, 405, 501],
  ["TRACK /topics HTTP/1.1", 400, 405, 501],
  ["QUERY /topics HTTP/1.1", 405],
  ["PROPFIND /topics HTTP/1.1", 405],
  ["PURGE /topics/t HTTP/1.1", 405],
  ["PATCH /topics/t HTTP/1.1", 405],
  [`${"G".repeat(10_000)} / HTTP/1.1`, 400],
  // Versions.
  ["GET /healthz HTTP/1.0", 200],
  ["GET /healthz HTTP/0.9", 400],
  ["GET /healthz HTTP/1.2", 400],
  ["GET /healthz HTTP/1.11", 400],
  ["GET /healthz HTTP/2.0", 400],
  ["GET /healthz HTTP/3", 400, 505],
  ["GET /healthz http/1.1", 400],
  ["GET /healthz ICY/1.1", 400],
  ["GET /healthz HTTP/1.1 ", 400],
  // Paths.
  ["GET //healthz HTTP/1.1", 404],
  ["GET //relay/healthz HTTP/1.1", 404],
  ["GET /healthz/ HTTP/1.1", 404],
  ["GET /topics/../healthz HTTP/1.1", 200, 400, 404],
  ["GET /topics/%2e%2e/healthz HTTP/1.1", 200, 400, 404],
  ["GET /../../../etc/passwd HTTP/1.1", 404],
  ["GET /topics/..%2f..%2fetc%2fpasswd HTTP/1.1", 400, 404],
  ["GET /topics\\..\\healthz HTTP/1.1", 400, 404],
  ["GET /topics/a%2Fb HTTP/1.1", 400, 404],
  ["GET /topics/a%00b HTTP/1.1", 400, 404],
  ["GET /topics/a%0d%0aX:%20b HTTP/1.1", 400, 404],
  ["GET /topics/%FF HTTP/1.1", 400, 404],
  ["GET /topics/% HTTP/1.1", 400, 404],
  ["GET /topics/%E2%80%A8 HTTP/1.1", 400, 404],
  ["GET /topics/%252e HTTP/1.1", 400, 404],
  ["GET /topics/a\0b HTTP/1.1", 400],
  ["GET /topics/a b HTTP/1.1", 400],
  ["GET /topics/a\tb HTTP/1.1", 400],
  ["GET /topics/\xE9 HTTP/1.1", 400],
  ["GET /topics/\xC3\xA9 HTTP/1.1", 400],
  ["GET /topics/t?after=%00 HTTP/1.1", 400],
  ["GET /topics/t?after=start&after=now HTTP/1.1", 200, 400],
  ["GET /topics/t?%zz=%zz HTTP/1.1", 200, 400],
];

Deno.test("Relay answers whatever line a request begins with", async () => {
  await using relay = await startRelay();
  relay.relay.topics.create("t");
  await using bystanders = await Bystanders.open(relay.url);
  for (const [line, ...statuses] of LINES) {
    const what = JSON.stringify(line.slice(0, 60));
    await using caller = await RawHttp.open(relay.url);
    await caller.send(
      `${line}\r\n${HOST}Accept: application/json\r\nCookie: secret=1\r\n\r\n`,
    );
    const { status = 0, body = "" } = await caller.answer() ?? {};
    assert(statuses.includes(status), `${what}: ${status} ${body}`);
    assert(!body.includes("secret"), what);
    await bystanders.check(what);
  }
  assertEquals([...relay.relay.topics].length, 2, "no topic was made");
});

Deno.test("Relay answers a question about itself, and goes on with the connection", async () => {
  await using world = await startGateway();
  using caller = await RawCaller.open(world.port);
  for (const length of [0, 3]) {
    caller.send(
      `OPTIONS * HTTP/1.1\r\n${HOST}Content-Length: ${length}\r\n\r\n${
        "a".repeat(length)
      }`,
    );
  }
  caller.head("GET", "/healthz");
  const answers = await caller.see('"ok"');
  const allowed =
    "HTTP/1.1 204 No Content\r\nallow: get, head, post, put, delete, options\r\n";
  assertEquals(answers.toLowerCase().split(allowed.toLowerCase()).length, 3);
  assertEquals(world.provider.count, 0);
});

/** Targets with a host of their own, their Host header, and the answer. */
const WHOLE: readonly (readonly [target: string, host: string, number])[] = [
  ["http://evil.example/healthz", "localhost", 421],
  ["HTTP://EVIL.example/healthz", "localhost", 421],
  ["https://evil.example:443/healthz", "localhost", 421],
  ["http://evil.example?x=/", "localhost", 421],
  ["http://localhost/healthz", "evil.example", 200],
  ["http://127.0.0.1:1/healthz", "evil.example", 200],
  ["http://localhost?x=/healthz", "localhost", 200],
  ["http://localhost@evil.example/healthz", "localhost", 400],
  ["http://evil.example@localhost/healthz", "localhost", 400],
  ["http:///healthz", "localhost", 400],
  ["http://local host/healthz", "localhost", 400],
  ["http://evil.example\\@localhost/healthz", "localhost", 400],
];

Deno.test("Relay goes by the host of a target that has one", async () => {
  await using relay = await startRelay();
  for (const [target, host, expected] of WHOLE) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    const { status, body } = await caller.answer() ?? {};
    assertEquals(status, expected, `${target}, ${host}: ${body}`);
  }
});

Deno.test("Relay takes a page for its own by the host of the target", async () => {
  await using relay = await startRelay();
  const answers = [];
  for (const target of ["http://localhost:1", "http://127.0.0.1:1"]) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(
      `GET ${target}/healthz HTTP/1.1\r\nHost: localhost:1\r\n` +
        "Origin: http://127.0.0.1:1\r\n\r\n",
    );
    answers.push((await caller.answer())?.status);
  }
  assertEquals(answers, [403, 200]);
});

/** Bytes from clients that take the relay for something else. */
const OTHERS: Readonly<Record<string, string>> = {
  "HTTP/0.9": "GET /healthz\r\n\r\n",
  "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
  "TLS": "\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03" + "\xAA".repeat(500),
  "SSH": "SSH-2.0-OpenSSH_9.2\r\n",
  "SMTP": "EHLO relay\r\nMAIL FROM:<a@b>\r\n",
  "Redis": "*1\r\n$4\r\nPING\r\n",
  "a proxy's greeting": `PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n`,
  "an answer": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
  "a frame": '\x81\x85\x01\x02\x03\x04{"}..',
  "nothing but zeros": "\0".repeat(1_000),
};

Deno.test("Relay sends away whoever takes it for something else", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, bytes] of Object.entries(OTHERS)) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(bytes);
    const text = await caller.rest();
    assert(/^(HTTP\/1\.1 (400|505) |$)/.test(text), `${what}: ${text}`);
    await bystanders.check(what);
  }
});

const KEY = "Sec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

const SMUGGLED =
  "PUT /topics/smuggled HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

/** Upgrades, and what the first answer may be; behind each is a request. */
const UPGRADES: Readonly<Record<string, readonly [string, ...number[]]>> = {
  "to HTTP/2": [
    `GET /healthz HTTP/1.1\r\n${HOST}Connection: Upgrade, HTTP2-Settings\r\n` +
    "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n" +
    `Content-Length: ${SMUGGLED.length}\r\n\r\n`,
    200,
  ],
  "to nothing": [
    `GET /healthz HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade:\r\n` +
    `Content-Length: ${SMUGGLED.length}\r\n\r\n`,
    ...[200, 400],
  ],
  "with a body": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `${KEY}Content-Length: ${SMUGGLED.length}\r\n\r\n`,
    400,
  ],
  "with a body of chunks": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `${KEY}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  "with a body of nothing": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `${KEY}Content-Length: 0\r\n\r\n`,
    101,
  ],
  "by POST": [
    `POST /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\n` +
    `Upgrade: websocket\r\n${KEY}\r\n`,
    ...[400, 404, 405],
  ],
  "of nowhere": [
    `GET /nowhere HTTP/1.1\r\n${HOST}Connection: Upgrade\r\n` +
    `Upgrade: websocket\r\n${KEY}\r\n`,
    404,
  ],
  "of another version": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `${KEY.replace("13", "777")}\r\n`,
    426,
  ],
  "with a key that is none": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
    `${KEY.replace("dGhl", "")}\r\n`,
    400,
  ],
  "of another host by its target": [
    `GET http://evil.example/ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\n` +
    `Upgrade: websocket\r\n${KEY}\r\n`,
    421,
  ],
  "of its own host by its target": [
    "GET http://localhost/ws HTTP/1.1\r\nHost: evil.example\r\n" +
    `Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`,
    101,
  ],
  "of two hosts": [
    `GET /ws HTTP/1.1\r\n${HOST}Host: evil.example\r\n` +
    `Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`,
    400,
  ],
  "to two things": [
    `GET /ws HTTP/1.1\r\n${HOST}Connection: Upgrade\r\n` +
    `Upgrade: websocket, h2c\r\n${KEY}\r\n`,
    ...[101, 400, 404, 426],
  ],
};

Deno.test("Relay takes nothing behind an upgrade for a request", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const [what, [head, ...statuses]] of Object.entries(UPGRADES)) {
    await using caller = await RawHttp.open(relay.url);
    await caller.send(head + SMUGGLED);
    const answer = await caller.answer();
    assert(
      statuses.includes(answer?.status ?? 0),
      `${what}: ${answer?.status}`,
    );
    await bystanders.check(what);
    // An offer that is not taken leaves two requests, each with its own answer.
    if (what !== "to two things") {
      assertEquals(relay.relay.topics.get("smuggled"), undefined, what);
    }
    relay.relay.topics.delete("smuggled");
  }
});

Deno.test("Relay says when it is ready for a body, and reads none as a request", async () => {
  await using relay = await startRelay();
  const post = `POST /topics/t HTTP/1.1\r\n${HOST}Content-Type: text/plain\r\n`;
  const length = `Content-Length: ${SMUGGLED.length}\r\n\r\n`;
  await using patient = await RawHttp.open(relay.url);
  await patient.send(`${post}Expect: 100-continue\r\n${length}`);
  assertEquals((await patient.answer())?.status, 100);
  await patient.send(SMUGGLED);
  assertEquals((await patient.answer())?.status, 200);

  await using other = await RawHttp.open(relay.url);
  await other.send(`${post}Expect: 200-maybe\r\n${length}${SMUGGLED}`);
  const unmet = await other.answer();
  assertEquals(unmet?.status, 417);
  assertEquals(JSON.parse(unmet?.body ?? "").code, "expectation_failed");

  await using refused = await RawHttp.open(relay.url);
  await refused.send(
    `${post.replace("/t ", "/.t ")}Expect: 100-continue\r\n${length}`,
  );
  // The body is not asked for (D7).
  assertEquals((await refused.answer())?.status, 400);
  await refused.send(`${SMUGGLED}GET /healthz HTTP/1.1\r\n${HOST}\r\n`);
  // It may have been closed: a body that was refused need not be read.
  const { status = 200 } = await refused.answer() ?? {};
  assertEquals(status, 200);
  assertEquals(relay.relay.topics.get("smuggled"), undefined);
});
