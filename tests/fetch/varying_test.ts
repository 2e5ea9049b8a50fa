import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import type { RequestContext } from "../../src/fetch/mod.ts";
import type { ScriptedConnection } from "../../src/testing/scripted_fetch.ts";
import {
  outcomeOf,
  scriptedStream,
  STOP,
  STREAM_URL,
} from "../support/fetch/scripted_stream.ts";

const BUSY: ScriptedConnection = { status: 503 };
/** Fails, fails again, brings an event and ends, fails, and is told to stop. */
const COURSE: readonly ScriptedConnection[] = [
  BUSY,
  { connect: "drop" },
  { chunks: ["id: 7\ndata: a\n\n"] },
  BUSY,
  STOP,
];
const CONTEXTS: readonly RequestContext[] = [
  { attempt: 1, lastEventId: "" },
  { attempt: 2, lastEventId: "" },
  { attempt: 3, lastEventId: "" },
  { attempt: 2, lastEventId: "7" },
  { attempt: 3, lastEventId: "7" },
];

for (const how of ["now", "later"] as const) {
  /** Answers at once, or as a promise. */
  const given = <T>(value: T): T | Promise<T> =>
    how === "now" ? value : Promise.resolve(value);

  Deno.test(`streamEvents asks for headers anew for every request (${how})`, async () => {
    const contexts: RequestContext[] = [];
    const { clock, script, events } = scriptedStream(COURSE, {
      headers(context) {
        contexts.push(context);
        return given({ Authorization: `Bearer ${contexts.length}` });
      },
    });
    assertEquals(await clock.run(outcomeOf(events)), { data: ["a"] });
    assertEquals(contexts, CONTEXTS);
    assertEquals(
      script.requests.map(({ headers }) => headers.get("authorization")),
      ["Bearer 1", "Bearer 2", "Bearer 3", "Bearer 4", "Bearer 5"],
    );
    for (const { headers } of script.requests) {
      assertEquals(headers.get("accept"), "text/event-stream");
    }
    assertEquals(script.requests[4]?.headers.get("last-event-id"), "7");
  });

  Deno.test(`streamEvents asks for the URL anew for every request (${how})`, async () => {
    const contexts: RequestContext[] = [];
    const makers = [
      (url: string) => url,
      (url: string) => new URL(url),
      (url: string) => new Request(url),
    ];
    const { clock, script, events } = scriptedStream(COURSE, {
      input(context) {
        const make = makers[contexts.length % makers.length]!; // in range
        contexts.push(context);
        const { attempt, lastEventId } = context;
        return given(make(`${STREAM_URL}?a=${attempt}&after=${lastEventId}`));
      },
    });
    assertEquals(await clock.run(outcomeOf(events)), { data: ["a"] });
    assertEquals(contexts, CONTEXTS);
    assertEquals(
      script.requests.map(({ url }) => url.slice(STREAM_URL.length)),
      [
        "?a=1&after=",
        "?a=2&after=",
        "?a=3&after=",
        "?a=2&after=7",
        "?a=3&after=7",
      ],
    );
  });

  Deno.test(`streamEvents asks for the body anew for every request (${how})`, async () => {
    const contexts: RequestContext[] = [];
    const { clock, script, events } = scriptedStream(COURSE, {
      method: "POST",
      body(context) {
        contexts.push(context);
        const text = `${context.attempt} ${context.lastEventId}`;
        // A stream, too, as it is a new one for every request.
        return given(
          contexts.length % 2 === 0 ? text : new Blob([text]).stream(),
        );
      },
    });
    assertEquals(await clock.run(outcomeOf(events)), { data: ["a"] });
    assertEquals(contexts, CONTEXTS);
    assertEquals(script.requests.map(({ method, body }) => [method, body]), [
      ["POST", "1 "],
      ["POST", "2 "],
      ["POST", "3 "],
      ["POST", "2 7"],
      ["POST", "3 7"],
    ]);
  });

  Deno.test(`streamEvents takes a function that answers nothing for one that was left out (${how})`, async () => {
    const { clock, script, events } = scriptedStream([BUSY, STOP], {
      input: new Request(STREAM_URL, { headers: { "X-Topic": "news" } }),
      headers: () => given(undefined),
      body: () => given(undefined),
    });
    assertEquals((await clock.run(outcomeOf(events))).error, undefined);
    assertEquals(
      script.requests.map(({ headers, body, method }) => [
        headers.get("x-topic"),
        body,
        method,
      ]),
      [["news", "", "GET"], ["news", "", "GET"]],
    );
  });
}

Deno.test("streamEvents asks no function before it is asked for something", async () => {
  let calls = 0;
  const { clock, events } = scriptedStream([STOP], {
    input() {
      calls++;
      return STREAM_URL;
    },
    headers() {
      calls++;
      return {};
    },
  });
  await clock.advance(1_000);
  assertEquals([calls, events.state], [0, "idle"]);
  await clock.run(outcomeOf(events));
  assertEquals(calls, 2);
});

