/**
 * Waits with an end.
 *
 * @module
 */

/**
 * The longest wait for what has to come, in milliseconds: what does come takes a
 * hundredth of it, and now and then a half where the machine is busy.
 */
export const LIMIT = 60_000;

/**
 * Waits for something, but not for ever.
 *
 * @param promise What is waited for.
 * @param limit In milliseconds.
 * @param what What is waited for, in words, for when it does not come; a
 * function is asked then.
 */
export async function within<T>(
  promise: Promise<T>,
  limit: number,
  what: string | (() => string),
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const named = typeof what === "string" ? what : what();
      reject(new Error(`Waited ${limit} ms in vain for ${named}`));
    }, limit);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks again and again until the answer is there.
 *
 * @param ask Returns `undefined` for "not yet".
 * @param limit In milliseconds.
 * @param what What is waited for, in words.
 */
export async function until<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  limit: number,
  what: string | (() => string),
): Promise<T> {
  const end = performance.now() + limit;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) {
      const named = typeof what === "string" ? what : what();
      throw new Error(`Waited ${limit} ms in vain for ${named}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * Waits until a count stands still: until what writes is held up.
 *
 * @param count Returns the count.
 * @param what What is waited for, in words.
 */
export async function untilStill(
  count: () => number,
  what: string,
): Promise<void> {
  let before = -1;
  await until(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const isStill = before === count();
      before = count();
      return isStill || undefined;
    },
    LIMIT,
    what,
  );
}
