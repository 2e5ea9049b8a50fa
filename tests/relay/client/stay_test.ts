import { assert, assertEquals } from "@std/assert";
import {
  connect,
  subscribe,
  type Subscription,
  type SubscriptionMessage,
} from "../../../relay/client/mod.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const FAST = { minTimeout: 1, maxTimeout: 5 };

/** Publishes a turn that stays open. */
async function begin({ relay }: TestRelay, ...data: string[]): Promise<string> {
  const topic = relay.topics.renew("t");
  await topic.append(data.map((data) => ({ data })));
  return topic.log.epoch;
}

function end({ relay }: TestRelay, status: "complete" | "failed"): void {
  relay.topics.get("t")?.end(status, "why");
}

function lineOf(message: SubscriptionMessage): string {
  switch (message.type) {
    case "event":
      return message.data;
    case "subscribed":
      return `begin ${message.epoch}`;
    case "end":
      return `end ${message.status} ${message.reason} ${message.position}`;
    default:
      return message.type;
  }
}

async function next(subscription: Subscription): Promise<string> {
  for (;;) {
    const { value } = await within(subscription.next(), LIMIT, "a message");
    assert(value, "it goes on");
    if (value.type !== "live") return lineOf(value);
  }
}

Deno.test("A subscription that stays yields each epoch with its beginning and its end", async () => {
  await using world = await startRelay();
  const first = await begin(world, "a");
  await using subscription = subscribe(`${world.url}/topics/t`, { stay: true });
  assertEquals(await next(subscription), `begin ${first}`);
  assertEquals(await next(subscription), "a");
  assertEquals(subscription.position, `${first}:1`);
  end(world, "failed");
  assertEquals(await next(subscription), `end failed why ${first}:2`);
  assertEquals(subscription.position, `${first}:2`);
  assertEquals(subscription.end, undefined);
  assertEquals(subscription.state, "open");
  const second = await begin(world, "b");
  assertEquals(await next(subscription), `begin ${second}`);
  // There is no position before the first event: it resumes after the end.
  assertEquals(subscription.position, `${first}:2`);
  assertEquals(await next(subscription), "b");
  await subscription.close();
  assertEquals((await subscription.next()).done, true);
});

Deno.test("A subscription that stays goes on after a lost connection, wherever it is", async () => {
  await using world = await startRelay();
  await using line = await CuttableLine.start(world.port);
  const first = await begin(world, "a", "b");
  await using subscription = subscribe(`${line.url}/topics/t`, {
    stay: true,
    reconnect: FAST,
  });
  const cut = async () => {
    line.cut();
    await until(
      () => subscription.state === "waiting" || undefined,
      LIMIT,
      "the loss",
    );
  };
  assertEquals(await next(subscription), `begin ${first}`);
  assertEquals(await next(subscription), "a");
  await cut();
  end(world, "complete");
  const second = await begin(world, "c");
  line.mend();
  assertEquals(await next(subscription), "b");
  assertEquals(await next(subscription), `end complete why ${first}:3`);
  await cut();
  line.mend();
  assertEquals(await next(subscription), `begin ${second}`);
  await cut();
  line.mend();
  // It was told of the epoch, and of the end before it.
  assertEquals(await next(subscription), "c");
  await cut();
  end(world, "complete");
  const third = await begin(world, "d");
  line.mend();
  assertEquals(await next(subscription), `end complete why ${second}:2`);
  assertEquals(await next(subscription), `begin ${third}`);
  assertEquals(await next(subscription), "d");
});

Deno.test("A cancel of a subscription that stays stops the epoch that its consumer sees", async () => {
  await using world = await startRelay();
  await using line = await CuttableLine.start(world.port);
  const first = await begin(world, "a");
  await using subscription = subscribe(`${line.url}/topics/t`, {
    stay: true,
    reconnect: FAST,
  });
  assertEquals(await next(subscription), `begin ${first}`);
  assertEquals(await next(subscription), "a");
  line.cut();
  subscription.cancel("enough");
  end(world, "complete");
  const second = await begin(world, "b");
  line.mend();
  assertEquals(await next(subscription), `end complete why ${first}:2`);
  assertEquals(await next(subscription), `begin ${second}`);
  assertEquals(await next(subscription), "b");
  assertEquals(world.relay.topics.get("t")?.state.kind, "open");
  // Said while there is no connection, it stops the epoch that goes on still.
  line.cut();
  subscription.cancel("enough");
  line.mend();
  assertEquals(await next(subscription), `end cancelled enough ${second}:2`);
});

Deno.test("A small window holds over many epochs", async () => {
  await using world = await startRelay();
  await using subscription = subscribe(`${world.url}/topics/t`, {
    stay: true,
    window: 1,
  });
  const seen: string[] = [];
  const reading = (async () => {
    for await (const message of subscription) {
      if (message.type === "event") seen.push(message.data);
    }
  })();
  await until(() => subscription.state === "open" || undefined, LIMIT, "it");
  for (const turn of ["a", "b", "c"]) {
    await begin(world, `${turn}1`, `${turn}2`, `${turn}3`);
    end(world, "complete");
  }
  await until(() => seen[8], LIMIT, () => `nine events: got ${seen}`);
  assertEquals(seen.join(" "), "a1 a2 a3 b1 b2 b3 c1 c2 c3");
  await subscription.close();
  await reading;
});

Deno.test("A cancel stops no epoch that its consumer has not been told of", async () => {
  await using world = await startRelay();
  const first = await begin(world, "a");
  await using connection = connect(world.url);
  await using subscription = connection.subscribe("t", { stay: true });
  assertEquals(await next(subscription), `begin ${first}`);
  assertEquals(await next(subscription), "a");
  end(world, "complete");
  const second = await begin(world, "b");
  const topic = world.relay.topics.get("t")!;
  // The relay delivers it, and the consumer still looks at the first.
  await until(() => topic.followers === 1 || undefined, LIMIT, "a follower");
  subscription.cancel("enough");
  // The relay has read the cancel when it answers what was said behind it.
  await world.relay.topics.create("other").append([{ data: "x" }]);
  await using other = connection.subscribe("other");
  assertEquals(await next(other), "x");
  assertEquals(await next(subscription), `end complete why ${first}:2`);
  assertEquals(await next(subscription), `begin ${second}`);
  assertEquals(await next(subscription), "b");
  await topic.append([{ data: "c" }]);
  assertEquals(await next(subscription), "c");
  assertEquals(topic.state.kind, "open");
});
