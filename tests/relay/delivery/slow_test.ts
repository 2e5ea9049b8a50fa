import { assert, assertEquals } from "@std/assert";
import type { SlowReaders } from "../../../relay/delivery/subscriber.ts";
import { Watch } from "../../../relay/delivery/watch.ts";
import {
  messages,
  Peer,
  turns,
  World,
} from "../../support/delivery/delivery_world.ts";
import {
  OPCODE,
  RawClient,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { settled } from "../../support/relay/settled.ts";
import { LIMIT, until } from "../../support/within.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

const TIMEOUT = 1_000;

/** A world in which readers are slow after {@linkcode TIMEOUT}. */
class SlowWorld extends World {
  readonly watch = new Watch(TIMEOUT, this.clock);

  slowReaders(then: SlowReaders["then"]): SlowReaders {
    return { watch: this.watch, acks: this.watch, then };
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.watch[Symbol.dispose]();
  }
}

function gapsOf(peer: Peer): unknown[] {
  return peer.said.filter(({ type }) => type === "gap")
    .map(({ from, to, reason }) => [from, to, reason]);
}

Deno.test("Subscriber that takes nothing for the timeout goes on at the end, with a gap", async () => {
  using world = new SlowWorld();
  const topic = world.topic();
  topic.open();
  const peer = new Peer();
  const subscriber = world.subscriber(peer, world.slowReaders("gap"));
  subscriber.add(world.subscription(topic));
  await turns();
  await world.clock.advance(10 * TIMEOUT);
  peer.reads = false;
  topic.append(messages(1, 5));
  await turns();
  topic.append(messages(6, 10));
  await world.clock.advance(TIMEOUT - 1);
  peer.readOne();
  await turns();
  assertEquals(gapsOf(peer), [], "it has taken something in time");

  await world.clock.advance(1.25 * TIMEOUT);
  topic.append(messages(11, 20));
  await turns();
  assertEquals(gapsOf(peer), [], "it is told when it reads");
  peer.reads = true;
  peer.readOne();
  await turns();
  assertEquals(gapsOf(peer), [[11, 20, "slow"]]);
  assertEquals(peer.data(), messages(1, 10).map(({ data }) => data));
  topic.append(messages(21, 21));
  await turns();
  assertEquals(peer.data().at(-1), "21");
  assertEquals(world.slow, 0);
  subscriber[Symbol.dispose]();
  assertEquals(world.clock.pending, 0);
});

Deno.test("Subscriber is not slow that has nothing to read, or waits for a store", async () => {
  using world = new SlowWorld();
  const topic = world.topic();
  topic.append(messages(1, 1));
  const peer = new Peer();
  const subscriber = world.subscriber(peer, world.slowReaders("close"));
  subscriber.add(world.subscription(topic));
  await turns();
  await world.clock.advance(10 * TIMEOUT);
  assertEquals(world.slow, 0);

  const { log } = topic;
  const read = Promise.withResolvers<void>();
  const { read: readNow } = log;
  log.read = (from, budget) =>
    read.promise.then(() => readNow.call(log, from, budget));
  topic.append(messages(2, 2));
  await turns();
  await world.clock.advance(10 * TIMEOUT);
  assertEquals(world.slow, 0);
  read.resolve();
  await turns();
  assertEquals(peer.data(), ["1", "2"]);
  subscriber[Symbol.dispose]();
});

Deno.test("Subscriber tells its door that it is slow, again and again while it is", async () => {
  using world = new SlowWorld();
  const topic = world.topic();
  const peer = new Peer();
  const subscriber = world.subscriber(peer, world.slowReaders("close"));
  subscriber.add(world.subscription(topic));
  await turns();
  peer.reads = false;
  topic.append(messages(1, 1));
  await turns();
  await world.clock.advance(TIMEOUT - 1);
  assertEquals(world.slow, 0);
  await world.clock.advance(TIMEOUT / 4 + 1);
  assertEquals(world.slow, 1);
  subscriber.close();
  await world.clock.advance(TIMEOUT);
  assertEquals(world.slow, 2, "what was closed has to go, too");
  peer.readOne();
  await world.clock.advance(10 * TIMEOUT);
  assertEquals(world.slow, 2);
  assertEquals(gapsOf(peer), []);
  subscriber[Symbol.dispose]();
  assertEquals(world.clock.pending, 0);
});

Deno.test("Subscription that waits for acks for the timeout is slow, and no other of its peer", async (t) => {
  for (const then of ["gap", "close"] as const) {
    await t.step(then, async () => {
      using world = new SlowWorld();
      const [a, b] = [world.topic("a"), world.topic("b")];
      const peer = new Peer();
      const subscriber = world.subscriber(peer, world.slowReaders(then));
      const first = world.subscription(a, "start", { window: 1 });
      const second = world.subscription(b, "start", { window: 1 });
      for (const topic of [a, b]) topic.append(messages(1, 10));
      subscriber.add(first);
      subscriber.add(second);
      await turns();
      assert(first.blocked && second.blocked);
      let acked = 0;
      for (let step = 0; step < 4; step++) {
        await world.clock.advance(TIMEOUT / 2);
        assert(subscriber.ack(second, ++acked));
        await turns();
      }
      if (then === "close") {
        assertEquals(world.slow, 1);
        subscriber[Symbol.dispose]();
        return;
      }
      assertEquals(gapsOf(peer), []);
      assert(subscriber.ack(first, 1));
      await turns();
      assertEquals(gapsOf(peer), [[2, 10, "slow"]]);
      assertEquals(
        peer.said.filter(({ type }) => type === "gap").map(({ topic }) =>
          topic
        ),
        ["a"],
      );
      subscriber.remove(second);
      subscriber.remove(first);
      subscriber[Symbol.dispose]();
      assertEquals(world.clock.pending, 0);
    });
  }
});

const EVENTS = 16;
const data = "x".repeat(1024 * 1024);

Deno.test("Relay closes a slow WebSocket with 4408 once it reads, and cuts it where it does not", async (t) => {
  for (const reads of [true, false]) {
    await t.step(reads ? "it reads" : "it does not", async () => {
      const clock = new FakeClock();
      await using relay = await startRelay({
        clock,
        delivery: {
          heartbeat: 1_000_000,
          slowTimeout: TIMEOUT,
          onSlow: "close",
        },
        retention: { maxBytes: 64 * 1024 * 1024 },
      });
      const topic = relay.relay.topics.create("t");
      await using socket = await RawWebSocket.open(relay.url, "/topics/t");
      await socket.message("subscribed");
      socket.client.pause();
      for (let event = 0; event < EVENTS; event++) {
        topic.append([{ event: "message", data, id: "" }]);
      }
      await until(
        async () => {
          await clock.advance(TIMEOUT / 4);
          return topic.followers === 0 || undefined;
        },
        LIMIT,
        "the end of a slow subscription",
      );
      if (reads) {
        socket.client.resume();
        for (;;) {
          const frame = await socket.frame();
          assert(frame, "there is a close frame before the end");
          if (frame.opcode !== OPCODE.close) continue;
          const [high = 0, low = 0] = frame.payload;
          assertEquals(high << 8 | low, 4408);
          await socket.send(OPCODE.close, frame.payload);
          break;
        }
      } else {
        await clock.advance(2 * TIMEOUT);
        socket.client.resume();
        for (let frame; (frame = await socket.frame());) {
          assert(frame.opcode !== OPCODE.close, "it is cut before that");
        }
      }
      await socket.client.closed;
    });
  }
});

Deno.test("Relay ends the response of a slow SSE reader, and cuts it where it does not read", async (t) => {
  for (const reads of [true, false]) {
    await t.step(reads ? "it reads" : "it does not", async () => {
      const clock = new FakeClock();
      await using relay = await startRelay({
        clock,
        delivery: {
          heartbeat: 1_000_000,
          slowTimeout: TIMEOUT,
          onSlow: "close",
        },
        retention: { maxBytes: 64 * 1024 * 1024 },
      });
      const topic = relay.relay.topics.create("t");
      await using client = await RawClient.connect(relay.url);
      await client.send(
        "GET /topics/t HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
      );
      await until(() => topic.followers === 1 || undefined, LIMIT, "a reader");
      client.pause();
      for (let event = 0; event < EVENTS; event++) {
        topic.append([{ event: "message", data, id: "" }]);
      }
      await until(
        async () => {
          await clock.advance(TIMEOUT / 4);
          return topic.followers === 0 || undefined;
        },
        LIMIT,
        "the end of a slow reader",
      );
      if (!reads) await clock.advance(2 * TIMEOUT);
      client.resume();
      // The last chunk of a response that was not cut.
      const end = "\r\n0\r\n\r\n";
      const whole = await client.take((received) => {
        const tail = received.subarray(-end.length);
        return String.fromCharCode(...tail) === end
          ? received.length
          : undefined;
      }, "the end of the response");
      assertEquals(whole !== undefined, reads);
    });
  }
});

Deno.test("Relay tells a slow reader what it has missed, through each door", async (t) => {
  for (const door of ["WebSocket", "SSE"] as const) {
    await t.step(door, async () => {
      const clock = new FakeClock();
      await using relay = await startRelay({
        clock,
        delivery: {
          heartbeat: 1_000_000,
          slowTimeout: TIMEOUT,
          onSlow: "gap",
        },
        retention: { maxBytes: 64 * 1024 * 1024 },
      });
      const topic = relay.relay.topics.create("t");
      await using client = await RawClient.connect(relay.url);
      const lines = door === "SSE" ? ["Accept: text/event-stream"] : [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ];
      await client.send(
        ["GET /topics/t HTTP/1.1", "Host: localhost", ...lines, "", ""].join(
          "\r\n",
        ),
      );
      await until(() => topic.followers === 1 || undefined, LIMIT, "a reader");
      client.pause();
      for (let event = 0; event < EVENTS; event++) {
        topic.append([{ event: "message", data, id: "" }]);
      }
      await settled();
      await clock.advance(2 * TIMEOUT);
      await turns();
      client.resume();
      let text = "";
      await client.take((received) => {
        text = new TextDecoder().decode(received);
        return /"reason":"slow"/.test(text) ? received.length : undefined;
      }, "a gap");
      assert(
        /"type":"gap","topic":"t","from":([0-9]+),"to":16,"reason":"slow"/
          .test(text),
      );
      topic.append([{ event: "message", data: "new", id: "" }]);
      await client.take((received) => {
        const text = new TextDecoder().decode(received);
        return /"data":"new"|data: new\n/.test(text)
          ? received.length
          : undefined;
      }, "what is new");
    });
  }
});
