// Subscriptions to all topics whose names begin alike.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  subscribe,
  type Subscription,
  type SubscriptionMessage,
  type WebSocketLike,
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
    case "gap":
      return `${message.topic} gap ${message.reason}`;
    case "refused":
      return `${message.topic} ${message.code}`;
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

Deno.test("A prefix has topics that begin and end while its connection is cut, each once", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  const run = async (name: string, data: string): Promise<void> => {
    const topic = topics.renew(name);
    await topic.append([event(data)]);
    topic.end("complete");
  };
  await run("run:before", "0");
  await using subscription = subscribe(`${line.url}/topics/run:*`, {
    reconnect: { minTimeout: 10, maxTimeout: 50 },
  });
  const living = topics.create("run:living");
  await living.append([event("1")]);
  assertEquals(await read(subscription, 2), [
    "run:living begins",
    "run:living 1",
  ]);
  await run("run:seen", "2");
  assertEquals(await read(subscription, 3), [
    "run:seen begins",
    "run:seen 2",
    "run:seen complete",
  ]);
  for (const round of ["a", "b"]) {
    line.cut();
    await run(`run:short-${round}`, "3");
    await run("run:again", "4");
    await run("run:again", "5");
    await living.append([event(`6${round}`)]);
    line.mend();
    // Of many topics, each in its order.
    const seen = await read(subscription, 10);
    assertEquals(seen.toSorted(), [
      "run:again 4",
      "run:again 5",
      "run:again begins",
      "run:again begins",
      "run:again complete",
      "run:again complete",
      `run:living 6${round}`,
      `run:short-${round} 3`,
      `run:short-${round} begins`,
      `run:short-${round} complete`,
    ]);
    assertEquals(seen.filter((line) => line.startsWith("run:again")), [
      "run:again begins",
      "run:again 4",
      "run:again complete",
      "run:again begins",
      "run:again 5",
      "run:again complete",
    ]);
  }
  living.end("failed", "no luck");
  assertEquals(await read(subscription, 1), ["run:living failed"]);
});

Deno.test("A prefix is told of its topics that are gone, and of one that there is no room for", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 2 } });
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  for (const name of ["run:a", "run:b"]) {
    await topics.create(name).append([event("1")]);
  }
  await using subscription = subscribe(`${line.url}/topics/run:*`, {
    reconnect: { minTimeout: 10, maxTimeout: 50 },
  });
  assertEquals((await read(subscription, 4)).toSorted(), [
    "run:a 1",
    "run:a begins",
    "run:b 1",
    "run:b begins",
  ]);
  await topics.create("run:c").append([event("1")]);
  assertEquals(await read(subscription, 1), ["run:c too_many_subscriptions"]);
  topics.get("run:b")!.end("complete");
  assertEquals(await read(subscription, 1), ["run:b complete"]);
  line.cut();
  // It has all of this one.
  topics.delete("run:b");
  topics.delete("run:a");
  topics.delete("run:c");
  await topics.create("run:d").append([event("2")]);
  line.mend();
  assertEquals((await read(subscription, 3)).toSorted(), [
    "run:a unknown_topic",
    "run:d 2",
    "run:d begins",
  ]);
  await topics.create("run:a").append([event("anew")]);
  assertEquals(await read(subscription, 2), ["run:a begins", "run:a anew"]);
});

/** A connection whose messages have all come before any of them is taken. */
abstract class ToldSocket implements WebSocketLike {
  readonly readyState = 1;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    queueMicrotask(() => this.onopen?.());
  }

  send(text: string): void {
    const message = JSON.parse(text);
    const told = message.type === "subscribe" ? this.answer(message) : [];
    for (const message of told) {
      this.onmessage?.({ data: JSON.stringify(message) });
    }
  }

  close(code = 1000): void {
    this.onclose?.({ code, reason: "" });
  }

  /** Returns the answer to a subscription. */
  protected abstract answer(
    message: Readonly<Record<string, unknown>>,
  ): readonly unknown[];
}

/** Returns the messages of a topic from its start. */
function turn(topic: string, epoch: string): Record<string, unknown>[] {
  return [
    { type: "subscribed", epoch, after: 0, recovered: true, state: "open" },
    { type: "events", offset: 1, events: [{ data: "1" }, { data: "2" }] },
    { type: "end", offset: 3, status: "complete" },
  ].map((message) => ({ ...message, topic }));
}

Deno.test("A prefix has an epoch behind the one before, however slowly it is read", async () => {
  class Renewing extends ToldSocket {
    protected answer(): readonly unknown[] {
      return [
        { type: "following", topic: "run:*", position: "1795997699708" },
        ...turn("run:a", "epoch-one"),
        ...turn("run:a", "epoch-two"),
      ];
    }
  }
  await using subscription = subscribe("ws://relay.test", {
    topic: "run:*",
    WebSocket: Renewing,
  });
  const lines = ["run:a begins", "run:a 1", "run:a 2", "run:a complete"];
  assertEquals(await read(subscription, 8), [...lines, ...lines]);
});

Deno.test("A prefix goes on with a relay of before, which tells no position, and with one that does", async () => {
  const positions = [undefined, "17", undefined, "18"];
  const asked: unknown[][] = [];
  const sockets: ToldSocket[] = [];
  class Upgraded extends ToldSocket {
    readonly #asked: unknown[] = [];

    constructor() {
      super();
      sockets.push(this);
      asked.push(this.#asked);
    }

    protected answer(
      { topic, after, since, wait }: Readonly<Record<string, unknown>>,
    ): readonly unknown[] {
      this.#asked.push({ topic, after, since, wait });
      if (topic !== "run:*") {
        const [begin] = turn("run:a", "epoch-one");
        return [{ ...begin, after: 2 }];
      }
      const number = sockets.length;
      const position = positions[number - 1];
      return [
        { type: "following", topic, position },
        ...(number === 1 ? turn("run:a", "epoch-one").slice(0, 2) : []),
        ...turn(`run:${number}`, "epoch-one"),
      ];
    }
  }
  await using subscription = subscribe("ws://relay.test", {
    topic: "run:*",
    WebSocket: Upgraded,
    reconnect: { minTimeout: 1, maxTimeout: 1 },
  });
  for (const number of [1, 2, 3, 4]) {
    const seen = await read(subscription, number === 1 ? 7 : 4);
    assertEquals(
      seen.filter((line) => line.startsWith(`run:${number}`)).length,
      4,
    );
    sockets.at(-1)!.close(1012); // there is one
  }
  assertEquals(await read(subscription, 1), ["run:5 begins"]);
  const rest = { topic: "run:a", after: "epoch-one:2", wait: false };
  const all = { topic: "run:*", after: "start", wait: undefined };
  assertEquals(asked, [
    [{ ...all, after: undefined, since: undefined }],
    [{ ...rest, since: undefined }, { ...all, since: undefined }],
    [{ ...rest, since: undefined }, { ...all, since: "17,2@epoch-one:3" }],
    [{ ...rest, since: undefined }, { ...all, since: undefined }],
    [{ ...rest, since: undefined }, { ...all, since: "18,4@epoch-one:3" }],
  ]);
});
