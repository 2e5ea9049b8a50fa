// A3: an event that is too long for a turn of the event loop.
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers/promises";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Format } from "../../../relay/delivery/format.ts";
import type { Frame } from "../../../relay/delivery/frame.ts";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import { LongMessage } from "../../../relay/delivery/long_message.ts";
import { Pump } from "../../../relay/delivery/pump.ts";
import {
  type QueuedBytes,
  Subscriber,
} from "../../../relay/delivery/subscriber.ts";
import {
  type Delivery,
  Subscription,
} from "../../../relay/delivery/subscription.ts";
import { rawSseFormat, sseFormat } from "../../../relay/doors/sse/format.ts";
import {
  mergedWebsocketFormat,
  websocketFormat,
} from "../../../relay/doors/websocket/format.ts";
import { slices } from "../../../relay/slices.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const KIB = 1_024;

/** The most bytes that a step makes. */
const MAX_PART = 256 * KIB;

const FORMATS: Readonly<Record<string, Format>> = {
  websocketFormat,
  mergedWebsocketFormat,
  sseFormat,
  rawSseFormat,
};

const message = (data: string, event = "message", id = ""): ServerSentEvent => (
  { event, data, id }
);

function topicWith(...events: ServerSentEvent[]): Topic {
  const clock = new FakeClock();
  const topic = new Topic("t", new MemoryLog(DEFAULT_RETENTION, clock), clock);
  if (events.length > 0) topic.append(events);
  return topic;
}

function isLong(frame: Frame | undefined): frame is Frame {
  return frame?.bytes instanceof LongMessage;
}

function bytesOf({ bytes }: Frame): Buffer {
  assert(bytes instanceof LongMessage);
  for (const { byteLength } of bytes.parts) {
    assert(byteLength <= MAX_PART, `a part has ${byteLength} bytes`);
  }
  return Buffer.concat(bytes.parts);
}

Deno.test("A3: Formats write a long event in parts as they would write it at once", async (t) => {
  const unit = fc.constantFrom(
    "a",
    '"',
    "\n",
    "\0",
    "é",
    "\u{1F600}",
    "\uD83D",
    "\uDE00",
  );
  const text = fc.tuple(
    fc.integer({ min: 33 * KIB, max: 50 * KIB }),
    fc.array(unit, { maxLength: 12 }),
    fc.integer({ min: 0, max: 40 * KIB }),
    unit,
  ).map(([before, units, count, again]) =>
    "x".repeat(before) + units.join("") + again.repeat(count)
  );
  const line = text.map((text) => text.replaceAll("\n", "_"));
  const event = fc.record({
    event: fc.oneof(fc.constantFrom("message", "rivulet.x"), line),
    data: text,
    id: fc.oneof(fc.constantFrom("", "7"), line),
  });
  for (const [name, format] of Object.entries(FORMATS)) {
    await t.step(name, async () => {
      await fc.assert(
        fc.asyncProperty(event, async (event) => {
          const topic = topicWith(event);
          const frame = await new FrameCache(format).of(topic).get(1);
          assert(isLong(frame));
          const range = await topic.log.read(1, { events: 1, bytes: 1 });
          const atOnce = Buffer.from(format.events(topic, range));
          assert(bytesOf(frame).equals(atOnce));
          assertEquals([frame.to, frame.full], [2, true]);
          if (!format.snapshot) return;
          const long = { ...event, data: event.data.repeat(8) };
          const other = topicWith(long);
          const snapshot = await new FrameCache(format).of(other).snapshot();
          assert(isLong(snapshot));
          const [entry] = (await other.log.read(1, { events: 1, bytes: 1 }))
            .entries;
          assert(entry);
          const whole = format.snapshot(other, {
            first: 1,
            offset: 1,
            events: [{ kind: "event", offset: 1, entry }],
          });
          assert(bytesOf(snapshot).equals(Buffer.from(whole)));
        }),
        propertyParameters(15),
      );
    });
  }
});

/** Counts the parts that are made. */
function counted(format: Format): Format & { parts: number; begun: number } {
  const counting = {
    ...format,
    parts: 0,
    begun: 0,
    *longEvent(
      ...[topic, offset, entry]: Parameters<NonNullable<Format["longEvent"]>>
    ): Generator<Uint8Array, Uint8Array | undefined> {
      counting.begun++;
      const rest = format.longEvent!(topic, offset, entry); // each of these has it
      for (;;) {
        const { done, value } = rest.next();
        if (done) return value;
        counting.parts++;
        yield value;
      }
    },
  };
  return counting;
}

const EIGHT_MIB = "\u0001".repeat(8 * KIB * KIB);

