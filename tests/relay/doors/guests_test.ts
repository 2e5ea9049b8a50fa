import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { drain, Draining } from "../../../relay/doors/guests.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";
import {
  OPCODE,
  RawClient,
  RawWebSocket,
  requestUpgrade,
} from "../../support/subscribers/raw_websocket.ts";
import { askFramed } from "../../support/http/framed_answer.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

class Guest {
  left: number | undefined;
  readonly #closed = Promise.withResolvers<void>();
  readonly #clock: FakeClock;
  readonly #goes: boolean;

  constructor(clock: FakeClock, goes: boolean) {
    this.#clock = clock;
    this.#goes = goes;
  }

  leave(): void {
    assertEquals(this.left, undefined, "it is asked once");
    this.left = this.#clock.now();
    if (this.#goes) this.go();
  }
  closed(): Promise<void> {
    return this.#closed.promise;
  }
  go(): void {
    this.#closed.resolve();
  }
}

Deno.test("Draining has readers back when the drain is over", async () => {
  const clock = new FakeClock();
  const draining = new Draining(clock);
  draining.begin(5_000);
  assertEquals(draining.comeBackIn(), 5_000);
  await clock.advance(4_500);
  assertEquals(draining.comeBackIn(), 1_000);
});

Deno.test("Draining has readers back soon where others have the topics, and later if they are many", async () => {
  const clock = new FakeClock();
  const draining = new Draining(clock, true);
  draining.begin(60_000);
  const waits = Array.from({ length: 1_200 }, () => draining.comeBackIn());
  assertEquals(
    [0, 99, 100, 499, 999, 1_199].map((index) => waits[index]),
    [100, 100, 101, 500, 1_000, 1_000],
  );
  await clock.advance(999);
  assertEquals(draining.comeBackIn(), 1_000);
  await clock.advance(1);
  assertEquals(draining.comeBackIn(), 100);
});

Deno.test("drain sends guests away in order, spread evenly", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.boolean(),
      async (count, duration, go) => {
        const clock = new FakeClock(1_700_000_000_000.5);
        const start = clock.now();
        const guests = Array.from(
          { length: count },
          () => new Guest(clock, go),
        );
        const { signal } = new AbortController();
        await clock.run(drain(guests, { duration, clock, signal }));
        for (const [index, { left }] of guests.entries()) {
          const due = start + index * duration / count;
          assert(
            left !== undefined && left >= due - 0.01 && left <= due + 1.01,
            `guest ${index} of ${count} left at ${left}, not at ${due}`,
          );
        }
        const end = go ? guests.at(-1)?.left : start + duration;
        assertEquals(clock.now(), end, "it is over when all are gone");
        assertEquals(clock.pending, 0);
      },
    ),
    propertyParameters(50),
  );
});

Deno.test("drain is over at once with nobody there, when the last one goes, and when it is cut short", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const options = { duration: 10_000, clock, signal: controller.signal };
  await drain([], options);

  const guests = [new Guest(clock, false), new Guest(clock, false)];
  const drained = drain(guests, options);
  await clock.advance(1_000);
  for (const guest of guests) guest.go();
  await drained;
  assertEquals([guests[1]?.left, clock.pending], [undefined, 0]);

  const cut = drain([new Guest(clock, false)], options);
  await clock.advance(1_000);
  controller.abort();
  await cut;
  assertEquals(clock.pending, 0);
  const late = new Guest(clock, false);
  await drain([late], options);
  assertEquals(late.left, undefined);
});

const DURATION = 10_000;

/** The close code of a frame. */
function codeOf(payload: Uint8Array): number {
  const [high = 0, low = 0] = payload;
  return high << 8 | low;
}

async function openStream(
  url: string,
): Promise<{ client: RawClient; text(): Promise<string> }> {
  const client = await RawClient.connect(url);
  await client.send(
    "GET /topics/t HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n",
  );
  return {
    client,
    async text() {
      const end = "0\r\n\r\n";
      const bytes = await client.take((received) => {
        const text = new TextDecoder().decode(received);
        return text.endsWith(end) ? received.length : undefined;
      }, "the end of a stream");
      return new TextDecoder().decode(bytes);
    },
  };
}

