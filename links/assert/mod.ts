/**
 * A stand-in for `jsr:@std/assert` where JSR cannot be reached: the functions
 * that this project's tests import, with the standard library's behaviour.
 *
 * @module
 */
import { deepStrictEqual, notDeepStrictEqual } from "node:assert/strict";
import { inspect } from "node:util";

// deno-lint-ignore no-explicit-any -- any constructor may be asked for, as in the original
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** The error that every failed assertion throws. */
export class AssertionError extends Error {
  /** Makes an error with this message. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Throws unless the two values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    deepStrictEqual(actual, expected);
  } catch (cause) {
    const difference = cause instanceof Error ? cause.message : String(cause);
    throw new AssertionError(
      `Values are not equal${suffix(msg)}\n${difference}`,
    );
  }
}

/** Throws if the two values are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  try {
    notDeepStrictEqual(actual, expected);
  } catch {
    throw new AssertionError(
      `Expected values to differ, both are ${inspect(actual)}${suffix(msg)}`,
    );
  }
}

/** Throws unless the two values are the same by `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (!Object.is(actual, expected)) {
    throw new AssertionError(
      `Values are not strictly equal${suffix(msg)}\n${inspect(actual)}\n${
        inspect(expected)
      }`,
    );
  }
}

/** Throws if the value is `null` or `undefined`. */
export function assertExists<T>(
  actual: T,
  msg?: string,
): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    throw new AssertionError(
      `Expected a value, got ${inspect(actual)}${suffix(msg)}`,
    );
  }
}

/** Throws unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<E extends Error>(
  actual: unknown,
  expectedType: ErrorClass<E>,
  msg = "",
): asserts actual is E {
  if (!(actual instanceof expectedType)) {
    throw new AssertionError(
      `Expected an instance of ${expectedType.name}, got ${inspect(actual)}${
        suffix(msg)
      }`,
    );
  }
}

/** Throws unless `actual` matches `expected`. */
export function assertMatch(
  actual: string,
  expected: RegExp,
  msg?: string,
): void {
  if (!expected.test(actual)) {
    throw new AssertionError(
      `Expected ${inspect(actual)} to match ${expected}${suffix(msg)}`,
    );
  }
}

/** Throws unless `actual` contains `expected`. */
export function assertStringIncludes(
  actual: string,
  expected: string,
  msg?: string,
): void {
  if (!actual.includes(expected)) {
    throw new AssertionError(
      `Expected ${inspect(actual)} to contain ${inspect(expected)}${
        suffix(msg)
      }`,
    );
  }
}

function checkError<E extends Error>(
  error: unknown,
  expectedType: ErrorClass<E> | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): void {
  if (expectedType && !(error instanceof expectedType)) {
    throw new AssertionError(
      `Expected ${expectedType.name}, got ${inspect(error)}${suffix(msg)}`,
      { cause: error },
    );
  }
  if (
    msgIncludes !== undefined &&
    !(error instanceof Error && error.message.includes(msgIncludes))
  ) {
    throw new AssertionError(
      `Expected a message with ${inspect(msgIncludes)}, got ${inspect(error)}${
        suffix(msg)
      }`,
      { cause: error },
    );
  }
}

/** Throws unless `fn` throws an error of the class that is asked for. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  expectedType?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E {
  try {
    fn();
  } catch (error) {
    checkError(error, expectedType, msgIncludes, msg);
    return error as E; // checked above, as far as the caller asked
  }
  throw new AssertionError(`Expected function to throw${suffix(msg)}`);
}

/** Rejects unless the promise of `fn` rejects with the class that is asked for. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  expectedType?: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E> {
  try {
    await fn();
  } catch (error) {
    checkError(error, expectedType, msgIncludes, msg);
    return error as E; // checked above, as far as the caller asked
  }
  throw new AssertionError(`Expected function to reject${suffix(msg)}`);
}