Deno.test("A3: FrameCache encodes a long event once for all its readers, some parts in a turn", async () => {
  for (const format of [websocketFormat, sseFormat]) {
    const counting = counted(format);
    const frames = new FrameCache(counting);
    const topic = topicWith(message(EIGHT_MIB), message("b"));
    const read = Promise.all(
      Array.from({ length: 100 }, () => frames.of(topic).get(1)),
    );
    let isOver = false;
    void read.then(() => isOver = true);
    let most = 0;
    while (!isOver) {
      const before = counting.parts;
      await setImmediate();
      most = Math.max(most, counting.parts - before);
    }
    const [first, ...others] = await read;
    assert(isLong(first));
    for (const frame of others) assert(frame === first);
    assertEquals(counting.begun, 1);
    assert(most <= 64, `${most} parts in a turn`);
    assert(counting.parts > 2 * 64);
    const { bytes } = first;
    assert(
      (await frames.of(topic).get(1))?.bytes === bytes,
      "a reader holds it",
    );
  }
});

Deno.test("A3: FrameCache gives a long event up when no reader waits for it any more", async () => {
  const counting = counted(websocketFormat);
  const frames = new FrameCache(counting);
  const topic = topicWith(message(EIGHT_MIB));
  const first = { isWaiting: true };
  const second = { isWaiting: true };
  void frames.of(topic).get(1, Infinity, true, first);
  void frames.of(topic).get(1, Infinity, true, second);
  first.isWaiting = false;
  const before = counting.parts;
  while (counting.parts === before) await setImmediate();
  second.isWaiting = false;
  const given = counting.parts;
  while (slices.waiting > 0) await setImmediate();
  assertEquals(counting.parts, given);
  // And a reader that comes now gets it.
  assert(isLong(await frames.of(topic).get(1)));
  assertEquals(counting.begun, 2);
});

Deno.test("A3: FrameCache encodes no long event again that has no room in a window", async () => {
  const counting = counted(websocketFormat);
  const frames = new FrameCache(counting);
  const data = "\u0001".repeat(40 * KIB);
  const topic = topicWith(message(data));
  assertEquals(await frames.of(topic).get(1, 39 * KIB, false), undefined);
  assertEquals(counting.begun, 0, "it is longer by itself");
  assertEquals(await frames.of(topic).get(1, 100 * KIB, false), undefined);
  assert(isLong(await frames.of(topic).get(1, 100 * KIB, true)));
  assertEquals(counting.begun, 1);
});

Deno.test("A snapshot ends before a long event, and one that begins with it has no other", async () => {
  const frames = new FrameCache(websocketFormat);
  const long = message("x".repeat(257 * KIB));
  const before = await frames.of(topicWith(message("a"), long)).snapshot();
  assertEquals(before?.to, 2);
  const alone = await frames.of(topicWith(long, message("a"))).snapshot();
  assertEquals([alone?.to, isLong(alone)], [2, true]);
  const shorter = message("x".repeat(256 * KIB - 7));
  const both = await frames.of(topicWith(shorter, message("a"))).snapshot();
  assertEquals([both?.to, isLong(both)], [2, false]);
});

/** The bytes held for a peer, of its own and of others. */
class Account implements QueuedBytes {
  own = 0;
  readonly held = new Map<object, number>();

  set(bytes: number): void {
    this.own = bytes;
  }
  hold(message: object, bytes: number): void {
    this.held.set(message, bytes);
  }
  release(message: object): void {
    assert(this.held.delete(message));
  }
  taken(): void {}
  close(): void {}
}

/** A peer that takes a part when it is told to, and what it has taken. */
class SteppedPeer {
  readonly account = new Account();
  readonly errors: unknown[] = [];
  readonly subscriber: Subscriber;
  text = "";
  isGone = false;
  #done: (() => void) | undefined;

  constructor(pump: Pump) {
    const events = {
      onEnd: (): void => {},
      onError: (error: unknown): void => void this.errors.push(error),
      onSlow: (): void => {},
    };
    this.subscriber = new Subscriber(
      this,
      pump,
      events,
      undefined,
      this.account,
    );
  }

