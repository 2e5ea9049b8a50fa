// A relay that is told to stop: first it takes nothing more, then it delivers what it
// has acknowledged, and only then it sends its subscribers away (field.md C7, E5).
import { assert, assertEquals } from "@std/assert";
import { readEvents } from "../../src/sse/read_events.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  isChromiumMissing,
  startChromium,
} from "../support/client/chromium.ts";
import { LIMIT, startGateway } from "../support/gateway/gateway_world.ts";
import { CallerStream } from "../support/gateway/caller_stream.ts";
import { WIRE_FORMATS } from "../support/gateway/wire_formats.ts";
import { passTime } from "../support/pass_time.ts";
import { freePort } from "../support/http/free_port.ts";
import { startRelay } from "../support/relay/relay.ts";
import { RelayCommand } from "../support/relay/relay_command.ts";
import { RawWebSocket } from "../support/subscribers/raw_websocket.ts";
import { until, within } from "../support/within.ts";

/** Publishes one event after the other, until it is refused; returns the last offset that was acknowledged. */
async function publishByPost(url: string): Promise<number> {
  for (let last = 0;;) {
    try {
      const response = await fetch(`${url}/topics/t`, {
        method: "POST",
        headers: { "Content-Type": "text/plain" },
        body: "a",
      });
      const answer = await response.json();
      if (response.status !== 200) {
        assertEquals([response.status, answer.code], [503, "draining"]);
        assert(Number(response.headers.get("retry-after")) >= 1);
        return last;
      }
      last = answer.first;
    } catch (error) {
      // The connection was closed before there was an answer.
      if (!(error instanceof TypeError)) throw error;
      return last;
    }
  }
}

/** Publishes an event stream; returns the last offset that was acknowledged. */
async function publishByStream(url: string): Promise<number> {
  let isOver = false;
  const body = ReadableStream.from((async function* () {
    while (!isOver) {
      yield new TextEncoder().encode("data: a\n\n");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })());
  try {
    const response = await fetch(`${url}/topics/t`, {
      method: "POST",
      headers: { "Content-Type": "text/event-stream" },
      body,
    });
    const { code, added } = await response.json();
    assertEquals([response.status, code], [503, "draining"]);
    return added.next - 1;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return 0;
  } finally {
    isOver = true;
  }
}

/** Publishes by frames; returns the last offset that was acknowledged. */
async function publishByFrames(url: string): Promise<number> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/ws`);
  let last = 0;
  const publish = (): void =>
    socket.send(
      JSON.stringify({ type: "publish", topic: "t", events: [{ data: "a" }] }),
    );
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "published") last = message.first;
    if (message.type === "welcome" || message.type === "published") publish();
    if (message.type === "error") {
      assertEquals([message.code, message.retryable], ["draining", true]);
    }
  };
  await new Promise((resolve) => socket.onclose = resolve);
  return last;
}

/** A subscriber that counts, until it is sent away. */
interface Counting {
  last: number;
  readonly isOver: Promise<unknown>;
}

async function countByWebSocket(url: string): Promise<Counting> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/topics/t`);
  const counting = {
    last: 0,
    isOver: new Promise((resolve) => socket.onclose = resolve),
  };
  const subscribed = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "subscribed") subscribed.resolve();
    if (message.type !== "events") return;
    assertEquals(message.offset, counting.last + 1);
    counting.last += message.events.length;
  };
  await subscribed.promise;
  return counting;
}

async function countBySse(url: string, query: string): Promise<Counting> {
  const { body } = await fetch(`${url}/topics/t${query}`);
  const counting = { last: 0, isOver: Promise.resolve() };
  counting.isOver = (async () => {
    try {
      // A stream has a body.
      for await (const { event, id } of readEvents(body!)) {
        if (event !== "message") continue;
        assertEquals(Number(id.split(":")[1]), ++counting.last);
      }
    } catch (error) {
      // A raw stream is cut.
      if (query === "" || !(error instanceof TypeError)) throw error;
    }
  })();
  return counting;
}

for (const drain of ["2s", "0s"]) {
  Deno.test(`SIGTERM with --drain ${drain} takes nothing from subscribers that was acknowledged (C7)`, async () => {
    const command = await RelayCommand.start({
      drain,
      args: ["--log-level", "warning"],
    });
    const { url } = command;
    const subscribers = await Promise.all([
      ...Array.from({ length: 6 }, () => countByWebSocket(url)),
      ...["", "", "?raw"].map((query) => countBySse(url, query)),
    ]);
    const publishers = [
      ...Array.from({ length: 4 }, () => publishByPost(url)),
      publishByStream(url),
      publishByFrames(url),
      publishByFrames(url),
    ];
    await until(
      () => subscribers.every(({ last }) => last > 200) || undefined,
      LIMIT,
      "events",
    );
    const stopped = command[Symbol.asyncDispose]();
    const acknowledged = Math.max(...await Promise.all(publishers));
    await stopped;
    await within(
      Promise.all(subscribers.map(({ isOver }) => isOver)),
      LIMIT,
      "the subscribers to be sent away",
    );
    assertEquals(await command.stderr, "");
    for (const [index, { last }] of subscribers.entries()) {
      assert(
        last >= acknowledged,
        `Subscriber ${index} has ${last} of ${acknowledged}`,
      );
    }
  });
}

