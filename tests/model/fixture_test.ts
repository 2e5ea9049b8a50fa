import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { FixtureError } from "../../src/model/errors/fixture_error.ts";
import {
  type Fixture,
  type FixtureUpstream,
  openFixture,
} from "../../src/model/fixture.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import { SseParser } from "../../src/sse/parser.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";

/** The path of a file of the repository. */
function pathOf(name: string): string {
  const { pathname } = new URL(`../../${name}`, import.meta.url);
  return decodeURIComponent(pathname).replace(/^\/(?=[A-Za-z]:)/, "");
}

function open(fixture: Fixture): Promise<FixtureUpstream> {
  const { signal } = new AbortController();
  return openFixture(fixture, { clock: new FakeClock(), signal });
}

function openText(text: string): Promise<FixtureUpstream> {
  return open({ path: "made.sse", readTextFile: () => Promise.resolve(text) });
}

async function allOf(upstream: FixtureUpstream): Promise<ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for (let batch; (batch = await upstream.nextBatch());) {
    assert(batch.length > 0);
    events.push(...batch);
  }
  assertEquals(await upstream.nextBatch(), undefined);
  return events;
}

function parse(text: string): ServerSentEvent[] {
  const events: ServerSentEvent[] = [];
  new SseParser({ onEvent: (event) => events.push(event) }).push(text);
  return events;
}

function message(data: string, event = "message"): ServerSentEvent {
  return { event, data, id: "" };
}

for (const [name, count] of [["demo.sse", 204], ["chat.sse", 39]] as const) {
  Deno.test(`openFixture() reads ${name} as the network would bring it`, async () => {
    const path = pathOf(`fixtures/${name}`);
    const events = await allOf(await open({ path }));
    assertEquals(events, parse(await Deno.readTextFile(path)));
    assertEquals(events.length, count);
  });
}

const CREATED = '{"type":"response.created","response":{"id":"r"}}';
const COMPLETED = '{"type":"response.completed","response":{"id":"r"}}';
const CHUNK = '{"choices":[{"index":0,"delta":{"content":"a"}}]}';

const ROWS: [name: string, text: string, expected: ServerSentEvent[]][] = [
  [
    "events with names",
    `event: response.created\ndata: ${CREATED}\n\nevent: response.completed\ndata: ${COMPLETED}\n\n`,
    [
      message(CREATED, "response.created"),
      message(COMPLETED, "response.completed"),
    ],
  ],
  [
    "events without names, and [DONE]",
    `data: ${CHUNK}\n\ndata: [DONE]\n\n`,
    [message(CHUNK), message("[DONE]")],
  ],
  [
    "an event of several lines among others",
    `data: {\ndata: }\n\ndata: b\n\n`,
    [message("{\n}"), message("b")],
  ],
  [
    "the name of the only event",
    `event: error\ndata: {}\n\n`,
    [message("{}", "error")],
  ],
  ["events after a BOM", `\uFEFFdata: a\n\ndata: b\n\n`, [
    message("a"),
    message("b"),
  ]],
  ["events of CRLF lines", `data: a\r\n\r\ndata: b\r\n\r\n`, [
    message("a"),
    message("b"),
  ]],
  ["events of CR lines", `event: x\rdata: a\r\rdata: b\r\r`, [
    message("a", "x"),
    message("b"),
  ]],
  [
    "no event that is cut off, as the standard has it",
    `data: a\n\ndata: b\n\ndata: c\n`,
    [message("a"), message("b")],
  ],
  [
    "one object per line",
    `${CREATED}\n${COMPLETED}\n`,
    [message(CREATED), message(COMPLETED)],
  ],
  [
    "one object per line, after a BOM, with CRLF, blanks and comments, and no last line end",
    `\uFEFF# of ours\r\n: +5ms\r\n\r\n  ${CREATED}\r\n\r\n${COMPLETED}`,
    [message(CREATED), message(COMPLETED)],
  ],
  [
    "one data line per event, however it is named",
    `event: response.created\ndata: ${CREATED}\nevent: x\ndata:${COMPLETED}\nid: 1\n`,
    [message(CREATED), message(COMPLETED)],
  ],
  [
    "one data line per event, and blank lines around them",
    `\n\ndata: ${CHUNK}\ndata: ${CHUNK}\ndata: [DONE]\n\n`,
    [message(CHUNK), message(CHUNK), message("[DONE]")],
  ],
  [
    "objects and data lines together",
    `${CHUNK}\n\ndata: ${CHUNK}\n\ndata: [DONE]\n`,
    [message(CHUNK), message(CHUNK), message("[DONE]")],
  ],
  ["an only object", CREATED, [message(CREATED)]],
  ["an only data line", `data: ${CREATED}`, [message(CREATED)]],
];

