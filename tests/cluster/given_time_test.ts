// Waits in the time that a busy machine gives.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Delays, GivenTime } from "./given_time.ts";

const LIMIT = 300;

function delays(delay: number): Delays {
  return new Map([[1, new Map([["thread", delay]])]]);
}

/** Waits in vain; returns the real time of it, and the time that was given, in milliseconds. */
async function inVain(time: GivenTime): Promise<readonly [number, number]> {
  const { message } = await assertRejects(
    () => time.until(() => undefined, LIMIT, () => "a word"),
    Error,
    "in vain for a word",
  );
  const [took = NaN, given = NaN] = message.match(/\d+/g)!.map(Number);
  return [took, given];
}

Deno.test("GivenTime ends the wait for a process that does nothing", async () => {
  using time = new GivenTime(() => delays(7));
  const [took, given] = await inVain(time);
  // The process may stand still between two looks at the clock: the times differ then.
  assert(given >= LIMIT && took < 10 * LIMIT);
});

Deno.test("GivenTime waits for a process that the machine does not run, ten times as long at most", async () => {
  using time = new GivenTime(() => delays(performance.now()));
  const [took, given] = await inVain(time);
  assert(took >= 10 * LIMIT);
  assert(given < LIMIT);
});

Deno.test("GivenTime gives what has come", async () => {
  using time = new GivenTime(() => new Map());
  assertEquals(await time.until(() => 1, LIMIT, () => "it"), 1);
  assertEquals(await time.within(Promise.resolve(2), LIMIT, () => "it"), 2);
});
