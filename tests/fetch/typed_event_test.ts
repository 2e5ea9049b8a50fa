import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { z } from "zod";
import {
  type EventSchema,
  type EventSchemas,
  type EventStream,
  EventValidationError,
  type InvalidEvent,
  type ServerSentEvent,
  streamEvents,
  type ValidEvent,
} from "../../src/fetch/mod.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../src/testing/scripted_fetch.ts";
import { STOP, STREAM_URL } from "../support/fetch/scripted_stream.ts";

const schemas = {
  message: z.string(),
  tick: z.object({ n: z.number() }),
  day: z.string().transform((text) => new Date(text)),
};
type Schemas = typeof schemas;

/** Returns the options for a scripted stream, on a clock of its own. */
function scripted(connections: readonly ScriptedConnection[]) {
  const clock = new FakeClock();
  const script = new ScriptedFetch(connections, { clock });
  const { fetch } = script;
  return {
    clock,
    script,
    options: { fetch, clock, reconnect: { jitter: 0 } } as const,
  };
}

/** A stream of one answer, whose events are valid. */
function typed(chunks: readonly string[]) {
  const { clock, script, options } = scripted([{ chunks }, STOP]);
  const events = streamEvents(STREAM_URL, { ...options, schemas });
  return { clock, script, events };
}

const tick = (n: unknown) => `event: tick\ndata: ${JSON.stringify({ n })}\n\n`;

Deno.test("streamEvents yields the union of its schemas, told apart by 'event'", async () => {
  const { clock, events } = typed([
    'id: 1\ndata: "hello"\n\n',
    'id: 2\nevent: tick\ndata: {"n":\ndata: 1,"more":2}\n\n',
    'event: day\ndata: "2026-11-22"\n\n',
  ]);
  const seen: unknown[] = [];
  const read = async () => {
    for await (const event of events) {
      // The compiler knows each of them: these lines are the test.
      event.ok satisfies true;
      event.id satisfies string;
      switch (event.event) {
        case "message":
          seen.push(event.data.toUpperCase());
          break;
        case "tick": {
          const { n } = event.data;
          seen.push(n + 1);
          // @ts-expect-error -- the schema has no such field
          seen.push(event.data.more);
          break;
        }
        case "day":
          seen.push(event.data.getUTCFullYear());
          break;
        default:
          event satisfies never;
      }
    }
  };
  await clock.run(read());
  assertEquals(seen, ["HELLO", 2, undefined, 2026]);
});

Deno.test("streamEvents has the types of what it yields", async () => {
  const { options } = scripted([]);
  const input = STREAM_URL;
  const plain: EventStream<ServerSentEvent> = streamEvents(input, options);
  const throwing: EventStream<ValidEvent<Schemas>> = streamEvents(input, {
    ...options,
    schemas,
  });
  const sure: EventStream<ValidEvent<Schemas>> = streamEvents(input, {
    ...options,
    schemas,
    onInvalid: "throw",
  });
  const yielding = streamEvents(input, {
    ...options,
    schemas,
    onInvalid: "yield",
  });
  yielding satisfies EventStream<ValidEvent<Schemas> | InvalidEvent>;
  // @ts-expect-error -- an event may be invalid
  yielding satisfies EventStream<ValidEvent<Schemas>>;
  // @ts-expect-error -- the data of a tick is no string
  throwing satisfies EventStream<ServerSentEvent>;

  type Tick = Extract<ValidEvent<Schemas>, { event: "tick" }>;
  ({ ok: true, event: "tick", data: { n: 1 }, id: "" }) satisfies Tick;
  // @ts-expect-error -- n is a number
  ({ ok: true, event: "tick", data: { n: "1" }, id: "" }) satisfies Tick;
  "tick" satisfies ValidEvent<Schemas>["event"];
  // @ts-expect-error -- there is no such event
  "tock" satisfies ValidEvent<Schemas>["event"];

  schemas satisfies EventSchemas;
  z.number() satisfies EventSchema<number>;
  assertThrows(
    // @ts-expect-error -- a function is no schema
    () => streamEvents(input, { ...options, schemas: { tick: () => 1 } }),
    TypeError,
    "'schemas.tick' must be a Standard Schema",
  );

  for (const events of [plain, throwing, sure, yielding]) await events.cancel();
});