for (const [name, text, expected] of ROWS) {
  Deno.test(`openFixture() reads ${name}`, async () => {
    assertEquals(await allOf(await openText(text)), expected);
  });
}

const FORMATS = "expected an event stream, or one JSON object per line, got";

for (
  const [name, text, reason] of [
    ["an empty file", "", `${FORMATS} an empty file`],
    ["only a BOM", "\uFEFF", `${FORMATS} an empty file`],
    ["only blank lines", "\n\r\n\n", `${FORMATS} no event`],
    ["only comments", ": +5ms\n\n: a\n\n", `${FORMATS} no event`],
    ["something else", "<html>\n</html>\n", `${FORMATS} no event`],
    ["an array", '[\n{"type":"a"}\n]\n', `${FORMATS} no event`],
    [
      "an object over several lines",
      '{"a":1}\n{\n  "type": "a"\n}\n',
      "expected one JSON object per line, and line 2 is not JSON",
    ],
  ] as const
) {
  Deno.test(`openFixture() says what is wrong with ${name}`, async () => {
    const error = await assertRejects(() => openText(text), FixtureError);
    assertEquals(
      error.message,
      `Cannot stream from the fixture 'made.sse': ${reason}`,
    );
    assertEquals(error.code, "invalid_fixture");
    assertEquals(error.path, "made.sse");
  });
}

for (
  const [name, path] of [
    ["is missing", pathOf("fixtures/missing.sse")],
    ["is a folder", pathOf("fixtures")],
    ["has no name", ""],
  ] as const
) {
  Deno.test(`openFixture() says so if the file ${name}`, async () => {
    const error = await assertRejects(
      () => open({ path }),
      FixtureError,
      `Cannot stream from the fixture '${path}': expected a file that can be read, got '`,
    );
    assert(error.cause instanceof Error);
    assertEquals(error.message.split("got '")[1], `${error.cause.message}'`);
  });
}

Deno.test("openFixture() reads with the function that it is given", async () => {
  const paths: string[] = [];
  const upstream = await open({
    path: "x/y",
    readTextFile(path) {
      paths.push(path);
      return Promise.resolve("data: a\n\n");
    },
  });
  assertEquals(await allOf(upstream), [message("a")]);
  assertEquals(paths, ["x/y"]);
  const error = await assertRejects(
    () =>
      open({
        path: "x/y",
        readTextFile: () => Promise.reject("locked"),
      }),
    FixtureError,
    "expected a file that can be read, got 'locked'",
  );
  assertEquals(error.cause, "locked");
});

