import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  type ConnectOptions,
  subscribe,
  type Subscription,
  SubscriptionError,
  type SubscriptionMessage,
} from "../../../relay/client/mod.ts";
import type { Topic } from "../../../relay/mod.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";
import {
  EPOCH,
  events,
  ScriptedRelay,
  subscribed,
} from "../../support/client/scripted_relay.ts";
import { LIMIT, until } from "../../support/within.ts";

function add(topic: Topic, ...data: string[]): void {
  void topic.append(data.map((data) => ({ event: "message", data, id: "" })));
}

async function take(subscription: Subscription): Promise<SubscriptionMessage> {
  const { value } = await subscription.next();
  assert(value, "it has ended");
  return value;
}

async function data(subscription: Subscription): Promise<string> {
  const message = await take(subscription);
  return message.type === "event" ? message.data : message.type;
}

function reached(subscription: Subscription, state: string): Promise<true> {
  return until(
    () => subscription.state === state || undefined,
    LIMIT,
    () => `${state} instead of ${subscription.state}`,
  );
}

/** Counts the sockets that are made. */
function counted(): ConnectOptions & { sockets: number } {
  const options = {
    sockets: 0,
    WebSocket: class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        options.sockets++;
        super(url, protocols);
      }
    },
  };
  return options;
}

Deno.test("connect follows several topics over one socket", async () => {
  await using server = await startRelay();
  const names = ["a", "b", "c"];
  const topics = names.map((name) => server.relay.topics.create(name));
  const options = counted();
  await using connection = connect(`${server.url}/ws`, options);
  const read = Promise.all(
    names.map((name) => Array.fromAsync(connection.subscribe(name))),
  );
  for (let i = 0; i < 300; i++) {
    add(topics[i % 3]!, `${i}`); // there are three
    if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve));
  }
  for (const topic of topics) topic.end("complete");
  for (const [index, messages] of (await read).entries()) {
    const events = messages.filter((message) => message.type === "event");
    assertEquals(
      events.map(({ topic }) => topic),
      Array(100).fill(names[index]),
    );
    assertEquals(
      events.map(({ data }) => Number(data)),
      Array.from({ length: 100 }, (_, i) => 3 * i + index),
    );
  }
  assertEquals(options.sockets, 1);
});

Deno.test("connect keeps its socket for what is subscribed to later", async () => {
  await using server = await startRelay();
  const options = counted();
  await using connection = connect(`${server.url}/ws`, options);
  for (const name of ["a", "b"]) {
    const topic = server.relay.topics.create(name);
    add(topic, `of ${name}`);
    topic.end("complete");
    const subscription = connection.subscribe(name);
    assertEquals(await data(subscription), `of ${name}`);
    assertEquals((await subscription.next()).done, true);
    assertEquals(subscription.end, { status: "complete" });
  }
  // The same topic again.
  const again = connection.subscribe("a");
  assertEquals(await data(again), "of a");
  await again.close();
  assertEquals(options.sockets, 1);
});

Deno.test("connect resumes each subscription where its consumer is", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, { clock });
  const a = connection.subscribe("a");
  const b = connection.subscribe("b", {
    after: "epoch-bbb:4",
    mode: "latest",
    window: 99,
  });
  const first = [data(a), data(b)];
  const one = await server.accept();
  assertEquals(await one.message("subscribe"), {
    type: "subscribe",
    topic: "a",
    window: 262_144,
  });
  assertEquals(await one.message("subscribe"), {
    type: "subscribe",
    topic: "b",
    after: "epoch-bbb:4",
    mode: "latest",
    window: 99,
  });
  one.say(
    subscribed("a"),
    subscribed("b", 4, { epoch: "epoch-bbb" }),
    events("b", 5, 7),
    events("a", 1, 3),
  );
  assertEquals(await Promise.all(first), ["1", "5"]);
  assertEquals(await data(a), "2");
  one.cut();
  await reached(a, "waiting");
  assertEquals(b.state, "waiting");
  const accepted = server.accept();
  await clock.advance(500);
  const two = await accepted;
  assertEquals((await two.message("subscribe")).after, `${EPOCH}:2`);
  assertEquals((await two.message("subscribe")).after, "epoch-bbb:5");
  two.say(
    subscribed("b", 5, { epoch: "epoch-bbb" }),
    events("b", 6),
    subscribed("a", 2),
    events("a", 3),
  );
  assertEquals([await data(a), await data(b)], ["3", "6"]);
});

