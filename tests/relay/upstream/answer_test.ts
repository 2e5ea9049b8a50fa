import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { PassThrough } from "node:stream";
import { HeaderList } from "../../../relay/header_list.ts";
import { AnswerBody, answerOf } from "../../../relay/upstream/answer.ts";
import { UpstreamConnectionError } from "../../../relay/upstream/upstream_connection_error.ts";

/** Makes a body of a stream, and says how often it was stopped. */
function bodyOf(incoming: PassThrough, isWhole = true) {
  const stopped = { count: 0 };
  const body = new AnswerBody(incoming, {
    isWhole: () => isWhole,
    cancel: () => void stopped.count++,
    signal: new AbortController().signal,
  });
  return { body, stopped };
}

/** Resolves when a stream has passed on what was written to it. */
function passedOn(incoming: PassThrough): Promise<void> {
  return new Promise((resolve) => incoming.write("", () => resolve()));
}

async function textOf(body: AnswerBody): Promise<string> {
  const pieces: Uint8Array[] = [];
  for (let bytes; (bytes = await body.next());) pieces.push(bytes);
  return await new Blob(pieces.map((piece) => piece.slice())).text();
}

Deno.test("AnswerBody gives what has come in one piece, and then the end", async () => {
  const incoming = new PassThrough();
  const { body } = bodyOf(incoming);
  incoming.write("data: a\n\n");
  incoming.write("data: b\n\n");
  await passedOn(incoming);
  const bytes = await body.next();
  assertEquals(new TextDecoder().decode(bytes), "data: a\n\ndata: b\n\n");
  incoming.end("data: c\n\n");
  assertEquals(await textOf(body), "data: c\n\n");
  assertEquals(await body.next(), undefined);
});

Deno.test("AnswerBody gives what has come before a body broke off, and then rejects", async () => {
  const incoming = new PassThrough();
  const { body } = bodyOf(incoming);
  incoming.write("data: a\n\n");
  await passedOn(incoming);
  const closed = new Promise((resolve) => incoming.once("close", resolve));
  incoming.destroy(new Error("reset"));
  await closed;
  assertEquals(new TextDecoder().decode(await body.next()), "data: a\n\n");
  await assertRejects(() => body.next(), UpstreamConnectionError, "reset");
});

Deno.test("AnswerBody takes no end for the end of a body that is not whole", async () => {
  const incoming = new PassThrough();
  const { body } = bodyOf(incoming, false);
  incoming.end("data: a\n\n");
  await assertRejects(
    () => textOf(body),
    UpstreamConnectionError,
    "broken off",
  );
});

Deno.test("AnswerBody keeps no large buffer for a short piece of it", async () => {
  const incoming = new PassThrough();
  const { body } = bodyOf(incoming);
  incoming.end(new Uint8Array(1024 * 1024).subarray(0, 200));
  const bytes = await body.next();
  assert(bytes);
  assertEquals(bytes.length, 200);
  assert(bytes.buffer.byteLength <= 64 * 1024);
});

Deno.test("AnswerBody reads no further while nobody takes what has come", async () => {
  const incoming = new PassThrough();
  const { body } = bodyOf(incoming);
  const piece = new Uint8Array(16 * 1024);
  for (let count = 0; count < 4; count++) incoming.write(piece);
  await passedOn(incoming);
  assert(incoming.isPaused());
  assertEquals((await body.next())?.length, 4 * piece.length);
  assert(!incoming.isPaused());
});

Deno.test("AnswerBody gives 64 KiB at most at once, and every byte once", async () => {
  for (const sizes of [[200_000], [40_000, 40_000, 1, 30_000], [65_536, 5]]) {
    const incoming = new PassThrough();
    const { body } = bodyOf(incoming);
    let count = 0;
    for (const size of sizes) {
      incoming.write(Uint8Array.from({ length: size }, () => count++ % 251));
    }
    incoming.end();
    const read: number[] = [];
    for (let part = await body.next(); part; part = await body.next()) {
      assert(part.length <= 64 * 1024);
      read.push(...part);
    }
    assertEquals(read, Array.from({ length: count }, (_, at) => at % 251));
  }
});

Deno.test("AnswerBody stops a body that is not over, once", async () => {
  const incoming = new PassThrough();
  const { body, stopped } = bodyOf(incoming);
  body.cancel();
  body.cancel();
  assertEquals(stopped.count, 1);
  assertEquals(await body.next(), undefined);
  const over = bodyOf(new PassThrough().end());
  assertEquals(await over.body.next(), undefined);
  over.body.cancel();
  assertEquals(over.stopped.count, 0);
});

Deno.test("AnswerBody is read as a stream with the same bytes and the same error", async () => {
  const whole = new PassThrough();
  const { body } = bodyOf(whole);
  const text = new Response(body.stream()).text();
  whole.end("data: a\n\n");
  assertEquals(await text, "data: a\n\n");
  const broken = new PassThrough();
  const cut = new Response(bodyOf(broken, false).body.stream()).text();
  broken.end("data: a\n\n");
  await assertRejects(() => cut, UpstreamConnectionError, "broken off");
});

Deno.test("No answer has a status or a reason phrase that HTTP does not know", () => {
  for (const status of [0, 99, 199, 600, 999]) {
    assertThrows(
      () => answerOf(status, "", new HeaderList(), null),
      RangeError,
      `'${status} '`,
    );
  }
  assertThrows(() => answerOf(200, "a\nb", new HeaderList(), null), RangeError);
  const { ok } = answerOf(299, "Über", new HeaderList(), null);
  assert(ok);
  assert(!answerOf(300, "", new HeaderList(), null).ok);
});
