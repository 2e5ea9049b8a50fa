// A compressed stream that nobody has asked for is decoded, or refused in plain words,
// by all that read one in this runtime (field.md C8).
import {
  brotliCompressSync,
  deflateRawSync,
  deflateSync,
  gzipSync,
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
import { within } from "../../support/within.ts";

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
      10_000,
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
