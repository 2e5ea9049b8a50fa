import { assert, assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../src/testing/fake_clock.ts";

function sleep(clock: FakeClock, delay: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, delay));
}

Deno.test("FakeClock.advance() calls timers in order of their time, then of their age", async () => {
  const clock = new FakeClock(1_000);
  const calls: [name: string, time: number][] = [];
  const set = (name: string, delay: number) =>
    clock.setTimeout(() => calls.push([name, clock.now()]), delay);
  set("c", 20);
  set("a", 10);
  set("d", 20);
  set("b", 10);
  set("at once", -5);
  set("not a number", NaN);
  set("later", 31);
  set("cancelled", 10)();
  await clock.advance(30);
  assertEquals(calls, [
    ["at once", 1_000],
    ["not a number", 1_000],
    ["a", 1_010],
    ["b", 1_010],
    ["c", 1_020],
    ["d", 1_020],
  ]);
  assertEquals(clock.now(), 1_030);
  assertEquals(clock.pending, 1);
});

Deno.test("FakeClock.advance() calls timers that are set meanwhile", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  const tick = async (): Promise<void> => {
    for (;;) {
      await sleep(clock, 10);
      times.push(clock.now());
    }
  };
  tick();
  await clock.advance(35);
  assertEquals(times, [10, 20, 30]);
});

Deno.test("FakeClock.advance() lets streams move between timers", async () => {
  const clock = new FakeClock();
  const seen: [text: string, time: number][] = [];
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      await sleep(clock, 10);
      controller.enqueue(new Uint8Array([65, 66]));
    },
  }, { highWaterMark: 0 });
  const text = source
    .pipeThrough(new TransformStream())
    .pipeThrough(new TextDecoderStream());
  const read = async (): Promise<void> => {
    const reader = text.getReader();
    for (let i = 0; i < 3; i++) {
      const { value = "" } = await reader.read();
      const body = new Response(new Blob([value])).body;
      seen.push([await new Response(body).text(), clock.now()]);
    }
    await reader.cancel();
  };
  const reading = read();
  await clock.advance(30);
  assertEquals(seen, [["AB", 10], ["AB", 20], ["AB", 30]]);
  await reading;
});

Deno.test("FakeClock counts a delay over 2^31-1 as that, as every clock does", async () => {
  const clock = new FakeClock();
  let called = 0;
  clock.setTimeout(() => called++, Infinity);
  await clock.advance(2 ** 31 - 2);
  assertEquals(called, 0);
  await clock.advance(1);
  assertEquals(called, 1);
});

for (const duration of [-1, NaN, Infinity]) {
  Deno.test(`FakeClock.advance() refuses ${duration}`, async () => {
    const clock = new FakeClock();
    await assertRejects(
      () => clock.advance(duration),
      RangeError,
      `current value is ${duration}`,
    );
    assertEquals(clock.now(), 0);
  });
}

Deno.test("FakeClock.run() stops at the moment at which the promise settles", async () => {
  const clock = new FakeClock();
  let later = false;
  clock.setTimeout(() => later = true, 51);
  const work = async (): Promise<string> => {
    for (let i = 0; i < 5; i++) await sleep(clock, 10);
    return "done";
  };
  assertEquals(await clock.run(work()), "done");
  assertEquals(clock.now(), 50);
  assertEquals(later, false);
  assertEquals(clock.pending, 1);
});

Deno.test("FakeClock.run() takes no time for a promise that needs none", async () => {
  const clock = new FakeClock();
  let called = false;
  clock.setTimeout(() => called = true, 0);
  assertEquals(await clock.run(new Response("text").text()), "text");
  assertEquals([called, clock.now()], [false, 0]);
});

Deno.test("FakeClock.run() takes no time for many promises, whatever is loaded", async () => {
  // The clients of many providers load it. It changes Deno's MessageChannel.
  await import("node:worker_threads");
  const clock = new FakeClock();
  clock.setTimeout(() => {}, 1_000);
  const work = async (): Promise<string> => {
    for (let i = 0; i < 1_000; i++) await undefined;
    return await new Response(
      new Response("text").body?.pipeThrough(new TextDecoderStream())
        .pipeThrough(new TextEncoderStream()),
    ).text();
  };
  assertEquals(await clock.run(work()), "text");
  assertEquals(clock.now(), 0);
});

Deno.test("FakeClock.run() waits for other threads when there is nothing else to do", async () => {
  const clock = new FakeClock();
  const digest = await clock.run(
    crypto.subtle.digest("SHA-256", new Uint8Array(8)),
  );
  assertEquals(digest.byteLength, 32);
});

Deno.test("FakeClock.run() rejects as the promise does", async () => {
  const clock = new FakeClock();
  const work = async (): Promise<void> => {
    await sleep(clock, 10);
    throw new RangeError("of its own");
  };
  await assertRejects(() => clock.run(work()), RangeError, "of its own");
  assertEquals(clock.now(), 10);
});

Deno.test("FakeClock.run() says when no timer is left", async () => {
  const clock = new FakeClock();
  clock.setTimeout(() => {}, 25);
  const { promise, reject } = Promise.withResolvers<void>();
  const error = await assertRejects(() => clock.run(promise), Error);
  assertEquals(
    error.message,
    "Cannot run the clock until the promise settles as it is pending and no timer is left: what it waits for is not of this clock, or never comes (the clock shows 25 ms)",
  );
  // Nor is a rejection that comes too late unhandled.
  reject(new Error("too late"));
  await clock.advance(0);
});

Deno.test("FakeClock.run() gives up after maxTimers", async () => {
  const clock = new FakeClock();
  let ticks = 0;
  const tick = (): void => {
    ticks++;
    clock.setTimeout(tick, 10);
  };
  clock.setTimeout(tick, 10);
  const error = await assertRejects(
    () => clock.run(new Promise(() => {}), { maxTimers: 100 }),
    Error,
  );
  assertEquals(
    error.message,
    "Cannot run the clock until the promise settles as it is pending after 100 timers: is something trying again and again? (the clock shows 1000 ms)",
  );
  assertEquals(ticks, 100);
});

Deno.test("FakeClock.run() may need as many timers as maxTimers", async () => {
  const clock = new FakeClock();
  const work = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) await sleep(clock, 1);
  };
  await clock.run(work(), { maxTimers: 3 });
  await assertRejects(
    () => clock.run(work(), { maxTimers: 2 }),
    Error,
    "pending after 2 timers",
  );
  await clock.advance(10);
});

for (const maxTimers of [0, -1, 1.5, NaN, Infinity]) {
  Deno.test(`FakeClock.run() refuses ${maxTimers} as maxTimers`, async () => {
    const error = await assertRejects(
      () => new FakeClock().run(Promise.resolve(), { maxTimers }),
      RangeError,
    );
    assert(error.message.endsWith(`current value is ${maxTimers}`));
  });
}