Deno.test("streamEvents ends with the error at an event that is not valid", async () => {
  const { clock, script, events } = typed([
    `${tick(1)}id: 7\n${tick("one")}${tick(2)}`,
  ]);
  assertEquals((await clock.run(events.next())).value?.data, { n: 1 });
  const error = await clock.run(
    assertRejects(() => events.next(), EventValidationError),
  );
  assertEquals(error.code, "invalid_event");
  assertEquals(error.url, STREAM_URL);
  assertEquals(error.raw, { event: "tick", data: '{"n":"one"}', id: "7" });
  assertEquals(error.issues[0]?.path, ["n"]);
  assert(error.message.includes(`an event 'tick' from ${STREAM_URL}`));
  assertStrictEquals(await assertRejects(() => events.next()), error);
  assertStrictEquals(await assertRejects(() => events.nextBatch()), error);
  assertEquals(events.state, "closed");
  assertEquals(events.lastEventId, "7");
  assertEquals(script.requests.length, 1, "it is not asked for again");
  assert(script.requests[0]?.outcome !== "pending");
  assertEquals(clock.pending, 0);
});

for (const data of [" ", "x", "{", "undefined", "{'n':1}", "1 2", "NaN"]) {
  Deno.test(`streamEvents takes ${JSON.stringify(data)} for an event that is not JSON`, async () => {
    const { clock, options } = scripted([
      { chunks: [`event: tick\ndata: ${data}\n\n${tick(1)}`] },
      STOP,
    ]);
    const events = streamEvents(STREAM_URL, {
      ...options,
      schemas: { tick: z.unknown() },
      onInvalid: "yield",
    });
    const [invalid, valid] = await clock.run(Array.fromAsync(events));
    assert(invalid && !invalid.ok);
    assertEquals(invalid.raw, { event: "tick", data, id: "" });
    assertEquals(invalid.issues.length, 1);
    assert(invalid.issues[0]?.message.startsWith("Expected JSON: "));
    assert(valid?.ok);
  });
}

Deno.test("streamEvents yields an event that is not valid, as what it is, and goes on", async () => {
  const { clock, options } = scripted([
    { chunks: [`${tick(1)}${tick("one")}`, `${tick(null)}${tick(2)}`] },
    STOP,
  ]);
  const events = streamEvents(STREAM_URL, {
    ...options,
    schemas,
    onInvalid: "yield",
  });
  const seen: unknown[] = [];
  const read = async () => {
    for await (const event of events) {
      if (!event.ok) {
        event satisfies InvalidEvent;
        seen.push(event.raw.data);
      } else if (event.event === "tick") seen.push(event.data.n);
    }
  };
  await clock.run(read());
  assertEquals(seen, [1, '{"n":"one"}', '{"n":null}', 2]);
});

Deno.test("streamEvents passes over events that no schema is for", async () => {
  const { clock, events } = typed([
    "event: tock\ndata: not JSON\n\n",
    "event: Tick\ndata: {}\n\nid: 9\nevent: tock\ndata: 1\n\n",
    tick(1),
    "event: tock\ndata: 1\n\n",
  ]);
  const [event, ...more] = await clock.run(Array.fromAsync(events));
  assertEquals(event, { ok: true, event: "tick", data: { n: 1 }, id: "9" });
  assertEquals(more, []);
});

Deno.test("streamEvents passes over an event without data, and keeps its id (G13)", async () => {
  for (const type of ["", "event: tick\n"]) {
    const { clock, options, script } = scripted([
      // The priming event of an MCP server.
      { chunks: [`${type}id: 1\nretry: 10\ndata:\n\n`, tick(1)] },
      STOP,
    ]);
    const events = streamEvents(STREAM_URL, {
      ...options,
      schemas: { ...schemas, message: z.object({ jsonrpc: z.string() }) },
    });
    const [event, ...more] = await clock.run(Array.fromAsync(events));
    assertEquals(event, { ok: true, event: "tick", data: { n: 1 }, id: "1" });
    assertEquals(more, []);
    assertEquals(events.lastEventId, "1");
    assertEquals(script.requests.length, 2);
  }
});

