// Subscriptions to all topics whose names begin alike.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  subscribe,
  type Subscription,
  type SubscriptionMessage,
} from "../../../relay/client/mod.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { LIMIT, within } from "../../support/within.ts";

/** Returns the part of a message that the tests compare. */
function told(message: SubscriptionMessage | undefined): string | undefined {
  switch (message?.type) {
    case "event":
      return `${message.topic} ${message.data}`;
    case "end":
      return `${message.topic} ${message.status}`;
    case "subscribed":
      return `${message.topic} begins`;
    default:
      return message && undefined;
  }
}

/** Reads until so many messages of interest have come. */
async function read(
  subscription: Subscription,
  count: number,
): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) {
    const { done, value } = await within(
      subscription.next(),
      LIMIT,
      `a message after ${seen}`,
    );
    if (done) throw new Error(`It is over after ${seen}`);
    const text = told(value);
    if (text !== undefined) seen.push(text);
  }
  return seen;
}

function event(data: string): { event: string; data: string; id: string } {
  return { event: "message", data, id: "" };
}

Deno.test("subscribe follows all topics of a prefix, those of later too, and across a lost connection", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  const [a, other] = [topics.create("run:a"), topics.create("rum")];
  await a.append([event("1")]);
  await other.append([event("no")]);
  topics.create("run:old").end("complete");
  for (const url of [`${line.url}/topics/run:*`, `${line.url}/ws`]) {
    await using subscription = subscribe(url, {
      ...(url.endsWith("/ws") && { topic: "run:*" }),
      reconnect: { minTimeout: 10, maxTimeout: 50 },
    });
    assertEquals(await read(subscription, 2), ["run:a begins", "run:a 1"]);
    const b = topics.create(`run:b${url.length}`);
    await b.append([event("2")]);
    assertEquals(await read(subscription, 2), [
      `${b.name} begins`,
      `${b.name} 2`,
    ]);
    b.end("failed", "no luck");
    assertEquals(await read(subscription, 1), [`${b.name} failed`]);
    line.cut();
    const c = topics.create(`run:c${url.length}`);
    await c.append([event("3")]);
    line.mend();
    assertEquals(await read(subscription, 2), [
      `${c.name} begins`,
      `${c.name} 3`,
    ]);
    await c.append([event("4")]);
    assertEquals(await read(subscription, 1), [`${c.name} 4`]);
    assertEquals(subscription.state, "open");
    subscription.cancel("enough");
    const ends = [await read(subscription, 1), await read(subscription, 1)];
    assertEquals(ends.flat().toSorted(), [
      "run:a cancelled",
      `${c.name} cancelled`,
    ]);
    assertEquals(c.verdict?.reason, "enough");
    if (url.endsWith("*")) {
      await relay.request("/topics/run:a", { method: "DELETE" });
      await topics.create("run:a").append([event("1")]);
    }
  }
});

Deno.test("A prefix leaves out what a token may not read, and is refused as a topic is", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const { topics } = relay.relay;
  for (const name of ["run:mine", "run:theirs"]) {
    await topics.create(name).append([event("1")]);
  }
  await using connection = connect(relay.url, {
    token: await mintToken({ read: ["run:mine*"] }),
  });
  await using all = connection.subscribe("run:*");
  assertEquals(await read(all, 2), ["run:mine begins", "run:mine 1"]);
  await topics.create("run:theirs-2").append([event("2")]);
  await topics.create("run:mine-2").append([event("2")]);
  assertEquals(await read(all, 2), ["run:mine-2 begins", "run:mine-2 2"]);
  await assertRejects(
    () => connection.subscribe("run:*").next(),
    TypeError,
    "twice",
  );
  for (const options of [{ after: "x8Jc0mQ2vLrT:7" }, { snapshot: true }]) {
    assertThrows(
      () => connection.subscribe("run:*", options),
      TypeError,
      "prefix",
    );
  }
});

Deno.test("A prefix that is left ends its topics, its connection and what waits", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("run:a");
  await topic.append([event("1"), event("2")]);
  const subscription = subscribe(relay.url, { topic: "run:*" });
  for await (const message of subscription) {
    if (message.type === "event") break;
  }
  assertEquals(subscription.state, "closed");
  assertEquals(await subscription.next(), { done: true, value: undefined });
  const abort = new AbortController();
  const other = subscribe(relay.url, {
    topic: "run:*",
    after: "now",
    signal: abort.signal,
  });
  await read(other, 1);
  const waiting = (async () => {
    for await (const _ of other);
  })();
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
});

Deno.test("A prefix that follows from now on has what came while it was away from its start", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  await topics.create("run:a").append([event("1")]);
  await using subscription = subscribe(`${line.url}/topics/run:*`, {
    after: "now",
    reconnect: { minTimeout: 10, maxTimeout: 50 },
  });
  assertEquals(await read(subscription, 1), ["run:a begins"]);
  await topics.get("run:a")!.append([event("2")]);
  assertEquals(await read(subscription, 1), ["run:a 2"]);
  line.cut();
  await topics.create("run:b").append([event("3")]);
  line.mend();
  assertEquals(await read(subscription, 2), ["run:b begins", "run:b 3"]);
});
