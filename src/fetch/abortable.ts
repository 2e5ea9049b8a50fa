// This module is browser compatible.

/**
 * Waits for a promise until a signal is aborted.
 *
 * The promise itself goes on: it cannot be stopped, only left alone. If it
 * rejects later, nobody hears of that rejection, and it does not count as
 * unhandled. The signal keeps no listener.
 *
 * @param promise The promise, or a value that is there already.
 * @param signal Ends the wait. If it was aborted before, nothing is waited for.
 * @returns The value of the promise.
 * @throws {unknown} The signal's reason, or what the promise rejects with.
 */
export async function abortable<T>(
  promise: T | PromiseLike<T>,
  signal: AbortSignal,
): Promise<T> {
  if (signal.aborted) {
    Promise.resolve(promise).catch(() => {});
    throw signal.reason;
  }
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
