// A topic that has ended begins a new epoch under its name: publications and PUT.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { startStoredRelay, STORE_KINDS } from "../../support/relay/stores.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RawHttp } from "../../support/http/raw_http.ts";
import { LIMIT, until } from "../../support/within.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";

const RENEW = { "rivulet-if-ended": "renew" };

type Json = Record<string, unknown>;

interface Answer {
  readonly status: number;
  readonly body: Json;
}

async function ask(
  { request }: TestRelay,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: string,
): Promise<Answer> {
  const response = await request(path, {
    method,
    headers,
    ...(body !== undefined && { body }),
  });
  return { status: response.status, body: await response.json() };
}

function post(
  relay: TestRelay,
  data: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return ask(relay, "POST", "/topics/t", {
    "content-type": "text/plain",
    ...headers,
  }, data);
}

function end(relay: TestRelay): Promise<Answer> {
  return ask(relay, "POST", "/topics/t/end");
}

async function page(relay: TestRelay, query = ""): Promise<Json> {
  const response = await relay.request(`/topics/t${query}`, {
    headers: { accept: "application/json" },
  });
  return await response.json();
}

function dataIn({ events }: Json): unknown[] {
  return (events as { data: string }[]).map(({ data }) => data); // of a page
}

for (const kind of STORE_KINDS) {
  Deno.test(`POST renews a topic that has ended, where it is asked to (${kind})`, async () => {
    await using world = await startStoredRelay(kind);
    const first = await post(world.relay, "one", RENEW);
    assertEquals(first.status, 200, "there was none");
    const busy = await post(world.relay, "more", RENEW);
    assertEquals([busy.status, busy.body["code"]], [409, "topic_busy"]);
    await end(world.relay);
    const ended = await post(world.relay, "late");
    assertEquals([ended.status, ended.body["code"]], [409, "topic_ended"]);
    const second = await post(world.relay, "two", RENEW);
    assertEquals([second.status, second.body["first"]], [200, 1]);
    assertNotEquals(second.body["epoch"], first.body["epoch"]);
    assertEquals((await post(world.relay, "three")).body["first"], 2);
    for (const when of ["before", "after"]) {
      assertEquals(dataIn(await page(world.relay)), ["two", "three"], when);
      // A position of the epoch before: the rest of it, and its end.
      const old = await page(world.relay, `?after=${first.body["epoch"]}:1`);
      assertEquals(
        [old["epoch"], old["recovered"], old["events"], old["state"]],
        [first.body["epoch"], true, [], "ended"],
      );
      assertEquals(old["end"], { offset: 2, status: "complete" });
      if (kind === "memory") break;
      await world.restart();
    }
  });

  Deno.test(`A publication is made once, in whichever epoch it was (${kind})`, async () => {
    await using world = await startStoredRelay(kind);
    const keyed = (key: string) => ({ ...RENEW, "idempotency-key": key });
    const first = await post(world.relay, "one", keyed("1"));
    assertEquals(first.status, 200);
    assertEquals(await post(world.relay, "one", keyed("1")), first, "open");
    await end(world.relay);
    assertEquals(await post(world.relay, "one", keyed("1")), first, "ended");
    const plain = { "idempotency-key": "1" };
    assertEquals(await post(world.relay, "one", plain), first);
    const other = await post(world.relay, "other", keyed("1"));
    assertEquals(
      [other.status, other.body["code"]],
      [422, "idempotency_mismatch"],
    );
    const second = await post(world.relay, "two", keyed("2"));
    assertNotEquals(second.body["epoch"], first.body["epoch"]);
    assertEquals(await post(world.relay, "one", keyed("1")), first, "former");
    if (kind === "sqlite") await world.restart();
    assertEquals(await post(world.relay, "one", plain), first, "former");
    await end(world.relay);
    assertEquals(await post(world.relay, "two", keyed("2")), second);
    assertEquals(dataIn(await page(world.relay)), ["two"]);
  });

  Deno.test(`A stream that broke off is published anew in a new epoch (${kind})`, async () => {
    await using world = await startStoredRelay(kind);
    const stream = (body: string, headers: Record<string, string>) =>
      ask(world.relay, "POST", "/topics/t", {
        "content-type": "text/event-stream",
        "idempotency-key": "k",
        ...headers,
      }, body);
    const whole = "data: a\n\ndata: b\n\n";
    {
      await using http = await RawHttp.open(world.relay.url);
      await http.send(
        "POST /topics/t HTTP/1.1\r\nHost: 127.0.0.1\r\nIdempotency-Key: k\r\n" +
          "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
          "9\r\ndata: a\n\n\r\n",
      );
      await until(
        () => world.relay.relay.topics.get("t")?.log.next === 2 || undefined,
        LIMIT,
        "the first event",
      );
    }
    const part = await page(world.relay);
    await ask(world.relay, "POST", "/topics/t/end", {}, '{"status":"failed"}');
    if (kind === "sqlite") await world.restart();
    const late = await stream(whole, {});
    assertEquals(late.status, 409);
    const anew = await stream(whole, RENEW);
    assertEquals([anew.body["first"], anew.body["next"]], [1, 3]);
    assertNotEquals(anew.body["epoch"], part["epoch"]);
    await end(world.relay);
    assertEquals((await stream(whole, RENEW)).body, anew.body, "repeated");
    if (kind === "sqlite") await world.restart();
    assertEquals((await stream(whole, RENEW)).body, anew.body, "repeated");
    assertEquals(dataIn(await page(world.relay)), ["a", "b"]);
  });
}

