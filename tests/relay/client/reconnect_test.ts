import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type ReconnectPolicy,
  subscribe,
  type SubscribeOptions,
  type Subscription,
  SubscriptionError,
} from "../../../relay/client/mod.ts";
import {
  type Closing,
  CLOSINGS,
} from "../../../relay/doors/websocket/close_codes.ts";
import { FakeClock } from "../../../src/testing/mod.ts";
import {
  EPOCH,
  events,
  ScriptedRelay,
  subscribed,
  WELCOME,
} from "../../support/client/scripted_relay.ts";
import { LIMIT, until } from "../../support/within.ts";

/** Makes chance bring one value, until it is disposed of. */
function fixRandom(value: number): Disposable {
  const { random } = Math;
  Math.random = () => value;
  return {
    [Symbol.dispose]() {
      Math.random = random;
    },
  };
}

/** A subscription of topic `t` at a relay that says what it is told. */
class Rig implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly server: ScriptedRelay;
  readonly subscription: Subscription;
  #attempted = Promise.withResolvers<void>();

  private constructor(server: ScriptedRelay, options: SubscribeOptions) {
    this.server = server;
    const onAttempt = () => this.#attempted.resolve();
    this.subscription = subscribe(`${server.url}/topics/t`, {
      clock: this.clock,
      WebSocket: class extends WebSocket {
        constructor(url: string, protocols: string[]) {
          onAttempt();
          super(url, protocols);
        }
      },
      ...options,
    });
  }

  static async start(options: SubscribeOptions = {}): Promise<Rig> {
    return new Rig(await ScriptedRelay.start(), options);
  }

  /** The data of the next event. */
  async data(): Promise<string> {
    const { value } = await this.subscription.next();
    assertEquals(value?.type, "event");
    return value?.type === "event" ? value.data : "";
  }

  waiting(): Promise<true> {
    return this.reached("waiting");
  }

  reached(state: string): Promise<true> {
    return until(
      () => this.subscription.state === state || undefined,
      LIMIT,
      () => `${state} instead of ${this.subscription.state}`,
    );
  }

  /** Returns the delay before the next connection. */
  async delay(): Promise<number> {
    await this.waiting();
    const start = this.clock.now();
    this.#attempted = Promise.withResolvers();
    await this.clock.run(this.#attempted.promise);
    return this.clock.now() - start;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.subscription.close();
    await this.server[Symbol.asyncDispose]();
    await closed;
    assertEquals(this.clock.pending, 0);
  }
}

Deno.test("subscribe resumes after what was taken, not after what came", async () => {
  await using rig = await Rig.start({ after: "start" });
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  assertEquals(one.query.get("after"), "start");
  one.say(subscribed("t"), events("t", 1, 5));
  assertEquals((await first).value?.type, "event");
  assertEquals(await rig.data(), "2");
  one.cut();
  await rig.waiting();
  // Events that had arrived can be taken while there is no connection.
  assertEquals(await rig.data(), "3");
  await rig.delay();
  const two = await rig.server.accept();
  assertEquals(two.query.get("after"), `${EPOCH}:3`);
  two.say(subscribed("t", 3), events("t", 4, 6));
  assertEquals([await rig.data(), await rig.data(), await rig.data()], [
    "4",
    "5",
    "6",
  ]);
  assertEquals(rig.server.attempts, 2);
});

Deno.test("subscribe resumes where it began, if nothing was taken", async () => {
  const cases: [SubscribeOptions, number, string | null][] = [
    [{}, 0, "start"],
    [{ after: "now" }, 7, `${EPOCH}:7`],
    [{ after: "start" }, 3, `${EPOCH}:3`],
    [{ after: "now", snapshot: true }, 7, "now"],
  ];
  for (const [options, after, expected] of cases) {
    await using rig = await Rig.start(options);
    const first = rig.subscription.next();
    const one = await rig.server.accept();
    assertEquals(one.query.get("after"), options.after ?? null);
    one.say(subscribed("t", after));
    await rig.reached("open");
    one.cut();
    await rig.delay();
    const two = await rig.server.accept();
    assertEquals(two.query.get("after"), expected);
    two.say(subscribed("t", after), events("t", after + 1));
    assertEquals((await first).value?.type, "event");
  }
});

