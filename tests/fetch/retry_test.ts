import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import {
  completeReconnectPolicy,
  type ReconnectPolicy,
} from "../../src/fetch/reconnect.ts";
import {
  type CompleteRetryPolicy,
  completeRetryPolicy,
  parseRetryAfter,
  retryAfterDelay,
  retryDelay,
  type RetryPolicy,
  wait,
} from "../../src/fetch/retry.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";
import { propertyParameters } from "../support/property.ts";

const MAX_DELAY = 2 ** 31 - 1;
/** Sun, 06 Nov 1994 08:49:37 GMT */
const NOW = 784_111_777_000;

const SAID: [headers: Record<string, string>, expected: number | undefined][] =
  [
    [{}, undefined],
    // Seconds
    [{ "Retry-After": "2" }, 2_000],
    [{ "Retry-After": "0" }, 0],
    [{ "Retry-After": " 7\t" }, 7_000],
    [{ "Retry-After": "007" }, 7_000],
    [{ "Retry-After": "1.5" }, 1_500],
    [{ "Retry-After": "0.25" }, 250],
    [{ "Retry-After": "86400" }, 86_400_000],
    [{ "Retry-After": "9".repeat(400) }, Infinity],
    // The three forms of a date that RFC 9110 has
    [{ "Retry-After": "Sun, 06 Nov 1994 08:49:47 GMT" }, 10_000],
    [{ "Retry-After": "Sunday, 06-Nov-94 08:49:47 GMT" }, 10_000],
    [{ "Retry-After": "Sun Nov  6 08:49:47 1994" }, 10_000],
    // Past, and now
    [{ "Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT" }, 0],
    [{ "Retry-After": "Sun, 06 Nov 1994 08:49:36 GMT" }, 0],
    [{ "Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT" }, 0],
    // Milliseconds go first, where they are any
    [{ "retry-after-ms": "1500", "Retry-After": "9" }, 1_500],
    [{ "retry-after-ms": "0.5", "Retry-After": "9" }, 0.5],
    [{ "retry-after-ms": "0", "Retry-After": "9" }, 0],
    [{ "retry-after-ms": "soon", "Retry-After": "9" }, 9_000],
    [{ "retry-after-ms": "", "Retry-After": "9" }, 9_000],
    [{ "retry-after-ms": "-1" }, undefined],
    // Neither
    ...[
      "",
      " ",
      "-1",
      "-0.5",
      "+1",
      "1,5",
      "1, 2",
      "1 2",
      ".5",
      "5.",
      "1e3",
      "0x10",
      "Infinity",
      "NaN",
      "null",
      "120s",
      "5 minutes",
      "tomorrow",
      "soon 5",
      "retry 120",
      "max 2099",
      "2099-01-01",
      "Sun, 99 Nov 1994 08:49:37 GMT",
    ].map((text): [Record<string, string>, undefined] => [
      { "Retry-After": text },
      undefined,
    ]),
  ];

for (const [headers, expected] of SAID) {
  Deno.test(`parseRetryAfter takes ${JSON.stringify(headers).slice(0, 80)} for ${expected}`, () => {
    assertEquals(parseRetryAfter(new Headers(headers), NOW), expected);
  });
}

Deno.test("parseRetryAfter takes every date for one in Greenwich, wherever it runs", () => {
  const home = Deno.env.get("TZ");
  try {
    for (const zone of ["America/New_York", "Asia/Kolkata"]) {
      Deno.env.set("TZ", zone);
      for (
        const date of [
          "Sun, 06 Nov 1994 08:49:47 GMT",
          "Sunday, 06-Nov-94 08:49:47 GMT",
          "Sun Nov  6 08:49:47 1994",
        ]
      ) {
        const headers = new Headers({ "Retry-After": date });
        assertEquals(
          parseRetryAfter(headers, NOW),
          10_000,
          `${date} in ${zone}`,
        );
      }
    }
  } finally {
    if (home === undefined) Deno.env.delete("TZ");
    else Deno.env.set("TZ", home);
  }
});

