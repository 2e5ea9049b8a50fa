import { assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Clock } from "../../../src/fetch/clock.ts";
import { Expiries } from "../../../relay/rights/expiries.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";

const DAY = 86_400_000;

Deno.test("Expiries tells each once, when its time has come and not before", async () => {
  const property = fc.asyncProperty(
    fc.array(
      fc.record({
        time: fc.nat({ max: 20 }),
        isDeleted: fc.boolean(),
      }),
      { maxLength: 30 },
    ),
    async (entries) => {
      const clock = new FakeClock();
      using expiries = new Expiries(clock);
      const told: [number, number][] = [];
      const all = entries.map(({ time }, index) => ({
        onExpiry: () => void told.push([index, clock.now()]),
        time,
      }));
      for (const one of all) expiries.add(one.time, one);
      for (const [index, { isDeleted, time }] of entries.entries()) {
        if (isDeleted) expiries.delete(time, all[index]!); // as many
      }
      assertEquals(told, []);
      for (let step = 0; step <= 20; step++) await clock.advance(1);
      assertEquals(
        new Map(told),
        new Map(
          entries.flatMap(({ time, isDeleted }, index) =>
            isDeleted ? [] : [[index, time] as const]
          ),
        ),
      );
      assertEquals(told.length, new Set(told.map(([index]) => index)).size);
      assertEquals(clock.pending, 0);
    },
  );
  await fc.assert(property, propertyParameters(200));
});

/** A clock whose months pass in no time: nothing waits for promises between two timers. */
class QuickClock implements Clock {
  readonly #timers = new Set<{ due: number; callback: () => void }>();
  #now = 0;

  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delay: number): () => void {
    const timer = { due: this.#now + delay, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(duration: number): void {
    const end = this.#now + duration;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.due - b.due);
      if (!next || next.due > end) break;
      this.#timers.delete(next);
      this.#now = next.due;
      next.callback();
    }
    this.#now = end;
  }
}

Deno.test("Expiries judges by the wall clock, whatever timers do meanwhile (B7)", async () => {
  const clock = new FakeClock(DAY);
  using expiries = new Expiries(clock);
  let told = 0;
  const expiring = { onExpiry: () => void told++ };
  expiries.add(2 * DAY, expiring);
  // The machine sleeps, which no timer hears of.
  clock.jump(DAY);
  assertEquals(told, 0);
  await clock.advance(5_000);
  assertEquals(told, 1);
  assertEquals(clock.pending, 0);
  // Its clock was wrong, by years, and is corrected.
  clock.jump(-1_000 * DAY);
  expiries.add(2 * DAY, expiring);
  await clock.advance(3 * DAY);
  assertEquals(told, 1);
  clock.jump(1_000 * DAY);
  await clock.advance(5_000);
  assertEquals(told, 2);
});

Deno.test("Expiries waits longer than a timer does, and keeps none where nobody is left", () => {
  const clock = new QuickClock();
  using expiries = new Expiries(clock);
  let told = 0;
  const expiring = { onExpiry: () => void told++ };
  expiries.add(Infinity, expiring);
  assertEquals(clock.pending, 0);
  expiries.add(60 * DAY, expiring);
  for (let day = 0; day < 59; day++) clock.advance(DAY);
  assertEquals(told, 0);
  clock.advance(DAY);
  assertEquals(told, 1);
  expiries.add(61 * DAY, expiring);
  expiries.delete(61 * DAY, expiring);
  assertEquals(clock.pending, 0);
  clock.advance(2 * DAY);
  assertEquals(told, 1);
});
