// Peers that send faster than their bytes can be worked on: nobody else waits for them.
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { propertyParameters } from "../../support/property.ts";
import { Flood, writeAll } from "../../support/http/flood.ts";
import { latin1, RawHttp } from "../../support/http/raw_http.ts";
import { upgradeRequest } from "../../support/http/upgrade_request.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { RelayProcess } from "../../support/relay/relay_process.ts";
import { LIMIT } from "../../support/within.ts";

const PROBES = 10;

function post(path: string, type: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\n` +
    "Transfer-Encoding: chunked\r\n\r\n";
}

function bytewise(body: string): string {
  return [...body].map((byte) => `1\r\n${byte}\r\n`).join("");
}

/** The start of a connection, and the bytes that follow without an end. */
const FLOODS: Readonly<Record<string, readonly [string, string]>> = {
  "A4: comments in chunks of one byte": [
    post("/topics/t", "text/event-stream"),
    bytewise(":\n"),
  ],
  "A4: events in chunks of one byte": [
    post("/topics/t", "text/event-stream"),
    bytewise("data\n\n"),
  ],
  "A4: empty lines in chunks of one byte": [
    post("/topics/t", "text/event-stream"),
    bytewise("\n"),
  ],
  "A4: text in chunks of one byte": [
    post("/topics/t", "text/plain"),
    bytewise("a"),
  ],
  "A4: JSON in chunks of one byte": [
    post("/topics/t", "application/json"),
    bytewise(" "),
  ],
  "A4: a run in chunks of one byte": [
    post("/v1/responses", "application/json"),
    bytewise(" "),
  ],
  "A4: an upload in chunks of one byte": [
    post("/v1/audio/transcriptions", "multipart/form-data; boundary=b"),
    bytewise("a"),
  ],
  "requests that wait for no answer": [
    "",
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
  ],
  "pings": [upgradeRequest("/ws"), "\x89\x80\0\0\0\0"],
  "pongs": [upgradeRequest("/ws"), "\x8a\x80\0\0\0\0"],
  "empty fragments": [
    `${upgradeRequest("/ws")}\x01\x80\0\0\0\0`,
    "\x00\x80\0\0\0\0",
  ],
  "empty objects": [upgradeRequest("/ws"), "\x81\x82\0\0\0\0{}"],
};

Deno.test("Relay answers others while somebody sends without an end", async (t) => {
  await using upstream = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    onListen() {},
  }, async (request) => {
    await request.body?.cancel();
    return new Response();
  });
  await using relay = await RelayProcess.start({
    gateway: {
      providers: [{
        name: "any",
        url: `http://127.0.0.1:${upstream.addr.port}`,
      }],
    },
  });
  for (const [what, [start, repeated]] of Object.entries(FLOODS)) {
    await t.step(what, async () => {
      await using first = new Flood(relay.url, start, repeated);
      await using second = new Flood(relay.url, start, repeated);
      await first.hasBegun;
      await second.hasBegun;
      await assertHealthy(relay.url);
    });
  }
});

Deno.test("A4: Relay reads a body whole, in whatever chunks it comes", async () => {
  await using relay = await startRelay();
  const { numRuns, seed } = propertyParameters(30);
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(
          fc.integer({ min: 1, max: 9_000 }),
          fc.constantFrom(1, 1, 1, 7, 500, 1_023, 1_024, 5_000),
        ),
        { minLength: 1, maxLength: 20 },
      ),
      fc.constantFrom("text/plain", "text/event-stream"),
      async (runs, type) => {
        const sizes = runs.flatMap(([bytes, size]) =>
          Array.from(
            { length: Math.ceil(bytes / size) },
            () => size,
          )
        );
        const total = sizes.reduce((sum, size) => sum + size, 0);
        const data = Array.from(
          { length: total },
          (_, index) => String.fromCharCode(97 + index % 26),
        ).join("");
        const body = type === "text/plain" ? data : `data: ${data}\n\n`;
        let at = 0;
        const chunks = [...sizes, body.length - total].map((size) => {
          const part = body.slice(at, at += size);
          return part && `${part.length.toString(16)}\r\n${part}\r\n`;
        });
        const topic = relay.relay.topics.create("t");
        await using caller = await RawHttp.open(relay.url);
        await caller.send(
          latin1(`${post("/topics/t", type)}${chunks.join("")}0\r\n\r\n`),
        );
        assertEquals((await caller.answer())?.status, 200);
        const { entries } = await topic.log.read(1, { events: 1, bytes: 1 });
        assertEquals(entries[0]?.event.data, data);
        relay.relay.topics.delete("t");
      },
    ),
    { numRuns, seed },
  );
});

Deno.test("A4: Relay reads a long event stream to its end, however fast it comes", async () => {
  await using relay = await startRelay({
    limits: { maxPublishRate: 10_000_000 },
  });
  const events = new TextEncoder()
    .encode(`data: ${"x".repeat(110)}\n\n`.repeat(1_000));
  const count = 300;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ < count) controller.enqueue(events);
      else controller.close();
    },
  });
  const response = await relay.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body,
    signal: AbortSignal.timeout(LIMIT),
  });
  assertEquals((await response.json()).next, 1_000 * count + 1);
});

Deno.test("A4: Relay answers others while a source comes in chunks of one byte", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const head = latin1(
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
      "Transfer-Encoding: chunked\r\n\r\n",
  );
  const chunks = latin1(bytewise(":\n").repeat(5_000));
  const connections: Deno.Conn[] = [];
  const finished = (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      void flood(connection, head, chunks);
    }
  })();
  {
    await using relay = await RelayProcess.start({
      rights: { allowSources: ["*"], allowAddresses: ["127.0.0.0/8"] },
    });
    for (const name of ["a", "b"]) {
      const response = await fetch(`${relay.url}/topics/${name}`, {
        method: "PUT",
        signal: AbortSignal.timeout(LIMIT),
        headers: {
          "Content-Type": "application/json",
          Connection: "close",
        },
        body: JSON.stringify({
          source: { url: `http://127.0.0.1:${listener.addr.port}/` },
        }),
      });
      await response.body?.cancel();
      assertEquals(response.status, 201);
    }
    await assertHealthy(relay.url);
  }
  listener.close();
  for (const connection of connections) close(connection);
  await finished;
});

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed already.
  }
}

async function flood(
  connection: Deno.Conn,
  head: Uint8Array,
  bytes: Uint8Array,
): Promise<void> {
  try {
    await writeAll(connection, head);
    for (;;) await writeAll(connection, bytes);
  } catch {
    close(connection); // the relay has gone
  }
}

async function assertHealthy(url: string): Promise<void> {
  for (let probe = 0; probe < PROBES; probe++) {
    const response = await fetch(`${url}/healthz`, {
      headers: { Connection: "close" },
      signal: AbortSignal.timeout(LIMIT),
    });
    assertEquals(await response.json(), { status: "ok" });
  }
}
