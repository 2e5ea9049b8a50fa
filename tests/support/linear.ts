/**
 * Shows that something takes time in proportion to its input.
 *
 * @module
 */
import process from "node:process";
import { assert } from "@std/assert";

/** The factor by which the longer input is longer. */
const GROWTH = 16;

/** The time that this process has been computing for, in microseconds. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * Fails if the time grows by more than the square root of what separates linear
 * (16 times) from quadratic (256 times).
 *
 * This does not flake: it is the processor's time that is measured, which does not
 * grow when others take their turns; both lengths alternate, and the best of three
 * each is compared, so that something has to slow down every run of the long
 * input fourfold and spare one of the short; and then to do so three times over. It
 * does not miss: what is quadratic fails each time by a factor of four.
 */
export async function assertLinear(
  run: (length: number) => void | Promise<void>,
  length: number,
): Promise<void> {
  let ratio = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    let short = Infinity;
    let long = Infinity;
    for (let i = 0; i < 3; i++) {
      let start = cpuTime();
      await run(length / GROWTH);
      short = Math.min(short, cpuTime() - start);
      start = cpuTime();
      await run(length);
      long = Math.min(long, cpuTime() - start);
    }
    ratio = long / Math.max(short, 1);
    if (ratio < 4 * GROWTH) return;
  }
  assert(
    false,
    `${GROWTH} times the input took ${ratio.toFixed()} times as long`,
  );
}

/**
 * Fails if something takes 64 times as long as what the engine does with the same input.
 *
 * It is for inputs so long that the process needs new memory for them. Where the system is
 * slow to give some, 16 times the input take more than 100 times as long, so that two
 * lengths cannot be compared. A quadratic reader copies 32 GiB or more here, and takes 500
 * times as long as the engine.
 */
export async function assertLikeEngine(
  run: () => void | Promise<void>,
  engine: () => void | Promise<void>,
): Promise<void> {
  let own = Infinity;
  let floor = Infinity;
  for (let i = 0; i < 3; i++) {
    let start = cpuTime();
    await engine();
    floor = Math.min(floor, cpuTime() - start);
    start = cpuTime();
    await run();
    own = Math.min(own, cpuTime() - start);
  }
  const ratio = own / Math.max(floor, 1);
  assert(ratio < 4 * GROWTH, `It took ${ratio.toFixed()} times as long`);
}