Deno.test("parseRetryAfter gives no negative time and no NaN, whatever the headers say", () => {
  const value = fc.oneof(
    fc.string({ unit: "grapheme-ascii" }),
    fc.double().map(String),
    fc.integer().map(String),
    fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
  );
  fc.assert(
    fc.property(value, value, (seconds, milliseconds) => {
      const headers = new Headers({
        "Retry-After": seconds,
        "retry-after-ms": milliseconds,
      });
      const delay = parseRetryAfter(headers, NOW);
      assert(delay === undefined || delay >= 0, `${delay}`);
    }),
    propertyParameters(2_000),
  );
});

/** Chance that always comes out like this. */
const always = (chance: number) => () => chance;
const ALMOST_ONE = 1 - Number.EPSILON;

Deno.test("retryDelay doubles from the base up to the longest wait", () => {
  const policy = completeRetryPolicy({ jitter: 0 }, "retry");
  const delays = [1, 2, 3, 4, 5, 6, 7, 8, 2_000].map((failures) =>
    retryDelay(failures, 1_000, policy)
  );
  assertEquals(delays, [
    1_000,
    2_000,
    4_000,
    8_000,
    16_000,
    32_000,
    60_000,
    60_000,
    60_000,
  ]);
});

Deno.test("retryDelay leaves to chance what is above the base, and at first a quarter", () => {
  const policy = completeRetryPolicy({}, "retry");
  const range = (failures: number, base: number) => [
    retryDelay(failures, base, policy, always(0)),
    retryDelay(failures, base, policy, always(1)),
  ];
  assertEquals(range(1, 1_000), [1_000, 1_250]);
  assertEquals(range(2, 1_000), [2_000, 1_000]);
  assertEquals(range(4, 1_000), [8_000, 1_000]);
  assertEquals(range(1, 60_000), [60_000, 60_000]);
  assertEquals(range(1, 50_000), [50_000, 60_000]);
  assertEquals(range(3, 50_000), [60_000, 50_000]);
  const half = completeRetryPolicy({ jitter: 0.5 }, "retry");
  assertEquals(retryDelay(1, 1_000, half, always(1)), 1_125);
  assertEquals(retryDelay(3, 1_000, half, always(1)), 2_500);
});

Deno.test("retryDelay grows where the base is 0, rather than hammer", () => {
  const policy = completeRetryPolicy({ minTimeout: 0, jitter: 0 }, "retry");
  assertEquals(retryDelay(1, 0, policy), 0);
  assert(retryDelay(11, 0, policy) >= 1_000);
  assertEquals(retryDelay(1_030, 0, policy), 60_000);
});

const POLICY = fc.record({
  minTimeout: fc.oneof(
    fc.constantFrom(0, 1, 1_000, MAX_DELAY),
    fc.double({ min: 0, max: MAX_DELAY, noNaN: true }),
  ),
  more: fc.oneof(
    fc.constantFrom(0, 1, 60_000, Infinity),
    fc.double({ min: 0, max: 1e12, noNaN: true }),
  ),
  multiplier: fc.oneof(
    fc.constantFrom(1, 1.5, 2, 1e300),
    fc.double({ min: 1, max: 10, noNaN: true }),
  ),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
}).map(({ minTimeout, more, ...rest }): CompleteRetryPolicy =>
  completeRetryPolicy(
    { minTimeout, maxTimeout: minTimeout + more, ...rest },
    "retry",
  )
);
const FAILURES = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.constantFrom(1_023, 1_024, 1_025, 1_026, 1e6, Number.MAX_SAFE_INTEGER),
);
const BASE = fc.oneof(
  fc.constantFrom(0, 1, 1_000, MAX_DELAY, MAX_DELAY + 1, 1e300, Infinity),
  fc.double({ min: 0, max: 1e7, noNaN: true }),
);
const CHANCE = fc.oneof(
  fc.constantFrom(0, ALMOST_ONE),
  fc.double({ min: 0, max: ALMOST_ONE, noNaN: true }),
);