Deno.test("A publication that is refused renews nothing", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 50 } });
  const first = await post(relay, "one");
  await end(relay);
  for (
    const [type, body] of [
      ["application/json", "no JSON"],
      ["text/plain", "x".repeat(99)],
      ["text/html", "x"],
    ] as const
  ) {
    const { status } = await ask(relay, "POST", "/topics/t", {
      ...RENEW,
      "content-type": type,
    }, body);
    assert(status >= 400, type);
    assertEquals((await page(relay))["epoch"], first.body["epoch"], type);
  }
  const wrong = await post(relay, "x", { "rivulet-if-ended": "begin" });
  assertEquals([wrong.status, wrong.body["code"]], [400, "invalid_header"]);
});

Deno.test("The message `publish` renews a topic that has ended", async () => {
  await using relay = await startRelay();
  const first = await post(relay, "one");
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  const message = { type: "publish", topic: "t", events: [{ data: "two" }] };
  await socket.say({ ...message, ifEnded: "renew" });
  assertEquals((await socket.message("error"))["code"], "topic_busy");
  await end(relay);
  await socket.say(message);
  assertEquals((await socket.message("error"))["code"], "topic_ended");
  await socket.say({ ...message, ifEnded: "begin" });
  assertEquals((await socket.message("error"))["code"], "invalid_message");
  await socket.say({ ...message, ifEnded: "renew", id: "k" });
  const published = await socket.message("published");
  assertNotEquals(published["epoch"], first.body["epoch"]);
  await end(relay);
  await socket.say({ ...message, ifEnded: "renew", id: "k" });
  assertEquals(await socket.message("published"), published);
});

Deno.test("PUT renews a topic that has ended, with `renew`", async () => {
  await using relay = await startRelay();
  const put = (query = ""): Promise<Answer> =>
    ask(relay, "PUT", `/topics/t${query}`);
  const first = await put("?renew");
  assertEquals(first.status, 201, "there was none");
  assertEquals((await put("?renew")).status, 200, "nothing fills it yet");
  await post(relay, "one");
  const busy = await put("?renew");
  assertEquals([busy.status, busy.body["code"]], [409, "topic_busy"]);
  await end(relay);
  assertEquals((await put()).body["epoch"], first.body["epoch"]);
  const second = await put("?renew");
  assertEquals([second.status, second.body["state"]], [201, "pending"]);
  assertNotEquals(second.body["epoch"], first.body["epoch"]);
  assertEquals((await put("?renew=7")).body["code"], "invalid_query");
});
