import { Buffer } from "node:buffer";
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { z } from "zod";
import { mergedWebsocketFormat } from "../../../relay/doors/websocket/format.ts";
import { websocketFormat } from "../../../relay/doors/websocket/format.ts";
import { DeliveryCounts } from "../../../relay/delivery/delivery_counts.ts";
import type { Format } from "../../../relay/delivery/format.ts";
import { FrameCache } from "../../../relay/delivery/frames.ts";
import {
  LongMessage,
  type Message,
} from "../../../relay/delivery/long_message.ts";
import {
  type Delivery,
  Subscription,
  type Waker,
} from "../../../relay/delivery/subscription.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import type { After } from "../../../relay/topics/position.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  messages,
  numbers,
  turns,
  World,
} from "../../support/delivery/delivery_world.ts";
import { propertyParameters } from "../../support/property.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const KIB = 1_024;

/** The bound of the cache: some frames. */
const MAX_BYTES = 96 * KIB;

const said = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("subscribed"),
    after: z.number(),
    recovered: z.boolean(),
  }),
  z.object({
    type: z.literal("events"),
    offset: z.number(),
    events: z.array(z.object({ data: z.string() })),
  }),
  z.object({ type: z.literal("gap"), from: z.number(), to: z.number() }),
  z.object({ type: z.literal("live") }),
]);

/** Splits bytes into the JSON of their frames. */
function* textsOf(message: Message): Generator<string> {
  let bytes = message instanceof LongMessage
    ? Buffer.concat(message.parts)
    : Buffer.from(message);
  while (bytes.length > 0) {
    const code = bytes[1];
    const [start, length] = code === 127
      ? [10, Number(bytes.readBigUInt64BE(2))]
      : code === 126
      ? [4, bytes.readUInt16BE(2)]
      : [2, code ?? 0];
    yield bytes.toString("utf8", start, start + length);
    bytes = bytes.subarray(start + length);
  }
}

const writer: Waker = { wake: () => {}, onBlocked: () => {} };

/** A reader that checks what it reads. */
class Reader {
  readonly subscription: Subscription;
  readonly #log: readonly string[];
  #next = 0;

  constructor(
    topic: Topic,
    log: readonly string[],
    after: After,
    frames: FrameCache,
    delivery: Delivery,
    format: Format,
  ) {
    this.#log = log;
    this.subscription = new Subscription(
      topic,
      after,
      format,
      frames,
      delivery,
    );
    this.subscription.join(writer);
  }

  /** Reads a message; returns whether there was one. */
  async read(): Promise<boolean> {
    const message = await this.subscription.next();
    if (!message) return false;
    for (const text of textsOf(message)) {
      const told = said.parse(JSON.parse(text));
      if (told.type === "subscribed") this.#next = told.after + 1;
      if (told.type === "gap") {
        assertEquals(told.from, this.#next);
        this.#next = told.to + 1;
      }
      if (told.type !== "events") continue;
      assertEquals(told.offset, this.#next);
      for (const { data } of told.events) {
        assertEquals(data, this.#log[this.#next++]);
      }
    }
    assertEquals(this.subscription.cursor, this.#next);
    return true;
  }
}

const command = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("join"),
      at: fc.oneof(fc.constantFrom("start", "now"), fc.nat(3_000)),
      latest: fc.boolean(),
      window: fc.constantFrom(undefined, undefined, 300, 10 * KIB),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("leave"), who: fc.nat() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant("read"),
      who: fc.nat(),
      times: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("append"),
      count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1_500 })),
      size: fc.oneof(
        { weight: 8, arbitrary: fc.nat(100) },
        { weight: 1, arbitrary: fc.constantFrom(5 * KIB, 40 * KIB) },
      ),
    }),
  },
);