Deno.test("retryDelay is never below the base, above the longest wait, or more than a timer holds", () => {
  fc.assert(
    fc.property(
      POLICY,
      FAILURES,
      BASE,
      CHANCE,
      (policy, failures, base, chance) => {
        const delay = retryDelay(failures, base, policy, always(chance));
        const { minTimeout, maxTimeout } = policy;
        const shortest = Math.min(
          Math.max(base, minTimeout),
          maxTimeout,
          MAX_DELAY,
        );
        // Rounding loses a little: longest - (longest - shortest).
        assert(delay >= shortest * (1 - 1e-9), `${delay} < ${shortest}`);
        assert(delay <= Math.min(maxTimeout, MAX_DELAY), `${delay}`);
        if (failures === 1) {
          assert(delay <= shortest * 1.25 * (1 + 1e-9), `${delay} at first`);
        }
      },
    ),
    propertyParameters(5_000),
  );
});

Deno.test("retryDelay has a ceiling that only rises, and a floor that stands", () => {
  fc.assert(
    fc.property(POLICY, BASE, CHANCE, (policy, base, chance) => {
      const certain = { ...policy, jitter: 0 };
      const counts = [1, 2, 3, 5, 10, 100, 1_023, 1_025, 1e9];
      const ceilings = counts.map((failures) =>
        retryDelay(failures, base, certain, always(chance))
      );
      assertEquals(ceilings, ceilings.toSorted((a, b) => a - b));
    }),
    propertyParameters(1_000),
  );
});

Deno.test("retryAfterDelay waits as long as it is told, by up to a quarter longer, and not less than minTimeout", () => {
  const policy = completeRetryPolicy({ minTimeout: 1_000 }, "retry");
  const range = (retryAfter: number) => [
    retryAfterDelay(retryAfter, policy, always(0)),
    retryAfterDelay(retryAfter, policy, always(1)),
  ];
  assertEquals(range(2_000), [2_000, 2_500]);
  assertEquals(range(0), [1_000, 1_250]);
  assertEquals(range(3_600_000), [3_600_000, 4_500_000]);
  assertEquals(range(Infinity), [MAX_DELAY, MAX_DELAY]);
  const certain = completeRetryPolicy({ jitter: 0 }, "retry");
  assertEquals(retryAfterDelay(2_000, certain, always(1)), 2_000);
});

Deno.test("completeRetryPolicy fills in what is left out, and what is undefined", () => {
  const complete: CompleteRetryPolicy = {
    minTimeout: 1_000,
    maxTimeout: 60_000,
    multiplier: 2,
    jitter: 1,
    maxAttempts: Infinity,
    maxElapsed: Infinity,
    maxRetryAfter: Infinity,
  };
  assertEquals(completeRetryPolicy({}, "retry"), complete);
  assertEquals(
    completeRetryPolicy({ jitter: undefined, maxAttempts: 3 }, "retry"),
    { ...complete, maxAttempts: 3 },
  );
  const { decide, ...rest } = completeReconnectPolicy({ resetAfter: 0 });
  assertEquals(rest, { ...complete, resetAfter: 0, onCleanEnd: "reconnect" });
  assertEquals(
    decide({
      reason: { kind: "end" },
      failures: 1,
      elapsed: 0,
      lastEventId: "",
      decision: { action: "done" },
    }),
    undefined,
  );
});

