// The operator's sources are read through the same component as providers.
import { assertEquals, assertRejects } from "@std/assert";
import { closingFetch } from "../../support/upstreams/closing_fetch.ts";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { RawServer } from "../../support/http/raw_server.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, untilStill, within } from "../../support/within.ts";

const EVENT = "data: a\n\n";
const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n";
const BODY = `Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`;

/** Has a relay read a source that answers with these bytes; returns the request, and the topic's first data and end. */
async function readSource(
  answer: string | Uint8Array,
  target = "/",
): Promise<{ head: string; data: string[]; status: string }> {
  using server = new RawServer();
  const url = `${server.origin}${target}`;
  await using world = await startRelay({
    sources: [{
      name: "t",
      url,
      reconnect: { onCleanEnd: "done", maxAttempts: 1 },
    }],
  });
  const connection = await server.accept();
  const head = await connection.readHead();
  await connection.write(answer);
  connection[Symbol.dispose]();
  const topic = world.relay.topics.get("t")!; // the relay has made it
  const { status } = await within(topic.ended, LIMIT, "the end");
  const page = await world.request("/topics/t", {
    headers: { Accept: "application/json" },
  });
  const { events } = await page.json();
  const data = events.map(({ data }: { data: string }) => data);
  return { head, data, status };
}

Deno.test("A source may have 1,000 headers, in any bytes, and informational answers (D6, D8)", async () => {
  const many = Array.from({ length: 1_000 }, (_, at) => `X-${at}: ä\r\n`);
  const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(2);
  const { data, status } = await readSource(
    `HTTP/1.1 100 Continue\r\n\r\n${hints}${HEAD}${many.join("")}${BODY}`,
  );
  assertEquals([data, status], [["a"], "complete"]);
});

Deno.test("A source that switches protocols fails (B5)", async () => {
  for (const status of ["101 Switching Protocols", "102 Processing"]) {
    const { data, status: end } = await readSource(
      `HTTP/1.1 ${status}\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n`,
    );
    assertEquals([data, end], [[], "failed"], status);
  }
});

Deno.test("A source is asked for its path as it is written", async () => {
  const { head, data } = await readSource(
    `${HEAD}${BODY}`,
    "//a//b/?c=%2f//d",
  );
  assertEquals(head.split("\r\n")[0], "GET //a//b/?c=%2f//d HTTP/1.1");
  assertEquals(data, ["a"]);
  assertEquals(/^accept-encoding: (.*)\r$/m.exec(head)?.[1], "identity");
  assertEquals(/^user-agent: (.*)\r$/m.exec(head)?.[1], "Rivulet");
});

const COMPRESSED = {
  br: brotliCompressSync,
  gzip: gzipSync,
  zstd: zstdCompressSync,
} as const;

for (const [coding, encode] of Object.entries(COMPRESSED)) {
  Deno.test(`A source in ${coding} is decoded, and is not whole where it breaks off (C4, C8)`, async () => {
    const whole = encode(EVENT);
    for (const isWhole of [true, false]) {
      const body = isWhole ? whole : whole.subarray(0, whole.length - 1);
      const { status } = await readSource(
        Uint8Array.of(
          ...new TextEncoder().encode(
            `${HEAD}Content-Encoding: ${coding}\r\nContent-Length: ${body.length}\r\n\r\n`,
          ),
          ...body,
        ),
      );
      assertEquals(status, isWhole ? "complete" : "truncated");
    }
  });
}

Deno.test("A fetch of sources follows redirects, and keeps its secrets from other origins", async () => {
  using first = new RawServer();
  using second = new RawServer();
  using fetch = closingFetch();
  const answer = fetch(first.origin, {
    headers: { Authorization: "Bearer secret", Accept: "text/event-stream" },
  });
  const one = await first.accept();
  const head = await one.readHead();
  assertEquals(head.includes("Bearer secret"), true);
  await one.write(
    `HTTP/1.1 302 Found\r\nLocation: ${second.origin}/b\r\nContent-Length: 0\r\n\r\n`,
  );
  const two = await second.accept();
  const other = await two.readHead();
  assertEquals(/secret/.test(other), false);
  assertEquals(/^accept: text\/event-stream\r$/m.test(other), true);
  await two.write(`${HEAD}${BODY}`);
  const response = await answer;
  assertEquals(response.url, `${second.origin}/b`);
  assertEquals(await response.text(), EVENT);
});

Deno.test("A fetch of sources follows 20 redirects at most", async () => {
  using server = new RawServer();
  using fetch = closingFetch();
  const answer = fetch(server.origin);
  const failed = assertRejects(() => answer, TypeError, "more than 20 times");
  for (let count = 0; count <= 20; count++) {
    const connection = await server.accept();
    await connection.readHead();
    await connection.write(
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    );
  }
  await failed;
});

Deno.test("A fetch of sources sends the user of a URL as Basic credentials", async () => {
  using server = new RawServer();
  const url = new URL(server.origin);
  url.username = "jü";
  url.password = "a:b";
  using fetch = closingFetch();
  const answer = fetch(url);
  const connection = await server.accept();
  const head = await connection.readHead();
  const [, credentials = ""] = /^authorization: Basic (.*)\r$/m.exec(head) ??
    [];
  const bytes = Uint8Array.from(atob(credentials), (c) => c.charCodeAt(0));
  assertEquals(new TextDecoder().decode(bytes), "jü:a:b");
  await connection.write(`${HEAD}${BODY}`);
  assertEquals(await (await answer).text(), EVENT);
});

Deno.test("A fetch of sources can be cancelled in every state", async (t) => {
  const reason = new Error("enough");
  for (const state of ["TLS", "head", "body"] as const) {
    await t.step(state, async () => {
      using server = new RawServer();
      const controller = new AbortController();
      const { signal } = controller;
      const origin = state === "TLS"
        ? server.origin.replace("http", "https")
        : server.origin;
      using fetch = closingFetch();
      const answer = fetch(origin, { signal });
      answer.catch(() => {});
      const connection = await server.accept();
      if (state !== "TLS") await connection.readHead();
      if (state === "body") {
        await connection.write(`${HEAD}Content-Length: 99\r\n\r\n${EVENT}`);
        const reader = (await answer).body!.getReader(); // it has one
        await reader.read();
        controller.abort(reason);
        assertEquals(await assertRejects(() => reader.read()), reason);
      } else {
        controller.abort(reason);
        assertEquals(await assertRejects(() => answer), reason);
      }
      if (state === "TLS") return; // Deno closes it when the peer does
      await within(connection.closed(), LIMIT, "the connection to be closed");
    });
  }
});

Deno.test("A fetch of sources reads no faster than its body is read", async () => {
  using server = new RawServer();
  using fetch = closingFetch();
  const answer = fetch(server.origin);
  const connection = await server.accept();
  await connection.readHead();
  await connection.write(`${HEAD}\r\n`);
  const { body } = await answer;
  let written = 0;
  let isOver = false;
  const writing = (async () => {
    const part = new Uint8Array(64 * 1024);
    while (!isOver) {
      await connection.write(part);
      written += part.length;
    }
  })().catch(() => {});
  await untilStill(() => written, "the server to wait");
  isOver = true;
  await body?.cancel();
  await writing;
});