for (const format of [websocketFormat, mergedWebsocketFormat]) {
  const name = format === websocketFormat ? "all" : "merge";
  Deno.test(`FrameCache gives each reader the log's events, and keeps no more than others need: mode ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(command, { maxLength: 60 }),
        fc.constantFrom(100, 3_000),
        async (commands, maxEvents) => {
          const clock = new FakeClock();
          const retention = { ...DEFAULT_RETENTION, maxEvents };
          const topic = new Topic("t", new MemoryLog(retention, clock), clock);
          topic.open();
          const log = [""];
          const frames = new FrameCache(
            format,
            new DeliveryCounts(),
            MAX_BYTES,
          );
          const readers: Reader[] = [];
          const check = (): void => {
            assert(frames.bytes <= MAX_BYTES, `${frames.bytes} bytes are kept`);
            const isNeeded = readers.length > 1 &&
              readers.some(({ subscription }) =>
                subscription.cursor < topic.log.next
              );
            if (!isNeeded) assertEquals(frames.bytes, 0);
          };
          for (const command of commands) {
            if (command.does === "append") {
              const { count, size } = command;
              const few = size > KIB ? Math.min(count, 10) : count;
              const events = Array.from({ length: few }, () => {
                const data = `${log.length}${"x".repeat(size)}`;
                log.push(data);
                return { event: "message", data, id: "" };
              });
              topic.append(events);
            } else if (command.does === "join") {
              const { at, latest, window } = command;
              const { epoch, next } = topic.log;
              const after = at === "start" || at === "now"
                ? at
                : { epoch, offset: Number(at) % next };
              const delivery = { latest, ...(window && { window }) };
              readers.push(
                new Reader(topic, log, after, frames, delivery, format),
              );
            } else if (readers.length > 0) {
              const index = command.who % readers.length;
              const reader = readers[index]!; // within the array
              if (command.does === "leave") {
                reader.subscription.leave();
                readers.splice(index, 1);
              } else {
                for (let time = 0; time < command.times; time++) {
                  const isRead = await reader.read();
                  check();
                  if (isRead) continue;
                  reader.subscription.ack(reader.subscription.cursor - 1);
                }
              }
            }
            check();
          }
          for (const reader of readers) {
            do {
              while (await reader.read()) check();
              reader.subscription.ack(reader.subscription.cursor - 1);
            } while (reader.subscription.cursor < topic.log.next);
          }
          check();
          assertEquals(frames.bytes, 0);
        },
      ),
      propertyParameters(300),
    );
  });
}

/** A reader of a topic that has read what it was told at first. */
function join(
  world: World,
  topic: Topic,
  after: After = "start",
): Subscription {
  const subscription = world.subscription(topic, after);
  subscription.join(writer);
  subscription.next();
  return subscription;
}

Deno.test("FrameCache keeps a frame until the last reader has read it, and for one reader none", () => {
  using world = new World();
  const { frames, format } = world;
  const topic = world.topic();
  topic.append(messages(1, 10));
  const [first, second, third] = [
    join(world, topic),
    join(world, topic),
    join(world, topic),
  ];
  first.next();
  assert(frames.bytes > 0);
  second.next();
  assert(frames.bytes > 0, "the third has yet to read it");
  third.next();
  assertEquals([frames.bytes, format.joined], [0, 1]);

  topic.append(messages(11, 20));
  first.next(); // live
  first.next();
  assert(frames.bytes > 0);
  second.leave();
  third.leave();
  assertEquals(frames.bytes, 0, "nobody is left who has yet to read it");
  topic.append(messages(21, 30));
  first.next();
  assertEquals([frames.bytes, format.joined], [0, 3]);

  // A second reader may cost another time.
  const late = join(world, topic);
  late.next();
  assertEquals([frames.bytes, format.joined], [0, 4]);
  topic.append(messages(31, 40));
  late.next(); // live
  late.next();
  assert(frames.bytes > 0);
  first.next();
  assertEquals([frames.bytes, format.joined], [0, 5]);
});

Deno.test("FrameCache keeps one frame of what comes event by event, however far a reader is behind", () => {
  using world = new World();
  const { frames } = world;
  const topic = world.topic();
  topic.open();
  const readers = [join(world, topic), join(world, topic), join(world, topic)];
  for (const reader of readers) reader.next(); // live
  let most = 0;
  for (let event = 1; event <= 200; event++) {
    topic.append(messages(event, event));
    readers[0]!.next(); // there are three
    if (event === 1) most = frames.bytes;
    assert(most > 0 && frames.bytes <= most + 8, `${frames.bytes} bytes`);
  }
});

Deno.test("FrameCache keeps what the slowest reader has yet to read, up to its bound", () => {
  using world = new World();
  const { format } = world;
  const frames = new FrameCache(format, new DeliveryCounts(), MAX_BYTES);
  const topic = world.topic();
  topic.append(
    numbers(1, 1_000).map((number) => ({ data: number.padEnd(KIB) })),
  );
  const [fast, slow] = Array.from({ length: 2 }, () => {
    const subscription = new Subscription(topic, "start", format, frames);
    subscription.join(writer);
    return subscription;
  });
  let most = 0;
  while (fast!.next()) { // there are two
    assert(frames.bytes <= MAX_BYTES, `${frames.bytes} bytes are kept`);
    most = Math.max(most, frames.bytes);
  }
  assert(most > MAX_BYTES / 2);
  while (slow!.next()); // there are two
  assertEquals(frames.bytes, 0);
});

Deno.test("FrameCache gives a reader all that there is, though another got less before", () => {
  using world = new World();
  const topic = world.topic();
  topic.append(messages(1, 1));
  const [first, second] = [join(world, topic), join(world, topic)];
  first.next();
  topic.append(messages(2, 2));
  second.next();
  assertEquals([first.cursor, second.cursor], [2, 3]);
});

Deno.test("FrameCache lends what all have read to readers that come later", async () => {
  using world = new World();
  const { format, frames } = world;
  const topic = world.topic();
  topic.append(messages(10_001, 15_000));
  for (let reader = 0; reader < 20; reader++) {
    const peer = world.follow(topic);
    await turns();
    assertEquals(peer.data().length, 5_000);
    assertEquals(frames.bytes, 0);
  }
  assertEquals(format.joined, 10);
});