Deno.test("EventStream.nextBatch waits on where no schema is for what has come", async () => {
  const { clock, events } = typed([
    "event: tock\ndata: 1\n\nevent: tock\ndata: 2\n\n",
    `event: tock\ndata: 3\n\n${tick(1)}${tick(2)}`,
    "event: tock\ndata: 4\n\n",
  ]);
  const batch = await clock.run(events.nextBatch());
  assertEquals(batch?.map(({ data }) => data), [{ n: 1 }, { n: 2 }]);
  assertEquals(await clock.run(events.nextBatch()), undefined);
});

Deno.test("streamEvents takes no name of Object.prototype for a schema", async () => {
  const names = [
    "constructor",
    "__proto__",
    "toString",
    "hasOwnProperty",
    "valueOf",
  ];
  const { clock, events } = typed([
    ...names.map((name) => `event: ${name}\ndata: 1\n\n`),
    tick(1),
  ]);
  const seen = await clock.run(Array.fromAsync(events));
  assertEquals(seen.map(({ event }) => event), ["tick"]);
});

Deno.test("streamEvents takes those names where there is a schema for them", async () => {
  const { clock, options } = scripted([
    {
      chunks: ["event: constructor\ndata: 1\n\nevent: __proto__\ndata: 2\n\n"],
    },
    STOP,
  ]);
  const events = streamEvents(STREAM_URL, {
    ...options,
    schemas: { constructor: z.number(), ["__proto__"]: z.number() },
  });
  const seen = await clock.run(Array.fromAsync(events));
  assertEquals(seen.map(({ event, data }) => [event, data]), [
    ["constructor", 1],
    ["__proto__", 2],
  ]);
});

/** A schema that takes as long as the value says. */
const slow = (clock: FakeClock): EventSchema<number> => ({
  "~standard": {
    version: 1,
    vendor: "test",
    validate: async (value) => {
      await new Promise<void>((resolve) =>
        clock.setTimeout(resolve, Number(value))
      );
      return Number(value) >= 0
        ? { value: Number(value) }
        : { issues: [{ message: "Negative" }] };
    },
  },
});

Deno.test("streamEvents answers overlapping calls in order, however long validation takes", async () => {
  const { clock, options } = scripted([
    { chunks: ["data: 900\n\ndata: 10\n\ndata: 500\n\n", "data: 1\n\n"] },
    { chunks: ["data: 300\n\n", "data: 2\n\n"], end: "drop" },
    STOP,
  ]);
  const events = streamEvents(STREAM_URL, {
    ...options,
    schemas: { message: slow(clock) },
  });
  const calls = Promise.all([
    events.next(),
    events.next(),
    events.nextBatch(),
    events.next(),
    events.nextBatch(),
    events.next(),
    events.next(),
    events.nextBatch(),
  ]);
  const results = await clock.run(calls);
  assertEquals(
    results.map((result) =>
      Array.isArray(result)
        ? result.map(({ data }) => data)
        : result && result.value?.data
    ),
    [900, 10, [500], 1, [300], 2, undefined, undefined],
  );
});

Deno.test("streamEvents validates with zod's asynchronous schemas", async () => {
  const { clock, options } = scripted([
    { chunks: ["data: 1\n\ndata: 2\n\ndata: 3\n\n"] },
    STOP,
  ]);
  const odd = z.number().refine((n) => Promise.resolve(n % 2 === 1), "Not odd");
  const events = streamEvents(STREAM_URL, {
    ...options,
    schemas: { message: odd },
    onInvalid: "yield",
  });
  const seen = await clock.run(Array.fromAsync(events));
  assertEquals(
    seen.map((event) => event.ok ? event.data : event.issues[0]?.message),
    [1, "Not odd", 3],
  );
});

