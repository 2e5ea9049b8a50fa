import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { randomBytes } from "node:crypto";
import {
  brotliCompressSync,
  constants,
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
import { CutBodyError } from "../../../relay/limits/decoded_parts.ts";
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

/** Returns a body that comes in these parts; `taken` counts them. */
function inParts(
  parts: Iterable<Uint8Array>,
): { body: ReadableStream<Uint8Array>; taken(): number } {
  let taken = 0;
  const iterator = parts[Symbol.iterator]();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (done) return controller.close();
      taken++;
      controller.enqueue(value);
    },
  }, { highWaterMark: 0 });
  return { body, taken: () => taken };
}

function pieces(whole: Uint8Array, size: number): Uint8Array[] {
  return Array.from(
    { length: Math.ceil(whole.length / size) },
    (_, at) => whole.subarray(at * size, (at + 1) * size),
  );
}

for (const [coding, encode] of Object.entries(CODINGS)) {
  const text = "data: hello\n\n".repeat(1_000);
  const whole = new Uint8Array(encode(bytes(text)));
  const checked = zstdCompressSync(bytes(text), {
    params: { [constants.ZSTD_c_checksumFlag]: 1 },
  });

  Deno.test(`decodedStream decodes ${coding} in parts of any size`, async () => {
    for (const size of [1, 7, whole.length]) {
      const { body } = inParts(pieces(whole, size));
      const decoded = decodedStream(body, coding);
      assertEquals(await new Response(decoded).text(), text);
    }
  });

  Deno.test(`decodedStream decodes a part of ${coding} before the next one is there`, async () => {
    const noise = new Uint8Array(encode(new Uint8Array(randomBytes(400_000))));
    const { body, taken } = inParts(pieces(noise, 1_000));
    const decoded = decodedStream(body, coding)!.getReader(); // there is a body
    const { value } = await decoded.read();
    assert(value && value.length > 0);
    assert(taken() < 390, `${taken()} of some 400 parts`);
    await decoded.cancel();
  });

  Deno.test(`decodedStream fails where a body in ${coding} breaks off, goes on, or is none (C4)`, async () => {
    const cut = [
      new Uint8Array(),
      whole.subarray(0, 3),
      whole.subarray(0, whole.length - 1),
      ...(coding === "zstd" ? [checked.subarray(0, checked.length - 1)] : []),
    ];
    for (const bytes of cut) {
      for (const size of [1, Math.max(1, bytes.length)]) {
        const { body } = inParts(pieces(bytes, size));
        await assertRejects(
          () => new Response(decodedStream(body, coding)).text(),
          CutBodyError,
          "Expected more",
          `${bytes.length} bytes of ${whole.length}`,
        );
      }
    }
    // Noise that Brotli takes for the start of something.
    const isReadable = coding === "br";
    const wrong = [
      Uint8Array.of(...whole, 0x31, 0x32, 0x33, 0x34),
      ...(isReadable ? [] : [bytes("hello, hello, hello")]),
    ];
    for (const bytes of wrong) {
      for (const size of [1, Math.max(1, bytes.length)]) {
        const { body } = inParts(pieces(bytes, size));
        const error = await assertRejects(
          () => new Response(decodedStream(body, coding)).text(),
          Problem,
          `Expected a whole body in '${coding}'`,
          `${bytes.length} bytes of ${whole.length}`,
        );
        assertEquals(error.code, "invalid_body");
      }
    }
  });

  Deno.test(`decodedStream takes in no more of a bomb in ${coding} than is read (A3)`, async () => {
    const bomb = new Uint8Array(encode(new Uint8Array(10_000_000)));
    const { body } = inParts([bomb]);
    const decoded = decodedStream(body, coding)!.getReader(); // there is a body
    const { value } = await decoded.read();
    assert(value && value.length < 1_000_000, `${value?.length}`);
    await decoded.cancel();
  });

  Deno.test(`decodedStream passes on the failure of a body in ${coding}`, async () => {
    const failure = new Error("reset");
    const body = ReadableStream.from((function* () {
      yield whole.subarray(0, 10);
      throw failure;
    })());
    const error = await assertRejects(() =>
      new Response(decodedStream(body, coding)).text()
    );
    assert(error === failure);
  });
}

Deno.test("decodedStream takes two codings off, and reads all frames of zstd", async () => {
  const frames = ["data: a\n\n", "data: b\n\n"].flatMap(
    (text) => [...zstdCompressSync(bytes(text))],
  );
  const coded = new Uint8Array(brotliCompressSync(new Uint8Array(frames)));
  for (const size of [1, coded.length]) {
    const { body } = inParts(pieces(coded, size));
    const decoded = decodedStream(body, "zstd, br");
    assertEquals(await new Response(decoded).text(), "data: a\n\ndata: b\n\n");
  }
});

Deno.test("decodedStream refuses a frame of zstd with a window of 128 MiB", async () => {
  const frame = new Uint8Array([0x28, 0xB5, 0x2F, 0xFD, 0, 17 << 3, 1, 0, 0]);
  const read = (): Promise<string> =>
    new Response(decodedStream(inParts([frame]).body, "zstd")).text();
  await assertRejects(read, Problem);
  frame[5] = 13 << 3;
  assertEquals(await read(), "");
});

Deno.test("decodedStream refuses codings that nobody knows", () => {
  assertThrows(
    () => decodedStream(null, "compress"),
    Problem,
    "br, deflate, gzip, zstd: got 'compress'",
  );
});
