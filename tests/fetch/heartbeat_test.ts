import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertThrows,
} from "@std/assert";
import { IdleTimeoutError, streamEvents } from "../../src/fetch/mod.ts";
import { AdaptiveTimeout } from "../../src/fetch/heartbeat.ts";
import { Watchdog } from "../../src/fetch/watchdog.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import type {
  ScriptedChunk,
  ScriptedConnection,
} from "../../src/testing/scripted_fetch.ts";
import {
  outcomeOf,
  scriptedStream,
  type ScriptedStreamOptions,
  STOP,
  STREAM_URL,
} from "../support/fetch/scripted_stream.ts";

const COMMENT = ":\n\n";
const EVENT = "data: a\n\n";

/** This text, and again and again after so many milliseconds. */
function every(gap: number, texts: readonly string[]): ScriptedChunk[] {
  return texts.flatMap((text, index) =>
    index === 0 ? [text] : [{ wait: gap }, text]
  );
}

/** A stream with a heartbeat, whose end is an error. */
function beating(
  connections: readonly ScriptedConnection[],
  options: ScriptedStreamOptions = {},
) {
  return scriptedStream(connections, {
    heartbeat: "adaptive",
    heartbeatFloor: 100,
    reconnect: false,
    ...options,
  });
}

/**
 * Returns the time at which a stream is given up, and the length of the silence
 * before.
 */
async function givenUp(
  chunks: readonly ScriptedChunk[],
  options: ScriptedStreamOptions = {},
): Promise<[at: number, after: number]> {
  const { clock, events } = beating([{ chunks, end: "stall" }], options);
  const { error } = await clock.run(outcomeOf(events));
  assertInstanceOf(error, IdleTimeoutError);
  assertEquals(error.clock, "heartbeat");
  assertEquals(clock.pending, 0);
  return [clock.now(), error.timeout];
}

Deno.test("streamEvents gives a stream up that has missed three heartbeats", async () => {
  const beats = Array(5).fill(COMMENT);
  assertEquals(await givenUp(every(1_000, beats)), [7_000, 3_000]);
  // Fifteen seconds are what the standard advises.
  assertEquals(await givenUp(every(15_000, beats)), [105_000, 45_000]);
});

Deno.test("streamEvents learns from events, and from comments, alike", async () => {
  for (
    const texts of [
      [EVENT, EVENT, EVENT],
      [COMMENT, COMMENT, COMMENT],
      [COMMENT, EVENT, COMMENT],
      [EVENT, COMMENT, EVENT],
    ]
  ) assertEquals(await givenUp(every(1_000, texts)), [5_000, 3_000]);
});

Deno.test("streamEvents learns from comments while no event comes, in one wait", async () => {
  const { clock, events } = beating([
    { chunks: every(1_000, Array(100).fill(COMMENT)), end: "stall" },
  ]);
  const next = events.next().catch((error) => error);
  await clock.advance(99_000 + 2_999);
  assertEquals(events.state, "open");
  await clock.advance(1);
  assertInstanceOf(await next, IdleTimeoutError);
  assertEquals(events.counters.comments, 100);
  assertEquals(clock.pending, 0);
});

Deno.test("streamEvents never gives up before the floor", async () => {
  const beats = Array(5).fill(COMMENT);
  assertEquals(
    await givenUp(every(10, beats), { heartbeatFloor: 5_000 }),
    [5_040, 5_000],
  );
  assertEquals(
    await givenUp(every(2_000, beats), { heartbeatFloor: 5_000 }),
    [14_000, 6_000],
  );
  assertEquals(
    (await givenUp(every(10, beats), { heartbeatFloor: undefined }))[1],
    10_000,
  );
});

Deno.test("streamEvents expects nothing until it knows a rhythm", async () => {
  for (const texts of [[], [EVENT], [EVENT, COMMENT]]) {
    const { clock, events } = beating([
      { chunks: every(10, texts), end: "stall" },
    ]);
    const reading = outcomeOf(events);
    await clock.advance(86_400_000);
    assertEquals(events.state, "open");
    assertEquals(clock.pending, 0);
    await events.cancel();
    await reading;
  }
});

Deno.test("streamEvents takes bytes that are neither comment nor event for no heartbeat", async () => {
  const chunks = [
    ...every(1_000, [EVENT, EVENT, EVENT]),
    ...Array.from({ length: 10 }, () => [{ wait: 500 }, "data: b\n"]).flat(),
  ];
  assertEquals(await givenUp(chunks), [5_000, 3_000]);
});

Deno.test("streamEvents goes by the longest of the last gaps", async () => {
  const chunks = [
    EVENT,
    { wait: 5_000 },
    EVENT,
    ...Array.from({ length: 5 }, () => [{ wait: 1_000 }, EVENT]).flat(),
  ];
  assertEquals(await givenUp(chunks), [25_000, 15_000]);
});

for (const count of [245, 265, 290, 333]) {
  Deno.test(`streamEvents gives up in time after a rhythm has been faster ${count} times`, async () => {
    const chunks = [
      ...every(30_000, [EVENT, EVENT, EVENT]),
      // More than is remembered, and for longer.
      ...Array.from({ length: count }, () => [{ wait: 1_000 }, EVENT]).flat(),
    ];
    const [at, after] = await givenUp(chunks);
    assertEquals([at - 60_000 - count * 1_000, after], [3_000, 3_000]);
  });
}