for (const how of ["throws", "rejects"] as const) {
  const mine = new Error("no database");
  const failing: EventSchema<unknown> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate(value) {
        if (value !== 2) return { value };
        if (how === "throws") throw mine;
        return Promise.reject(mine);
      },
    },
  };

  Deno.test(`streamEvents ends with what a schema throws (${how})`, async () => {
    const { clock, script, options } = scripted([
      { chunks: ["data: 1\n\ndata: 2\n\ndata: 3\n\n"] },
    ]);
    const events = streamEvents(STREAM_URL, {
      ...options,
      schemas: { message: failing },
      onInvalid: "yield",
    });
    await clock.run(events.next());
    assertStrictEquals(await assertRejects(() => events.next()), mine);
    assertStrictEquals(await assertRejects(() => events.next()), mine);
    assertEquals(events.state, "closed");
    assert(script.requests[0]?.outcome !== "pending");
  });

  Deno.test(`EventStream.nextBatch ends with what a schema throws, after what came before (${how})`, async () => {
    const { clock, options } = scripted([
      { chunks: ["data: 1\n\ndata: 2\n\ndata: 3\n\n"] },
    ]);
    const events = streamEvents(STREAM_URL, {
      ...options,
      schemas: { message: failing },
    });
    const batch = await clock.run(events.nextBatch());
    assertEquals(batch?.map(({ data }) => data), [1]);
    assertStrictEquals(await assertRejects(() => events.nextBatch()), mine);
    assertEquals(events.state, "closed");
  });
}

Deno.test("EventStream.nextBatch gives what came before an event that is not valid, then the error", async () => {
  const { clock, events } = typed([
    `id: 1\n${tick(1)}id: 2\n${tick(2)}id: 3\n${tick("x")}id: 4\n${tick(4)}`,
  ]);
  const batch = await clock.run(events.nextBatch());
  assertEquals(batch?.map(({ data }) => data), [{ n: 1 }, { n: 2 }]);
  await assertRejects(() => events.nextBatch(), EventValidationError);
  await assertRejects(() => events.next(), EventValidationError);
  assertEquals(events.lastEventId, "3", "the fourth was never seen");
});

for (const how of ["cancel", "abort"] as const) {
  Deno.test(`EventStream does not wait for validation once it has ended (${how})`, async () => {
    const { clock, options } = scripted([
      { chunks: ["data: 1\n\n"], end: "stall" },
    ]);
    const abort = new AbortController();
    const never: EventSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: () => new Promise(() => {}),
      },
    };
    const events = streamEvents(STREAM_URL, {
      ...options,
      signal: abort.signal,
      schemas: { message: never },
    });
    const next = events.next().catch((error: unknown) => error);
    await clock.advance(10);
    const reason = new Error("enough");
    if (how === "cancel") await clock.run(events.cancel(reason));
    else abort.abort(reason);
    assertEquals(
      await clock.run(next),
      how === "cancel" ? { done: true, value: undefined } : reason,
    );
    assertEquals(clock.pending, 0);
  });
}

// Sentinels

Deno.test("streamEvents ends at the sentinel, and does not come back", async () => {
  for (const typed of [false, true]) {
    const { clock, script, options } = scripted([
      {
        chunks: ['data: "a"\n\n', "id: 2\ndata: [DONE]\n\ndata: 3\n\n"],
        end: "stall",
      },
    ]);
    const sentinel = "[DONE]";
    const events = typed
      ? streamEvents(STREAM_URL, { ...options, sentinel, schemas })
      : streamEvents(STREAM_URL, { ...options, sentinel });
    const data: unknown[] = [];
    const read = async () => {
      for await (const event of events) data.push(event.data);
    };
    await clock.run(read());
    assertEquals(data, [typed ? "a" : '"a"']);
    assertEquals(events.state, "closed");
    assertEquals(await events.next(), { done: true, value: undefined });
    assertEquals((await events.open()).status, 200);
    assertEquals(script.requests.length, 1);
    assert(script.requests[0]?.outcome !== "pending", "it was left open");
    assertEquals(clock.pending, 0);
  }
});

