import { assert, assertEquals } from "@std/assert";
import { maxAhead, Pace } from "../../../relay/stores/pace.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

/** A log of events of 10 bytes, of which the last ones are retained. */
class Log {
  readonly #retained: number;
  next = 1;

  constructor(retained = 1_000) {
    this.#retained = retained;
  }

  get first(): number {
    return Math.max(1, this.next - this.#retained);
  }

  get bytes(): number {
    return (this.next - this.first) * 10;
  }
}

function world(): { log: Log; clock: FakeClock; pace: Pace } {
  const [log, clock] = [new Log(), new FakeClock(0)];
  return { log, clock, pace: new Pace(log, clock) };
}

Deno.test("A log may be ahead of readers by half of what it retains, and no more than fits in memory", () => {
  const ahead = (first: number, next: number, size: number) =>
    maxAhead({ first, next, bytes: (next - first) * size });
  assertEquals(ahead(1, 1, 10), 384);
  assertEquals(ahead(1, 101, 10), 384);
  assertEquals(ahead(2, 102, 10), 50);
  assertEquals(ahead(2, 3, 10), 1);
  assertEquals(ahead(2, 10_002, 10), 2_048);
  assertEquals(ahead(2, 10_002, 1_024), 512);
  assertEquals(ahead(2, 10_002, 8 * 1024 * 1024), 1);
});

Deno.test("Writers wait for the reader that is furthest behind, and for none that has left", async () => {
  const { log, pace } = world();
  log.next = 2_001;
  assertEquals(pace.caughtUp, undefined);
  const [near, far] = [pace.join(1_900), pace.join(1_501)];
  assertEquals(pace.place, 1_501);
  const wait = pace.caughtUp;
  assert(wait);
  assertEquals(pace.caughtUp, wait);
  pace.took(near, 2_001);
  assertEquals(pace.caughtUp, wait);
  // A place never moves back.
  pace.took(far, 1_400);
  assertEquals(pace.place, 1_501);
  pace.took(far, 1_502);
  await wait;
  assertEquals(pace.caughtUp, undefined);
  log.next = 2_100;
  const again = pace.caughtUp;
  assert(again);
  pace.leave(far);
  await again;
  assertEquals(pace.place, 2_001);
  pace.leave(near);
  assertEquals(pace.place, 2_100);
});

Deno.test("A reader that takes nothing is waited for once, until it has caught up", async () => {
  const { log, clock, pace } = world();
  const [slow, stopped] = [pace.join(1), pace.join(1)];
  log.next = 2_001;
  // The time in which nobody waits does not count.
  await clock.advance(10_000);
  const wait = pace.caughtUp;
  assert(wait);
  let isOver = false;
  void wait.then(() => isOver = true);
  await clock.advance(1_900);
  pace.took(slow, 100);
  await clock.advance(100);
  assert(!isOver);
  pace.took(slow, 1_800);
  await clock.advance(2_000);
  assert(isOver);
  assertEquals(pace.caughtUp, undefined);
  // It is read on, but is not there yet.
  pace.took(stopped, 1_000);
  assertEquals(pace.caughtUp, undefined);
  pace.took(stopped, 1_900);
  log.next = 2_500;
  assert(pace.caughtUp);
  pace.close();
  assertEquals(pace.caughtUp, undefined);
  assertEquals(clock.pending, 0);
});

Deno.test("No reader loses anything of appends of up to half of what is retained, however many come at once", () => {
  for (const retained of [768, 1_000, 4_000, 10_000]) {
    for (const count of [1, 7, 100, 383, retained / 2]) {
      const [log, clock] = [new Log(retained), new FakeClock(0)];
      const pace = new Pace(log, clock);
      const reader = pace.join(1);
      while (log.next < 5 * retained) {
        // The reader takes nothing before writers wait for it.
        if (pace.caughtUp) pace.took(reader, log.next);
        else log.next += count;
        assert(log.first <= reader.place, `${count} of ${retained}`);
      }
      pace.close();
    }
  }
});