Deno.test("streamEvents keeps a slow rhythm in mind over a burst", async () => {
  const beat: ScriptedChunk[] = [{ wait: 15_000 }, COMMENT];
  const burst = Array.from({ length: 20 }, () => [{ wait: 50 }, EVENT]).flat();
  const cycle = [...beat, ...beat, ...beat, ...burst];
  const chunks = [COMMENT, ...Array.from({ length: 10 }, () => cycle).flat()];
  const { clock, events } = beating([{ chunks }], { heartbeatFloor: 10_000 });
  const { data, error } = await clock.run(outcomeOf(events));
  assertEquals(error, undefined);
  assertEquals(data.length, 200);
});

Deno.test("streamEvents keeps a slow rhythm in mind where events come in batches", async () => {
  const batch = EVENT.repeat(20);
  const { clock, events } = beating([{
    chunks: every(30_000, Array(5).fill(batch)),
  }], { heartbeatFloor: 10_000 });
  let count = 0;
  const read = async () => {
    for await (const _ of events) {
      count++;
      // It takes a consumer a little to look at each.
      await new Promise<void>((resolve) => clock.setTimeout(resolve, 3));
    }
  };
  await clock.run(read());
  assertEquals(count, 100);
});

Deno.test("streamEvents takes no offence at a consumer that is slow", async () => {
  const { clock, events } = beating([
    { chunks: every(1_000, Array(6).fill(EVENT)), end: "stall" },
  ]);
  for (let i = 0; i < 3; i++) await clock.run(events.next());
  assertEquals(clock.now(), 2_000);
  // For longer than three heartbeats, an hour even.
  await clock.advance(3_600_000);
  assertEquals(events.state, "open");
  for (let i = 0; i < 3; i++) await clock.run(events.next());
  assertEquals(events.counters.events, 6);
  assertEquals(events.state, "open");
  await events.cancel();
  assertEquals(clock.pending, 0);
});

Deno.test("streamEvents carries what it has learned over reconnections", async () => {
  const stream = beating([
    { chunks: every(1_000, Array(4).fill(EVENT)), end: "drop" },
    { chunks: [EVENT], end: "stall" },
    STOP,
  ], { reconnect: { jitter: 0 } });
  const outcome = await stream.clock.run(outcomeOf(stream.events));
  assertEquals(outcome.error, undefined);
  assertEquals(outcome.data.length, 5);
  // It drops at 3,000, and is silent from 4,000 on.
  assertEquals(stream.times, [0, 4_000, 9_000]);
  assertInstanceOf(stream.script.requests[1]?.reason, IdleTimeoutError);
});

Deno.test("streamEvents does not learn from the time between two connections", async () => {
  const stream = beating([
    { chunks: every(1_000, Array(4).fill(EVENT)), end: "drop" },
    { status: 503, headers: { "Retry-After": "600" } },
    { chunks: every(1_000, [EVENT, EVENT, EVENT]), end: "stall" },
    STOP,
  ], { reconnect: { jitter: 0 } });
  await stream.clock.run(outcomeOf(stream.events));
  // Open from 604,000, silent from 606,000.
  assertEquals(stream.times.slice(0, 3), [0, 4_000, 604_000]);
  const { reason } = stream.script.requests[2]!; // there are four
  assertInstanceOf(reason, IdleTimeoutError);
  assertEquals(reason.timeout, 3_000);
});

Deno.test("streamEvents learns a rhythm that has become slower, rather than give up for ever", async () => {
  const slow: ScriptedConnection = {
    chunks: [{ wait: 40_000 }, EVENT, { wait: 40_000 }, EVENT],
  };
  const stream = beating([
    { chunks: every(5_000, Array(10).fill(EVENT)), end: "drop" },
    ...Array(8).fill(slow),
    STOP,
  ], { heartbeatFloor: 10_000, reconnect: { jitter: 0 } });
  const { data } = await stream.clock.run(outcomeOf(stream.events));
  assert(data.length >= 18, `${data.length} events`);
});

Deno.test("streamEvents gives up no stream where heartbeatFloor is Infinity, or no heartbeat is asked for", async () => {
  for (
    const options of [{ heartbeatFloor: Infinity }, { heartbeat: undefined }]
  ) {
    const { clock, events } = beating([
      { chunks: every(10, Array(20).fill(EVENT)), end: "stall" },
    ], options);
    const reading = outcomeOf(events);
    await clock.advance(86_400_000);
    assertEquals(events.state, "open");
    await events.cancel();
    await reading;
    assertEquals(clock.pending, 0);
  }
});

Deno.test("streamEvents refuses a heartbeatFloor that is no time", () => {
  for (const heartbeatFloor of [-1, NaN]) {
    assertThrows(
      () => streamEvents(STREAM_URL, { heartbeatFloor }),
      RangeError,
      `'heartbeatFloor' must be a number of milliseconds, 0 or more: current value is ${heartbeatFloor}`,
    );
  }
});

Deno.test("AdaptiveTimeout knows nothing of a gap until it has seen two", () => {
  const timeout = new AdaptiveTimeout(100);
  const seen = [timeout.timeout];
  for (const now of [1_000, 1_500, 1_500, 2_000, 2_010]) {
    timeout.beat(now);
    seen.push(timeout.timeout);
  }
  assertEquals(seen, [Infinity, Infinity, Infinity, Infinity, 1_500, 1_500]);
  timeout.restart();
  timeout.beat(1_000_000);
  assertEquals(timeout.timeout, 1_500);
});

Deno.test("Watchdog notices in time where what it expects becomes less", async () => {
  const clock = new FakeClock();
  let timeout = 100;
  let expired: number | undefined;
  const watchdog = new Watchdog(() => timeout, () => {
    expired = clock.now();
  }, clock);
  watchdog.start();
  await clock.advance(10);
  timeout = 5;
  watchdog.start();
  assertEquals(clock.pending, 1);
  await clock.advance(100);
  assertEquals(expired, 15);
  assertEquals(clock.pending, 0);
});
