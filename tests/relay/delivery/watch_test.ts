import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { Watch } from "../../../relay/delivery/watch.ts";

Deno.test("Watch tells those alone who gave no sign", async () => {
  const clock = new FakeClock();
  const watch = new Watch(1_000, clock);
  const beats = { quiet: 0, talking: 0 };
  const quiet = { takeSign: () => false, onQuiet: () => beats.quiet++ };
  const talking = { takeSign: () => true, onQuiet: () => beats.talking++ };
  watch.add(quiet);
  watch.add(talking);
  await clock.advance(999);
  assertEquals(beats.quiet, 0);
  await clock.advance(1);
  assertEquals(beats.quiet, 1);
  await clock.advance(9_000);
  assertEquals(beats, { quiet: 10, talking: 0 });
  watch.delete(quiet);
  watch.delete(talking);
  assertEquals(clock.pending, 0, "no timer without anybody");
});

Deno.test("Watch tells after a whole interval since the last sign, and at most a quarter more", async () => {
  for (let at = 0; at <= 1_000; at += 50) {
    const clock = new FakeClock();
    using watch = new Watch(1_000, clock);
    let sign = false;
    const quiet: number[] = [];
    watch.add({
      takeSign: () => {
        const before = sign;
        sign = false;
        return before;
      },
      onQuiet: () => quiet.push(clock.now()),
    });
    await clock.advance(at);
    sign = true;
    await clock.advance(1_500);
    const [late = 0] = quiet.filter((time) => time > at).map((time) =>
      time - at
    );
    assertEquals(late >= 1_000 && late <= 1_250, true, `${at}: ${late}`);
  }
});

Deno.test("Watch counts intervals for each by itself, sign or not", async () => {
  const clock = new FakeClock();
  using watch = new Watch(1_000, clock);
  const intervals: Record<string, number[]> = { first: [], second: [] };
  const add = (name: string, sign: boolean): void =>
    watch.add({
      takeSign: () => sign,
      onQuiet: () => {},
      onInterval: () => intervals[name]?.push(clock.now()),
    });
  add("first", true);
  await clock.advance(600);
  add("second", false);
  await clock.advance(3_000);
  assertEquals(intervals, {
    first: [1_000, 2_000, 3_000],
    second: [1_500, 2_500, 3_500],
  });
});

Deno.test("Watch goes on with somebody that is added again", async () => {
  const clock = new FakeClock();
  using watch = new Watch(1_000, clock);
  let quiet = 0;
  const watched = { takeSign: () => false, onQuiet: () => quiet++ };
  for (let quarter = 0; quarter < 4; quarter++) {
    watch.add(watched);
    await clock.advance(250);
  }
  assertEquals(quiet, 1);
});
