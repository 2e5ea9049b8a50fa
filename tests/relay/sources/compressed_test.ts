// A compressed stream that nobody has asked for is decoded, or refused in plain words,
// by all that read one in this runtime (field.md C8).
import {
  type BrotliCompress,
  brotliCompressSync,
  constants,
  createBrotliCompress,
  createZstdCompress,
  deflateRawSync,
  deflateSync,
  gzipSync,
  type ZstdCompress,
  zstdCompressSync,
} from "node:zlib";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { ModelClient, user } from "../../../src/model/mod.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { startCompressingServer } from "../../support/upstreams/compressing_server.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const TEXT = "data: a\n\n".repeat(21);
const COUNT = 21;

const ENCODINGS: readonly [string, Uint8Array][] = [
  ["deflate", deflateSync(TEXT)],
  ["deflate", deflateRawSync(TEXT)],
  ["DEFLATE", deflateSync(TEXT)],
  ["gzip", gzipSync(TEXT)],
  ["x-gzip", gzipSync(TEXT)],
  ["br", brotliCompressSync(TEXT)],
  ["zstd", zstdCompressSync(TEXT)],
  ["compress", Uint8Array.of(0x1F, 0x9D, 0x90, 1, 2, 3)],
  ["gzip, deflate", deflateSync(gzipSync(TEXT))],
];

Deno.test("ModelClient refuses a compressed stream (C8)", async () => {
  await using server = await startCompressingServer(
    "deflate",
    deflateSync(TEXT),
    100,
  );
  const client = new ModelClient({
    model: "m",
    provider: { name: "p", baseUrl: server.url, wireApi: "responses" },
  });
  const error = await assertRejects(async () => {
    const stream = await client.stream({ input: [user("a")] });
    await stream.final();
  }, Error);
  assertStringIncludes(error.message, "deflate");
  assertEquals(server.requests, 1);
});

Deno.test("A relay ends no topic well whose upstream is compressed (C8)", async () => {
  await using server = await startCompressingServer(
    "deflate",
    deflateSync(TEXT),
    100,
  );
  for (const reconnect of [true, false]) {
    await using relay = await startRelay({
      sources: [{ name: "t", url: server.url, reconnect }],
    });
    const { status, reason } = await within(
      relay.relay.topics.get("t")!.ended, // the relay has made it
      LIMIT,
      "the end",
    );
    assert(status === "failed" || status === "truncated", status);
    assertStringIncludes(reason ?? "", "deflate");
  }
});

Deno.test("A relay reads or refuses compressed publications (C8)", async () => {
  await using relay = await startRelay();
  for (const [encoding, bytes] of ENCODINGS) {
    const response = await relay.request("/topics/t", {
      method: "POST",
      headers: {
        "Content-Type": "text/event-stream",
        "Content-Encoding": encoding,
      },
      body: new Uint8Array(bytes),
    });
    const { first, next } = await response.json();
    if (response.status === 200) assertEquals(next - first, COUNT, encoding);
    else assert([400, 415].includes(response.status), `${response.status}`);
  }
});

/** Encoders that give the bytes of what was written when they are flushed. */
const FLUSHED: Readonly<Record<string, () => BrotliCompress | ZstdCompress>> = {
  br: () => createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH }),
  zstd: () => createZstdCompress({ flush: constants.ZSTD_e_flush }),
};

for (const [encoding, make] of Object.entries(FLUSHED)) {
  for (const isWhole of [true, false]) {
    Deno.test(`An event stream that is published in ${encoding} is read as it comes, and ${isWhole ? "whole" : "cut"} as it ends (D3, C4)`, async () => {
      await using relay = await startRelay();
      const topic = relay.relay.topics.create("t");
      const { readable, writable } = new TransformStream<Uint8Array>();
      const answer = relay.request("/topics/t", {
        method: "POST",
        headers: {
          "Content-Type": "text/event-stream",
          "Content-Encoding": encoding,
        },
        body: readable,
      });
      const writer = writable.getWriter();
      const encoder = make();
      const coded: Uint8Array[] = [];
      encoder.on("data", (part) => coded.push(new Uint8Array(part)));
      for (let count = 1; count <= 3; count++) {
        await new Promise((done) => encoder.write("data: a\n\n", done));
        for (const part of coded.splice(0)) await writer.write(part);
        await until(
          () => topic.log.next === count + 1 || undefined,
          LIMIT,
          "the event",
        );
      }
      if (isWhole) {
        encoder.end();
        await new Promise((done) => encoder.once("end", done));
        for (const part of coded.splice(0)) await writer.write(part);
      } else encoder.destroy();
      await writer.close();
      const { status, body } = await answer.then(async (response) => ({
        status: response.status,
        body: await response.json(),
      }));
      if (isWhole) assertEquals([status, body.next], [200, 4]);
      else {
        assertEquals([status, body.code], [400, "body_incomplete"]);
        assertEquals(body.added.next, 4);
      }
    });
  }
}