Deno.test("subscribe asks again for a position that was not taken up", async () => {
  await using rig = await Rig.start({ after: "epoch-old:9" });
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  one.say(subscribed("t", 4, { recovered: false }));
  await rig.reached("open");
  one.cut();
  await rig.delay();
  const two = await rig.server.accept();
  assertEquals(two.query.get("after"), "epoch-old:9");
  two.say(subscribed("t", 4, { recovered: false }), {
    type: "gap",
    topic: "t",
    from: 1,
    to: 4,
    reason: "epoch",
  }, events("t", 5));
  assertEquals((await first).value?.type, "gap");
  // The gap need not come again.
  assertEquals(rig.subscription.position, `${EPOCH}:4`);
  assertEquals(await rig.data(), "5");
});

Deno.test("subscribe asks for a snapshot until it has one, or an event", async () => {
  await using rig = await Rig.start({ snapshot: true });
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  assertEquals(one.query.get("snapshot"), "true");
  one.say(subscribed("t", 2));
  await rig.reached("open");
  one.cut();
  await rig.delay();
  const two = await rig.server.accept();
  assertEquals(two.query.get("snapshot"), "true");
  const value = { first: 1, events: [{ data: "1 to 4" }] };
  // It may reach less far than the position that was asked for.
  two.say(subscribed("t", 9), {
    type: "snapshot",
    topic: "t",
    offset: 4,
    value,
  });
  assertEquals((await first).value?.type, "snapshot");
  two.cut();
  await rig.delay();
  const three = await rig.server.accept();
  assertEquals(three.query.get("snapshot"), null);
  assertEquals(three.query.get("after"), `${EPOCH}:4`);
  three.say(subscribed("t", 4), events("t", 5));
  assertEquals(await rig.data(), "5");
});

Deno.test("subscribe goes over to another log", async () => {
  await using rig = await Rig.start();
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  one.say(subscribed("t"), events("t", 1, 2));
  assertEquals((await first).value?.type, "event");
  one.cut();
  await rig.delay();
  const two = await rig.server.accept();
  assertEquals(two.query.get("after"), `${EPOCH}:1`);
  const epoch = "epoch-two";
  two.say(subscribed("t", 0, { epoch, recovered: false }), {
    type: "gap",
    topic: "t",
    from: 1,
    to: 0,
    reason: "epoch",
  }, events("t", 1));
  const { value: gap } = await rig.subscription.next();
  assertEquals(gap, {
    type: "gap",
    topic: "t",
    from: 1,
    to: 0,
    reason: "epoch",
  });
  // There is no position before the first event.
  assertEquals(rig.subscription.position, undefined);
  two.cut();
  await rig.delay();
  const three = await rig.server.accept();
  assertEquals(three.query.get("after"), "start");
  three.say(subscribed("t", 0, { epoch }), events("t", 1));
  assertEquals(await rig.data(), "1");
  assertEquals(rig.subscription.position, `${epoch}:1`);
});

Deno.test("subscribe goes back in a log that was begun anew under its name", async () => {
  await using rig = await Rig.start();
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  one.say(subscribed("t"), events("t", 1, 2));
  assertEquals((await first).value?.type, "event");
  assertEquals(await rig.data(), "2");
  one.cut();
  await rig.delay();
  const two = await rig.server.accept();
  two.say(subscribed("t", 0, { recovered: false }), {
    type: "gap",
    topic: "t",
    from: 1,
    to: 0,
    reason: "epoch",
  }, events("t", 1));
  assertEquals((await rig.subscription.next()).value?.type, "gap");
  assertEquals(await rig.data(), "1");
});

