import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { LogCopy } from "../../../../relay/stores/jetstream/log_copy.ts";
import { MemoryLog } from "../../../../relay/stores/memory_log.ts";
import { Windows } from "../../../../relay/stores/window.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../../support/property.ts";

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ add: fc.array(fc.nat(40)) }) },
  { weight: 1, arbitrary: fc.record({ skip: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.nat(600) }) },
  { weight: 1, arbitrary: fc.record({ remember: fc.nat(3) }) },
);

Deno.test("LogCopy stands where a log stands that has all of its events", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const clock = new FakeClock(1_000_000);
      const retention = { maxEvents: 8, maxBytes: 200, maxAge: 1_000 };
      const facts = { isOpen: false };
      const log = new MemoryLog(retention, clock, "t", facts);
      const windows = new Windows(1_000_000);
      const copy = new LogCopy({ retention, clock, windows }, log);
      for (const step of steps) {
        if ("add" in step) {
          if (step.add.length === 0) continue;
          const events = step.add.map((size, index) => ({
            event: "m",
            data: "x".repeat(size),
            id: String(index),
          }));
          log.add(events, clock.now());
          copy.add(events, clock.now());
        } else if ("skip" in step) {
          log.skip(step.skip, "slow");
          copy.skip(step.skip, "slow");
        } else if ("remember" in step) {
          const key = String(step.remember);
          log.remember({ key, value: String(log.next) });
          copy.remember(key, String(copy.next));
        } else {
          await clock.advance(step.wait);
          log.trim();
          copy.trim();
        }
        assertEquals(standing(copy), standing(log));
        assertEquals(copy.holes.length, log.holes.length);
        for (let at = log.first; at < log.next; at++) {
          assertEquals(copy.holeAt(at), log.holeAt(at));
        }
        // Events that retention has passed are not in memory.
        assertEquals((copy.window.first ?? Infinity) < copy.first - 128, false);
      }
    }),
    propertyParameters(200),
  );
});

function standing(log: MemoryLog | LogCopy): unknown {
  const { first, next, bytes, firstAt, lastAt, lastId } = log;
  const publications = [...log.publications()];
  return { first, next, bytes, firstAt, lastAt, lastId, publications };
}