Deno.test("streamEvents asks a function only after the wait, for a token that is fresh", async () => {
  const times: number[] = [];
  const stream = scriptedStream([
    { status: 503, headers: { "Retry-After": "3600" } },
    STOP,
  ], {
    headers() {
      times.push(stream.clock.now());
      return {};
    },
  });
  await stream.clock.run(outcomeOf(stream.events));
  assertEquals(times, [0, 3_600_000]);
});

Deno.test("streamEvents waits for a function, and is 'connecting' meanwhile", async () => {
  const stream = scriptedStream([{ chunks: ["data: a\n\n"] }, STOP], {
    headers: () =>
      new Promise<HeadersInit>((resolve) => {
        stream.clock.setTimeout(() => resolve({ "X-Token": "1" }), 100);
      }),
    // Until the headers come, from when they are asked for.
    connectTimeout: 50,
  });
  const { clock, script, events } = stream;
  const next = events.next();
  await clock.advance(50);
  assertEquals([events.state, script.requests.length], ["connecting", 0]);
  assertEquals((await clock.run(next)).value?.data, "a");
  assertEquals(stream.times, [100]);
  assertEquals(script.requests[0]?.headers.get("x-token"), "1");
  await events.cancel();
  assertEquals(clock.pending, 0);
});

for (const which of ["input", "headers", "body"] as const) {
  for (const how of ["throws", "rejects"] as const) {
    Deno.test(`streamEvents ends with what a function throws: ${which} ${how}`, async () => {
      const mine = new Error("no token");
      let calls = 0;
      const fail = () => {
        if (++calls === 1) return which === "input" ? STREAM_URL : undefined;
        if (how === "throws") throw mine;
        return Promise.reject(mine);
      };
      const { clock, script, events } = scriptedStream([
        { chunks: ["data: a\n\n"], end: "drop" },
      ], {
        method: "POST",
        // The types that vary are told apart by what they are for.
        [which]: fail,
      });
      const { data, error } = await clock.run(outcomeOf(events));
      assertEquals(data, ["a"]);
      assertStrictEquals(error, mine);
      assertStrictEquals(await assertRejects(() => events.open()), mine);
      assertEquals(events.state, "closed");
      assertEquals(script.requests.length, 1);
      assertEquals(clock.pending, 0);
    });
  }
}

Deno.test("streamEvents asks again where decide says that a function's error is worth it", async () => {
  let calls = 0;
  const stream = scriptedStream([{ chunks: ["data: a\n\n"] }], {
    headers() {
      if (++calls === 1) throw new Error("no token yet");
      return { "X-Token": "1" };
    },
    reconnect: {
      onCleanEnd: "done",
      decide: ({ reason, failures }) =>
        reason.kind === "error"
          ? { action: "retry", delay: failures * 10 }
          : undefined,
    },
  });
  assertEquals(await stream.clock.run(outcomeOf(stream.events)), {
    data: ["a"],
  });
  assertEquals(stream.times, [10]);
});

Deno.test("streamEvents ends with a clear error where a function makes what fetch would refuse", async () => {
  for (
    const [options, text] of [
      [{ input: () => "not a URL" }, "'input'"],
      [{ headers: () => ({ "a b": "c" }) }, '"a b"'],
      [{ body: () => "x" }, "'body'"],
    ] as const
  ) {
    const { clock, script, events } = scriptedStream([], options);
    const { error } = await clock.run(outcomeOf(events));
    assertInstanceOf(error, TypeError);
    assert(error.message.includes(text), error.message);
    assertEquals(script.requests.length, 0);
  }
});

Deno.test("streamEvents refuses a stream that a function gives a second time, rather than try for ever", async () => {
  const body = new Blob(["why"]).stream();
  const { clock, script, events } = scriptedStream([BUSY, STOP], {
    method: "POST",
    body: () => body,
  });
  const { error } = await clock.run(outcomeOf(events));
  assertInstanceOf(error, Error);
  assert(/body/.test(error.message), error.message);
  assertEquals(script.requests.map(({ body }) => body), ["why"]);
  assertEquals(clock.pending, 0);
});

Deno.test("streamEvents refuses a Request that a function gives a second time, if it has a body", async () => {
  const request = new Request(STREAM_URL, { method: "POST", body: "why" });
  const { clock, script, events } = scriptedStream([BUSY, STOP], {
    input: () => request,
  });
  const { error } = await clock.run(outcomeOf(events));
  assertInstanceOf(error, Error);
  assert(/body/.test(error.message), error.message);
  assertEquals(script.requests.map(({ body }) => body), ["why"]);
});

for (const which of ["input", "headers"] as const) {
  Deno.test(`streamEvents passes over what a function gives after the end: ${which}`, async () => {
    const late = Promise.withResolvers<undefined>();
    const make = async () => {
      await late.promise;
      return which === "input" ? STREAM_URL : {};
    };
    const { clock, script, events } = scriptedStream([STOP], { [which]: make });
    const next = events.next();
    await clock.advance(10);
    await clock.run(events.cancel());
    assertEquals(await next, { done: true, value: undefined });
    late.resolve(undefined);
    await clock.advance(10);
    assertEquals(script.requests.length, 0);
    assertEquals(events.state, "closed");
  });
}
