import { assert, assertEquals } from "@std/assert";
import {
  subscribe,
  type SubscribeOptions,
  type Subscription,
} from "../../../relay/client/mod.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";
import {
  events,
  type ScriptedConnection,
  ScriptedRelay,
  subscribed,
} from "../../support/client/scripted_relay.ts";
import { LIMIT, until } from "../../support/within.ts";

/** Takes events up to this offset. */
async function takeUpTo(
  subscription: Subscription,
  offset: number,
): Promise<void> {
  for (;;) {
    const { value } = await subscription.next();
    assert(value, "it has ended");
    if (value.type === "event" && value.offset === offset) return;
  }
}

function acks({ received }: ScriptedConnection): (number | undefined)[] {
  return received.filter(({ type }) => type === "ack").map(({ offset }) =>
    offset
  );
}

/** Waits until everything that the subscriber has sent so far has come. */
async function settled(
  subscription: Subscription,
  connection: ScriptedConnection,
  clock: FakeClock,
): Promise<void> {
  await clock.advance(0);
  await subscription.close();
  await connection.closed;
}

async function begin(
  server: ScriptedRelay,
  options: SubscribeOptions,
): Promise<[Subscription, ScriptedConnection]> {
  const subscription = subscribe(`${server.url}/topics/t`, options);
  const live = subscription.next();
  const connection = await server.accept();
  connection.say(subscribed("t"), { type: "live", topic: "t", next: 1 });
  await live;
  return [subscription, connection];
}

Deno.test("subscribe asks for a window of 256 KiB where it is not told another", async () => {
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, {});
  assertEquals(connection.query.get("window"), "262144");
  await subscription.close();
});

Deno.test("subscribe acknowledges what was taken when it is a quarter of the window", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  // Each message is 64 characters.
  const [subscription, connection] = await begin(server, {
    clock,
    window: 800,
  });
  for (let offset = 1; offset <= 9; offset++) {
    connection.say(events("t", offset));
  }
  await takeUpTo(subscription, 9);
  await settled(subscription, connection, clock);
  assertEquals(acks(connection), [4, 8]);
});

Deno.test("subscribe acknowledges no part of a message", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, { clock, window: 10 });
  connection.say(events("t", 1, 5), events("t", 6));
  await takeUpTo(subscription, 4);
  await clock.advance(1_000);
  await takeUpTo(subscription, 6);
  await settled(subscription, connection, clock);
  assertEquals(acks(connection), [5, 6]);
});

Deno.test("subscribe acknowledges a little that was taken once it is 200 ms old", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, { clock });
  connection.say(events("t", 1), events("t", 2), events("t", 3));
  await takeUpTo(subscription, 1);
  await clock.advance(100);
  await takeUpTo(subscription, 2);
  await clock.advance(99);
  assertEquals(acks(connection), []);
  await clock.advance(1);
  assertEquals((await connection.message("ack")).offset, 2);
  await takeUpTo(subscription, 3);
  await clock.advance(200);
  assertEquals((await connection.message("ack")).offset, 3);
  await settled(subscription, connection, clock);
  assertEquals(acks(connection), [2, 3]);
});

Deno.test("subscribe acknowledges events, not gaps, and merged ones and snapshots to their end", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, {
    clock,
    window: 10,
    snapshot: true,
  });
  connection.say(
    {
      type: "snapshot",
      topic: "t",
      offset: 3,
      value: { first: 1, events: [] },
    },
    { type: "gap", topic: "t", from: 4, to: 5, reason: "slow" },
    { type: "merged", topic: "t", offset: 6, to: 8, data: "" },
    events("t", 9),
  );
  await takeUpTo(subscription, 9);
  await settled(subscription, connection, clock);
  assertEquals(acks(connection), [3, 8, 9]);
});

Deno.test("subscribe acknowledges nothing to a relay that has said everything", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, { clock, window: 10 });
  connection.say(events("t", 1, 9), {
    type: "end",
    topic: "t",
    offset: 10,
    status: "complete",
  });
  await connection.closed;
  await takeUpTo(subscription, 9);
  assertEquals((await subscription.next()).done, true);
  assertEquals(clock.pending, 0);
  assertEquals(connection.received, []);
});