Deno.test("subscribe tells what is missing where the relay can't know", async () => {
  const cases: [Record<string, unknown>, unknown][] = [
    [{}, { type: "gap", topic: "t", from: 1, to: 3, reason: "evicted" }],
    [{ epoch: "epoch-two" }, {
      type: "gap",
      topic: "t",
      from: 1,
      to: 3,
      reason: "epoch",
    }],
  ];
  for (const [more, gap] of cases) {
    await using rig = await Rig.start();
    const first = rig.subscription.next();
    const one = await rig.server.accept();
    one.say(subscribed("t"), { type: "live", topic: "t", next: 1 });
    assertEquals((await first).value?.type, "live");
    one.cut();
    await rig.delay();
    const two = await rig.server.accept();
    assertEquals(two.query.get("after"), "start");
    two.say(subscribed("t", 3, more), events("t", 4));
    assertEquals((await rig.subscription.next()).value, gap);
    assertEquals(await rig.data(), "4");
  }
});

Deno.test("subscribe takes each event once, however often it comes", async () => {
  await using rig = await Rig.start();
  const first = rig.subscription.next();
  const one = await rig.server.accept();
  one.say(
    subscribed("t"),
    events("t", 1, 3),
    events("t", 2, 3),
    events("t", 2, 5),
    { type: "merged", topic: "t", offset: 4, to: 5, data: "4, 5" },
    { type: "gap", topic: "t", from: 3, to: 4, reason: "skipped" },
    events("t", 5, 6),
  );
  const seen = [(await first).value];
  for (let i = 0; i < 6; i++) seen.push((await rig.subscription.next()).value);
  assertEquals(
    seen.map((message) =>
      message?.type === "event" ? message.data : message?.type
    ),
    ["1", "2", "3", "4", "5", "gap", "6"],
  );
});

const WRONG: [string, unknown][] = [
  ["no JSON", "{"],
  ["no object", null],
  ["events that skip", events("t", 4)],
  ["events without an offset", { type: "events", topic: "t", events: [] }],
  ["no events", { type: "events", topic: "t", offset: 3 }],
  ["merged that skips", {
    type: "merged",
    topic: "t",
    offset: 4,
    to: 5,
    data: "",
  }],
  ["merged that overlaps", {
    type: "merged",
    topic: "t",
    offset: 2,
    to: 3,
    data: "",
  }],
  ["merged without an end", {
    type: "merged",
    topic: "t",
    offset: 3,
    data: "",
  }],
  ["a gap that skips", {
    type: "gap",
    topic: "t",
    from: 4,
    to: 5,
    reason: "slow",
  }],
  ["a gap without an end", {
    type: "gap",
    topic: "t",
    from: 3,
    reason: "slow",
  }],
  ["a snapshot without an offset", { type: "snapshot", topic: "t", value: {} }],
  ["live that skips", { type: "live", topic: "t", next: 4 }],
  ["an end that skips", {
    type: "end",
    topic: "t",
    offset: 4,
    status: "complete",
  }],
  ["a wrong goodbye", { type: "goodbye", reconnectIn: 5 }],
  ["a wrong answer", { type: "subscribed", topic: "t", epoch: "e" }],
];
for (const [what, wrong] of WRONG) {
  Deno.test(`subscribe reconnects after what can't be right: ${what}`, async () => {
    await using rig = await Rig.start({ reconnect: { maxAttempts: 2 } });
    const first = rig.subscription.next();
    const say = async (after: number) => {
      const connection = await rig.server.accept();
      connection.say(subscribed("t", after), events("t", after + 1, 2));
      connection.sayRaw(
        typeof wrong === "string" ? wrong : JSON.stringify(wrong),
      );
      await connection.closed;
    };
    const said = say(0);
    assertEquals((await first).value?.type, "event");
    assertEquals(await rig.data(), "2");
    await said;
    assertEquals(rig.subscription.position, `${EPOCH}:2`);
    await rig.delay();
    // No further: the second attempt in a row.
    const refused = assertRejects(
      () => rig.subscription.next(),
      SubscriptionError,
    );
    await say(2);
    const error = await refused;
    assertEquals([error.code, error.position], ["protocol", `${EPOCH}:2`]);
    assert(error.cause instanceof Error);
  });
}

Deno.test("subscribe reconnects after a binary message", async () => {
  await using rig = await Rig.start({ reconnect: false });
  const next = rig.subscription.next();
  const connection = await rig.server.accept();
  connection.sayRaw(Uint8Array.of(1));
  const error = await assertRejects(() => next, SubscriptionError);
  assertEquals(error.code, "protocol");
});