Deno.test("Relay that drains sends one after the other away, takes nobody new, and goes on until then", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const { url, request } = relay;
  const topic = relay.relay.topics.create("t");
  topic.append([{ event: "message", data: "1", id: "" }]);
  const sockets: RawWebSocket[] = [];
  await using stack = new AsyncDisposableStack();
  for (let count = 0; count < 3; count++) {
    const socket = stack.use(await RawWebSocket.open(url, "/topics/t"));
    await socket.message("live");
    sockets.push(socket);
  }
  const streams = [await openStream(url), await openStream(url)];
  for (const { client } of streams) stack.use(client);
  await until(() => topic.followers === 5 || undefined, LIMIT, "the readers");
  const ready = async (path: string): Promise<number> => {
    const response = await request(path);
    await response.body?.cancel();
    return response.status;
  };
  assertEquals([await ready("/healthz"), await ready("/readyz")], [200, 200]);

  let isOver = false;
  const drained = relay.relay.drain(DURATION).then(() => isOver = true);
  for (let left = 0; left < 5; left++) {
    const now = left * DURATION / 5;
    await clock.advance(now - clock.now());
    await until(
      () => topic.followers === 4 - left || undefined,
      LIMIT,
      `the ${left + 1}. to leave`,
    );
    const socket = sockets[left];
    const stream = streams[left - 3];
    if (socket) {
      const { reason, reconnectIn } = await socket.message("goodbye");
      assertEquals(reason, "drain");
      assertEquals(reconnectIn, [DURATION - now, 2 * DURATION - now]);
      const frame = await socket.frame();
      assertEquals(frame?.opcode, OPCODE.close);
      assertEquals(codeOf(frame?.payload ?? new Uint8Array()), 1012);
      await socket.send(OPCODE.close, frame?.payload ?? "");
      await within(socket.client.closed, LIMIT, "the end of a socket");
    } else if (stream) {
      const text = await stream.text();
      assert(/\r\nretry: 10000\n\n\r\n0\r\n\r\n$/.test(text), text);
    }
    if (left === 4) break;
    assertEquals(isOver, false);
    assertEquals([await ready("/healthz"), await ready("/readyz")], [200, 503]);
    const seconds = String((DURATION - now) / 1_000);
    // Those who have left could not be given what is published now (C7).
    const published = await request("/topics/t", {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: `${left + 2}`,
    });
    assertEquals(published.status, 503);
    assertEquals(published.headers.get("Retry-After"), seconds);
    assertEquals((await published.json()).code, "draining");
    // Those who are still there get what comes from elsewhere.
    topic.append([{ event: "message", data: `${left + 2}`, id: "" }]);
    for (const other of sockets.slice(left + 1)) {
      const { offset } = await other.message("events");
      assertEquals(offset, left + 2);
    }

    // An EventSource would take another status for final (E5).
    const refused = await askFramed({
      port: relay.port,
      version: "1.1",
      target: "/topics/t",
    });
    assertEquals([refused.status, refused.body, refused.end], [
      200,
      `retry: ${DURATION - now}\n`,
      "cut",
    ]);
    await using client = await RawClient.connect(url);
    const { status, headers, body } = await requestUpgrade(
      client,
      "/topics/t",
    );
    assertEquals([status, headers.get("Retry-After")], [503, seconds]);
    assertEquals(JSON.parse(body).code, "draining");
  }
  for (const { client } of streams) client.end();
  await within(drained, LIMIT, "the end of the drain");
  assertEquals(clock.now(), DURATION * 4 / 5);
  assertEquals(topic.state.kind, "open", "the topics do not end by this");
});

Deno.test("Relay that drains closes at the end those who do not go", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.message("welcome");
  socket.client.pause();
  const drained = relay.relay.drain(DURATION);
  await clock.advance(DURATION - 1);
  assertEquals(await Promise.race([drained, "not yet"]), "not yet");
  await clock.advance(2_001); // the grace that `close` gives
  await within(drained, LIMIT, "the end of the drain");
});

Deno.test("Relay that drains stops at once with nobody there, and when it is closed", async () => {
  const clock = new FakeClock();
  const options = { clock };
  {
    await using relay = await startRelay(options);
    await relay.relay.drain(1_000_000);
    assertEquals(clock.pending, 0);
  }
  {
    await using relay = await startRelay(options);
    await using first = await RawWebSocket.open(relay.url, "/ws");
    await using second = await RawWebSocket.open(relay.url, "/ws");
    await second.message("welcome");
    const drained = relay.relay.drain(1_000_000);
    assertEquals(await first.closeCode(), 1012);
    const closed = relay.relay.close();
    const { reconnectIn } = await second.message("goodbye");
    assertEquals(reconnectIn, [100, 5_000]);
    assertEquals(await second.closeCode(), 1012);
    await closed;
    await drained;
    assertEquals(relay.relay.drain(5), relay.relay.drain(5));
    assertEquals([clock.now(), clock.pending], [0, 0]);
  }
  await using relay = await startRelay(options);
  for (const duration of [-1, NaN, Infinity]) {
    assertThrows(() => relay.relay.drain(duration), RangeError, `${duration}`);
  }
});