const SENSELESS: [policy: RetryPolicy, expected: string][] = [
  [{ minTimeout: -1 }, "'minTimeout' must be 0 or more: current value is -1"],
  [{ minTimeout: NaN }, "'minTimeout' must be 0 or more: current value is NaN"],
  [
    { minTimeout: 2 ** 31, maxTimeout: Infinity },
    "'minTimeout' must be at most 2147483647: current value is 2147483648",
  ],
  [
    { minTimeout: 2, maxTimeout: 1 },
    "'maxTimeout' must be at least 'minTimeout': current value is 1",
  ],
  [
    { maxTimeout: NaN },
    "'maxTimeout' must be at least 'minTimeout': current value is NaN",
  ],
  [
    { multiplier: 0.5 },
    "'multiplier' must be 1 or more: current value is 0.5",
  ],
  [{ multiplier: NaN }, "'multiplier' must be 1 or more: current value is NaN"],
  [{ jitter: -0.1 }, "'jitter' must be between 0 and 1: current value is -0.1"],
  [{ jitter: 2 }, "'jitter' must be between 0 and 1: current value is 2"],
  [{ jitter: NaN }, "'jitter' must be between 0 and 1: current value is NaN"],
  [{ maxAttempts: 0 }, "'maxAttempts' must be 1 or more: current value is 0"],
  [
    { maxAttempts: NaN },
    "'maxAttempts' must be 1 or more: current value is NaN",
  ],
  [{ maxElapsed: -1 }, "'maxElapsed' must be 0 or more: current value is -1"],
  [{ maxElapsed: NaN }, "'maxElapsed' must be 0 or more: current value is NaN"],
  [
    { maxRetryAfter: -1 },
    "'maxRetryAfter' must be 0 or more: current value is -1",
  ],
  [
    { maxRetryAfter: NaN },
    "'maxRetryAfter' must be 0 or more: current value is NaN",
  ],
];

for (const [policy, expected] of SENSELESS) {
  Deno.test(`completeRetryPolicy refuses ${Deno.inspect(policy)}`, () => {
    const refuse = (complete: () => unknown, doing: string) => {
      const error = assertThrows(complete, RangeError);
      assertEquals(error.message, `Cannot ${doing} as ${expected}`);
    };
    refuse(() => completeRetryPolicy(policy, "retry"), "retry");
    refuse(() => completeReconnectPolicy(policy), "reconnect");
  });
}

Deno.test("completeReconnectPolicy refuses what makes no sense", () => {
  for (const resetAfter of [-1, NaN]) {
    const error = assertThrows(
      () => completeReconnectPolicy({ resetAfter }),
      RangeError,
    );
    assertEquals(
      error.message,
      `Cannot reconnect as 'resetAfter' must be 0 or more: current value is ${resetAfter}`,
    );
  }
  // As someone without a compiler may write it.
  const onCleanEnd = "stop" as ReconnectPolicy["onCleanEnd"];
  const error = assertThrows(
    () => completeReconnectPolicy({ onCleanEnd }),
    TypeError,
  );
  assertEquals(
    error.message,
    `Cannot reconnect as 'onCleanEnd' must be "reconnect" or "done": current value is stop`,
  );
});

Deno.test("wait resolves when the time has come, and leaves nothing behind", async () => {
  const clock = new FakeClock();
  const abort = new CountedAbort();
  let isOver = false;
  const waiting = wait(1_000, clock, abort.signal).then(() => isOver = true);
  assertEquals([clock.pending, abort.listeners], [1, 1]);
  await clock.advance(999);
  assertEquals(isOver, false);
  await clock.advance(1);
  await waiting;
  assertEquals([clock.pending, abort.listeners], [0, 0]);
});

Deno.test("wait rejects with the signal's reason at once, and leaves no timer behind", async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const waiting = assertRejects(() => wait(1_000, clock, abort.signal));
  await clock.advance(500);
  const reason = new Error("enough");
  abort.abort(reason);
  assertStrictEquals(await waiting, reason);
  assertEquals(clock.pending, 0);
  assertEquals(clock.now(), 500);
});

Deno.test("wait sets no timer for a signal that was aborted before", async () => {
  const clock = new FakeClock();
  const reason = new Error("enough");
  const abort = new CountedAbort();
  abort.abort(reason);
  const error = await assertRejects(() => wait(0, clock, abort.signal));
  assertStrictEquals(error, reason);
  assertEquals([clock.pending, abort.listeners], [0, 0]);
});
