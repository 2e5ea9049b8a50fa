// A subscriber that does not read costs the relay little memory, and delays
// nobody else.
import { assert, assertEquals } from "@std/assert";
// @ts-types="../../relay/ws.d.ts"
import { WebSocket } from "ws";
import { upgradeRequest } from "../support/http/upgrade_request.ts";
import { RelayProcess } from "../support/relay/relay_process.ts";
import { stalledSockets } from "../support/relay/stalled_sockets.ts";
import { LIMIT, until, within } from "../support/within.ts";

const KIB = 1_024;
const MIB = KIB * KIB;

/** The data of an event: its number, and what makes it 1 KiB. */
const NUMBER = 8;
const FILLER = "x".repeat(KIB - NUMBER);
const BEFORE_DATA = '{"data":"'.length;
/** Of an event within a frame, and the comma after it. */
const STRIDE = BEFORE_DATA + KIB + '"},'.length;

/** Reads everything, and checks that nothing is missing. */
class Reader {
  /** The last event that was seen. */
  seen: number;
  readonly #socket: WebSocket;
  readonly #failed = Promise.withResolvers<never>();
  readonly #closed: Promise<void>;
  #wanted = Infinity;
  #reached: () => void = () => {};

  constructor(url: string, after: number, position: string) {
    this.seen = after;
    this.#failed.promise.catch(() => {});
    this.#socket = new WebSocket(`${url}?after=${position}`, {
      perMessageDeflate: false,
      skipUTF8Validation: true,
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    this.#socket.on("close", () => resolve());
    this.#socket.on("error", this.#failed.reject);
    this.#socket.on("message", (data) => {
      try {
        this.#read(data as Uint8Array); // `ws` gives Buffers unless told otherwise
      } catch (error) {
        this.#failed.reject(error);
      }
    });
  }

  /** Resolves when this event has been seen. */
  async sees(event: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wanted = event;
    this.#reached = resolve;
    if (this.seen >= event) resolve();
    await Promise.race([promise, this.#failed.promise]);
  }

  async close(): Promise<void> {
    this.#socket.terminate();
    await this.#closed;
  }

  // A parser of JSON would be most of what this process does.
  #read(bytes: Uint8Array): void {
    const text = (from: number, to: number) =>
      String.fromCharCode(...bytes.subarray(from, to));
    const [start, offset] =
      /^{"type":"events","topic":"[^"]*","offset":([0-9]+),"events":\[/
        .exec(text(0, 120)) ?? [];
    if (start === undefined) {
      const other = text(0, 120);
      if (/^{"type":"(welcome|subscribed|live|heartbeat)"/.test(other)) return;
      throw new Error(`Did not expect ${other}`);
    }
    const count = (bytes.length + ",".length - "]}".length - start.length) /
      STRIDE;
    for (let index = 0; index < count; index++) {
      const from = start.length + index * STRIDE + BEFORE_DATA;
      const number = Number(text(from, from + NUMBER));
      const expected = this.seen + 1;
      if (number !== expected || Number(offset) + index !== expected) {
        throw new Error(`Expected event ${expected}, got ${number}`);
      }
      this.seen = expected;
    }
    if (this.seen >= this.#wanted) this.#reached();
  }
}

class Topic {
  next = 1;
  epoch = "";
  readonly #url: string;

  constructor(relay: RelayProcess) {
    this.#url = `${relay.url}/topics/news`;
  }

  get webSocketUrl(): string {
    return this.#url.replace(/^http/, "ws");
  }

  async publish(bytes: number): Promise<void> {
    for (const end = this.next + bytes / KIB; this.next < end;) {
      const count = Math.min(100, end - this.next);
      const events = Array.from({ length: count }, (_, index) => ({
        data: `${String(this.next + index).padStart(NUMBER, "0")}${FILLER}`,
      }));
      const response = await fetch(this.#url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(events),
      });
      const published = await response.json();
      assertEquals(published.first, this.next);
      this.epoch = published.epoch;
      this.next = published.next;
    }
  }
}

async function followers(relay: RelayProcess): Promise<number> {
  const response = await fetch(`${relay.url}/topics`);
  const { topics } = await response.json();
  return topics[0].subscribers;
}

function requestOf(door: "WebSocket" | "SSE", after: string): string {
  const target = `/topics/news?after=${after}`;
  return door === "WebSocket"
    ? upgradeRequest(target)
    : `GET ${target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n`;
}

for (
  const { door, stalled, readers } of [
    { door: "WebSocket", stalled: 1_000, readers: 100 },
    { door: "SSE", stalled: 600, readers: 20 },
  ] as const
) {
  Deno.test(`Relay pays little for ${stalled} ${door} subscribers that do not read`, async () => {
    const retained = 4 * MIB;
    await using relay = await RelayProcess.start({
      retention: { maxBytes: retained },
      // They stay: who answers no ping would be cut off after three of these.
      delivery: {
        heartbeat: 3_600_000,
      },
      limits: { maxConnectionsPerAddress: 2_000, maxPublishRate: 1_000_000 },
    });
    const topic = new Topic(relay);
    // Fill what the relay keeps in any case first: its log and its joined
    // frames.
    await topic.publish(2 * retained);
    const warm = new Reader(topic.webSocketUrl, 0, "now");
    try {
      warm.seen = topic.next - 1;
      await until(
        async () => await followers(relay) === 1 || undefined,
        LIMIT,
        "the first reader",
      );
      await topic.publish(24 * MIB);
      await within(warm.sees(topic.next - 1), LIMIT, "the first reader");
    } finally {
      await warm.close();
    }

    const last = topic.next - 1;
    const position = `${topic.epoch}:${last}`;
    const reading = Array.from(
      { length: readers },
      () => new Reader(topic.webSocketUrl, last, position),
    );
    using sockets = stalledSockets(Number(new URL(relay.url).port));
    const seeAll = () =>
      within(
        Promise.all(reading.map((reader) => reader.sees(topic.next - 1))),
        LIMIT,
        () =>
          `all readers to see event ${topic.next - 1}: they saw ${[
            ...new Set(reading.map(({ seen }) => seen)),
          ]}`,
      );
    try {
      await until(
        async () => await followers(relay) === readers || undefined,
        LIMIT,
        "the readers",
      );
      await topic.publish(MIB);
      await seeAll();
      const { rss: before } = await relay.memory();

      // Each in a place of its own, so that no two stall in the same message.
      const room = retained / KIB / 2;
      for (let index = 0; index < stalled; index++) {
        const after = topic.next - 1 - Math.floor(index * room / stalled);
        await sockets.open(requestOf(door, `${topic.epoch}:${after}`));
      }
      await until(
        async () => await followers(relay) === readers + stalled || undefined,
        LIMIT,
        `${stalled} stalled subscribers`,
      );
      await topic.publish(2 * MIB);
      await seeAll();
      const { rss: filled } = await relay.memory();

      const start = performance.now();
      await topic.publish(6 * MIB);
      await seeAll();
      const took = performance.now() - start;
      const { rss: after } = await relay.memory();
      assertEquals(await followers(relay), readers + stalled);

      const each = (filled - before) / stalled;
      const more = after - filled;
      console.log(
        `${door}: ${(before / MIB).toFixed(1)} MiB, with ${stalled} stalled ` +
          `${(filled / MIB).toFixed(1)} MiB (${
            (each / KIB).toFixed(1)
          } KiB each), ` +
          `6 MiB later ${(after / MIB).toFixed(1)} MiB (${
            (more / MIB).toFixed(1)
          } MiB more); ` +
          `${readers} readers had these 6 MiB after ${took.toFixed(0)} ms`,
      );
      assert(each < 64 * KIB, `Each stalled one costs ${each} bytes`);
      // The bound is what a process of this size varies by; a queue for each
      // would be gigabytes.
      assert(more < 16 * MIB, `The stalled ones cost ${more} bytes more`);
      assert(took < LIMIT, `The others waited for ${took} ms`);
    } finally {
      await Promise.all(reading.map((reader) => reader.close()));
    }
  });
}
