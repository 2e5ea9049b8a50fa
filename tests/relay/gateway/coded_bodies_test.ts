// Bodies with a Content-Encoding are read decoded, and passed on as they came (D3).
import { assert, assertEquals } from "@std/assert";
import {
  brotliCompressSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from "node:zlib";
import { CallerStream } from "../../support/gateway/caller_stream.ts";
import { startGateway } from "../../support/gateway/gateway_world.ts";
import { WIRE_FORMATS } from "../../support/gateway/wire_formats.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

const { start, ends, delta } = WIRE_FORMATS["Chat"]!;
const WHOLE = start + delta("a") + ends[0]![1];

const CODINGS: Readonly<Record<string, (text: string) => Uint8Array>> = {
  gzip: (text) => gzipSync(text),
  deflate: (text) => deflateSync(text),
  br: (text) => brotliCompressSync(text),
  zstd: (text) => zstdCompressSync(new TextEncoder().encode(text)),
};

const BODY = JSON.stringify({
  stream: true,
  model: "m",
  messages: [{ role: "user", content: "sk-of-the-body-0123456789" }],
});

/** A request with a coded body of JSON. */
function coded(
  coding: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): RequestInit {
  return {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "content-encoding": coding,
      ...headers,
    },
    body: new Uint8Array(body),
  };
}

for (const [coding, encode] of Object.entries(CODINGS)) {
  Deno.test(`A run with a body in ${coding} has its topic and its key, and arrives as it came (D3)`, async () => {
    await using world = await startGateway();
    const body = encode(BODY);
    const headers = { "rivulet-topic": "t", "idempotency-key": "k" };
    const asked = world.request(
      "/v1/chat/completions",
      coded(coding, body, headers),
    );
    const exchange = await world.provider.next();
    assertEquals(exchange.header("content-encoding"), coding);
    assertEquals(exchange.header("content-length"), String(body.length));
    assertEquals([...await exchange.body()], [...body]);
    assertEquals((await world.describe("t"))?.state, "pending");
    await exchange.stream(WHOLE);
    await exchange.end();
    assertEquals((await new CallerStream(await asked).rest()).text, WHOLE);
    assertEquals(await world.ended("t"), { status: "complete" });
    // The same body in another coding, and in none, is the same run.
    for (
      const [other, again] of [["gzip", gzipSync(BODY)], [
        "identity",
        new TextEncoder().encode(BODY),
      ]] as const
    ) {
      const joined = await world.request(
        "/v1/chat/completions",
        coded(other, again, { "idempotency-key": "k" }),
      );
      assertEquals(joined.headers.get("idempotent-replayed"), "true");
      assertEquals((await joined.text()).replace(/^id: .*\n/gm, ""), WHOLE);
    }
    const otherBody = await world.request(
      "/v1/chat/completions",
      coded(coding, encode(BODY.replace('"m"', '"n"')), {
        "idempotency-key": "k",
      }),
    );
    assertEquals(otherBody.status, 422);
    await otherBody.body?.cancel();
    assertEquals(world.provider.count, 1);
  });

  Deno.test(`Events that quote a secret of a body in ${coding} lose it (D3)`, async () => {
    await using world = await startGateway();
    const secret = "Bearer kept-by-a-tool-0123456789";
    const body = encode(JSON.stringify({
      stream: true,
      tools: [{ type: "mcp", headers: { Authorization: secret } }],
    }));
    const asked = world.request(
      "/v1/chat/completions",
      coded(coding, body, { "rivulet-topic": "t" }),
    );
    const exchange = await world.provider.next();
    await exchange.stream(
      start + delta("kept-by-a-tool-0123456789") + ends[0]![1],
    );
    await exchange.end();
    await (await asked).text();
    await world.ended("t");
    const events = JSON.stringify(await world.events("t"));
    assert(!events.includes("kept-by-a-tool"), events);
  });

  Deno.test(`A body in ${coding} that is wrong, or too large once decoded, goes to nobody (D3)`, async () => {
    await using world = await startGateway({ limits: { maxBody: 100_000 } });
    const long = JSON.stringify({ stream: true, input: "a".repeat(100_000) });
    for (
      const [body, status, code] of [
        [encode(long), 413, "body_too_large"],
        [encode(BODY).subarray(0, -3), 400, "invalid_body"],
        [new TextEncoder().encode(BODY), 400, "invalid_body"],
        [encode("no JSON"), 400, "invalid_body"],
      ] as const
    ) {
      const response = await world.request(
        "/v1/responses",
        coded(coding, body),
      );
      assertEquals(response.status, status);
      assertEquals((await response.json()).code, code);
    }
    assertEquals(world.provider.count, 0);
    assertEquals(await world.names(), []);
  });
}

