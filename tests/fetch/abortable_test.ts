import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable } from "../../src/fetch/abortable.ts";
import { streamEvents } from "../../src/fetch/mod.ts";
import { CountedAbort } from "../support/fetch/counted_abort.ts";

const never = new Promise<never>(() => {});
const reason = new Error("enough");

Deno.test("abortable returns what the promise resolves to, or is", async () => {
  const abort = new CountedAbort();
  assertEquals(await abortable(Promise.resolve(1), abort.signal), 1);
  assertEquals(await abortable(2, abort.signal), 2);
  assertEquals(abort.listeners, 0);
});

Deno.test("abortable rejects with what the promise rejects with", async () => {
  const abort = new CountedAbort();
  const error = new Error("refused");
  assertStrictEquals(
    await assertRejects(() => abortable(Promise.reject(error), abort.signal)),
    error,
  );
  assertEquals(abort.listeners, 0);
});

Deno.test("abortable rejects with the signal's reason, and listens no more", async () => {
  const abort = new CountedAbort();
  const waiting = abortable(never, abort.signal);
  assertEquals(abort.listeners, 1);
  abort.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertEquals(abort.listeners, 0);
});

Deno.test("abortable rejects at once where the signal was aborted before", async () => {
  const abort = new CountedAbort();
  abort.abort(reason);
  for (const promise of [never, Promise.resolve(1), 2]) {
    assertStrictEquals(
      await assertRejects(() => abortable<unknown>(promise, abort.signal)),
      reason,
    );
  }
  assertEquals(abort.listeners, 0);
});

// The test runner fails for a rejection that nobody handles.
Deno.test("abortable leaves no rejection unhandled when the promise fails too late", async () => {
  for (const isBefore of [true, false]) {
    const abort = new AbortController();
    if (isBefore) abort.abort(reason);
    let fail = (_error: Error): void => {};
    const promise = new Promise<never>((_, reject) => {
      fail = reject;
    });
    const waiting = abortable(promise, abort.signal);
    abort.abort(reason);
    assertStrictEquals(await assertRejects(() => waiting), reason);
    fail(new Error("too late"));
    await new Promise((resolve) => setTimeout(resolve));
  }
});

Deno.test("streamEvents does not wait for a fetch that has aborted it, and closes its answer", async () => {
  const abort = new CountedAbort();
  let answer = (_response: Response): void => {};
  const events = streamEvents("http://localhost/", {
    signal: abort.signal,
    fetch: () => {
      abort.abort(reason);
      return new Promise((resolve) => {
        answer = resolve;
      });
    },
  });
  assertStrictEquals(await assertRejects(() => events.next()), reason);
  assertEquals(abort.listeners, 0);
  const closed = new Promise((resolve) => {
    answer(new Response(new ReadableStream({ cancel: resolve })));
  });
  await closed;
});
