import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LogRecord } from "@logtape/logtape";
import fc from "fast-check";
import { type LogFormat, logFormat } from "../../../relay/logs/log_format.ts";
import {
  SECRET_FIELD_ENDS,
  SECRET_NAME_PARTS,
  SECRET_NAMES,
} from "../../../src/fetch/secrets/definition.ts";
import { propertyParameters } from "../../support/property.ts";
import { SHAPE_EXAMPLES } from "../../support/secrets/secret_cases.ts";

const TEXT: LogFormat = { kind: "text", colors: false };
const JSON_LINES: LogFormat = { kind: "json" };

/** A record as LogTape makes it of `Followed {topic}: {error}`. */
function recordOf(properties: Record<string, unknown>): LogRecord {
  return {
    category: ["rivulet", "relay", "test"],
    level: "info",
    message: ["Followed ", properties["topic"], ": ", properties["error"], ""],
    rawMessage: "Followed {topic}: {error}",
    timestamp: Date.UTC(2026, 0, 2),
    properties,
  };
}

function text(properties: Record<string, unknown>): string {
  return logFormat(TEXT)(recordOf(properties));
}

interface Line {
  readonly "@timestamp": string;
  readonly level: string;
  readonly logger: string;
  readonly message: string;
  readonly properties: Record<string, unknown>;
}

function json(properties: Record<string, unknown>): Line {
  return JSON.parse(logFormat(JSON_LINES)(recordOf(properties)));
}

const NASTY = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  "\x1b[2J",
  "\x1b]0;title\x07",
  "\x7f",
  "\x85",
  "\x9b31m",
  "\u2028",
  "\u2029",
  "\u202e",
  "\ufeff",
  "\u{e0041}",
  "\ud800",
  "\udc00",
  '"',
  "\\",
  '"}',
  "{topic}",
  "{*}",
  "__proto__",
  "2026-01-02T00:00:00.000Z [ERR] rivulet: ",
];

const hostile = fc.array(
  fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: "binary" })),
  { maxLength: 8 },
).map((parts) => parts.join(""));

/** All that ends a line somewhere, moves a cursor, or is not seen. */
const DANGEROUS = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/u;

Deno.test("A record is one line of visible characters, whatever is in it", () => {
  fc.assert(
    fc.property(hostile, hostile, hostile, (topic, message, key) => {
      const error = Object.assign(new Error(message), { name: message });
      for (const format of [TEXT, JSON_LINES]) {
        for (
          const properties of [{ topic, error }, {
            topic: { [key]: topic },
            error: topic,
          }]
        ) {
          const line = logFormat(format)(recordOf(properties));
          assert(line.endsWith("\n"));
          assert(!DANGEROUS.test(line.slice(0, -1)), JSON.stringify(line));
          assert(line.isWellFormed());
        }
      }
    }),
    propertyParameters(500),
  );
});

Deno.test("A record of JSON gives a text back as it was", () => {
  fc.assert(
    // Of half a pair there is nothing to give back.
    fc.property(hostile.map((text) => text.toWellFormed()), (topic) => {
      assertEquals(json({ topic }).properties["topic"], topic);
    }),
    propertyParameters(500),
  );
});

Deno.test("A text in a line of text ends where it says", () => {
  const prefix = "2026-01-02T00:00:00.000Z [INF] rivulet·relay·test: Followed ";
  assertEquals(text({ topic: "news" }), `${prefix}news: -\n`);
  assertEquals(text({ topic: "", error: 3 }), `${prefix}"": 3\n`);
  assertEquals(
    text({ topic: "a: done\r\nb", error: 'x"y' }),
    `${prefix}"a: done\\r\\nb": "x\\"y"\n`,
  );
  assertEquals(
    text({ topic: "\x1b[31m", error: "\u202e" }),
    `${prefix}"\\u001b[31m": "\\u202e"\n`,
  );
});

Deno.test("A record of JSON has time, level, logger, message and properties", () => {
  assertEquals(json({ topic: "news", error: undefined, count: 2n }), {
    "@timestamp": "2026-01-02T00:00:00.000Z",
    level: "INFO",
    logger: "rivulet.relay.test",
    message: "Followed news: -",
    properties: { topic: "news", error: null, count: "2" },
  });
});

class CodedError extends Error {
  readonly code = "too_bad";
  readonly headers = { authorization: "Bearer of-a-secret" };
}

Deno.test("An error is its name, code, message and cause, and where it comes from if it has no code", () => {
  const cause = new TypeError("inner");
  const error = new CodedError("outer\nline", { cause });
  const { stack, ...told } = json({ error: cause }).properties["error"] as {
    stack: string;
  }; // as `plainValue` makes it
  assertEquals(told, { name: "TypeError", message: "inner" });
  assertMatch(stack, /^at .*log_format_test\.ts:\d+:\d+/);
  const line = text({ topic: "t", error });
  assertMatch(
    line,
    /: Error too_bad: "outer\\nline", caused by TypeError: inner at .*log_format_test\.ts/,
  );
  assert(!line.includes("headers"));
  const { properties: { error: whole } } = json({ error });
  assertEquals(
    JSON.stringify(whole).replace(/"stack":"[^"]*"/, '"stack":""'),
    '{"name":"Error","code":"too_bad","message":"outer\\nline","cause":{"name":"TypeError","message":"inner","stack":""}}',
  );
});

