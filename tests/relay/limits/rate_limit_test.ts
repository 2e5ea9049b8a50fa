import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ClientRates } from "../../../relay/limits/client_rates.ts";
import { RateLimit } from "../../../relay/limits/rate_limit.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../support/property.ts";

Deno.test("RateLimit gives what one second brings, and then as much as comes", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(4, clock);
  for (let i = 0; i < 4; i++) assertEquals(limit.take(1), 0);
  assertEquals(limit.take(1), 250);
  await clock.advance(249);
  assertEquals(limit.take(1), 1);
  await clock.advance(1);
  assertEquals(limit.take(1), 0);
  assertEquals(limit.take(2), 500);
  await clock.advance(3_600_000);
  assertEquals(limit.take(4), 0, "no more than fits in");
  assertEquals(limit.take(1), 250);
});

Deno.test("RateLimit takes nothing where it refuses", () => {
  const limit = new RateLimit(4, new FakeClock());
  assertEquals(limit.take(3), 0);
  assertEquals(limit.take(2), 250);
  assertEquals(limit.take(2), 250);
  assertEquals(limit.take(1), 0);
});

Deno.test("RateLimit gives more than fits in when it is full, and wants it made up for", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(4, clock);
  assertEquals(limit.take(1), 0);
  assertEquals(limit.take(8), 250, "not full");
  await clock.advance(250);
  assertEquals(limit.take(8), 0);
  assertEquals(limit.take(1), 1_250);
  await clock.advance(1_250);
  assertEquals(limit.take(1), 0);
});

Deno.test("RateLimit gives one at a time where the rate is less", async () => {
  const clock = new FakeClock();
  const limit = new RateLimit(0.1, clock);
  assertEquals(limit.take(1), 0);
  assertEquals(limit.take(1), 10_000);
  await clock.advance(9_999);
  assertEquals(limit.take(1), 1);
  await clock.advance(1);
  assertEquals(limit.take(1), 0);
});

Deno.test("RateLimit says what can be waited for, and does not take it", () => {
  const limit = new RateLimit(2, new FakeClock());
  assertEquals(limit.wait(2), 0);
  assertEquals(limit.wait(2), 0);
  assert(limit.isFull);
  assertEquals(limit.take(2), 0);
  assertEquals(limit.isFull, false);
  assertEquals(limit.wait(1), 500);
});

/** A clock that stands where it is put: time need not settle here. */
class Hand {
  time = 1e12;
  now(): number {
    return this.time;
  }
  setTimeout(): never {
    throw new Error("Expected no timer");
  }
}

Deno.test("RateLimit gives no more than its rate over any time, and all of it", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 1e6, noNaN: true }),
      fc.array(
        fc.tuple(
          fc.double({ min: 0, max: 5_000, noNaN: true }),
          fc.integer({ min: 1, max: 1_000 }),
        ),
        { minLength: 1 },
      ),
      (rate, steps) => {
        const clock = new Hand();
        const limit = new RateLimit(rate, clock);
        const burst = rate;
        const begin = clock.time;
        let taken = 0;
        for (const [pause, count] of steps) {
          clock.time += pause;
          const wait = limit.take(count);
          if (wait === 0) {
            taken += count;
            const elapsed = (clock.time - begin) / 1_000;
            // The last one may be more than fits in.
            const most = burst + elapsed * rate + Math.max(0, count - burst);
            assert(taken <= most + 1e-3, `${taken} of ${most}`);
          } else {
            assert(Number.isInteger(wait) && wait >= 1, `${wait}`);
            clock.time += wait;
            assertEquals(limit.take(count), 0, "as it was told");
            taken += count;
          }
        }
      },
    ),
    propertyParameters(1_000),
  );
});

Deno.test("ClientRates gives each client its own", async () => {
  const clock = new FakeClock();
  const rates = new ClientRates(1, clock);
  assertEquals(rates.wait("a", 1), 0);
  assertEquals(rates.take("a", 1), 0);
  assertEquals(rates.take("a", 1), 1_000);
  assertEquals(rates.wait("a", 1), 1_000);
  assertEquals(rates.take("b", 1), 0);
  await clock.advance(400);
  assertEquals(rates.take("a", 1), 600);
});

Deno.test("ClientRates forgets who has taken nothing for a while, and nobody else", async () => {
  const clock = new FakeClock();
  const rates = new ClientRates(10, clock);
  for (let i = 0; i < 1_000; i++) rates.take(`${i}`, 1);
  rates.take("debtor", 100);
  assertEquals(rates.size, 1_001);
  await clock.advance(1_000);
  rates.take("new", 1);
  assertEquals(rates.size, 2);
  assertEquals(rates.take("debtor", 1), 8_100, "and not as if it were new");
});

Deno.test("ClientRates remembers nobody for a question", () => {
  const rates = new ClientRates(10, new FakeClock());
  assertEquals(rates.wait("a", 1), 0);
  assertEquals(rates.size, 0);
});
