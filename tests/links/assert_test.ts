// Run against the stand-in and, by `.ci/test_std.ts`, against the original:
// each failing assertion is therefore caught by hand.
import {
  assert,
  assertEquals,
  assertExists,
  assertInstanceOf,
  AssertionError,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";

/** Says what a failing assertion said; anything but such a failure is thrown. */
function failure(run: () => void): string {
  try {
    run();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("the assertion passed");
}

async function rejection(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof AssertionError) return error.message;
    throw error;
  }
  throw new Error("the assertion passed");
}

class Point {
  #x: number;
  constructor(x: number) {
    this.#x = x;
  }
  get x(): number {
    return this.#x;
  }
}

Deno.test("AssertionError is an Error of that name, with a cause", () => {
  const cause = new Error("why");
  const error = new AssertionError("what", { cause });
  assert(error instanceof Error);
  assertStrictEquals(error.name, "AssertionError");
  assertStrictEquals(error.message, "what");
  assertStrictEquals(error.cause, cause);
});

Deno.test("assert passes on what is truthy and fails on what is not", () => {
  for (const value of [true, 1, "a", [], {}]) assert(value);
  for (const value of [false, 0, "", null, undefined, NaN]) {
    failure(() => assert(value));
  }
  assertStrictEquals(failure(() => assert(false, "told so")), "told so");
});

const same: [string, unknown, unknown][] = [
  ["primitives", "a", "a"],
  ["NaN", NaN, NaN],
  ["0 and -0", 0, -0],
  ["nested literals", { a: [1, { b: 2n }] }, { a: [1, { b: 2n }] }],
  ["keys in another order", { a: 1, b: 2 }, { b: 2, a: 1 }],
  ["an object without a prototype", Object.create(null), {}],
  ["dates", new Date(5), new Date(5)],
  ["invalid dates", new Date(NaN), new Date(NaN)],
  ["expressions", /a/g, /a/g],
  ["URLs", new URL("http://a/"), new URL("http://a/")],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 2])],
  ["buffers", new Uint8Array([1]).buffer, new Uint8Array([1]).buffer],
  ["sets in another order", new Set([1, 2]), new Set([2, 1])],
  ["sets of objects", new Set([{ a: 1 }]), new Set([{ a: 1 }])],
  ["maps", new Map([["a", [1]]]), new Map([["a", [1]]])],
  ["maps by object", new Map([[{ a: 1 }, 1]]), new Map([[{ a: 1 }, 1]])],
  ["instances", new Point(1), new Point(1)],
  ["keys that are symbols", { [Symbol.iterator]: 1 }, { [Symbol.iterator]: 1 }],
];