Deno.test("A body in a coding that the relay cannot read is refused, if it is JSON (D3)", async () => {
  await using world = await startGateway();
  const response = await world.request(
    "/v1/responses",
    coded("sdch", new Uint8Array([1, 2])),
  );
  assertEquals(response.status, 415);
  assertEquals(
    response.headers.get("accept-encoding"),
    "br, deflate, gzip, zstd",
  );
  assertEquals((await response.json()).code, "unsupported_media_type");
  assertEquals(world.provider.count, 0);
  // Of an upload the relay reads nothing.
  const asked = world.request(
    "/v1/files",
    coded("sdch", new Uint8Array([1, 2]), { "content-type": "x/y" }),
  );
  const exchange = await world.provider.next();
  assertEquals(exchange.header("content-encoding"), "sdch");
  assertEquals([...await exchange.body()], [1, 2]);
  await exchange.json(200, {});
  await (await asked).text();
});

/** Publishes, and returns the status, the code of a refusal, and the data of the topic. */
async function publish(
  relay: TestRelay,
  coding: string,
  type: string,
  body: Uint8Array,
): Promise<[number, string | undefined, string[]]> {
  const topic = `t-${crypto.randomUUID()}`;
  const response = await relay.request(
    `/topics/${topic}`,
    coded(coding, body, { "content-type": type }),
  );
  const { code } = await response.json();
  const page = await relay.request(`/topics/${topic}`, {
    headers: { accept: "application/json" },
  });
  const { events = [] } = await page.json();
  return [
    response.status,
    code,
    events.map(({ data }: { data: string }) => data),
  ];
}

Deno.test("A publication may have a coding (D3)", async () => {
  await using relay = await startRelay({ limits: { maxBody: 100_000 } });
  for (const [coding, encode] of Object.entries(CODINGS)) {
    assertEquals(
      await publish(
        relay,
        coding,
        "application/json",
        encode('[{"data":"a"},{"data":"b"}]'),
      ),
      [200, undefined, ["a", "b"]],
    );
    assertEquals(
      await publish(relay, coding, "text/plain", encode("hello")),
      [200, undefined, ["hello"]],
    );
    const cut = encode("hello").subarray(0, -2);
    assertEquals(
      await publish(relay, coding, "text/plain", cut),
      [400, "invalid_body", []],
    );
    assertEquals(
      await publish(relay, coding, "text/plain", encode("a".repeat(100_001))),
      [413, "body_too_large", []],
    );
    assertEquals(
      await publish(
        relay,
        coding,
        "text/event-stream",
        encode("data: a\n\ndata: b\n\n"),
      ),
      [200, undefined, ["a", "b"]],
    );
  }
  assertEquals(
    await publish(relay, "sdch", "text/plain", new Uint8Array(3)),
    [415, "unsupported_media_type", []],
  );
  for (const [coding, encode] of Object.entries(CODINGS)) {
    const [status, code] = await publish(
      relay,
      coding,
      "text/event-stream",
      encode("data: a\n\ndata: b\n\n").subarray(0, -3),
    );
    assertEquals([status, code], [400, "body_incomplete"], coding);
  }
});

Deno.test("The body of a command may have a coding (D3)", async () => {
  await using relay = await startRelay();
  await (await relay.request("/topics/t", { method: "PUT" })).body?.cancel();
  const ended = await relay.request(
    "/topics/t/end",
    coded("zstd", CODINGS["zstd"]!('{"status":"failed","reason":"no"}')),
  );
  assertEquals((await ended.json()).end, { status: "failed", reason: "no" });
});
