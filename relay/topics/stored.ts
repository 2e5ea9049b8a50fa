/**
 * A value that a store has at hand, or has to fetch.
 *
 * @example Both are awaited alike
 * ```ts
 * import type { Stored } from "@rivulet/rivulet/relay";
 *
 * const values: Stored<number>[] = [1, Promise.resolve(2)];
 * await Promise.all(values);
 * ```
 */
export type Stored<T> = T | Promise<T>;

/** Goes on with a value: at once if it is at hand, and else when it is there. */
export function whenStored<T, R>(
  value: Stored<T>,
  next: (value: T) => Stored<R>,
): Stored<R> {
  return value instanceof Promise ? value.then(next) : next(value);
}
