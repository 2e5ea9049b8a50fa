// A compressed stream that nobody has asked for is decoded, or refused in plain words:
// it is never a stream without events (field.md C8).
import * as zlib from "node:zlib";
import {
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
} from "@std/assert";
import { NotAnEventStreamError } from "../../src/fetch/errors.ts";
import { streamEvents } from "../../src/fetch/stream_events.ts";
import { startCompressingServer } from "../support/upstreams/compressing_server.ts";

const { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } = zlib;
// Node 20 has none.
const zstd = "zstdCompressSync" in zlib ? zlib.zstdCompressSync : undefined;

const TEXT = "data: a\n\n".repeat(20) + "data: ümlaut\n\n";
const COUNT = 21;

/** The encodings that every runtime decodes, whether they were asked for or not. */
const DECODED = ["gzip", "br"];

/** By the name in the header, with what a server makes of that. */
const ENCODINGS: readonly [string, Uint8Array][] = [
  ["deflate", deflateSync(TEXT)],
  ["deflate", deflateSync(TEXT, { level: 1 })],
  ["deflate", deflateRawSync(TEXT)],
  ["DEFLATE", deflateSync(TEXT)],
  ["gzip", gzipSync(TEXT)],
  ["x-gzip", gzipSync(TEXT)],
  ["br", brotliCompressSync(TEXT)],
  ...zstd ? [["zstd", zstd(TEXT)] satisfies [string, Uint8Array]] : [],
  ["compress", Uint8Array.of(0x1F, 0x9D, 0x90, 1, 2, 3)],
  ["gzip, deflate", deflateSync(gzipSync(TEXT))],
];

for (const [index, [encoding, bytes]] of ENCODINGS.entries()) {
  for (const chunk of [1, 7, 10_000]) {
    Deno.test(`streamEvents decodes or refuses ${encoding} (${index}), in chunks of ${chunk} (C8)`, async () => {
      await using server = await startCompressingServer(encoding, bytes, chunk);
      await using events = streamEvents(server.url);
      try {
        for (let read = 0; read < COUNT; read++) {
          assertEquals((await events.next()).done, false);
        }
      } catch (error) {
        assertInstanceOf(error, NotAnEventStreamError);
        assertStringIncludes(error.message, `got ${encoding}`);
        assertEquals(DECODED.includes(encoding), false);
      }
      assertEquals(server.requests, 1);
    });
  }
}

Deno.test("streamEvents reads what a runtime has decoded and left the header of (C8)", async () => {
  for (const text of [TEXT, "\uFEFFdata: x\n\n", ":\n\n" + TEXT, "\r\n"]) {
    for (const encoding of ["gzip", "deflate", "zstd", "identity", ""]) {
      const ask = () =>
        Promise.resolve(
          new Response(text, {
            headers: {
              "content-type": "text/event-stream",
              "content-encoding": encoding,
            },
          }),
        );
      const events = await Array.fromAsync(
        streamEvents("https://example.com/", { reconnect: false, fetch: ask }),
      );
      assertEquals(
        events.length,
        text.match(/^data|\uFEFFdata/gm)?.length ?? 0,
      );
    }
  }
});
