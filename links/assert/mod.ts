/**
 * A stand-in for `jsr:@std/assert` where JSR cannot be reached: the functions
 * that this project's tests import, with the standard library's behaviour.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert/strict";
import { inspect, stripVTControlCharacters } from "node:util";

// deno-lint-ignore no-explicit-any -- any constructor may be asked for, as in the original
type Class<T> = abstract new (...args: any[]) => T;

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

/** Objects whose text says all that there is to compare. */
const TEXTUAL = [Intl.Locale, RegExp, URL, URLSearchParams];

/** The keys to compare: a literal's own, or all that an instance answers to. */
function keysOf(value: object): (string | symbol)[] {
  const isEnumerable = Object.prototype.propertyIsEnumerable;
  const keys: (string | symbol)[] = [];
  const top: unknown[] = [Object.prototype, Array.prototype, null];
  if (top.includes(Object.getPrototypeOf(value))) {
    return Reflect.ownKeys(value).filter((key) =>
      isEnumerable.call(value, key)
    );
  }
  for (let o = value; !top.includes(o); o = Object.getPrototypeOf(o)) {
    keys.push(...Reflect.ownKeys(o));
  }
  return keys;
}

/** The entries of a map or a set as pairs, `undefined` for anything else. */
function entriesOf(value: object): [unknown, unknown][] | undefined {
  return value instanceof Map || value instanceof Set
    ? [...value.entries()]
    : undefined;
}

function isTypedArray(value: object): value is ArrayLike<unknown> {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function equal(a: unknown, b: unknown, seen = new Map()): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  // An object without a prototype is as good as a literal.
  const [ofA, ofB] = [a, b].map((v) =>
    Object.getPrototypeOf(v) ?? Object.prototype
  );
  if (ofA !== ofB) return false;
  if (a instanceof Date && b instanceof Date) {
    return Object.is(a.getTime(), b.getTime());
  }
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
    return equal(new Uint8Array(a), new Uint8Array(b));
  }
  if (TEXTUAL.some((textual) => a instanceof textual)) {
    return String(a) === String(b);
  }
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  const [inA, inB] = [entriesOf(a), entriesOf(b)];
  if (inA && inB) {
    return inA.length === inB.length && inA.every((entry) => {
      const match = inB.findIndex((other) => equal(entry, other, seen));
      return match >= 0 && inB.splice(match, 1);
    });
  }
  if (isTypedArray(a) && isTypedArray(b)) {
    // By index rather than by key: these are long.
    return a.length === b.length &&
      Array.prototype.every.call(a, (item, i) => equal(item, b[i]));
  }
  if (Object.keys(a).length !== Object.keys(b).length) return false;
  const read = (value: object, key: string | symbol): unknown =>
    Reflect.get(value, key);
  return [...new Set([...keysOf(a), ...keysOf(b)])].every((key) =>
    key in a === key in b && equal(read(a, key), read(b, key), seen)
  );
}

/** Returns the difference as lines, if Node's assertion finds it. */
function difference(actual: unknown, expected: unknown): string {
  try {
    deepStrictEqual(actual, expected);
  } catch (error) {
    if (error instanceof Error) return error.message;
  }
  return `${inspect(actual)}\n${inspect(expected)}`;
}

/** Throws unless the two values are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(
    `Values are not equal${suffix(msg)}\n${difference(actual, expected)}`,
  );
}

/** Throws if the two values are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    `Expected values to differ, both are ${inspect(actual)}${suffix(msg)}`,
  );
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
export function assertInstanceOf<T>(
  actual: unknown,
  expectedType: Class<T>,
  msg = "",
): asserts actual is T {
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

function checkError(
  error: unknown,
  expectedType: Class<Error>,
  msgIncludes = "",
  msg?: string,
): void {
  if (!(error instanceof expectedType)) {
    throw new AssertionError(
      `Expected ${expectedType.name}, got ${inspect(error)}${suffix(msg)}`,
      { cause: error },
    );
  }
  if (!stripVTControlCharacters(error.message).includes(msgIncludes)) {
    throw new AssertionError(
      `Expected a message with ${inspect(msgIncludes)}, got ${inspect(error)}${
        suffix(msg)
      }`,
      { cause: error },
    );
  }
}

/** Throws unless `fn` throws; returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Throws unless `fn` throws an error of the class that is asked for. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  expectedType: Class<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  expected?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const message = typeof expected === "string" ? expected : msg;
  try {
    fn();
  } catch (error) {
    if (typeof expected === "function") {
      checkError(error, expected, msgIncludes, msg);
    }
    return error;
  }
  throw new AssertionError(`Expected function to throw${suffix(message)}`);
}

/** Rejects unless the promise of `fn` rejects; resolves to the reason. */
export function assertRejects(
  fn: () => PromiseLike<unknown>,
  msg?: string,
): Promise<unknown>;
/** Rejects unless the promise of `fn` rejects with the class that is asked for. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  expectedType: Class<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  expected?: Class<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const message = typeof expected === "string" ? expected : msg;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (cause) {
    throw new AssertionError(
      `Function throws when expected to reject${suffix(message)}`,
      { cause },
    );
  }
  try {
    await promise;
  } catch (error) {
    if (typeof expected === "function") {
      checkError(error, expected, msgIncludes, msg);
    }
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffix(message)}`);
}