Deno.test("subscribe waits by chance, longer with every attempt in a row", async () => {
  const policies: [ReconnectPolicy | undefined, number[]][] = [
    [undefined, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]],
    [{ minTimeout: 10, maxTimeout: 50 }, [10, 20, 40, 50, 50]],
  ];
  for (const [reconnect, longest] of policies) {
    for (const chance of [0, 0.25, 1]) {
      using _ = fixRandom(chance);
      await using rig = await Rig.start({ reconnect });
      rig.server.refuseWith = 503;
      const next = rig.subscription.next();
      for (const delay of longest) {
        assertEquals(await rig.delay(), delay * chance);
      }
      assertEquals(rig.subscription.state, "connecting");
      await rig.subscription.close();
      assertEquals(await next, { done: true, value: undefined });
    }
  }
});

Deno.test("subscribe need not wait at all, however often", async () => {
  const clock = new FakeClock();
  const delays = new Set<number>();
  let attempts = 0;
  const subscription = subscribe("ws://relay/topics/t", {
    clock: {
      now: () => clock.now(),
      setTimeout(callback, delay) {
        if (attempts > 0 && attempts < 1_100) delays.add(delay);
        return clock.setTimeout(callback, delay);
      },
    },
    token: () => {
      attempts++;
      throw new Error("none");
    },
    reconnect: { minTimeout: 0, maxAttempts: 1_100 },
  });
  await assertRejects(() => clock.run(subscription.next()), SubscriptionError);
  assertEquals([attempts, [...delays]], [1_100, [0]]);
  await subscription.close();
});

Deno.test("subscribe begins anew with its waits once it gets further", async () => {
  using _ = fixRandom(1);
  await using rig = await Rig.start();
  const next = rig.subscription.next();
  const cut = async (...messages: Record<string, unknown>[]) => {
    const connection = await rig.server.accept();
    connection.say(...messages);
    // It is closed when everything has come.
    connection.sayRaw("no JSON");
    await connection.closed;
    return await rig.delay();
  };
  // Nothing of that is progress.
  assertEquals(await cut(), 500);
  assertEquals(await cut(subscribed("t")), 1_000);
  assertEquals(
    await cut(subscribed("t"), { type: "live", topic: "t", next: 1 }),
    2_000,
  );
  assertEquals((await next).value?.type, "live");
  assertEquals(await cut(subscribed("t"), events("t", 1)), 500);
  assertEquals(await cut(subscribed("t", 0)), 1_000);
  assertEquals(
    await cut(subscribed("t", 0), { type: "heartbeat", time: 1 }),
    500,
  );
});

Deno.test("subscribe comes back when a relay that goes has asked it to", async () => {
  for (
    const [chance, expected] of [[0, 2_000], [0.5, 3_500], [1, 5_000]] as const
  ) {
    using _ = fixRandom(chance);
    await using rig = await Rig.start();
    const next = rig.subscription.next();
    const connection = await rig.server.accept();
    connection.say({
      type: "goodbye",
      reason: "drain",
      reconnectIn: [2_000, 5_000],
    });
    connection.close(1012);
    assertEquals(await rig.delay(), expected);
    // The advice was for that one time.
    (await rig.server.accept()).close(1012);
    assertEquals(await rig.delay(), 1_000 * chance);
    await rig.subscription.close();
    await next;
  }
});

Deno.test("subscribe does not trust a goodbye that makes no sense", async () => {
  using _ = fixRandom(1);
  for (const reconnectIn of [[-5, -1], [9, 1], ["1", "x"], [null, 5]]) {
    await using rig = await Rig.start();
    const next = rig.subscription.next();
    const connection = await rig.server.accept();
    connection.say({ type: "goodbye", reason: "drain", reconnectIn });
    connection.close(1012);
    assertEquals(await rig.delay(), reconnectIn[0] === null ? 5 : 500);
    await rig.subscription.close();
    await next;
  }
});

