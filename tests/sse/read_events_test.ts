import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { type EventReader, readEvents } from "../../src/sse/mod.ts";
import { bodyOf } from "./harness.ts";

const encoder = new TextEncoder();

/** A body that is written by hand, and tells what is done to it. */
function manualBody(): {
  body: ReadableStream<Uint8Array>;
  pulls: () => number;
  cancelled: () => unknown[];
  write: (text: string) => void;
  close: () => void;
  error: (error: unknown) => void;
} {
  let pulls = 0;
  const cancelled: unknown[] = [];
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(startController) {
      controller = startController;
    },
    pull() {
      pulls++;
    },
    cancel(reason) {
      cancelled.push(reason);
    },
  }, { highWaterMark: 0 });
  return {
    body,
    pulls: () => pulls,
    cancelled: () => cancelled,
    write: (text) => controller.enqueue(encoder.encode(text)),
    close: () => controller.close(),
    error: (error) => controller.error(error),
  };
}

/** Lets everything run that is not waiting for anything. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await null;
}

async function dataOf(reader: EventReader): Promise<string | undefined> {
  return (await reader.next()).value?.data;
}

Deno.test("readEvents() reads the next chunk only when the events of the one before were taken", async () => {
  let pulls = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      pulls++;
      controller.enqueue(
        encoder.encode(`data: ${pulls}a\n\ndata: ${pulls}b\n\n`),
      );
    },
  }, { highWaterMark: 0 });
  const reader = readEvents(body);
  await settle();
  assertEquals(pulls, 0);
  for (let chunk = 1; chunk <= 3; chunk++) {
    assertEquals(await dataOf(reader), `${chunk}a`);
    assertEquals(await dataOf(reader), `${chunk}b`);
    await settle();
    assertEquals(pulls, chunk);
  }
  assertEquals((await reader.nextBatch())?.length, 2);
  await settle();
  assertEquals(pulls, 4);
  await reader.return();
});

Deno.test("readEvents() parses a long chunk as its events are taken", async () => {
  let comments = 0;
  const body = bodyOf([encoder.encode(":\ndata: x\n\n".repeat(10_000))]);
  const reader = readEvents(body, { onComment: () => comments++ });
  await reader.next();
  assert(comments > 0 && comments < 1_000, `${comments}`);
  assertEquals((await reader.nextBatch())?.length, 9_999);
  assertEquals(comments, 10_000);
  assertEquals(await reader.nextBatch(), undefined);
});

Deno.test("readEvents() gives the rest of a chunk's events as a batch", async () => {
  const reader = readEvents(bodyOf([
    encoder.encode("data: a\n\ndata: b\n\ndata: c\n\n"),
    encoder.encode(": nothing\n"),
    encoder.encode("da"),
    encoder.encode("ta: d\n\ndata: e\n\nda"),
  ]));
  assertEquals(await dataOf(reader), "a");
  const batches: string[][] = [];
  let batch;
  while ((batch = await reader.nextBatch()) !== undefined) {
    batches.push(batch.map((event) => event.data));
  }
  assertEquals(batches, [["b", "c"], ["d", "e"]]);
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("readEvents() answers calls that overlap in order", async () => {
  const source = manualBody();
  const reader = readEvents(source.body);
  const answers: string[] = [];
  const calls = [0, 1, 2, 3].map(async (i) => {
    const { done, value } = await reader.next();
    answers.push(`${i} ${done ? "done" : value.data}`);
  });
  const batch = reader.nextBatch().then((events) =>
    answers.push(`batch ${events?.map((event) => event.data)}`)
  );
  await settle();
  assertEquals(source.pulls(), 1);
  source.write("data: a\n\n");
  await settle();
  assertEquals(answers, ["0 a"]);
  source.write("data: b\n\ndata: c\n\n");
  await settle();
  assertEquals(answers, ["0 a", "1 b", "2 c"]);
  source.write("data: d\n\ndata: e\n\ndata: f\n\n");
  await settle();
  assertEquals(answers, ["0 a", "1 b", "2 c", "3 d", "batch e,f"]);
  source.close();
  await Promise.all([...calls, batch]);
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("readEvents() answers every call that waits at the end", async () => {
  const source = manualBody();
  const reader = readEvents(source.body);
  const calls = [reader.next(), reader.next(), reader.next()];
  source.write("data: a\n\ndata: unfinished\n");
  source.close();
  assertEquals((await Promise.all(calls)).map(({ done }) => done), [
    false,
    true,
    true,
  ]);
});

Deno.test("readEvents() cancels the body when a loop is left", async () => {
  const source = manualBody();
  source.write("data: a\n\ndata: b\n\n");
  const reader = readEvents(source.body);
  for await (const event of reader) {
    assertEquals(event.data, "a");
    break;
  }
  assertEquals(source.cancelled(), [undefined]);
  assertEquals(source.body.locked, false);
  assertEquals(await reader.next(), { done: true, value: undefined });
  assertEquals(await reader.nextBatch(), undefined);
});

Deno.test("readEvents() cancels the body with await using, throw() and return()", async () => {
  const disposed = manualBody();
  {
    await using reader = readEvents(disposed.body);
    assertEquals(reader.lastEventId, "");
  }
  assertEquals(disposed.cancelled(), [undefined]);

  const thrown = manualBody();
  const error = new Error("enough");
  const reader = readEvents(thrown.body);
  assertStrictEquals(await assertRejects(() => reader.throw(error)), error);
  assertEquals(thrown.cancelled(), [error]);

  const returned = manualBody();
  const waiting = readEvents(returned.body);
  const next = waiting.next();
  const later = waiting.next();
  assertEquals(await waiting.return(), { done: true, value: undefined });
  assertEquals(await next, { done: true, value: undefined });
  assertEquals(await later, { done: true, value: undefined });
  assertEquals(returned.cancelled(), [undefined]);
  await waiting.return();
  assertEquals(returned.cancelled(), [undefined]);
});

Deno.test("readEvents() ignores an error of the body's cancel", async () => {
  const body = new ReadableStream<Uint8Array>({
    cancel() {
      throw new Error("cannot cancel");
    },
  });
  const reader = readEvents(body);
  assertEquals(await reader.return(), { done: true, value: undefined });
});

Deno.test("readEvents() rejects at once when its signal is aborted while it waits", async () => {
  let cancelReason: unknown;
  const body = new ReadableStream<Uint8Array>({
    cancel(reason) {
      cancelReason = reason;
      // A socket that never closes must not hold the caller up.
      return new Promise(() => {});
    },
  });
  const controller = new AbortController();
  const reader = readEvents(body, { signal: controller.signal });
  const next = reader.next();
  const later = reader.next();
  await settle();
  const reason = new Error("stop");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => next), reason);
  assertEquals(await later, { done: true, value: undefined });
  assertStrictEquals(cancelReason, reason);
  assertEquals(body.locked, false);
});

Deno.test("readEvents() rejects when its signal is aborted between calls, and drops what has come", async () => {
  const source = manualBody();
  source.write("id: 1\ndata: a\n\nid: 2\ndata: b\n\n");
  const controller = new AbortController();
  const reader = readEvents(source.body, { signal: controller.signal });
  assertEquals(await dataOf(reader), "a");
  controller.abort();
  assertEquals(source.cancelled(), [controller.signal.reason]);
  await assertRejects(() => reader.next(), DOMException, "aborted");
  assertEquals(await reader.next(), { done: true, value: undefined });
  // The event that was dropped must come again when the stream is resumed.
  assertEquals(reader.lastEventId, "1");
});

Deno.test("readEvents() reads nothing if its signal is aborted already", async () => {
  const source = manualBody();
  const reason = new Error("too late");
  const reader = readEvents(source.body, {
    signal: AbortSignal.abort(reason),
  });
  assertStrictEquals(
    await assertRejects(() => reader.nextBatch()),
    reason,
  );
  assertEquals(source.pulls(), 0);
  assertEquals(source.cancelled(), [reason]);
});

Deno.test("readEvents() listens to its signal no longer than it reads", async () => {
  const listeners = new Set<unknown>();
  const signal = new AbortController().signal;
  const { addEventListener, removeEventListener } = signal;
  Object.assign(signal, {
    addEventListener(type: "abort", listener: () => void) {
      listeners.add(listener);
      addEventListener.call(signal, type, listener);
    },
    removeEventListener(type: "abort", listener: () => void) {
      listeners.delete(listener);
      removeEventListener.call(signal, type, listener);
    },
  });
  const left = readEvents(manualBody().body, { signal });
  assertEquals(listeners.size, 1);
  await left.return();
  assertEquals(listeners.size, 0);
  const ended = readEvents(bodyOf([]), { signal });
  assertEquals(listeners.size, 1);
  await ended.next();
  assertEquals(listeners.size, 0);
});

Deno.test("readEvents() rejects with the body's error, after the events before it", async () => {
  const source = manualBody();
  const error = new TypeError("connection reset");
  const reader = readEvents(source.body);
  const first = reader.next();
  const second = reader.next();
  source.write("data: a\n\ndata: unfinished\n");
  await settle();
  source.error(error);
  assertEquals((await first).value?.data, "a");
  assertStrictEquals(await assertRejects(() => second), error);
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("readEvents() cancels the body at an event that is too large", async () => {
  const source = manualBody();
  source.write("data: a\n\ndata: b\n\ndata: 0123456789\n\ndata: c\n\n");
  const reader = readEvents(source.body, { maxEventSize: 10 });
  assertEquals((await reader.nextBatch())?.map((event) => event.data), [
    "a",
    "b",
  ]);
  assertEquals(source.cancelled().length, 1);
  const error = await assertRejects(() => reader.next(), Error, "offset 18");
  assertStrictEquals(source.cancelled()[0], error);
  assertEquals(await reader.next(), { done: true, value: undefined });
});

Deno.test("readEvents() passes on what a callback throws, and cancels the body", async () => {
  for (
    const name of [
      "onChunk",
      "onComment",
      "onRetry",
      "onDiagnostic",
      "onPending",
    ]
  ) {
    const source = manualBody();
    source.write(": c\nretry: 1\nnonsense\n\n");
    const error = new Error(name);
    const reader = readEvents(source.body, {
      [name]: () => {
        throw error;
      },
    });
    assertStrictEquals(await assertRejects(() => reader.next()), error);
    assertEquals(source.cancelled(), [error]);
  }
});

Deno.test("readEvents() can be stopped from a callback", async () => {
  const source = manualBody();
  source.write("id: 1\ndata: a\n\n: stop\nid: 2\ndata: b\n\n");
  const controller = new AbortController();
  const aborted = readEvents(source.body, {
    signal: controller.signal,
    onComment: () => controller.abort(),
  });
  await assertRejects(() => aborted.next(), DOMException);
  assertEquals(await aborted.nextBatch(), undefined);
  assertEquals(aborted.lastEventId, "");

  const other = manualBody();
  other.write("data: a\n\n: stop\ndata: b\n\n");
  const returned: EventReader = readEvents(other.body, {
    onComment: () => void returned.return(),
  });
  assertEquals(await returned.nextBatch(), undefined);
});

Deno.test("readEvents() gives the last event id as of the events taken", async () => {
  const source = manualBody();
  const reader = readEvents(source.body, { lastEventId: "0" });
  assertEquals(reader.lastEventId, "0");
  source.write("id: 1\ndata: a\n\nid: 2\n\nid: 3\ndata: b\n\nid: 4\n\n");
  const { value } = await reader.next();
  assertEquals(value, { event: "message", data: "a", id: "1" });
  assertEquals(reader.lastEventId, "1");
  await reader.next();
  assertEquals(reader.lastEventId, "4");
  source.write("id: 5\ndata: c\n\nid: 6\ndata: d\n\n");
  await reader.nextBatch();
  assertEquals(reader.lastEventId, "6");
  source.write("id: 7\ndata: e\n\ndata: f\n\nid: 8\ndata: g\n\n");
  await reader.next();
  await reader.return();
  assertEquals(reader.lastEventId, "7");
});

Deno.test("readEvents() tells of every chunk", async () => {
  const chunks: number[] = [];
  const reader = readEvents(
    bodyOf([
      encoder.encode(": only a comment\n"),
      new Uint8Array(0),
      encoder.encode("data: a\n\n"),
      Uint8Array.of(0xf0, 0x9f),
    ]),
    { onChunk: (bytes) => chunks.push(bytes) },
  );
  assertEquals(await dataOf(reader), "a");
  assertEquals(chunks, [17, 0, 9]);
  assertEquals(await dataOf(reader), undefined);
  assertEquals(chunks, [17, 0, 9, 2]);
});

Deno.test("readEvents() tells how much it holds of an event that is not whole", async () => {
  const seen: unknown[] = [];
  const chunks = ["data: a\n\nda", "ta: b", "c", "", "\n\n", ": c", "\n", "id"];
  const reader = readEvents(
    bodyOf(chunks.map((chunk) => encoder.encode(chunk))),
    { onPending: (size) => seen.push(size) },
  );
  for await (const { data } of reader) seen.push(data);
  // The empty chunk changes nothing.
  assertEquals(seen, [0, "a", 2, 7, 8, "bc", 0, 3, 0, 2]);
});

Deno.test("readEvents() takes a chunk that is a view of a larger buffer", async () => {
  const bytes = encoder.encode("xxdata: a\n\nyy");
  const reader = readEvents(bodyOf([bytes.subarray(2, -2)]));
  assertEquals(await dataOf(reader), "a");
  await reader.return();
});

Deno.test("readEvents() refuses a body that is locked, and wrong options before it locks one", () => {
  const { body } = manualBody();
  assertThrows(() => readEvents(body, { maxEventSize: 0 }), RangeError);
  assertEquals(body.locked, false);
  readEvents(body);
  assertThrows(() => readEvents(body), TypeError);
});

Deno.test("readEvents() refuses text with a hint", async () => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue("data: a\n\n");
    },
  });
  await assertRejects(
    () => readEvents(body).next(),
    TypeError,
    "current chunk is a string (text goes through SseParserStream)",
  );
});

Deno.test("readEvents() answers overlapping calls in order, at the end too", async () => {
  const events = readEvents(bodyOf(
    ["data: a\n\n", "data: b\n\ndata: c\n\n"]
      .map((text) => encoder.encode(text)),
  ));
  const answered: string[] = [];
  const calls = Array.from(
    { length: 7 },
    (_, index) =>
      (index % 2 === 0 ? events.next() : events.nextBatch())
        .then(() => answered.push(`call ${index}`)),
  );
  await Promise.all(calls);
  assertEquals(answered, calls.map((_, index) => `call ${index}`));
});