Deno.test("connect goes on with the others when one is left", async () => {
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`);
  const a = connection.subscribe("a");
  const b = connection.subscribe("b");
  const first = [data(a), data(b)];
  const socket = await server.accept();
  await socket.message("subscribe");
  socket.say(subscribed("a"), events("a", 1), subscribed("b"), events("b", 1));
  await Promise.all(first);
  const waiting = a.next();
  await a.close();
  assertEquals(await waiting, { done: true, value: undefined });
  assertEquals((await socket.message("unsubscribe")).topic, "a");
  // Events of a closed subscription that were under way are ignored.
  socket.say(events("a", 2), events("b", 2));
  assertEquals(await data(b), "2");
  assertEquals(b.state, "open");

  // The same topic again: what is left of the first time is passed over.
  const again = connection.subscribe("a", { after: "now" });
  const next = data(again);
  assertEquals((await socket.message("subscribe")).after, "now");
  socket.say(
    events("a", 3),
    {
      type: "error",
      code: "not_subscribed",
      message: "",
      topic: "a",
      retryable: false,
    },
    subscribed("a", 5),
    events("a", 6),
  );
  assertEquals(await next, "6");
  assertEquals(server.attempts, 1);
});

Deno.test("connect begins anew where it can't tell whose answer will come", async () => {
  await using server = await ScriptedRelay.start();
  // Nothing is lost by it: it is no failure.
  await using connection = connect(`${server.url}/ws`, { reconnect: false });
  const other = connection.subscribe("other");
  const first = data(other);
  const one = await server.accept();
  await one.message("subscribe");
  one.say(subscribed("other"), events("other", 1));
  assertEquals(await first, "1");
  const unanswered = connection.subscribe("t");
  const waiting = unanswered.next();
  await one.message("subscribe");
  await unanswered.close();
  assertEquals((await waiting).done, true);
  const next = data(connection.subscribe("t"));
  const two = await server.accept();
  assertEquals(await one.closed, 1000);
  assertEquals((await two.message("subscribe")).after, `${EPOCH}:1`);
  assertEquals((await two.message("subscribe")).topic, "t");
  two.say(
    subscribed("other", 1),
    events("other", 2),
    subscribed("t"),
    events("t", 1),
  );
  assertEquals([await next, await data(other)], ["1", "2"]);
});

Deno.test("connect refuses a second subscription to a topic, until the first is over", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  add(topic, "a");
  await using connection = connect(`${server.url}/ws`);
  const one = connection.subscribe("t");
  assertEquals(await data(one), "a");
  const two = connection.subscribe("t");
  await assertRejects(
    () => two.next(),
    TypeError,
    "Cannot subscribe to 't' twice",
  );
  await one.close();
  assertEquals(await data(connection.subscribe("t")), "a");
});

Deno.test("connect throws what is refused for one topic, and goes on with the others", async () => {
  await using server = await startRelay({ delivery: { awaitTopics: false } });
  const topic = server.relay.topics.create("t");
  topic.open();
  await using connection = connect(`${server.url}/ws`);
  const known = connection.subscribe("t");
  assertEquals((await take(known)).type, "live");
  const error = await assertRejects(
    () => connection.subscribe("unknown").next(),
    SubscriptionError,
  );
  assertEquals([error.code, error.relayCode, error.topic], [
    "refused",
    "unknown_topic",
    "unknown",
  ]);
  add(topic, "a");
  assertEquals(await data(known), "a");
  // Once there is one, it can be had.
  add(server.relay.topics.create("unknown"), "b");
  assertEquals(await data(connection.subscribe("unknown")), "b");
});

Deno.test("connect tries again what a relay refuses for now", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, { clock });
  const subscription = connection.subscribe("t");
  const next = data(subscription);
  const one = await server.accept();
  const refusal = {
    type: "error",
    code: "busy",
    message: "later",
    retryable: true,
  };
  // Of no topic, or of none that is followed: nothing to act on.
  one.say(refusal, { ...refusal, topic: "other" }, { ...refusal, topic: "t" });
  await reached(subscription, "waiting");
  const accepted = server.accept();
  await clock.advance(500);
  (await accepted).say(subscribed("t"), events("t", 1));
  assertEquals(await next, "1");
});

Deno.test("connect gives up all of its subscriptions together, and can be used again", async () => {
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, { reconnect: false });
  const waiting = Promise.allSettled(
    ["a", "b"].map((name) => connection.subscribe(name).next()),
  );
  (await server.accept()).close(1012);
  for (const result of await waiting) {
    assert(result.status === "rejected");
    assertEquals(result.reason.code, "disconnected");
  }
  const next = data(connection.subscribe("a"));
  (await server.accept()).say(subscribed("a"), events("a", 1));
  assertEquals(await next, "1");
});

Deno.test("connect acknowledges nothing of a topic that has ended", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, { clock });
  const a = connection.subscribe("a");
  const first = data(a);
  const socket = await server.accept();
  await socket.message("subscribe");
  socket.say(
    subscribed("a"),
    events("a", 1, 2),
    { type: "end", topic: "a", offset: 3, status: "complete" },
  );
  assertEquals(await first, "1");
  await reached(a, "closed"); // while there is something to take
  assertEquals(await data(a), "2");
  assertEquals((await a.next()).done, true);
  await clock.advance(1_000);
  const next = data(connection.subscribe("b"));
  assertEquals((await socket.message("subscribe")).topic, "b");
  socket.say(subscribed("b"), events("b", 1));
  assertEquals(await next, "1");
  assertEquals(socket.received.map(({ type }) => type), [
    "subscribe",
    "subscribe",
  ]);
});

Deno.test("connect does not connect again for nobody", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, { clock });
  const a = connection.subscribe("a");
  const first = data(a);
  const one = await server.accept();
  one.say(subscribed("a"), events("a", 1));
  await first;
  await a.close();
  await one.message("unsubscribe");
  one.cut();
  // Nothing tells of the cut.
  await until(() => clock.pending === 0 || undefined, LIMIT, "the cut");
  await clock.advance(60_000);
  assertEquals(server.attempts, 1);

  // Nor while it waits for an attempt.
  const b = connection.subscribe("b");
  const next = b.next();
  (await server.accept()).close(1012);
  await reached(b, "waiting");
  await b.close();
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(clock.pending, 0);
});

Deno.test("connect ends everything when it is closed", async () => {
  await using server = await ScriptedRelay.start();
  const connection = connect(`${server.url}/ws`);
  const subscription = connection.subscribe("t");
  const first = data(subscription);
  const socket = await server.accept();
  socket.say(subscribed("t"), events("t", 1, 2));
  await first;
  assertEquals(await data(subscription), "2");
  const waiting = subscription.next();
  await connection.close();
  assertEquals(await waiting, { done: true, value: undefined });
  assertEquals(await socket.closed, 1000);
  const late = connection.subscribe("u");
  assertEquals(await late.next(), { done: true, value: undefined });
  assertEquals(server.attempts, 1);
  await connection.close();
});

Deno.test("connect ends everything with the reason of its signal", async () => {
  await using server = await startRelay();
  const controller = new AbortController();
  const connection = connect(`${server.url}/ws`, { signal: controller.signal });
  const waiting = ["a", "b"].map((name) => connection.subscribe(name).next());
  const own = new AbortController();
  const alone = connection.subscribe("c", { signal: own.signal }).next();
  own.abort(new Error("only this"));
  await assertRejects(() => alone, Error, "only this");
  controller.abort(new Error("enough"));
  for (const next of waiting) await assertRejects(() => next, Error, "enough");
  await assertRejects(() => connection.subscribe("d").next(), Error, "enough");
  await connection.close();
});

Deno.test("connect does not begin with a signal that is aborted", async () => {
  await using server = await ScriptedRelay.start();
  await using connection = connect(`${server.url}/ws`, {
    signal: AbortSignal.abort(new Error("too late")),
  });
  await assertRejects(
    () => connection.subscribe("d").next(),
    Error,
    "too late",
  );
  assertEquals(server.attempts, 0);
});

Deno.test("connect refuses what no relay would take", () => {
  assertThrows(() => connect("/ws"), TypeError);
  const connection = connect("http://relay/ws#here");
  assertThrows(() => connection.subscribe("a/b"), TypeError, "topic");
  assertThrows(
    () => connection.subscribe("a", { after: "b" }),
    TypeError,
    "after",
  );
  assertThrows(
    () => connection.subscribe("a", { window: -1 }),
    RangeError,
    "window",
  );
});

Deno.test("connect and subscribe take the relay's origin for its door to any topic (H7)", async () => {
  await using server = await startRelay();
  add(server.relay.topics.create("t"), "a");
  for (const url of [server.url, `${server.url}/`, `${server.url}/ws`]) {
    await using connection = connect(url);
    const subscription = connection.subscribe("t");
    assertEquals(await data(subscription), "a", url);
    await using one = subscribe(url, { topic: "t" });
    assertEquals(await data(one), "a", url);
  }
});
