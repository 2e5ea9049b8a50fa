// Requests that come before those in front of them are answered.
import { assert, assertEquals } from "@std/assert";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { UPGRADE_HEADERS } from "../../support/http/upgrade_request.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

/** The one that is answered, and those that may wait. */
const MOST = 1 + 32;

function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
}

const STREAM = "GET /topics/t HTTP/1.1\r\nHost: localhost\r\n" +
  "Accept: text/event-stream\r\n\r\n";

Deno.test("Relay answers requests in order that come at once", async () => {
  await using relay = await startRelay();
  using caller = await RawCaller.open(relay.port);
  const paths = Array.from({ length: MOST }, (_, i) => `/missing-${i}.`);
  caller.send(paths.map(get).join(""));
  const text = await caller.see(`${paths.at(-1)}`);
  assertEquals(text.match(/\/missing-[0-9]+\./g), paths);
  // There is room for as many again.
  caller.send(get("/topics").repeat(MOST));
  await until(
    () => caller.text.split("[]}").length > MOST || undefined,
    LIMIT,
    "the answers",
  );
});

Deno.test("Relay reads the bodies of requests that come at once", async () => {
  await using relay = await startRelay();
  using caller = await RawCaller.open(relay.port);
  const post = (data: string) =>
    "POST /topics/t HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n" +
    `Content-Length: ${data.length}\r\n\r\n${data}`;
  const parts = ["a", "b".repeat(100_000), "c", "d"];
  caller.send(parts.map(post).join(""));
  await caller.see('"first":4');
  const { entries } = await relay.relay.topics.get("t")!.log.read(1, { // it was published to
    events: 9,
    bytes: 1e9,
  });
  assertEquals(entries.map(({ event }) => event.data), parts);
});

for (const count of [MOST + 1, 10_000]) {
  Deno.test(`Relay closes a connection on which ${count} requests come at once`, async () => {
    await using relay = await startRelay();
    using caller = await RawCaller.open(relay.port);
    caller.send(get("/healthz").repeat(count));
    assertEquals(await caller.closed(), "");
    using other = await RawCaller.open(relay.port);
    other.head("GET", "/healthz");
    await other.see('"ok"}');
  });
}

Deno.test("Relay begins nothing behind a stream that has not ended", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  using caller = await RawCaller.open(relay.port);
  const put = "PUT /topics/u HTTP/1.1\r\nHost: localhost\r\n" +
    "Content-Length: 0\r\n\r\n";
  caller.send(STREAM + STREAM + put);
  await caller.see("Rivulet-Epoch");
  assertEquals(topic.followers, 1);
  assertEquals(relay.relay.topics.get("u"), undefined);
  topic.end("complete");
  await caller.see("201 Created");
  assertEquals(caller.text.match(/HTTP\/1.1 [0-9]+/g), [
    "HTTP/1.1 200",
    "HTTP/1.1 200",
    "HTTP/1.1 201",
  ]);
});

Deno.test("Relay forgets what was to follow on a connection that has gone", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  using caller = await RawCaller.open(relay.port);
  caller.send(STREAM.repeat(10));
  await caller.see("Rivulet-Epoch");
  assertEquals(topic.followers, 1);
  caller[Symbol.dispose]();
  await until(() => topic.followers === 0 || undefined, LIMIT, "no follower");
});

Deno.test("Relay answers nothing behind what was to be the last", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  using caller = await RawCaller.open(relay.port);
  const last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" +
    "Connection: close\r\n\r\n";
  caller.send(last + STREAM);
  const text = await caller.closed();
  assertEquals(text.match(/HTTP\/1.1 [0-9]+/g), ["HTTP/1.1 200"]);
  assertEquals(topic.followers, 0);
});

Deno.test("Relay does not upgrade a connection that waits for an answer", async () => {
  await using relay = await startRelay();
  using caller = await RawCaller.open(relay.port);
  caller.head("GET", "/topics/t", { accept: "text/event-stream" });
  await caller.see("Rivulet-Epoch");
  caller.head("GET", "/ws", UPGRADE_HEADERS);
  const text = await caller.closed();
  assert(!text.includes(" 101 "), text);
});