function codesThat({ reconnect }: Pick<Closing, "reconnect">): number[] {
  const closings = Object.values(CLOSINGS)
    .filter((closing) => closing.reconnect === reconnect);
  return [...new Set(closings.map(({ code }) => code))];
}

Deno.test("subscribe reconnects after some close codes, and not after others", async () => {
  // Those of the relay, and those that a later relay may send.
  const again = [...codesThat({ reconnect: true }), 3000, 4400, 4499];
  const never = [...codesThat({ reconnect: false }), 4599];
  for (const code of [...again, ...never]) {
    await using rig = await Rig.start({ token: () => "t" });
    const next = rig.subscription.next();
    const connection = await rig.server.accept();
    connection.say(subscribed("t"));
    connection.close(code, "so it is");
    if (again.includes(code)) {
      await rig.delay();
      const connection = await rig.server.accept();
      connection.say(subscribed("t"), events("t", 1));
      assertEquals((await next).value?.type, "event", `${code}`);
    } else {
      const error = await assertRejects(
        () => next,
        SubscriptionError,
        `Topic 't' refused: ${code} so it is`,
      );
      assertEquals([error.code, error.closeCode, error.reason], [
        "refused",
        code,
        "so it is",
      ]);
      assertEquals(rig.subscription.state, "closed");
    }
  }
});

Deno.test("subscribe asks for a token before every attempt", async () => {
  await using rig = await Rig.start({
    token: () => Promise.resolve(`token-${++asked}`),
  });
  let asked = 0;
  const next = rig.subscription.next();
  const one = await rig.server.accept();
  one.close(4401, "expired");
  await rig.delay();
  const two = await rig.server.accept();
  assertEquals([...one.protocols, ...two.protocols], [
    "rivulet.v1",
    `bearer.${btoa("token-1").replaceAll("=", "")}`,
    "rivulet.v1",
    `bearer.${btoa("token-2").replaceAll("=", "")}`,
  ]);
  two.say(subscribed("t"), events("t", 1));
  assertEquals((await next).value?.type, "event");
});

Deno.test("subscribe does not come back with a token that has expired", async () => {
  await using rig = await Rig.start({ token: "old" });
  const next = rig.subscription.next();
  (await rig.server.accept()).close(4401, "expired");
  const error = await assertRejects(() => next, SubscriptionError);
  assertEquals([error.code, error.closeCode], ["refused", 4401]);
});

Deno.test("subscribe tries again where there is no token, and throws the last reason", async () => {
  let asked = 0;
  await using rig = await Rig.start({
    token: () => {
      throw new Error(`none: ${++asked}`);
    },
    reconnect: { maxAttempts: 3 },
  });
  const next = rig.subscription.next();
  const error = await assertRejects(
    () => rig.clock.run(next),
    SubscriptionError,
  );
  assertEquals(error.code, "disconnected");
  assert(error.cause instanceof Error);
  assertEquals(error.cause.message, "none: 3");
  assertEquals(rig.server.attempts, 0);
});

Deno.test("subscribe connects no more where it is closed while it waits for a token", async () => {
  const token = Promise.withResolvers<string>();
  await using rig = await Rig.start({ token: () => token.promise });
  const next = rig.subscription.next();
  await rig.subscription.close();
  token.resolve("late");
  assertEquals(await next, { done: true, value: undefined });
  await rig.clock.advance(0);
  // Nothing watches over an attempt.
  assertEquals(rig.clock.pending, 0);
  assertEquals(rig.server.attempts, 0);
});

Deno.test("subscribe gives up after as many attempts in a row as it may make", async () => {
  for (
    const [reconnect, attempts] of [[false, 1], [{ maxAttempts: 1 }, 1], [{
      maxAttempts: 4,
    }, 4]] as const
  ) {
    await using rig = await Rig.start({ reconnect });
    rig.server.refuseWith = 401;
    const next = rig.subscription.next();
    for (let i = 1; i < attempts; i++) await rig.delay();
    const error = await assertRejects(() => next, SubscriptionError);
    assertEquals([error.code, error.topic], ["disconnected", "t"]);
    assertEquals(rig.server.attempts, attempts);
    assertEquals(rig.subscription.state, "closed");
  }
});