Deno.test("A record tells no secret", async (t) => {
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl";
  const table: [string, unknown, RegExp][] = [
    ["a token", `got ${jwt}`, /eyJ|c2ln/],
    ["a header", "authorization: Bearer abcdefghijkl", /abcdef/],
    ["an offer", "rivulet.v1, bearer.ZXlKaGJHY2lPaUpJVXpJMU5pSjk", /ZXlK/],
    ["a key", "Incorrect API key provided: sk-proj-abcdefgh", /abcdef/],
    ["a query", "/topics/t?x=1&access_token=abcdefgh", /abcdef/],
    ["a URL's query", "https://x/?sig=abcdefgh", /abcdef/],
    ["a URL's user", "https://me:abcdefgh@x/", /abcdef/],
    ["a URL", new URL("https://me:abcdefgh@x/"), /abcdef/],
    ["an error's message", new Error(`no ${jwt}`), /eyJ/],
    [
      "an error's message that looks like a stack",
      new Error(`x\n  at ${jwt}`),
      /eyJ/,
    ],
    ["a cause's message", new Error("x", { cause: new Error(jwt) }), /eyJ/],
    ["an error's own fields", new CodedError("x"), /of-a-secret/],
    ["a header's field", { headers: { authorization: "abcdefgh" } }, /abcdef/],
    ["a field", { apiKey: "abcdefgh", "set-cookie": "abcdefgh" }, /abcdef/],
    ["what is in a list", [["sk-abcdefghij"]], /abcdef/],
  ];
  for (const [name, value, secret] of table) {
    await t.step(name, () => {
      for (const format of [TEXT, JSON_LINES]) {
        const line = logFormat(format)(
          recordOf({ topic: value, error: value }),
        );
        assert(!secret.test(line), line);
        assert(/redacted|too_bad|https:\/\/x\//.test(line), line);
      }
    });
  }
});

Deno.test("A record tells no secret of any name or shape, and all else", () => {
  const hidden = "hidden-0123456789";
  const names = [...SECRET_NAME_PARTS, ...SECRET_NAMES, ...SECRET_FIELD_ENDS];
  const values: unknown[] = names.flatMap((name) => [
    { [name]: hidden },
    { headers: [{ [name]: hidden }] },
    `GET /topics/t?a=1&${name}=${hidden}`,
    new URL(`https://example.com/?${name}=${hidden}`),
    new Error(`refused: https://example.com/?${name}=${hidden}`),
  ]);
  for (const name of SECRET_FIELD_ENDS) {
    values.push(`quoted: {"${name}":"${hidden}"}`, `quoted: ${name}=${hidden}`);
  }
  for (const example of Object.values(SHAPE_EXAMPLES)) {
    values.push(example, new Error(`no ${example}`), { a: [`no ${example}`] });
  }
  const secrets = [
    hidden,
    ...Object.values(SHAPE_EXAMPLES).map((example) => example.slice(-10)),
  ];
  for (const value of values) {
    for (const format of [TEXT, JSON_LINES]) {
      const line = logFormat(format)(recordOf({ topic: value, error: value }));
      for (const secret of secrets) assert(!line.includes(secret), line);
      assert(line.includes("[redacted]"), line);
    }
  }
  const innocent = {
    "anthropic-ratelimit-tokens-limit": "told-1",
    "idempotency-key": "told-2",
    "max_tokens": "told-3",
    "prompt_cache_key": "told-4",
    "reason": "invalid token: expected told-5",
  };
  assertEquals(json({ topic: innocent }).properties["topic"], innocent);
});

Deno.test("A record is bounded, and ends although what it tells of does not", () => {
  const circle: Record<string, unknown> = {};
  circle["self"] = circle;
  const error = new Error("x");
  error.cause = error;
  const values = [
    "x".repeat(1_000_000),
    Array.from({ length: 100_000 }, () => "x".repeat(100)),
    circle,
    error,
    new Map([[1, 2]]),
    Symbol("s"),
    () => 1,
    NaN,
  ];
  for (const value of values) {
    for (const format of [TEXT, JSON_LINES]) {
      const line = logFormat(format)(recordOf({ topic: value }));
      assert(line.length < 50_000, `${line.length}`);
    }
  }
});

Deno.test("Only lines of text for a terminal have colors", () => {
  const record = recordOf({ topic: "t" });
  assert(logFormat({ kind: "text", colors: true })(record).includes("\x1b["));
  for (const format of [TEXT, JSON_LINES]) {
    assert(!logFormat(format)(record).includes("\x1b"));
  }
});