Deno.test("EventStream.nextBatch ends at a sentinel in the middle of a batch", async () => {
  for (const typed of [false, true]) {
    const { clock, options } = scripted([{
      chunks: ["id: 1\ndata: 1\n\nid: 2\ndata: [DONE]\n\nid: 3\ndata: 3\n\n"],
    }]);
    const all = { ...options, sentinel: "[DONE]" };
    const events: EventStream<{ readonly data: unknown }> = typed
      ? streamEvents(STREAM_URL, { ...all, schemas: { message: z.number() } })
      : streamEvents(STREAM_URL, all);
    const batch = await clock.run(events.nextBatch());
    assertEquals(batch?.map(({ data }) => Number(data)), [1]);
    assertEquals(await events.nextBatch(), undefined);
    assertEquals(events.lastEventId, "2");
  }
});

Deno.test("EventStream.nextBatch ends at a sentinel that comes first", async () => {
  const { clock, options } = scripted([
    { chunks: ["data: [DONE]\n\ndata: 1\n\n"], end: "stall" },
  ]);
  const events = streamEvents(STREAM_URL, { ...options, sentinel: "[DONE]" });
  assertEquals(await clock.run(events.nextBatch()), undefined);
  assertEquals(events.state, "closed");
});

Deno.test("streamEvents takes for the sentinel what has its data, and nothing else", async () => {
  const { clock, options } = scripted([
    {
      chunks: [
        "data: [DONE] \n\ndata: x[DONE]\n\ndata: [DONE]\ndata:\n\ndata: [done]\n\n",
        "event: other\ndata:[DONE]\n\n",
      ],
      end: "stall",
    },
  ]);
  const events = streamEvents(STREAM_URL, { ...options, sentinel: "[DONE]" });
  const seen = await clock.run(Array.fromAsync(events));
  assertEquals(seen.map(({ data }) => data), [
    "[DONE] ",
    "x[DONE]",
    "[DONE]\n",
    "[done]",
  ]);
});

Deno.test("streamEvents takes the empty string for a sentinel, too", async () => {
  const { clock, options } = scripted([
    { chunks: ["data: a\n\ndata:\n\ndata: b\n\n"], end: "stall" },
  ]);
  const events = streamEvents(STREAM_URL, { ...options, sentinel: "" });
  const seen = await clock.run(Array.fromAsync(events));
  assertEquals(seen.map(({ data }) => data), ["a"]);
});

Deno.test("streamEvents answers calls that overlap with the sentinel", async () => {
  const { clock, options } = scripted([
    { chunks: ["data: 1\n\n", "data: [DONE]\n\n"], end: "stall" },
  ]);
  const events = streamEvents(STREAM_URL, { ...options, sentinel: "[DONE]" });
  const calls = Promise.all([
    events.next(),
    events.next(),
    events.nextBatch(),
    events.next(),
  ]);
  const [first, second, third, fourth] = await clock.run(calls);
  assertEquals(first.value?.data, "1");
  assertEquals([second.done, third, fourth.done], [true, undefined, true]);
});

Deno.test("streamEvents validates what comes after a reconnection, and resumes after it", async () => {
  const { clock, script, options } = scripted([
    {
      chunks: [`id: 1\n${tick(1)}id: 2\nevent: tock\ndata: x\n\n`],
      end: "drop",
    },
    { chunks: [tick(2), tick("x")] },
  ]);
  const events = streamEvents(STREAM_URL, { ...options, schemas });
  const read = async () => {
    const seen: unknown[] = [];
    try {
      for await (const { data, id } of events) seen.push([data, id]);
    } catch (error) {
      assertInstanceOf(error, EventValidationError);
    }
    return seen;
  };
  assertEquals(await clock.run(read()), [[{ n: 1 }, "1"], [{ n: 2 }, "2"]]);
  assertEquals(script.requests[1]?.headers.get("last-event-id"), "2");
  assertEquals(script.requests.length, 2);
});
