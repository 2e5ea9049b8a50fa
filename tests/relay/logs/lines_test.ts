// One line for each connection, change of an upstream, end and refusal.
import { assertEquals } from "@std/assert";
import { LogCapture } from "../../support/observing/log_capture.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { ReconnectingUpstream } from "../../support/upstreams/reconnecting_upstream.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

const WEBSOCKET =
  "WebSocket {connection} of {address} closed after {seconds} s: {code}";
const STREAM =
  "The event stream of {topic} to {address} closed after {seconds} s";
const END = "Topic {topic} ended after {events} events: {status} {reason}";
const REFUSED = "Refused {method} {path} of {address}: {status} {code}";
const OPEN = "The upstream of {name} is open";
const GONE =
  "Lost the upstream of {name}, attempt {attempt} in {retryIn} ms: {reason}";

/** The line that comes once, before or after the first of its sources is open. */
const LISTENING = "Listening on {url}: version {version}, access: {access}";

function linesOf(log: LogCapture): string[] {
  return log.lines.filter((line) => line !== LISTENING);
}

/** Waits until there are as many lines, and expects these. */
async function assertLines(
  log: LogCapture,
  expected: readonly string[],
): Promise<void> {
  await until(
    () => Promise.resolve(linesOf(log).length >= expected.length || undefined),
    LIMIT,
    `${expected.length} lines`,
  );
  assertEquals(linesOf(log), expected);
}

Deno.test("The relay logs a line for each connection, when it is over", async () => {
  await using log = await LogCapture.start();
  await using relay = await startRelay();
  relay.relay.topics.create("t");
  {
    await using socket = await RawWebSocket.open(relay.url, "/topics/t");
    await socket.message("subscribed");
    assertEquals(linesOf(log), []);
  }
  await assertLines(log, [WEBSOCKET]);
  const stream = await relay.request("/topics/t", {
    headers: { Accept: "text/event-stream" },
  });
  assertEquals(linesOf(log), [WEBSOCKET]);
  await stream.body?.cancel();
  await assertLines(log, [WEBSOCKET, STREAM]);
});

Deno.test("The relay logs a line for each refusal, of a request and of an upgrade", async () => {
  await using log = await LogCapture.start();
  await using relay = await startRelay();
  for (const path of ["/nowhere", "/topics/none"]) {
    const answer = await relay.request(path, {
      headers: { Accept: "application/json" },
    });
    await answer.body?.cancel();
  }
  await RawWebSocket.open(relay.url, "/nowhere").catch(() => {});
  await assertLines(log, [REFUSED, REFUSED, REFUSED]);
});

Deno.test("The relay logs a line for each change of an upstream, and for the end", async () => {
  await using log = await LogCapture.start();
  await using upstream = await ReconnectingUpstream.start(
    async (connection) => {
      await connection.write("id: 1\ndata: a\n\n");
      connection.drop();
    },
    async (connection) => {
      await connection.write("id: 2\ndata: b\n\n");
      connection.end();
    },
    (connection) => connection.refuse(204),
  );
  await using relay = await startRelay({
    sources: [{
      name: "t",
      url: upstream.url,
      reconnect: { minTimeout: 1, maxTimeout: 1 },
    }],
  });
  await relay.relay.topics.get("t")?.ended;
  await assertLines(log, [OPEN, GONE, OPEN, GONE, END]);
});
