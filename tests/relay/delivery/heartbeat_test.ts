import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { Heartbeat } from "../../../relay/delivery/heartbeat.ts";

Deno.test("Heartbeat beats for those alone who sent nothing", async () => {
  const clock = new FakeClock();
  const heartbeat = new Heartbeat(1_000, clock);
  const beats = { quiet: 0, talking: 0 };
  const quiet = { takeWrote: () => false, beat: () => beats.quiet++ };
  const talking = { takeWrote: () => true, beat: () => beats.talking++ };
  heartbeat.add(quiet);
  heartbeat.add(talking);
  await clock.advance(999);
  assertEquals(beats.quiet, 0);
  await clock.advance(1);
  assertEquals(beats.quiet, 1);
  await clock.advance(9_000);
  assertEquals(beats, { quiet: 10, talking: 0 });
  heartbeat.delete(quiet);
  heartbeat.delete(talking);
  assertEquals(clock.pending, 0, "no timer without anybody");
});
