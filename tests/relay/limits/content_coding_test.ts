import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { randomBytes } from "node:crypto";
import {
  brotliCompressSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { BodyLimitError } from "../../../relay/limits/bounded_body.ts";
import {
  contentCodings,
  decodeBody,
  decodedStream,
} from "../../../relay/limits/content_coding.ts";
import { Problem } from "../../../relay/problem.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const CODINGS: Readonly<Record<string, (body: Bytes) => Uint8Array>> = {
  gzip: (body) => gzipSync(body),
  "x-gzip": (body) => gzipSync(body),
  deflate: (body) => deflateSync(body),
  br: (body) => brotliCompressSync(body),
  zstd: (body) => zstdCompressSync(body),
};

const MAX = 10_000_000;

function bytes(text: string): Bytes {
  return new TextEncoder().encode(text);
}

/** Bodies of several kinds: empty, short, long, and such that nothing makes shorter. */
const BODIES: readonly Bytes[] = [
  bytes(""),
  bytes("{}"),
  bytes("hello ".repeat(300_000)),
  new Uint8Array(randomBytes(700_000)),
];

for (const [coding, encode] of Object.entries(CODINGS)) {
  Deno.test(`decodeBody reads ${coding} (D3)`, async () => {
    for (const body of BODIES) {
      const coded = new Uint8Array(encode(body));
      for (
        const header of [coding, coding.toUpperCase(), ` ${coding} , identity`]
      ) {
        const decoded = await decodeBody(coded, header, MAX);
        assertEquals(decoded.length, body.length);
        assert(decoded.every((byte, at) => byte === body[at]));
      }
    }
  });

  Deno.test(`decodeBody refuses what is not whole in ${coding} (D3)`, async () => {
    const body = bytes("hello ".repeat(30_000) + Math.random());
    const whole = new Uint8Array(encode(body));
    const wrong = [
      new Uint8Array(),
      whole.subarray(0, whole.length - 1),
      whole.subarray(0, whole.length - 5),
      whole.subarray(0, whole.length / 2),
      whole.subarray(0, 3),
      bytes("{}{}{}{}{}{}"),
    ];
    for (const bytes of wrong) {
      const error = await assertRejects(
        () => decodeBody(bytes, coding, MAX),
        Problem,
        `Expected a whole body in '${coding}'`,
      );
      assertEquals(error.status, 400);
    }
  });

  Deno.test(`decodeBody bounds what it makes of ${coding} (D3)`, async () => {
    const bomb = new Uint8Array(encode(new Uint8Array(100_000_000)));
    const error = await assertRejects(
      () => decodeBody(bomb, coding, 1_000_000),
      BodyLimitError,
      "at most 1000000 bytes",
    );
    assertEquals(error.code, "body_too_large");
    const fits = new Uint8Array(encode(new Uint8Array(1_000_000)));
    assertEquals((await decodeBody(fits, coding, 1_000_000)).length, 1_000_000);
  });
}

Deno.test("decodeBody takes two codings off, the last one first", async () => {
  const body = bytes("hello");
  const coded = brotliCompressSync(gzipSync(body));
  const decoded = await decodeBody(new Uint8Array(coded), "gzip, br", MAX);
  assertEquals([...decoded], [...body]);
});

Deno.test("decodeBody reads all frames of zstd, and passes over those that are skipped", async () => {
  const skipped = [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
  const coded = new Uint8Array([
    ...skipped,
    ...zstdCompressSync(bytes("hello ")),
    ...zstdCompressSync(bytes("world")),
    ...skipped,
  ]);
  assertEquals(
    new TextDecoder().decode(await decodeBody(coded, "zstd", MAX)),
    "hello world",
  );
  await assertRejects(() => decodeBody(coded, "zstd", 10), BodyLimitError);
});

Deno.test("decodeBody refuses a frame of zstd with a window of 128 MiB", async () => {
  const frame = new Uint8Array([0x28, 0xB5, 0x2F, 0xFD, 0, 17 << 3, 1, 0, 0]);
  await assertRejects(() => decodeBody(frame, "zstd", MAX), Problem);
  frame[5] = 13 << 3;
  assertEquals((await decodeBody(frame, "zstd", MAX)).length, 0);
});

Deno.test("decodeBody leaves a body without a coding as it is", async () => {
  const body = bytes("{}");
  for (const header of [null, "", "identity"]) {
    assert(await decodeBody(body, header, 1) === body);
  }
});

Deno.test("contentCodings refuses codings that nobody knows, and too many", () => {
  for (
    const header of ["aes128gcm", "gzip, sdch", "gzip;q=1", "gzip,gzip,gzip"]
  ) {
    const error = assertThrows(() => contentCodings(header), Problem);
    assertEquals(error.status, 415);
    assertEquals(error.headers["Accept-Encoding"], "br, deflate, gzip, zstd");
    assert(error.message.endsWith(`got '${header}'`), error.message);
  }
});

Deno.test("decodedStream decodes a part before the next one is there", async () => {
  const { readable, writable } = new CompressionStream("gzip");
  const writer = writable.getWriter();
  const decoded = decodedStream(readable, "gzip")!.getReader(); // there is a body
  await writer.write(new Uint8Array(randomBytes(200_000)));
  const { value } = await decoded.read();
  assert(value && value.length > 0);
  await Promise.all([decoded.cancel(), writer.abort().catch(() => {})]);
});

Deno.test("decodedStream fails where a body breaks off, or is in no such coding", async () => {
  const whole = gzipSync(bytes("hello"));
  for (const part of [whole.subarray(0, 15), bytes("hello, hello, hello")]) {
    const stream = decodedStream(
      ReadableStream.from([new Uint8Array(part)]),
      "gzip",
    );
    await assertRejects(() => new Response(stream).text());
  }
  assertThrows(
    () => decodedStream(null, "br"),
    Problem,
    "deflate, gzip: got 'br'",
  );
});