Deno.test("subscribe without reconnect ends with its connection", async () => {
  await using rig = await Rig.start({ reconnect: false });
  const first = rig.subscription.next();
  const connection = await rig.server.accept();
  connection.say(subscribed("t"), events("t", 1, 2));
  assertEquals((await first).value?.type, "event");
  connection.close(1012);
  await connection.closed;
  // Events that had arrived are not lost.
  assertEquals(await rig.data(), "2");
  const error = await assertRejects(
    () => rig.subscription.next(),
    SubscriptionError,
  );
  const { code, closeCode, position } = error;
  assertEquals({ code, closeCode, position }, {
    code: "disconnected",
    closeCode: 1012,
    position: `${EPOCH}:2`,
  });
});

Deno.test("subscribe gives up after as long as it may try", async () => {
  using _ = fixRandom(1);
  await using rig = await Rig.start({ reconnect: { maxElapsed: 1_600 } });
  rig.server.refuseWith = 503;
  const next = rig.subscription.next();
  assertEquals(await rig.delay(), 500);
  assertEquals(await rig.delay(), 1_000);
  // The next would be 3,500 ms after the first.
  await assertRejects(() => next, SubscriptionError);
  assertEquals(rig.server.attempts, 3);
});

Deno.test("subscribe takes a relay for gone that is silent", async () => {
  using _ = fixRandom(1);
  await using rig = await Rig.start();
  const next = rig.subscription.next();
  const connection = await rig.server.accept({ ...WELCOME, heartbeat: 1_000 });
  connection.say(subscribed("t"));
  await rig.reached("open");
  await rig.clock.advance(2_499);
  assertEquals(rig.subscription.state, "open");
  connection.say({ type: "heartbeat", time: 1 }, events("t", 1));
  assertEquals((await next).value?.type, "event");
  const last = rig.subscription.next();
  await rig.clock.advance(2_499);
  assertEquals(rig.subscription.state, "open");
  await rig.clock.advance(1);
  assertEquals(rig.subscription.state, "waiting");
  await connection.closed;
  assertEquals(await rig.delay(), 500);
  (await rig.server.accept()).say(subscribed("t", 1), events("t", 2));
  assertEquals((await last).value?.type, "event");
});

Deno.test("subscribe takes a relay for gone that does not welcome it", async () => {
  await using rig = await Rig.start({ reconnect: false });
  // It answers the upgrade and says nothing.
  rig.server.onConnection = () => {};
  const refused = assertRejects(
    () => rig.subscription.next(),
    SubscriptionError,
  );
  await until(
    () => rig.server.attempts === 1 || undefined,
    LIMIT,
    "an attempt",
  );
  await rig.clock.advance(19_999);
  assertEquals(rig.subscription.state, "connecting");
  await rig.clock.advance(1);
  const error = await refused;
  assertEquals(error.code, "disconnected");
});

Deno.test("subscribe is patient with a relay that has no heartbeat", async () => {
  for (const heartbeat of [undefined, 0, -1, "soon"]) {
    await using rig = await Rig.start();
    const next = rig.subscription.next();
    const connection = await rig.server.accept({ type: "welcome", heartbeat });
    connection.say(subscribed("t"));
    await rig.reached("open");
    await rig.clock.advance(24 * 3_600_000);
    assertEquals(rig.subscription.state, "open");
    connection.say(events("t", 1));
    assertEquals((await next).value?.type, "event");
  }
});

Deno.test("subscribe can be closed while it waits for its next attempt", async () => {
  await using rig = await Rig.start();
  rig.server.refuseWith = 503;
  const next = rig.subscription.next();
  await rig.waiting();
  await rig.subscription.close();
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(rig.clock.pending, 0);
});

Deno.test("subscribe does not wait for ever for a close that is not answered", async () => {
  await using rig = await Rig.start();
  const next = rig.subscription.next();
  const connection = await rig.server.accept();
  connection.say(subscribed("t"), events("t", 1));
  assertEquals((await next).value?.type, "event");
  connection.freeze();
  const closed = rig.subscription.close();
  await rig.clock.run(closed);
  assertEquals(rig.clock.now(), 1_000);
});