const different: [string, unknown, unknown][] = [
  ["primitives", 1, 2],
  ["types", 1, "1"],
  ["null and undefined", null, undefined],
  ["a key that is undefined and none", { a: undefined }, {}],
  ["an array and an object", [], {}],
  ["lengths", [1], [1, 2]],
  ["nested values", { a: [1, { b: 2 }] }, { a: [1, { b: 3 }] }],
  ["classes", new Point(1), { x: 1 }],
  ["what getters say", new Point(1), new Point(2)],
  ["dates", new Date(5), new Date(6)],
  ["expressions", /a/g, /a/i],
  ["URLs", new URL("http://a/"), new URL("http://b/")],
  ["bytes", new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ["kinds of bytes", new Uint8Array([1]), new Int8Array([1])],
  ["buffers", new Uint8Array([1]).buffer, new Uint8Array([2]).buffer],
  ["sets", new Set([1]), new Set([2])],
  ["sets of objects", new Set([{ a: 1 }]), new Set([{ a: 2 }])],
  ["maps", new Map([["a", 1]]), new Map([["a", 2]])],
  ["error messages", new Error("a"), new Error("b")],
  ["functions", () => 1, () => 1],
  ["keys that are symbols", { [Symbol.iterator]: 1 }, { [Symbol.iterator]: 2 }],
];

for (const [what, a, b] of same) {
  Deno.test(`assertEquals takes ${what} for equal`, () => {
    assertEquals(a, b);
    failure(() => assertNotEquals(a, b));
  });
}

for (const [what, a, b] of different) {
  Deno.test(`assertEquals tells ${what} apart`, () => {
    assertNotEquals(a, b);
    assertStringIncludes(
      failure(() => assertEquals(a, b, "my words")),
      "Values are not equal: my words",
    );
  });
}

Deno.test("assertEquals ends on what refers to itself", () => {
  const a: { self?: unknown; n: number } = { n: 1 };
  const b: { self?: unknown; n: number } = { n: 1 };
  a.self = a;
  b.self = b;
  assertEquals(a, b);
  b.n = 2;
  assertNotEquals(a, b);
});

Deno.test("assertStrictEquals goes by Object.is", () => {
  const object = {};
  assertStrictEquals(object, object);
  assertStrictEquals(NaN, NaN);
  failure(() => assertStrictEquals(0, -0));
  assertStringIncludes(
    failure(() => assertStrictEquals({}, object, "my words")),
    "my words",
  );
  assertStringIncludes(
    failure(() => assertStrictEquals(1, 2)),
    "Values are not strictly equal.",
  );
});

Deno.test("assertExists refuses null and undefined alone", () => {
  for (const value of [0, "", false, NaN]) assertExists(value);
  failure(() => assertExists(null));
  assertStringIncludes(
    failure(() => assertExists(undefined, "my words")),
    "my words",
  );
});

Deno.test("assertInstanceOf takes any class", () => {
  assertInstanceOf(new TypeError("a"), Error);
  const bytes: unknown = new Uint8Array(2);
  assertInstanceOf(bytes, Uint8Array);
  assertStrictEquals(bytes.length, 2); // narrowed
  assertStringIncludes(
    failure(() => assertInstanceOf(new Error("a"), TypeError, "my words")),
    "my words",
  );
  for (const value of [null, undefined, 1, TypeError]) {
    failure(() => assertInstanceOf(value, TypeError));
  }
});

Deno.test("assertMatch tests the text", () => {
  assertMatch("rivulet", /^riv/);
  assertStringIncludes(
    failure(() => assertMatch("rivulet", /^let/, "my words")),
    "my words",
  );
});

Deno.test("assertStringIncludes looks for a part", () => {
  assertStringIncludes("rivulet", "vul");
  assertStringIncludes(
    failure(() => assertStringIncludes("rivulet", "x", "my words")),
    "my words",
  );
});

Deno.test("assertThrows returns what was thrown", () => {
  const error = new TypeError("no river");
  const fn = () => {
    throw error;
  };
  assertStrictEquals(assertThrows(fn), error);
  assertStrictEquals(assertThrows(fn, TypeError), error);
  assertStrictEquals(assertThrows(fn, Error, "river"), error);
  assertStrictEquals(
    assertThrows(() => {
      throw "a string";
    }),
    "a string",
  );
});

Deno.test("assertThrows refuses silence, other classes and other messages", () => {
  const fn = () => {
    throw new TypeError("no river");
  };
  assertStringIncludes(
    failure(() => assertThrows(() => {}, "my words")),
    "Expected function to throw: my words",
  );
  failure(() => assertThrows(() => {}, Error));
  failure(() => assertThrows(fn, RangeError));
  failure(() => assertThrows(fn, TypeError, "lake"));
  failure(() =>
    assertThrows(() => {
      throw "a string";
    }, Error)
  );
});

Deno.test("assertThrows looks at the message without its colours", () => {
  assertThrows(
    () => {
      throw new Error("no \x1b[31mriver\x1b[39m here");
    },
    Error,
    "no river here",
  );
});

Deno.test("assertRejects resolves to the reason", async () => {
  const error = new DOMException("gone", "AbortError");
  const fn = () => Promise.reject(error);
  assertStrictEquals(await assertRejects(fn), error);
  assertStrictEquals(await assertRejects(fn, DOMException), error);
  assertStrictEquals(await assertRejects(fn, Error, "gone"), error);
});

Deno.test("assertRejects refuses fulfilment, other classes and other messages", async () => {
  const fn = () => Promise.reject(new TypeError("no river"));
  assertStringIncludes(
    await rejection(() => assertRejects(() => Promise.resolve(), "my words")),
    "Expected function to reject: my words",
  );
  await rejection(() => assertRejects(() => Promise.resolve(), Error));
  await rejection(() => assertRejects(fn, RangeError));
  await rejection(() => assertRejects(fn, TypeError, "lake"));
  await rejection(() => assertRejects(() => Promise.reject("a string"), Error));
});

Deno.test("assertRejects refuses a function that throws before it returns", async () => {
  const message = await rejection(() =>
    assertRejects(() => {
      throw new TypeError("too early");
    }, TypeError)
  );
  assertStringIncludes(message, "Function throws when expected to reject");
});
