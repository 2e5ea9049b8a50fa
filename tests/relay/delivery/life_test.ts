import { ReceiveBudget } from "../../../relay/limits/memory/receive_budget.ts";
import { SendBudget } from "../../../relay/limits/memory/send_budget.ts";
import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { assert, assertEquals } from "@std/assert";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { Pump } from "../../../relay/delivery/pump.ts";
import { Stays } from "../../../relay/delivery/stays.ts";
import type {
  RelayWebSocket,
  WebSocketOwner,
} from "../../../relay/doors/websocket/relay_websocket.ts";
import { Watch } from "../../../relay/delivery/watch.ts";
import { WebSocketSession } from "../../../relay/doors/websocket/session.ts";
import {
  mergedWebsocketFormat,
  websocketFormat,
} from "../../../relay/doors/websocket/format.ts";
import { Publisher } from "../../../relay/sources/publish.ts";
import { TopicRegistry } from "../../../relay/topics/registry.ts";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { FULL_ACCESS, OPEN_AUTHORITY } from "../../../relay/rights/access.ts";
import { Expiries } from "../../../relay/rights/expiries.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { messages, turns } from "../../support/delivery/delivery_world.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

const HEARTBEAT = 1_000;

/** Lets time pass, and sockets take what is written meanwhile. */
async function pass(clock: FakeClock, duration: number): Promise<void> {
  for (let left = duration; left > 0; left -= HEARTBEAT / 4) {
    await clock.advance(Math.min(left, HEARTBEAT / 4));
    await turns();
  }
}

/** Resolves when the relay has seen all that was sent before: it answers a ping. */
async function seen(socket: RawWebSocket): Promise<void> {
  await socket.send(OPCODE.ping, "seen?");
  for (;;) {
    const frame = await socket.frame();
    assert(frame, "the connection is open");
    if (frame.opcode === OPCODE.pong) return;
  }
}

/** Reads on to a ping. */
async function ping(socket: RawWebSocket): Promise<void> {
  for (;;) {
    const frame = await socket.frame();
    assert(frame, "a ping comes before the end");
    if (frame.opcode === OPCODE.ping) return;
  }
}

for (
  const [how, answer] of [
    ["answers each", (socket) => socket.send(OPCODE.pong, "")],
    [
      "answers every other",
      (socket, count) =>
        count % 2 === 0 ? socket.send(OPCODE.pong, "") : undefined,
    ],
    [
      "says something now and then",
      (socket, count) =>
        count % 2 === 0
          ? socket.say({ type: "heartbeat", time: 0 })
          : undefined,
    ],
  ] as [
    string,
    (socket: RawWebSocket, count: number) => Promise<void> | undefined,
  ][]
) {
  Deno.test(`Relay pings a WebSocket each heartbeat, and keeps one that ${how}`, async () => {
    const clock = new FakeClock();
    await using relay = await startRelay({
      clock,
      delivery: { heartbeat: HEARTBEAT },
    });
    await using socket = await RawWebSocket.open(relay.url, "/ws");
    await socket.message("welcome");
    for (let count = 0; count < 10; count++) {
      await clock.advance(HEARTBEAT);
      await ping(socket);
      await answer(socket, count);
      await seen(socket);
    }
  });
}

Deno.test("Relay cuts off a WebSocket that answers no ping of two, with 4412", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { heartbeat: HEARTBEAT },
  });
  await using socket = await RawWebSocket.open(relay.url, "/topics/t");
  await socket.message("subscribed");
  for (let count = 0; count < 2; count++) {
    await pass(clock, HEARTBEAT);
    await ping(socket);
  }
  await pass(clock, HEARTBEAT - 1);
  await seen(socket);
  const topic = relay.relay.topics.get("t");
  assertEquals(topic?.followers, 1);
  await clock.advance(1);
  let pings = 0;
  for (;;) {
    const frame = await socket.frame();
    assert(frame, "a close frame comes before the end");
    if (frame.opcode === OPCODE.ping) pings++;
    if (frame.opcode !== OPCODE.close) continue;
    const [high = 0, low = 0] = frame.payload;
    assertEquals([high << 8 | low, pings], [4412, 0]);
    break;
  }
  // It is not waited for: who is dead does not close in its turn.
  await socket.client.closed;
  await until(() => topic?.followers === 0 || undefined, LIMIT, "the end");
});

Deno.test("Relay cuts off a WebSocket that reads nothing", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { heartbeat: HEARTBEAT },
    retention: { maxBytes: 64 * 1024 * 1024 },
  });
  await using socket = await RawWebSocket.open(relay.url, "/topics/t");
  await socket.message("subscribed");
  socket.client.pause();
  const topic = relay.relay.topics.get("t");
  assert(topic);
  const data = "x".repeat(1024 * 1024);
  for (let event = 0; event < 16; event++) {
    topic.append([{ event: "message", data, id: "" }]);
  }
  await turns();
  await clock.advance(2 * HEARTBEAT);
  assertEquals(topic.followers, 1);
  await clock.advance(HEARTBEAT);
  await until(() => topic.followers === 0 || undefined, LIMIT, "the end");
  socket.client.resume();
  await socket.client.closed;
});

/** A socket that takes what it is told to take. */
class Wire extends EventEmitter {
  readonly written: Uint8Array[] = [];
  writableLength = 0;
  reads = true;
  #done: (() => void) | undefined;

  write(bytes: Uint8Array, done?: () => void): void {
    this.written.push(bytes);
    if (!done) return;
    if (this.reads) queueMicrotask(done);
    else this.#done = done;
  }