  write(bytes: Uint8Array, done: () => void): void {
    if (this.isGone) return;
    assertEquals(this.#done, undefined, "one write under way at a time");
    assert(bytes.byteLength <= 64 * KIB);
    this.text += Buffer.from(bytes).toString("latin1");
    this.#done = done;
  }

  /** Takes what was written; returns whether there was something. */
  take(): boolean {
    const done = this.#done;
    this.#done = undefined;
    done?.();
    return done !== undefined;
  }

  /** Takes all there is. */
  async drain(): Promise<void> {
    for (let quiet = 0; quiet < 200; quiet++) {
      await setImmediate();
      if (this.take() || slices.waiting > 0) quiet = 0;
    }
  }
}

function follow(
  peer: SteppedPeer,
  topic: Topic,
  frames: FrameCache,
  delivery?: Delivery,
): Subscription {
  const subscription = new Subscription(
    topic,
    "start",
    sseFormat,
    frames,
    delivery,
  );
  peer.subscriber.add(subscription);
  return subscription;
}

Deno.test("A3: a long event arrives whole and in order, and counts while it is read", async () => {
  using pump = new Pump();
  const frames = new FrameCache(sseFormat);
  const data = "x".repeat(300 * KIB);
  const topic = topicWith(message("a"), message(data), message("b"));
  const peers = [new SteppedPeer(pump), new SteppedPeer(pump)];
  for (const peer of peers) follow(peer, topic, frames);
  await Promise.all(peers.map((peer) => peer.drain()));
  const { epoch } = topic.log;
  for (const { text, account, errors } of peers) {
    assertEquals(errors, []);
    assertEquals(
      text,
      `id: ${epoch}:1\ndata: a\n\nid: ${epoch}:2\ndata: ${data}\n\nid: ${epoch}:3\ndata: b\n\nevent: rivulet.live\ndata: {"type":"live","topic":"t","next":4}\n\n`,
    );
    assertEquals([account.own, account.held.size], [0, 0]);
  }

  topic.append([message(data)]);
  while (peers.some(({ account }) => account.held.size === 0)) {
    await setImmediate();
  }
  const [one, other] = peers.map(({ account }) => [...account.held]);
  assertEquals(one?.map(([, bytes]) => bytes > 300 * KIB), [true]);
  assert(one?.[0]?.[0] === other?.[0]?.[0], "they hold the same message");
});

Deno.test("A3: a reader that skips to a long event gets the gap with it", async () => {
  using pump = new Pump();
  const frames = new FrameCache(sseFormat);
  const topic = topicWith(message("a"), message("x".repeat(300 * KIB)));
  const peer = new SteppedPeer(pump);
  follow(peer, topic, frames, { latest: true });
  while (peer.account.held.size === 0) await setImmediate();
  assert(peer.account.own > 0, "the gap is nobody else's");
  await peer.drain();
  assert(
    /^event: rivulet\.gap\nid: \S+:1\ndata: \{.*"skipped"\}\n\nid: \S+:2\ndata: x+\n\nevent: rivulet\.live/
      .test(peer.text),
  );
  assertEquals([peer.account.own, peer.account.held.size], [0, 0]);
});

Deno.test("A3: a reader that leaves while a long event is encoded, or written, leaves nothing", async () => {
  using pump = new Pump();
  const counting = counted(sseFormat);
  const frames = new FrameCache(counting);
  const topic = topicWith(message("\n".repeat(4 * KIB * KIB)));
  const other = topicWith(message("b"));
  const peer = new SteppedPeer(pump);
  const removed = follow(peer, topic, frames);
  while (counting.parts === 0) await setImmediate();
  // Its other subscription does not wait for what nobody wants any more.
  peer.subscriber.remove(removed);
  follow(peer, other, frames);
  await peer.drain();
  assert(/^id: \S+:1\ndata: b\n\n/.test(peer.text));
  assertEquals([topic.followers, slices.waiting], [0, 0]);
  assertEquals(counting.begun, 1);

  const leaving = new SteppedPeer(pump);
  follow(leaving, topic, frames);
  while (leaving.account.held.size === 0) await setImmediate();
  leaving.take();
  leaving.isGone = true;
  leaving.subscriber[Symbol.dispose]();
  await leaving.drain();
  assertEquals([topic.followers, slices.waiting], [0, 0]);
  assertEquals([leaving.errors, peer.errors], [[], []]);
});

Deno.test("A3: many readers that take all there is get a long event in many turns, and answers after it", async () => {
  using pump = new Pump();
  const frames = new FrameCache(sseFormat);
  const size = 2 * KIB * KIB;
  const topic = topicWith(message("x".repeat(size)));
  let parts = 0;
  /**
   * The writes to each reader: long parts, and everything that is not of the
   * event.
   */
  const readers = Array.from({ length: 50 }, () => {
    const said: string[] = [];
    const subscriber = new Subscriber(
      {
        write(bytes, done): void {
          parts++;
          const text = Buffer.from(bytes).toString("latin1");
          said.push(text.startsWith("xxx") ? "part" : text);
          // As a socket does whose peer reads.
          queueMicrotask(done);
        },
      },
      pump,
      { onEnd() {}, onError: (error) => said.push(String(error)), onSlow() {} },
    );
    subscriber.add(new Subscription(topic, "start", sseFormat, frames));
    return { said, subscriber };
  });
  let most = 0;
  let isAsked = false;
  for (let quiet = 0; quiet < 200; quiet++) {
    const before = parts;
    await setImmediate();
    most = Math.max(most, parts - before);
    if (parts > before || slices.waiting > 0) quiet = 0;
    if (isAsked || parts < 100) continue;
    isAsked = true;
    for (const { subscriber } of readers) subscriber.answer(Buffer.from("!"));
  }
  const all = readers.length * size / (64 * KIB);
  assert(parts > all, `${parts} parts`);
  // The first part of each comes with its turn; those after it wait for theirs.
  assert(most < all / 4, `${most} of ${parts} parts in a turn`);
  for (const { said, subscriber } of readers) {
    const answer = said.indexOf("!");
    const last = said.lastIndexOf("part");
    assert(answer > last, `an answer after ${answer} of ${last} parts`);
    subscriber[Symbol.dispose]();
  }
});
