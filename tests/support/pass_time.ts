import type { FakeClock } from "../../src/testing/fake_clock.ts";
import { LIMIT, until } from "./within.ts";

/**
 * Lets time pass until something is there that real sockets have a part in.
 *
 * @param clock Whose time passes.
 * @param promise What is waited for.
 * @param step How much at a time, in milliseconds.
 */
export async function passTime<T>(
  clock: FakeClock,
  promise: Promise<T>,
  step = 500,
): Promise<T> {
  let isSettled = false;
  const settled = (): void => {
    isSettled = true;
  };
  promise.then(settled, settled);
  await until(
    async () => {
      await clock.advance(step);
      return isSettled || undefined;
    },
    LIMIT,
    "what time should have brought",
  );
  return await promise;
}
