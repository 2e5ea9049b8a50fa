import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  connect,
  subscribe,
  type SubscribeOptions,
  type Subscription,
} from "../../../relay/client/mod.ts";
import type { Topic } from "../../../relay/mod.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";
import {
  events,
  type ScriptedConnection,
  ScriptedRelay,
  subscribed,
} from "../../support/client/scripted_relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

function add(topic: Topic, ...data: string[]): void {
  void topic.append(data.map((data) => ({ event: "message", data, id: "" })));
}

async function next(subscription: Subscription): Promise<string> {
  const { value } = await within(subscription.next(), LIMIT, "a message");
  assert(value, "it has ended");
  return value.type === "event" ? value.data : value.type;
}

function reached(subscription: Subscription, state: string): Promise<true> {
  return until(
    () => subscription.state === state || undefined,
    LIMIT,
    () => `${state} instead of ${subscription.state}`,
  );
}

/** Whether the subscriber has asked for a stop. */
function hasCancelled({ received }: ScriptedConnection): boolean {
  return received.some(({ type }) => type === "cancel");
}

/** Both ways to name a topic. */
const DOORS: readonly [
  string,
  (url: string, options?: SubscribeOptions) => Subscription,
][] = [
  ["/topics/NAME", (url, options) => subscribe(`${url}/topics/t`, options)],
  [
    "/ws",
    (url, options) => subscribe(`${url}/ws`, { ...options, topic: "t" }),
  ],
];

for (const [door, open] of DOORS) {
  Deno.test(`cancel ends the topic for everybody, after what was sent before: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    add(topic, "a", "b");
    await using other = subscribe(`${server.url}/topics/t`);
    await using subscription = open(server.url);
    for (const each of [other, subscription]) {
      assertEquals(await next(each), "a");
    }
    subscription.cancel("enough");
    const end = { status: "cancelled", reason: "enough" };
    for (const each of [subscription, other]) {
      const rest = await within(Array.fromAsync(each), LIMIT, "the end");
      assertEquals(rest[0]?.type === "event" && rest[0].data, "b");
      assertEquals<unknown>(each.end, end);
    }
    assertEquals<unknown>(await topic.ended, end);
  });

  Deno.test(`cancel connects, and waits until the relay has answered: ${door}`, async () => {
    await using server = await ScriptedRelay.start();
    await using subscription = open(server.url);
    subscription.cancel();
    assertEquals(subscription.state, "connecting");
    const connection = await server.accept();
    await reached(subscription, "connecting"); // open, and not subscribed yet
    assertEquals(hasCancelled(connection), false);
    connection.say(subscribed("t"));
    assertEquals(await connection.message("cancel"), {
      type: "cancel",
      topic: "t",
    });
  });

  Deno.test(`cancel is said again where the connection was lost, and not to another log: ${door}`, async () => {
    const clock = new FakeClock();
    await using server = await ScriptedRelay.start();
    await using subscription = open(server.url, { clock });
    const first = subscription.next();
    const one = await server.accept();
    one.say(subscribed("t"), events("t", 1));
    await first;
    one.cut();
    await reached(subscription, "waiting");
    subscription.cancel("away");
    const again = async (epoch?: string) => {
      const accepted = server.accept();
      await clock.advance(2_000); // the longest third wait
      const connection = await accepted;
      connection.say(subscribed("t", 1, epoch ? { epoch } : {}));
      return connection;
    };
    const two = await again();
    const message = { type: "cancel", topic: "t", reason: "away" } as const;
    assertEquals<unknown>(await two.message("cancel"), message);
    // Nobody knows whether that has arrived.
    two.cut();
    await reached(subscription, "waiting");
    const three = await again();
    assertEquals<unknown>(await three.message("cancel"), message);
    three.cut();
    await reached(subscription, "waiting");
    const four = await again("epoch-two");
    assertEquals(await next(subscription), "gap");
    four.say(events("t", 2));
    assertEquals(await next(subscription), "2");
    await subscription.close();
    await four.closed;
    assertEquals(hasCancelled(four), false);
  });

  Deno.test(`cancel that comes too late leaves the subscription as it is: ${door}`, async () => {
    await using server = await startRelay();
    const topic = server.relay.topics.create("t");
    add(topic, "a", "b");
    await using subscription = open(server.url, { window: 1 });
    assertEquals(await next(subscription), "a");
    topic.end("complete");
    subscription.cancel("late");
    assertEquals(await next(subscription), "b");
    assertEquals((await subscription.next()).done, true);
    assertEquals(subscription.end, { status: "complete" });
    subscription.cancel(); // there is nothing to say any more
  });

  Deno.test(`cancel of a subscription that was closed does nothing: ${door}`, async () => {
    await using server = await ScriptedRelay.start();
    let listeners = 0;
    const { signal } = new AbortController();
    const { addEventListener } = signal;
    signal.addEventListener = (type: string, listener: EventListener) => {
      listeners++;
      addEventListener.call(signal, type, listener);
    };
    await using subscription = open(server.url, { signal });
    await subscription.close();
    subscription.cancel();
    assertEquals((await subscription.next()).done, true);
    assertEquals([server.attempts, subscription.state], [0, "closed"]);
    assertEquals(listeners, 1); // of `next`, which takes it back
  });
}

Deno.test("cancel is said before its subscription is closed", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  add(topic, "a");
  const subscription = subscribe(`${server.url}/topics/t`);
  for await (const _ of subscription) {
    subscription.cancel("enough");
    break;
  }
  assertEquals((await within(topic.ended, LIMIT, "the end")).reason, "enough");
});

Deno.test("cancel stops one topic of a connection", async () => {
  await using server = await startRelay();
  const [a, b] = ["a", "b"].map((name) => server.relay.topics.create(name));
  assert(a && b);
  await using connection = connect(`${server.url}/ws`);
  const [first, second] = [
    connection.subscribe("a"),
    connection.subscribe("b"),
  ];
  add(a, "1");
  add(b, "1");
  for (const each of [first, second]) assertEquals(await next(each), "1");
  first.cancel();
  await Array.fromAsync(first);
  assertEquals(first.end, { status: "cancelled" });
  add(b, "2");
  const rest = [await next(second), await next(second)];
  assertEquals(rest.includes("2"), true);
  assertEquals(b.state.kind, "open");
});

Deno.test("cancel takes a reason of 1,000 characters at most", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  add(topic, "a");
  await using subscription = subscribe(`${server.url}/topics/t`);
  assertThrows(
    () => subscription.cancel("x".repeat(1_001)),
    RangeError,
    "1000 characters",
  );
  assertEquals(subscription.state, "idle");
  subscription.cancel("x".repeat(1_000));
  const { reason } = await within(topic.ended, LIMIT, "the end");
  assertEquals(reason?.length, 1_000);
});
