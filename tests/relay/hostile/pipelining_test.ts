// Requests that do not wait for answers: each gets its own, in order, and one
// connection does not have the relay work for a thousand.
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import { Bystanders } from "../../support/relay/bystanders.ts";
import { RawHttp } from "../../support/http/raw_http.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

/**
 * The number of requests that may be under way: fewer than the relay lets wait.
 */
const WINDOW = 30;

const COUNT = 1_000;

function get(target: string, accept = "application/json"): string {
  return `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\n\r\n`;
}

function post(topic: string, text: string): string {
  return `POST /topics/${topic} HTTP/1.1\r\nHost: localhost\r\n` +
    `Content-Type: text/plain\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

Deno.test("Relay answers a thousand pipelined requests in order", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  await using caller = await RawHttp.open(relay.url);
  let sent = 0;
  const more = (): Promise<void> => caller.send(get(`/nowhere/${sent++}`));
  while (sent < WINDOW) await more();
  for (let n = 0; n < COUNT; n++) {
    const answer = await caller.answer();
    const { detail } = JSON.parse(answer?.body ?? "{}");
    assertEquals(detail, `There is nothing at /nowhere/${n}`);
    if (sent < COUNT) await more();
  }
  await bystanders.check("a thousand requests");
});

Deno.test("Relay carries pipelined requests out in order", async () => {
  await using relay = await startRelay();
  await using caller = await RawHttp.open(relay.url);
  // All in one piece, so that each is there before the one before it is answered.
  const rounds = Array.from({ length: WINDOW / 2 }, (_, n) => n + 1);
  await caller.send(
    rounds.map((n) => post("t", `${n}`) + get("/topics/t?limit=1000"))
      .join(""),
  );
  for (const n of rounds) {
    const posted = JSON.parse((await caller.answer())?.body ?? "{}");
    assertEquals(posted.first, n);
    const page = JSON.parse((await caller.answer())?.body ?? "{}");
    assertEquals(
      page.events.length,
      n,
      "what was posted after it is not there",
    );
  }
});

Deno.test("Relay does not begin all pipelined requests in one turn", async () => {
  await using relay = await startRelay();
  await using caller = await RawHttp.open(relay.url);
  const { topics } = relay.relay;
  const names = Array.from({ length: WINDOW }, (_, n) => `t${n}`);
  await caller.send(names.map((name) => post(name, "x")).join(""));
  let begun = 0;
  let most = 0;
  await until(
    async () => {
      // Turns of the event loop are looked at one by one for a while.
      for (let turn = 0; turn < 1_000; turn++) {
        await setImmediate();
        const now = names.filter((name) => topics.get(name)).length;
        most = Math.max(most, now - begun);
        begun = now;
      }
      return begun === WINDOW || undefined;
    },
    LIMIT,
    () => `${WINDOW} topics: there are ${begun}`,
  );
  // In one, if each began as soon as the one before it was answered.
  assert(most < WINDOW, `${most} of ${WINDOW} requests in one turn`);
});

Deno.test("Relay carries out nothing behind an event stream that goes on", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const topic = relay.relay.topics.create("stream");
  await using caller = await RawHttp.open(relay.url);
  await caller.send(
    get("/topics/stream", "text/event-stream") + post("behind", "x"),
  );
  await caller.see("\r\n\r\n");
  await bystanders.check("a request behind an event stream");
  assertEquals(relay.relay.topics.get("behind"), undefined);
  topic.append([{ event: "message", data: "still here", id: "" }]);
  await caller.see("still here");
  topic.end("complete");
  await caller.see("0\r\n\r\n");
  const answer = await caller.answer();
  assertEquals([answer?.status, JSON.parse(answer?.body ?? "").first], [
    200,
    1,
  ]);
});

Deno.test("Relay takes one event stream at a time from a connection", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  const topic = relay.relay.topics.create("stream");
  await using caller = await RawHttp.open(relay.url);
  await caller.send(get("/topics/stream", "text/event-stream").repeat(WINDOW));
  await caller.see("\r\n\r\n");
  await bystanders.check("event streams behind one another");
  assertEquals(topic.followers, 1);
});

Deno.test("Relay cuts a connection with more requests than it lets wait", async () => {
  await using relay = await startRelay();
  await using bystanders = await Bystanders.open(relay.url);
  for (const accept of ["application/json", "text/event-stream"]) {
    const topic = relay.relay.topics.create("stream");
    await using caller = await RawHttp.open(relay.url);
    await caller.send(get("/topics/stream", accept).repeat(COUNT));
    const text = await caller.rest();
    assert(text.split("HTTP/1.1 ").length <= COUNT / 10, text.slice(-1_000));
    assertEquals(topic.followers, 0);
    assert(relay.relay.topics.delete("stream"));
    await bystanders.check(`${COUNT} requests in one piece, ${accept}`);
  }
});
