// A compressed stream that nobody has asked for is decoded, or refused in plain words:
// it is never a stream without events (field.md C8).
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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
import { NotAnEventStreamError } from "../../src/fetch/errors.ts";
import { streamEvents } from "../../src/fetch/stream_events.ts";
import { ModelClient, user } from "../../src/model/mod.ts";
import { startRelay } from "../support/relay/relay.ts";
import { within } from "../support/within.ts";

const TEXT = "data: a\n\n".repeat(20) + "data: ümlaut\n\n";
const COUNT = 21;

/** By the name in the header, with what a server makes of that. */
const ENCODINGS: readonly [string, Uint8Array][] = [
  ["deflate", deflateSync(TEXT)],
  ["deflate", deflateSync(TEXT, { level: 1 })],
  ["deflate", deflateRawSync(TEXT)],
  ["DEFLATE", deflateSync(TEXT)],
  ["gzip", gzipSync(TEXT)],
  ["x-gzip", gzipSync(TEXT)],
  ["br", brotliCompressSync(TEXT)],
  ["zstd", zstdCompressSync(TEXT)],
  ["compress", Uint8Array.of(0x1F, 0x9D, 0x90, 1, 2, 3)],
  ["gzip, deflate", deflateSync(gzipSync(TEXT))],
];

interface Server extends AsyncDisposable {
  readonly url: string;
  /** The number of requests. */
  readonly requests: number;
}

/** A server that compresses everything, and sends it in chunks of some bytes. */
async function serve(
  encoding: string,
  bytes: Uint8Array,
  chunk: number,
): Promise<Server> {
  let requests = 0;
  const server = createServer((request, response) => {
    request.resume();
    requests++;
    response.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Content-Encoding": encoding,
    });
    let at = 0;
    const more = (): void => {
      if (at >= bytes.length) return void response.end();
      response.write(bytes.subarray(at, at += chunk), more);
    };
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}/`,
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

for (const [index, [encoding, bytes]] of ENCODINGS.entries()) {
  for (const chunk of [1, 7, 10_000]) {
    Deno.test(`streamEvents decodes or refuses ${encoding} (${index}), in chunks of ${chunk} (C8)`, async () => {
      await using server = await serve(encoding, bytes, chunk);
      // This runtime decodes these two, whether they were asked for or not.
      if (encoding === "gzip" || encoding === "br") {
        const events = await Array.fromAsync(
          streamEvents(server.url, { reconnect: false }),
        );
        assertEquals(events.length, COUNT);
        return;
      }
      await using events = streamEvents(server.url);
      const error = await assertRejects(
        () => events.next(),
        NotAnEventStreamError,
      );
      assertStringIncludes(error.message, `got ${encoding}`);
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

Deno.test("ModelClient refuses a compressed stream (C8)", async () => {
  await using server = await serve("deflate", deflateSync(TEXT), 100);
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
  await using server = await serve("deflate", deflateSync(TEXT), 100);
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