Deno.test("subscribe acknowledges nothing of an earlier connection", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, one] = await begin(server, { clock });
  one.say(events("t", 1, 3));
  one.say(events("t", 4));
  await takeUpTo(subscription, 3);
  one.cut();
  await until(
    () => subscription.state === "waiting" || undefined,
    LIMIT,
    "the cut",
  );
  await takeUpTo(subscription, 4);
  const accepted = server.accept();
  const next = subscription.next();
  // The ack falls due after the attempt, or before.
  await clock.advance(500);
  const two = await accepted;
  two.say(subscribed("t", 4), events("t", 5));
  await next;
  await clock.advance(200);
  assertEquals((await two.message("ack")).offset, 5);
  await settled(subscription, two, clock);
  assertEquals(acks(two), [5]);
  assertEquals(acks(one), []);
});

/** Sends events as far as a window allows, as a relay does. */
class WindowedLog {
  readonly #connection: ScriptedConnection;
  readonly #window: number;
  readonly #count: number;
  readonly #inFlight: { offset: number; size: number }[] = [];
  #next = 1;
  /** The most that was ever not acknowledged. */
  most = 0;

  constructor(connection: ScriptedConnection, window: number, count: number) {
    this.#connection = connection;
    this.#window = window;
    this.#count = count;
  }

  async run(): Promise<void> {
    const encoder = new TextEncoder();
    let bytes = 0;
    while (this.#next <= this.#count) {
      // Three bytes each, the most that a character takes.
      const message = {
        type: "events",
        topic: "t",
        offset: this.#next,
        events: [{ data: "€".repeat(this.#next % 50) }],
      };
      const size = encoder.encode(JSON.stringify(message)).length;
      while (bytes > 0 && bytes + size > this.#window) {
        const { offset = 0 } = await this.#connection.message("ack");
        while ((this.#inFlight[0]?.offset ?? Infinity) <= offset) {
          bytes -= this.#inFlight.shift()!.size; // there is one
        }
      }
      this.#connection.say(message);
      this.#inFlight.push({ offset: this.#next++, size });
      bytes += size;
      this.most = Math.max(this.most, bytes);
    }
  }
}

Deno.test("subscribe keeps a relay going that never exceeds its window", async () => {
  const clock = new FakeClock();
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, {
    clock,
    window: 2_000,
  });
  const log = new WindowedLog(connection, 2_000, 5_000);
  const done = log.run();
  // The clock stands still: no ack waits for it.
  await takeUpTo(subscription, 5_000);
  await done;
  assert(log.most > 1_500, `${log.most}`);
  assertEquals(clock.now(), 0);
  await subscription.close();
});

Deno.test("subscribe lets a message pass that is larger than the window", async () => {
  await using server = await ScriptedRelay.start();
  const [subscription, connection] = await begin(server, { window: 100 });
  const log = new WindowedLog(connection, 100, 60);
  const done = log.run();
  await takeUpTo(subscription, 60);
  await done;
  await subscription.close();
});

Deno.test("subscribe holds back a relay while its consumer is slow", async () => {
  const window = 4_096;
  await using server = await startRelay({ retention: { maxEvents: 100_000 } });
  const topic = server.relay.topics.create("t");
  const data = "x".repeat(100);
  const count = 5_000;
  void topic.append(
    Array.from({ length: count }, () => ({ event: "message", data, id: "" })),
  );
  topic.end("complete");
  let received = 0;
  await using subscription = subscribe(`${server.url}/topics/t`, {
    window,
    WebSocket: class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        this.addEventListener("message", ({ data }) => {
          received += JSON.parse(data).events?.length ?? 0;
        });
      }
    },
  });
  let taken = 0;
  let ahead = 0;
  for await (const message of subscription) {
    if (message.type !== "event") continue;
    assertEquals(message.offset, ++taken);
    if (taken % 10 === 0) {
      // A turn of the event loop, in which more can come.
      await new Promise((resolve) => setTimeout(resolve));
    }
    ahead = Math.max(ahead, received - taken);
  }
  assertEquals(taken, count);
  assert(ahead > 0);
  assert(ahead <= window / `{"data":"${data}"}`.length, `${ahead}`);
});