/** Calls a function where a runtime lacks some of its globals. */
function without<T>(names: string[], action: () => T): T {
  const kept = names.map((name) =>
    [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const
  );
  try {
    for (const name of names) {
      Object.defineProperty(globalThis, name, {
        value: undefined,
        configurable: true,
      });
    }
    return action();
  } finally {
    for (const [name, descriptor] of kept) {
      Reflect.deleteProperty(globalThis, name);
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
    }
  }
}

Deno.test("openFixture() reads with what Node has where there is no Deno", async () => {
  const path = pathOf("fixtures/chat.sse");
  const upstream = await without(["Deno"], () => open({ path }));
  assertEquals((await allOf(upstream)).length, 39);
});

Deno.test("openFixture() asks for a function where the runtime has none", async () => {
  await assertRejects(
    () => without(["Deno", "process"], () => open({ path: "a.sse" })),
    FixtureError,
    "Cannot stream from the fixture 'a.sse': expected 'readTextFile' to be given",
  );
  const readTextFile = () => Promise.resolve("data: a\n\n");
  const upstream = await without(
    ["Deno", "process"],
    () => open({ path: "a.sse", readTextFile }),
  );
  assertEquals(await allOf(upstream), [message("a")]);
});

const PACED =
  ": +100ms\ndata: a\n\ndata: b\n\n: +50ms\n:+30ms\n: other\ndata: c\n\n";

/** A stream that is played, with its clock and its signal. */
async function play(text: string, pace?: boolean) {
  const clock = new FakeClock();
  const abort = new CountedAbort();
  const readTextFile = () => Promise.resolve(text);
  const upstream = await openFixture(
    { path: "paced.sse", pace, readTextFile },
    { clock, signal: abort.signal },
  );
  return { clock, abort, upstream };
}

/** Returns the state of a promise so far. */
function stateOf<T>(promise: Promise<T>): { value?: T | "pending" } {
  const state: { value?: T | "pending" } = { value: "pending" };
  promise.then((value) => state.value = value, () => {});
  return state;
}

const data = (events: ServerSentEvent[] | undefined) =>
  events?.map(({ data }) => data);

for (
  const [name, text] of [
    ["a stream", PACED],
    [
      "one object per line",
      ": +100ms\n{}\n{}\n: +50ms\n:+30ms\n: other\n{}",
    ],
  ] as const
) {
  Deno.test(`openFixture() plays ${name} at its pace where that is asked for`, async () => {
    const { clock, abort, upstream } = await play(text, true);
    const [first, last] = name === "a stream"
      ? [["a", "b"], ["c"]]
      : [["{}", "{}"], ["{}"]];
    let state = stateOf(upstream.nextBatch().then(data));
    await clock.advance(99);
    assertEquals(state.value, "pending");
    await clock.advance(1);
    assertEquals(state.value, first);
    state = stateOf(upstream.nextBatch().then(data));
    await clock.advance(79);
    assertEquals(state.value, "pending");
    await clock.advance(1);
    assertEquals(state.value, last);
    assertEquals(await upstream.nextBatch(), undefined);
    assertEquals(clock.now(), 180);
    assertEquals(clock.pending, 0);
    assertEquals(abort.listeners, 0);
  });
}

Deno.test("openFixture() does not wait unless that is asked for", async () => {
  for (const pace of [false, undefined]) {
    const { clock, abort, upstream } = await play(PACED, pace);
    assertEquals(data(await allOf(upstream)), ["a", "b", "c"]);
    assertEquals(clock.pending, 0);
    assertEquals(abort.listeners, 0);
  }
});

Deno.test("openFixture() takes no time where an event took none", async () => {
  const { clock, upstream } = await play(": +0ms\ndata: a\n\n", true);
  const state = stateOf(upstream.nextBatch().then(data));
  assertEquals(clock.pending, 0);
  await clock.advance(0);
  assertEquals(state.value, ["a"]);
});

const STOP = new Error("stop");

Deno.test("openFixture() rejects with the signal's reason", async () => {
  const aborted = AbortSignal.abort(STOP);
  const clock = new FakeClock();
  let reads = 0;
  const opening = openFixture({
    path: "a.sse",
    readTextFile: () => Promise.resolve(`${reads++}`),
  }, { clock, signal: aborted });
  assertStrictEquals(await assertRejects(() => opening), STOP);
  assertEquals(reads, 0);

  // While the file is read; the signal goes before what is wrong with the file.
  for (
    const answer of [
      () => Promise.resolve(PACED),
      () => Promise.resolve(""),
      () => Promise.reject(new Error("gone")),
    ]
  ) {
    const controller = new AbortController();
    const readTextFile = () => {
      controller.abort(STOP);
      return answer();
    };
    const { signal } = controller;
    const opening = openFixture({ path: "a.sse", readTextFile }, {
      clock,
      signal,
    });
    assertStrictEquals(await assertRejects(() => opening), STOP);
  }
});

Deno.test("FixtureUpstream ends a wait when the signal is aborted, and stays so", async () => {
  const { clock, abort, upstream } = await play(PACED, true);
  const waiting = upstream.nextBatch();
  abort.abort(STOP);
  assertStrictEquals(await assertRejects(() => waiting), STOP);
  assertEquals(clock.pending, 0);
  assertEquals(abort.listeners, 0);
  assertStrictEquals(await assertRejects(() => upstream.nextBatch()), STOP);
  await upstream.cancel();
  assertStrictEquals(await assertRejects(() => upstream.nextBatch()), STOP);
});

Deno.test("FixtureUpstream rejects between two batches when the signal is aborted", async () => {
  const { abort, upstream } = await play(PACED);
  assertEquals(data(await upstream.nextBatch()), ["a", "b"]);
  abort.abort(STOP);
  assertStrictEquals(await assertRejects(() => upstream.nextBatch()), STOP);
});

Deno.test("FixtureUpstream has ended before a later signal", async () => {
  const { abort, upstream } = await play(PACED);
  await allOf(upstream);
  abort.abort(STOP);
  assertEquals(await upstream.nextBatch(), undefined);
});

Deno.test("FixtureUpstream gives nothing more when it is cancelled", async () => {
  for (const pace of [false, true]) {
    const { clock, abort, upstream } = await play(PACED, pace);
    const waiting = pace ? upstream.nextBatch() : undefined;
    await upstream.cancel("enough");
    assertEquals(await waiting, undefined);
    assertEquals(await upstream.nextBatch(), undefined);
    assertEquals(clock.pending, 0);
    assertEquals(abort.listeners, 0);
    abort.abort(STOP);
    assertEquals(await upstream.nextBatch(), undefined);
    await upstream.cancel();
  }
});
