import { assert, assertEquals } from "@std/assert";
import { LoopDelay } from "../../../relay/metrics/loop_delay.ts";
import { type Clock, systemClock } from "../../../src/fetch/clock.ts";

/** A clock whose one timer is called when the test says so, however late that is. */
class LateClock implements Clock {
  time = 0;
  timer: { readonly callback: () => void; readonly delay: number } | undefined;

  now(): number {
    return this.time;
  }
  setTimeout(callback: () => void, delay: number): () => void {
    assertEquals(this.timer, undefined, "there is one timer at a time");
    const timer = this.timer = { callback, delay };
    return () => {
      if (this.timer === timer) this.timer = undefined;
    };
  }
  /** Calls the timer so much later than it is due. */
  ring(late: number): void {
    const { callback, delay } = this.timer!; // there is one
    this.timer = undefined;
    this.time += delay + late;
    callback();
  }
}

Deno.test("LoopDelay measures how late a timer is called, in seconds, until it is disposed of", () => {
  const clock = new LateClock();
  const seen: number[] = [];
  const delay = new LoopDelay({ observe: (value) => seen.push(value) }, clock);
  for (const late of [0, 3, 250, 0, -0.5]) clock.ring(late);
  assertEquals(seen, [0, 0.003, 0.25, 0, 0]);
  delay[Symbol.dispose]();
  assertEquals(clock.timer, undefined);
});

Deno.test("LoopDelay sees what blocks the loop", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const observe = (value: number): void => {
    if (value > 0.1) resolve(value);
  };
  using _delay = new LoopDelay({ observe }, systemClock);
  const end = performance.now() + 300;
  while (performance.now() < end);
  // It was due within 50 ms, whatever else the machine does.
  const seen = await promise;
  assert(seen >= 0.24, `saw ${seen} s`);
});
