// Bytes from clients count while they are held: bodies, frames, and what runs
// keep.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startGateway } from "../../../support/gateway/gateway_world.ts";
import { RawHttp } from "../../../support/http/raw_http.ts";
import { Bystanders } from "../../../support/relay/bystanders.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import {
  makeFrame,
  OPCODE,
  RawWebSocket,
} from "../../../support/subscribers/raw_websocket.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { passTime } from "../../../support/pass_time.ts";
import { LIMIT, until } from "../../../support/within.ts";

const KIB = 1_024;

/** Waits until the relay holds so many bytes of what clients have sent. */
async function holds(
  { request }: Pick<TestRelay, "request">,
  is: (bytes: number) => boolean,
  what: string,
): Promise<void> {
  let held = NaN;
  await until(
    async () => {
      const text = await (await request("/metrics")).text();
      held = Number(/^rivulet_received_bytes (.*)$/m.exec(text)?.[1]);
      return is(held) || undefined;
    },
    LIMIT,
    () => `${what}: ${held} bytes are held`,
  );
}

function head(type: string, path = "/topics/t", length = 100 * KIB): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n`;
}

const BODIES: Readonly<Record<string, string>> = {
  "JSON": head("application/json"),
  "text": head("text/plain"),
  "an event of a stream": head("text/event-stream") + "data: ",
  "JSON for a provider": head("application/json", "/v1/responses"),
  "an end": head("application/json", "/topics/t/end", 60 * KIB),
};

for (const [what, start] of Object.entries(BODIES)) {
  Deno.test(`A3: ${what} that does not come to its end counts, and is refused beyond the budgets`, async () => {
    await using relay = await startRelay({
      clock: new FakeClock(),
      limits: { maxReceived: 90 * KIB, maxReceivedPerClient: 50 * KIB },
      gateway: { providers: [{ name: "p", url: "http://127.0.0.1:9/v1" }] },
    });
    {
      await using caller = await RawHttp.open(relay.url);
      await caller.send(start + "x".repeat(40 * KIB));
      await holds(relay, (bytes) => bytes >= 40 * KIB, what);
    }
    await holds(relay, (bytes) => bytes === 0, `${what} that is gone`);
    await using caller = await RawHttp.open(relay.url);
    await caller.send(start + "x".repeat(55 * KIB));
    const answer = await caller.answer();
    assertEquals(answer?.status, 429);
    const { code } = JSON.parse(answer?.body ?? "");
    assertEquals(code, "too_many_bytes_of_client");
    assertMatch(answer?.headers.get("retry-after") ?? "", /^[0-9]+$/);
    await caller.rest();
    await holds(relay, (bytes) => bytes === 0, `${what} that was refused`);
    const published = await relay.request("/topics/other", {
      method: "POST",
      headers: { "Content-Type": "text/plain" },
      body: "a",
    });
    assertEquals(published.status, 200);
    await published.body?.cancel();
  });
}

Deno.test("A3: where the budget is used up, the largest body of the heaviest client is refused", async () => {
  await using relay = await startRelay({
    clock: new FakeClock(Date.now()),
    rights: { jwtKey: JWT_KEY, publicMetrics: true },
    limits: { maxReceived: 100 * KIB, maxReceivedPerClient: 90 * KIB },
  });
  const begin = async (sub: string, bytes: number): Promise<RawHttp> => {
    const token = await mintToken({ sub, write: ["*"] });
    const caller = await RawHttp.open(relay.url);
    await caller.send(
      head("text/plain").replace("Host", `Rivulet-Token: ${token}\r\nHost`) +
        "x".repeat(bytes),
    );
    return caller;
  };
  await using heavy = await begin("heavy", 60 * KIB);
  await holds(relay, (bytes) => bytes === 60 * KIB, "the first");
  await using small = await begin("heavy", 10 * KIB);
  await holds(relay, (bytes) => bytes === 70 * KIB, "the second");
  await using other = await begin("other", 40 * KIB);
  const answer = await heavy.answer();
  assertEquals(
    [answer?.status, JSON.parse(answer?.body ?? "").code],
    [503, "out_of_memory"],
  );
  await heavy.rest();
  await holds(relay, (bytes) => bytes === 50 * KIB, "the two others");
  for (const caller of [small, other]) {
    await caller.client[Symbol.asyncDispose]();
  }
  await holds(relay, (bytes) => bytes === 0, "nobody");
});

Deno.test("A3: a message of a WebSocket counts while it comes, and its peer is told where it is too much", async () => {
  await using relay = await startRelay({
    limits: { maxReceived: 90 * KIB, maxReceivedPerClient: 50 * KIB },
  });
  await using bystanders = await Bystanders.open(relay.url);
  await using first = await RawWebSocket.open(relay.url, "/ws");
  await using second = await RawWebSocket.open(relay.url, "/ws");
  const frame = makeFrame(
    OPCODE.text,
    `{"type":"heartbeat","x":"${"x".repeat(60_000)}"}`,
  );
  // One frame that is not whole, and fragments of a message.
  await first.client.send(frame.subarray(0, 30_000));
  await holds(relay, (bytes) => bytes >= 29_000, "a frame");
  await first.client.send(frame.subarray(30_000));
  await first.message("heartbeat");
  await holds(relay, (bytes) => bytes === 0, "a whole frame");
  await first.send(OPCODE.text, "x".repeat(30_000), { fin: false });
  await holds(relay, (bytes) => bytes >= 29_000, "a fragment");
  await second.send(OPCODE.text, "x".repeat(40_000), { fin: false });
  assertEquals(await second.closeCode(), 1013);
  await holds(relay, (bytes) => bytes === 30_000, "the first alone");
  await first.client[Symbol.asyncDispose]();
  await holds(relay, (bytes) => bytes === 0, "nobody");
  await bystanders.check("the messages");
});

Deno.test("A3: the body of a run counts for as long as the run lasts, and no longer", async () => {
  await using world = await startGateway();
  const body = { stream: true, input: "x".repeat(50 * KIB) };
  const { exchange, answer } = await world.begin({
    body,
  });
  await holds(world, (bytes) => bytes > 50 * KIB, "a run");
  await exchange.stream("data: [DONE]\n\n");
  await exchange.end();
  await (await answer).rest();
  await holds(world, (bytes) => bytes === 0, "a run that is over");
});

Deno.test("A4: bodies are read no faster than their client may send, in bytes and in chunks", async () => {
  const CASES = [
    [{ maxBodyRate: 10 * KIB }, "x".repeat(KIB), 30],
    [{ maxBodyChunkRate: 100 }, "x", 300],
  ] as const;
  for (const [limits, chunk, count] of CASES) {
    for (const type of ["text/plain", "text/event-stream"]) {
      const clock = new FakeClock();
      const start = clock.now();
      // The time that the relay makes a sender wait is not its silence.
      await using relay = await startRelay({
        clock,
        limits: { ...limits, bodyTimeout: 1_000 },
      });
      await using caller = await RawHttp.open(relay.url);
      const chunks = [":", ...Array(count).fill(chunk), "\n\n"]
        .map((text) => `${text.length.toString(16)}\r\n${text}\r\n`);
      await caller.send(
        head(type).replace(/Content-Length.*/, "Transfer-Encoding: chunked") +
          chunks.join("") + "0\r\n\r\n",
      );
      const answer = await passTime(clock, caller.answer(), 100);
      assertEquals(answer?.status, 200, `${type}: ${answer?.body}`);
      const seconds = (clock.now() - start) / 1_000;
      assert(seconds >= 2, `${count} chunks of ${type} in ${seconds} s`);
    }
  }
});

Deno.test("A4: a peer that goes on after its close frame is cut", async () => {
  const FLOODS: Readonly<Record<string, Uint8Array>> = {
    "messages after 4429": makeFrame(OPCODE.text, '{"type":"heartbeat"}'),
    "pings after 4429": makeFrame(OPCODE.ping, ""),
    "pongs after 4429": makeFrame(OPCODE.pong, ""),
    "messages after 4500": makeFrame(OPCODE.text, "x"),
    "binary frames after 4500": makeFrame(OPCODE.binary, "x"),
    "bytes after a bad frame": new Uint8Array(100).fill(0xFF),
  };
  for (const [what, frame] of Object.entries(FLOODS)) {
    const clock = new FakeClock();
    await using relay = await startRelay({
      clock,
      limits: { maxMessageRate: 100, maxMessageBytesRate: 10_000 },
    });
    await using socket = await RawWebSocket.open(relay.url, "/ws");
    await socket.message("welcome");
    const many = new Uint8Array(frame.length * 1_000);
    for (let i = 0; i < 1_000; i++) many.set(frame, i * frame.length);
    let isClosed = false;
    void socket.client.closed.then(() => isClosed = true);
    // Time stands still: no timeout has closed it.
    await until(
      async () => {
        await socket.client.send(many);
        return isClosed || undefined;
      },
      LIMIT,
      what,
    );
  }
});
