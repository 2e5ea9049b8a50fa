import { assertEquals } from "@std/assert";
import type { RateLimits } from "../../src/model/mod.ts";
import { parseRateLimits } from "../../src/model/rate_limits.ts";
import {
  PROMPT,
  scriptedModel,
  WHOLE,
} from "../support/model/scripted_model.ts";

const limit = (value: string): RateLimits =>
  parseRateLimits(new Headers({ "x-ratelimit-limit-requests": value }));

const reset = (value: string): number | undefined =>
  parseRateLimits(new Headers({ "x-ratelimit-reset-tokens": value })).tokens
    ?.resetAfter;

Deno.test("parseRateLimits() reads OpenAI's headers", () => {
  assertEquals(
    parseRateLimits(
      new Headers({
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
      }),
    ),
    {
      requests: { limit: 60, remaining: 59, resetAfter: 1_000 },
      tokens: { limit: 150_000, remaining: 149_984, resetAfter: 360_000 },
    },
  );
});

Deno.test("parseRateLimits() has nothing where nothing is said", () => {
  assertEquals(parseRateLimits(new Headers()), {});
  assertEquals(
    parseRateLimits(new Headers({ "x-ratelimit-limit": "60" })),
    {},
  );
});

Deno.test("parseRateLimits() keeps what there is, also nothing left", () => {
  assertEquals(
    parseRateLimits(new Headers({ "x-ratelimit-remaining-requests": "0" })),
    { requests: { remaining: 0 } },
  );
  assertEquals(
    parseRateLimits(new Headers({ "x-ratelimit-reset-tokens": "0s" })),
    { tokens: { resetAfter: 0 } },
  );
});

for (
  const [value, time] of [
    ["1s", 1_000],
    ["20ms", 20],
    ["1.5s", 1_500],
    ["7.66s", 7_660],
    ["6m0s", 360_000],
    ["2m59.56s", 179_560],
    ["1h2m3s4ms", 3_723_004],
    ["1d", 86_400_000],
    ["45", 45_000],
    ["0.5", 500],
    [" 3s ", 3_000],
    ["soon", undefined],
    ["", undefined],
    ["-1s", undefined],
    ["1s 2s", undefined],
    ["1 s", undefined],
    ["5 minutes", undefined],
    ["1y", undefined],
    ["2025-01-01T00:00:00Z", undefined],
    ["1e3s", undefined],
    [".5s", undefined],
  ] as const
) {
  Deno.test(`parseRateLimits() takes ${JSON.stringify(value)} for ${time} ms`, () => {
    const read = reset(value);
    assertEquals(
      read === undefined ? read : Math.round(read * 1e6) / 1e6,
      time,
    );
  });
}

Deno.test("parseRateLimits() passes over numbers that are none", () => {
  assertEquals(limit(" 60 "), { requests: { limit: 60 } });
  for (const value of ["", "many", "-1", "1.5", "1e3", "60, 60"]) {
    assertEquals(limit(value), {});
  }
});

Deno.test("ResponseStream.response has the limits, the request's id and the headers", async () => {
  const { client, clock } = scriptedModel([{
    ...WHOLE,
    connect: undefined,
    headers: {
      "x-request-id": "req_1",
      "x-ratelimit-remaining-tokens": "7",
    },
  }]);
  const stream = await clock.run(client.stream(PROMPT));
  const { status, headers, requestId, rateLimits } = stream.response;
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "text/event-stream");
  assertEquals(requestId, "req_1");
  assertEquals(rateLimits, { tokens: { remaining: 7 } });
  await stream.cancel();
});

for (
  const name of [
    "x-request-id",
    "x-oai-request-id",
    "request-id",
    "apim-request-id",
    "x-groq-request-id",
    "cf-ray",
  ]
) {
  Deno.test(`ResponseStream.response takes the request's id from ${name}`, async () => {
    const { client, clock } = scriptedModel([
      { ...WHOLE, connect: undefined, headers: { [name]: "an id" } },
    ]);
    const stream = await clock.run(client.stream(PROMPT));
    assertEquals(stream.response.requestId, "an id");
    assertEquals(stream.response.rateLimits, {});
    await stream.cancel();
  });
}