  end(done: () => void): void {
    queueMicrotask(done);
  }

  readOne(): void {
    const done = this.#done;
    this.#done = undefined;
    done?.();
  }

  /** Returns the opcode of each write, or the type of its message. */
  kinds(): string[] {
    return this.written.splice(0).map((bytes) => {
      const opcode = bytes[0]! & 0x0F; // a frame has two bytes at least
      if (opcode !== OPCODE.text) return opcode === OPCODE.ping ? "ping" : "?";
      const text = new TextDecoder().decode(bytes);
      return /"type":"([a-z]+)"/.exec(text)?.[1] ?? "?";
    });
  }
}

class Peer {
  /** Set by the session. */
  owner: WebSocketOwner | undefined;
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  isPaused = false;
  closed: number | undefined;
  terminated = 0;

  close(code: number): void {
    this.readyState = 2;
    this.closed ??= code;
  }
  terminate(): void {
    this.terminated++;
    if (this.readyState === this.CLOSED) return;
    this.readyState = this.CLOSED;
    this.owner?.onClose(1006);
  }
}

class Line implements Disposable {
  readonly clock = new FakeClock();
  readonly wire = new Wire();
  readonly peer = new Peer();
  readonly pump = new Pump();
  readonly topics = new TopicRegistry({
    store: new MemoryStore(DEFAULT_RETENTION, this.clock),
    endedTtl: 1_000_000,
    awaitedTtl: 1_000_000,
    clock: this.clock,
  });
  readonly heartbeat = new Watch(HEARTBEAT, this.clock);
  readonly topic = this.topics.create("t");

  constructor() {
    // a connection uses no more of either than there is here
    const [ws, socket] = [this.peer, this.wire] as unknown as [
      RelayWebSocket,
      Duplex,
    ];
    const connection = new WebSocketSession(ws, socket, {
      topics: this.topics,
      pump: this.pump,
      stays: new Stays(this.topics),
      frames: new FrameCache(websocketFormat),
      mergedFrames: new FrameCache(mergedWebsocketFormat),
      heartbeat: this.heartbeat,
      clock: this.clock,
      maxSubscriptions: 1,
      maxMessage: 1_000,
      awaitTopics: false,
      maxMessageRate: 1_000,
      maxMessageBytesRate: 1_000_000,
      refused: () => {},
      authority: OPEN_AUTHORITY,
      budget: new SendBudget({
        maxQueued: Infinity,
        maxQueuedPerClient: Infinity,
        clock: this.clock,
      }),
      memory: { refusal: () => undefined },
      received: new ReceiveBudget({
        maxReceived: Infinity,
        maxReceivedPerClient: Infinity,
      }),
      expiries: new Expiries(this.clock),
      publisher: new Publisher({
        leases: this.topics.leases,
        maxBytes: 1_000,
        idleTimeout: 1_000,
        clock: this.clock,
        maxEvent: 1_000,
        maxRate: 1_000,
      }),
    }, { access: FULL_ACCESS, address: "", network: "" });
    connection.follow({ topic: "t", after: "start" });
  }

  [Symbol.dispose](): void {
    this.peer.terminate();
    this.pump[Symbol.dispose]();
    this.topics[Symbol.dispose]();
  }
}

Deno.test("WebSocketSession pings past what waits, and beats though it pings", async () => {
  using line = new Line();
  const { clock, wire, topic, peer } = line;
  topic.append(messages(1, 1));
  await turns();
  assertEquals(wire.kinds(), ["welcome", "subscribed", "events", "live"]);
  for (let interval = 0; interval < 5; interval++) {
    await clock.advance(HEARTBEAT);
    peer.owner?.onPong(new Uint8Array());
    await turns();
    const kinds = wire.kinds().sort();
    // A message written just before counts for the first interval.
    assertEquals(kinds, interval === 0 ? ["ping"] : ["heartbeat", "ping"]);
  }

  wire.reads = false;
  topic.append(messages(2, 2));
  await turns();
  topic.append(messages(3, 3));
  assertEquals(wire.kinds(), ["events"]);
  await clock.advance(HEARTBEAT);
  assertEquals(wire.kinds(), ["ping"], "a write is under way");
});

Deno.test("WebSocketSession keeps a peer that reads slowly, and answers no ping", async () => {
  using line = new Line();
  const { clock, wire, topic, peer } = line;
  await turns();
  wire.reads = false;
  topic.append(messages(1, 1));
  await turns();
  for (let event = 2; event < 12; event++) {
    // One write is under way at each ping, and done before the second after it.
    await clock.advance(2 * HEARTBEAT);
    topic.append(messages(event, event));
    wire.readOne();
    await turns();
    assertEquals([peer.closed, peer.terminated], [undefined, 0]);
  }
  await clock.advance(3 * HEARTBEAT);
  assertEquals([peer.closed, peer.terminated], [undefined, 1]);
  assertEquals(topic.followers, 0);
});

Deno.test("WebSocketSession does not take a write for a sign of life that found room", async () => {
  using line = new Line();
  const { clock, topic, peer } = line;
  for (let step = 1; step <= 11; step++) {
    await clock.advance(HEARTBEAT / 4);
    topic.append(messages(step, step));
    await turns();
  }
  assertEquals([peer.closed, peer.terminated], [undefined, 0]);
  await clock.advance(HEARTBEAT / 4);
  assertEquals([peer.closed, peer.terminated], [4412, 1]);
  assertEquals(line.heartbeat.interval, HEARTBEAT);
  assertEquals(topic.followers, 0);
});
