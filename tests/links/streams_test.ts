import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { LimitedBytesTransformStream } from "@std/streams/limited-bytes-transform-stream";
import { TextLineStream } from "@std/streams/text-line-stream";
import { toText } from "@std/streams/to-text";

function lines(...chunks: string[]): Promise<string[]> {
  return Array.fromAsync(
    ReadableStream.from(chunks).pipeThrough(new TextLineStream()),
  );
}

function bytes(...values: number[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(values);
}

Deno.test("TextLineStream cuts at LF and at CRLF", async () => {
  assertEquals(await lines("a\nb\r\nc\n"), ["a", "b", "c"]);
});

Deno.test("TextLineStream keeps empty lines", async () => {
  assertEquals(await lines("\n\r\n\na\n\n"), ["", "", "", "a", ""]);
});

Deno.test("TextLineStream keeps an unfinished last line", async () => {
  assertEquals(await lines("a\nb"), ["a", "b"]);
  assertEquals(await lines("a\n", "b", "c"), ["a", "bc"]);
});

Deno.test("TextLineStream adds no line after a final line end", async () => {
  assertEquals(await lines("a\n"), ["a"]);
  assertEquals(await lines("a", "\n", ""), ["a"]);
  assertEquals(await lines(), []);
  assertEquals(await lines("", ""), []);
});

Deno.test("TextLineStream takes a lone CR for text", async () => {
  assertEquals(await lines("a\rb\n\rc\r\r\nd\r"), ["a\rb", "\rc\r", "d\r"]);
  assertEquals(await lines("\r"), ["\r"]);
});

Deno.test("TextLineStream gives the same lines however the text is cut", async () => {
  const text = "one\r\ntwo\n\n\rthree\r\r\n\r\n水\nend";
  const whole = await lines(text);
  for (let size = 1; size < text.length; size++) {
    const chunks: string[] = [];
    for (let i = 0; i < text.length; i += size) {
      chunks.push(text.slice(i, i + size));
    }
    assertEquals(await lines(...chunks), whole, `chunks of ${size}`);
  }
});

Deno.test("TextLineStream passes a line on before the next one is complete", async () => {
  const stream = new TextLineStream();
  const writer = stream.writable.getWriter();
  const reader = stream.readable.getReader();
  const written = writer.write("a\nb");
  assertEquals(await reader.read(), { done: false, value: "a" });
  await written;
  const closed = writer.close();
  assertEquals(await reader.read(), { done: false, value: "b" });
  assertStrictEquals((await reader.read()).done, true);
  await closed;
});

// Measured: half a minute where the rest is joined to each chunk, 0.2 s where not.
Deno.test("TextLineStream reads a long line from many small chunks", async () => {
  const chunks = Array.from({ length: 100_000 }, () => "12345678");
  const [line, ...others] = await lines(...chunks, "\n");
  assertStrictEquals(line?.length, 800_000);
  assertEquals(others, []);
});

Deno.test("LimitedBytesTransformStream passes what fits exactly", async () => {
  const chunks = [bytes(1, 2), bytes(), bytes(3)];
  assertEquals(
    await Array.fromAsync(
      ReadableStream.from(chunks).pipeThrough(
        new LimitedBytesTransformStream(3, { error: true }),
      ),
    ),
    chunks,
  );
});

Deno.test("LimitedBytesTransformStream ends before the chunk that goes over", async () => {
  for (const options of [undefined, {}, { error: false }]) {
    assertEquals(
      await Array.fromAsync(
        ReadableStream.from([bytes(1, 2), bytes(3, 4), bytes(5)]).pipeThrough(
          new LimitedBytesTransformStream(3, options),
        ),
      ),
      [bytes(1, 2)],
    );
  }
});

Deno.test("LimitedBytesTransformStream fails on going over if asked to", async () => {
  const stream = ReadableStream.from([bytes(1, 2), bytes(3, 4)]).pipeThrough(
    new LimitedBytesTransformStream(3, { error: true }),
  );
  await assertRejects(
    () => Array.fromAsync(stream),
    RangeError,
    "Exceeded byte size limit of '3'",
  );
});

Deno.test("LimitedBytesTransformStream cancels its source at the limit", async () => {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => controller.enqueue(bytes(1, 2, 3, 4)),
    cancel: () => resolve(),
  });
  assertEquals(
    await Array.fromAsync(
      source.pipeThrough(new LimitedBytesTransformStream(10)),
    ),
    [bytes(1, 2, 3, 4), bytes(1, 2, 3, 4)],
  );
  await cancelled;
});

Deno.test("toText joins strings", async () => {
  assertStrictEquals(await toText(ReadableStream.from(["a", "", "b"])), "ab");
});

Deno.test("toText decodes a character that is cut in two", async () => {
  const [...octets] = new TextEncoder().encode("é水🌊");
  assertStrictEquals(
    await toText(ReadableStream.from(octets.map((octet) => bytes(octet)))),
    "é水🌊",
  );
});

Deno.test("toText replaces what is not UTF-8, at the end too", async () => {
  assertStrictEquals(
    await toText(ReadableStream.from([bytes(0x61, 0xff), bytes(0xe6, 0xb0)])),
    "a\ufffd\ufffd",
  );
});

Deno.test("toText makes nothing of an empty stream", async () => {
  assertStrictEquals(await toText(ReadableStream.from<string>([])), "");
});

Deno.test("toText rejects with the stream's own error", async () => {
  const reason = new RangeError("dried up");
  const stream = new ReadableStream<string>({
    start: (controller) => controller.error(reason),
  });
  assertStrictEquals(await assertRejects(() => toText(stream)), reason);
});
