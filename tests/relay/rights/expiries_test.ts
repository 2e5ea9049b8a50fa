import { assertEquals } from "@std/assert";
import fc from "fast-check";
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

Deno.test("Expiries waits longer than a timer does, and keeps none where nobody is left", async () => {
  const clock = new FakeClock();
  using expiries = new Expiries(clock);
  let told = 0;
  const expiring = { onExpiry: () => void told++ };
  expiries.add(Infinity, expiring);
  assertEquals(clock.pending, 0);
  expiries.add(60 * DAY, expiring);
  for (let day = 0; day < 59; day++) await clock.advance(DAY);
  assertEquals(told, 0);
  await clock.advance(DAY);
  assertEquals(told, 1);
  expiries.add(61 * DAY, expiring);
  expiries.delete(61 * DAY, expiring);
  assertEquals(clock.pending, 0);
  await clock.advance(2 * DAY);
  assertEquals(told, 1);
});