for (const how of ["drains", "closes"] as const) {
  Deno.test(`A relay that ${how} delivers first what there is, however much (C7)`, async () => {
    const clock = new FakeClock();
    await using relay = await startRelay({ clock });
    const topic = relay.relay.topics.create("t");
    topic.open();
    const subscribers = await Promise.all([
      countByWebSocket(relay.url),
      countBySse(relay.url, ""),
      countBySse(relay.url, "?raw"),
    ]);
    await until(() => topic.followers === 3 || undefined, LIMIT, "followers");
    const event = { event: "message", data: "x".repeat(100), id: "" };
    void topic.append(Array.from({ length: 5_000 }, () => event));
    const stopped = how === "closes"
      ? relay.relay.close()
      : relay.relay.drain(1_000);
    await clock.advance(999);
    for (const subscriber of subscribers) {
      await within(subscriber.isOver, LIMIT, "a subscriber to be sent away");
      assertEquals(subscriber.last, 5_000);
    }
    await within(stopped, LIMIT, "the end");
  });
}

const { start, ends } = WIRE_FORMATS["Chat"]!;
const [, complete] = ends[0]!;

Deno.test("A relay that drains waits for its runs, their callers and their followers (C7)", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const headers = { "rivulet-topic": "t", "idempotency-key": "k" };
  const { exchange, answer } = await world.begin({ headers });
  await exchange.stream(start);
  const first = await answer;
  await first.see(start);
  const joined = await world.ask({ headers });
  const raw = new CallerStream(await world.request("/topics/t?raw"));
  await using socket = await RawWebSocket.open(world.url, "/topics/t");
  await socket.message("live");
  const drained = world.relay.drain(60_000);
  // Not so long that a peer without pongs would be taken for dead.
  await clock.advance(20_000);
  assertEquals(await Promise.race([drained, "not yet"]), "not yet");
  await exchange.end(complete);
  for (const reader of [first, joined, raw]) {
    assertEquals((await reader.rest()).end, "whole");
  }
  assertEquals((await socket.message("end"))["status"], "complete");
  assertEquals(await socket.closeCode(), 1000);
  await within(drained, LIMIT, "the end of the drain");
  assertEquals(clock.now(), 20_000);
});

Deno.test("A relay that drains waits for its runs no longer than it may (C7)", async () => {
  const clock = new FakeClock();
  await using world = await startGateway({ clock });
  const { exchange, answer } = await world.begin();
  await exchange.stream(start);
  const first = await answer;
  await first.see(start);
  const drained = world.relay.drain(60_000);
  await clock.advance(60_000);
  assertEquals((await first.rest()).end, "cut");
  await within(drained, LIMIT, "the end of the drain");
});

/**
 * Has a relay drained while an `EventSource` comes, and another take its place.
 *
 * @param open Prepares one; what it returns opens it, and tells what it is told.
 */
async function comesBack(
  open: (url: string) => Promise<() => Promise<string>>,
): Promise<void> {
  const port = freePort();
  let seen: Promise<string>;
  {
    const clock = new FakeClock();
    await using relay = await startRelay({ clock, port });
    const follow = await open(relay.url);
    await using stalled = await RawWebSocket.open(relay.url, "/topics/t");
    await stalled.message("subscribed");
    stalled.client.pause();
    const drained = relay.relay.drain(1_500);
    seen = follow();
    await until(
      async () => {
        const response = await relay.request("/metrics");
        return /^rivulet_refusals_total\{reason="draining"\} [1-9]/m
          .test(await response.text()) || undefined;
      },
      LIMIT,
      "the EventSource to be turned away",
    );
    await passTime(clock, drained);
  }
  await using relay = await startRelay({ port });
  relay.relay.topics.create("t").append([
    { event: "message", data: "back", id: "" },
  ]);
  assertEquals(await within(seen, LIMIT, "the EventSource"), "back");
}

Deno.test("An EventSource that meets a drain comes back (E5)", async () => {
  await comesBack((url) =>
    Promise.resolve(() => {
      const source = new EventSource(`${url}/topics/t`);
      return new Promise((resolve) => {
        source.onmessage = ({ data }) => {
          source.close();
          resolve(data);
        };
        source.onerror = () => {
          if (source.readyState === EventSource.CLOSED) resolve("given up");
        };
      });
    })
  );
});

Deno.test({
  name: "A browser's EventSource that meets a drain comes back (E5)",
  ignore: isChromiumMissing(),
  async fn() {
    await using browser = await startChromium();
    const page = await browser.newPage();
    await comesBack(async (url) => {
      // A page of the relay's own origin.
      await page.goto(`${url}/healthz`);
      return () =>
        page.evaluate(() =>
          new Promise<string>((resolve) => {
            const source = new EventSource("/topics/t");
            source.onmessage = ({ data }) => resolve(data);
            source.onerror = () => {
              if (source.readyState === EventSource.CLOSED) resolve("given up");
            };
          })
        );
    });
  },
});
