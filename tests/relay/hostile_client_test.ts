// Messages that clients should never send, and do: the relay refuses them, in
// the words of its protocol, and goes on serving all others.
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CLOSE_CODES } from "../../relay/doors/websocket/close_codes.ts";
import { createRelay } from "../../relay/relay.ts";
import {
  closePayload,
  type FrameOptions,
  makeFrame,
  OPCODE,
  RawClient,
  RawWebSocket,
  requestUpgrade,
} from "../support/subscribers/raw_websocket.ts";
import { RelayProcess } from "../support/relay/relay_process.ts";
import { LIMIT, until, within } from "../support/within.ts";

const KIB = 1_024;
const MIB = KIB * KIB;
const MAX_MESSAGE = 64 * KIB;
/** The most fragments of a message that `ws` puts together, by default. */
const MAX_FRAGMENTS = 16 * KIB;

type FrameArguments = [
  opcode: number,
  payload: string | Uint8Array,
  options?: FrameOptions,
];

/** A heartbeat of exactly so many bytes. */
function heartbeatOf(bytes: number): string {
  const [start, end] = ['{"type":"heartbeat","padding":"', '"}'];
  return start + "x".repeat(bytes - start.length - end.length) + end;
}

const half = { fin: false };

const FATAL: [what: string, code: number, frames: FrameArguments[]][] = [
  ["a message over 64 KiB", 1009, [
    [OPCODE.text, heartbeatOf(MAX_MESSAGE + 1)],
  ]],
  ["fragments over 64 KiB together", 1009, [
    [OPCODE.text, "x".repeat(40 * KIB), half],
    [OPCODE.continuation, "x".repeat(40 * KIB)],
  ]],
  ["a binary message over 64 KiB", 1009, [
    [OPCODE.binary, new Uint8Array(MAX_MESSAGE + 1)],
  ]],
  ["the claim of 1 TiB", 1009, [
    [OPCODE.text, "{}", { length: 1n << 40n }],
  ]],
  ["a binary message", 4500, [[OPCODE.binary, '{"type":"heartbeat"}']]],
  ["an empty binary message", 4500, [[OPCODE.binary, ""]]],
  ["text that is not JSON", 4500, [[OPCODE.text, "{"]]],
  ["an empty text", 4500, [[OPCODE.text, ""]]],
  ["null", 4500, [[OPCODE.text, "null"]]],
  ["an array", 4500, [[OPCODE.text, "[]"]]],
  ["a string", 4500, [[OPCODE.text, '"heartbeat"']]],
  ["deep nesting", 4500, [[OPCODE.text, "[".repeat(60_000)]]],
  ["no type", 4500, [[OPCODE.text, '{"topic":"a"}']]],
  ["a type that is a number", 4500, [[OPCODE.text, '{"type":1}']]],
  ["text that is not UTF-8", 4500, [
    [OPCODE.text, Uint8Array.of(0x7B, 0xFF, 0xC3, 0x28, 0x7D)],
  ]],
  ["half a character", 4500, [[OPCODE.text, Uint8Array.of(0x22, 0xC3)]]],
  ["an unmasked frame", 4500, [
    [OPCODE.text, '{"type":"heartbeat"}', { masked: false }],
  ]],
  ["reserved bit 1", 4500, [[OPCODE.text, "{}", { reserved: 4 }]]],
  ["reserved bit 2", 4500, [[OPCODE.text, "{}", { reserved: 2 }]]],
  ["reserved bit 3", 4500, [[OPCODE.text, "{}", { reserved: 1 }]]],
  ["a reserved opcode", 4500, [[3, "{}"]]],
  ["a reserved control opcode", 4500, [[11, ""]]],
  ["a continuation of nothing", 4500, [[OPCODE.continuation, "{}"]]],
  ["a message within another", 4500, [
    [OPCODE.text, "{", half],
    [OPCODE.text, "}"],
  ]],
  ["a ping of 126 bytes", 4500, [[OPCODE.ping, "x".repeat(126)]]],
  ["half a ping", 4500, [[OPCODE.ping, "x", half]]],
  ["a close frame of one byte", 4500, [[OPCODE.close, "x"]]],
];

Deno.test("Relay closes with the protocol's code on what is no message", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  await using bystander = await RawWebSocket.open(url, "/topics/news");
  await bystander.message("subscribed");
  const topic = relay.topics.create("news");
  for (const target of ["/ws", "/topics/news"]) {
    for (const [what, code, frames] of FATAL) {
      await using socket = await RawWebSocket.open(url, target);
      await socket.message("welcome");
      for (const frame of frames) await socket.send(...frame);
      assertEquals(await socket.closeCode(), code, `${what} at ${target}`);
      // Whoever is well-behaved notices nothing.
      topic.append([{ event: "message", data: what, id: "" }]);
      const { events } = await bystander.message("events");
      assertEquals(events, [{ data: what }]);
    }
  }
  await until(
    () => topic.followers === 1 || undefined,
    LIMIT,
    () => `one follower to be left of ${topic.followers}`,
  );
});

Deno.test("Relay closes with 1008 on a message in too many fragments", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  await using socket = await RawWebSocket.open(url, "/ws");
  await socket.send(OPCODE.text, "", half);
  const fragment = makeFrame(OPCODE.continuation, "", half);
  const fragments = Array.from({ length: MAX_FRAGMENTS }, () => fragment);
  await socket.client.send(Buffer.concat(fragments));
  assertEquals(await socket.closeCode(), 1008);
});

const REFUSED: [message: Record<string, unknown>, code: string][] = [
  [{ type: "dance" }, "unknown_type"],
  [{ type: "" }, "unknown_type"],
  [{ type: "welcome" }, "unknown_type"],
  [{ type: "__proto__" }, "unknown_type"],
  [{ type: "subscribe" }, "invalid_topic"],
  [{ type: "subscribe", topic: ".hidden" }, "invalid_topic"],
  [{ type: "subscribe", topic: "a/b" }, "invalid_topic"],
  [{ type: "subscribe", topic: "x".repeat(129) }, "invalid_topic"],
  [{ type: "subscribe", topic: 7 }, "invalid_topic"],
  [{ type: "subscribe", topic: "t", after: "yesterday" }, "invalid_message"],
  [{ type: "subscribe", topic: "t", after: 5 }, "invalid_message"],
  [{ type: "subscribe", topic: "t", after: "AAAAAAAA:0" }, "invalid_message"],
  [{ type: "subscribe", topic: "t", mode: "some" }, "invalid_message"],
  [{ type: "subscribe", topic: "t", window: -1 }, "invalid_message"],
  [{ type: "unsubscribe", topic: "t" }, "not_subscribed"],
  [{ type: "unsubscribe" }, "invalid_topic"],
  [{ type: "ack", topic: "t", offset: "1" }, "invalid_message"],
  [{ type: "heartbeat", time: "now" }, "invalid_message"],
  [{ type: "cancel" }, "invalid_topic"],
  [{ type: "cancel", topic: "nowhere" }, "unknown_topic"],
  [{ type: "cancel", topic: "t", reason: {} }, "invalid_message"],
  [{ type: "publish", topic: "t" }, "invalid_message"],
  [{ type: "publish", topic: "t", events: "a" }, "invalid_message"],
  [{ type: "publish", topic: "t", events: [null] }, "invalid_message"],
];

Deno.test("Relay refuses a wrong message with an error, and listens on", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  await using socket = await RawWebSocket.open(url, "/ws");
  for (const [message, code] of REFUSED) {
    await socket.say(message);
    const error = await socket.message("error");
    const about = JSON.stringify(message);
    assertEquals(error["code"], code, about);
    assertEquals(error["retryable"], false, about);
    assertEquals(typeof error["message"], "string", about);
    await socket.say({ type: "heartbeat", time: 1 });
    await socket.message("heartbeat");
  }
  await socket.send(OPCODE.text, heartbeatOf(MAX_MESSAGE));
  await socket.message("heartbeat");
  await socket.send(OPCODE.text, '{"type":', half);
  await socket.send(OPCODE.ping, "between");
  await socket.send(OPCODE.continuation, '"subscribe","topic":"t"}');
  await socket.message("subscribed");
});

Deno.test("Relay refuses more subscriptions than it allows", async () => {
  await using relay = createRelay({ port: 0, limits: { maxSubscriptions: 3 } });
  const { url } = await relay.listen();
  await using socket = await RawWebSocket.open(url, "/ws");
  const { limits } = await socket.message("welcome");
  assertEquals(limits, { subscriptions: 3, message: MAX_MESSAGE });
  for (const topic of ["a", "b", "c"]) {
    await socket.say({ type: "subscribe", topic });
    assertEquals((await socket.message("subscribed"))["topic"], topic);
  }
  await socket.say({ type: "subscribe", topic: "b" });
  assertEquals((await socket.message("error"))["code"], "already_subscribed");
  await socket.say({ type: "subscribe", topic: "d" });
  const error = await socket.message("error");
  assertEquals(error["code"], "too_many_subscriptions");
  assertEquals(error["topic"], "d");
  await socket.say({ type: "unsubscribe", topic: "a" });
  await socket.say({ type: "subscribe", topic: "d" });
  assertEquals((await socket.message("subscribed"))["topic"], "d");
});

Deno.test("Relay answers a close with no code but the protocol's", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  const codes = [1000, 1001, 1002, 1003, 1007, 1010, 1011, 1012, 3000, 3999];
  const invalid = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535];
  for (const code of [...codes, 4000, 4408, 4999, ...invalid]) {
    await using socket = await RawWebSocket.open(url, "/ws");
    await socket.send(OPCODE.close, closePayload(code, "so long"));
    const answer = await socket.closeCode() ?? 0;
    assert(CLOSE_CODES.has(answer), `${code} was answered with ${answer}`);
  }
  await using socket = await RawWebSocket.open(url, "/ws");
  await socket.send(OPCODE.close, "");
  const answer = await socket.closeCode() ?? 0;
  assert([1005, ...CLOSE_CODES].includes(answer), `answered with ${answer}`);
});

Deno.test("Relay answers a close whose reason is no UTF-8 as any frame that is none", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  const reasons = [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xae]];
  for (const code of [1000, 1001, 3000, 4408]) {
    for (const reason of reasons) {
      await using socket = await RawWebSocket.open(url, "/ws");
      const payload = Uint8Array.of(...closePayload(code), ...reason);
      await socket.send(OPCODE.close, payload);
      assertEquals(await socket.closeCode(), 4500, `${code} ${reason}`);
    }
  }
});

/** Makes a flood of bytes one of fewer messages, as each takes the relay its time. */
const PADDING = `"padding":"${"x".repeat(400)}"`;

const FLOODS: [what: string, frames: Uint8Array[]][] = [
  ["pings", [makeFrame(OPCODE.ping, "x".repeat(125))]],
  ["heartbeats", [makeFrame(OPCODE.text, '{"type":"heartbeat"}')]],
  ["subscriptions", [
    makeFrame(OPCODE.text, `{"type":"subscribe","topic":"t",${PADDING}}`),
    makeFrame(OPCODE.text, `{"type":"unsubscribe","topic":"t",${PADDING}}`),
  ]],
  ["wrong messages", [makeFrame(OPCODE.text, '{"type":"dance"}')]],
];

/** More than the kernel's buffers hold. */
const FLOOD = 10 * MIB;

/**
 * The memory that a relay may keep, in MiB. It is mostly 2, and now and then 4
 * or 8, as the engine's tables double while it is at work and do not shrink at
 * once; without a bound on answers it is 20 and more.
 */
const KEPT = 12;

for (const [what, frames] of FLOODS) {
  Deno.test(`Relay keeps little for a peer that sends ${what} and does not read`, async () => {
    // The limits of rates would close the flood before it fills anything.
    await using relay = await RelayProcess.start({
      limits: { maxMessageRate: 1e9, maxMessageBytesRate: 1e9 },
    });
    await using bystander = await RawWebSocket.open(relay.url, "/ws");
    await bystander.message("welcome");
    const some = new Uint8Array(64 * KIB);
    const round = frames.reduce((sum, { length }) => sum + length, 0);
    let length = 0;
    for (; length + round <= some.length;) {
      for (const frame of frames) {
        some.set(frame, length);
        length += frame.length;
      }
    }
    const batch = some.subarray(0, length);
    // The first megabytes leave behind what the code itself needs.
    {
      await using warm = await RawWebSocket.open(relay.url, "/ws");
      for (let sent = 0; sent < MIB; sent += length) {
        await warm.client.send(batch);
      }
    }
    const before = await relay.memory();
    await using flood = await RawWebSocket.open(relay.url, "/ws");
    flood.client.pause();
    let sent = 0;
    try {
      for (; sent < FLOOD; sent += length) {
        await within(flood.client.send(batch), 1_500, "the relay to read on");
      }
    } catch {
      // It no longer listens: that is one way.
    }
    await bystander.say({ type: "heartbeat" });
    await bystander.message("heartbeat");
    // Not the resident size: what a collector has freed and not yet returned is in it.
    const live = ({ heapUsed, external }: Deno.MemoryUsage) =>
      heapUsed + external;
    let grown = Infinity;
    // It may still be at work on what it has read; what waits for the peer stays.
    await until(
      async () => {
        grown = (live(await relay.memory()) - live(before)) / MIB;
        return grown < KEPT || undefined;
      },
      LIMIT,
      () => `the relay to keep less: it keeps ${grown.toFixed(1)} MiB`,
    );
    console.log(
      `${what}: ${(sent / MIB).toFixed(1)} MiB were taken, ` +
        `and the relay keeps ${grown.toFixed(1)} MiB more`,
    );
  });
}

Deno.test("Relay closes what sends half a request", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  const post = "POST /topics/x HTTP/1.1\r\nHost: localhost\r\n" +
    "Content-Type: application/json\r\n";
  const starts = {
    "nothing": "",
    "half a line": "GET /top",
    "half a head": "GET /topics/x HTTP/1.1\r\nHost: re",
    "half an upgrade":
      "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
    "half a body of JSON": `${post}Content-Length: 100\r\n\r\n{"data":`,
    "half a chunk": `${post}Transfer-Encoding: chunked\r\n\r\n20\r\n{"data"`,
    "half an end": "POST /topics/x/end HTTP/1.1\r\nHost: localhost\r\n" +
      "Content-Length: 100\r\n\r\n{",
    "half a source": "PUT /topics/y HTTP/1.1\r\nHost: localhost\r\n" +
      "Content-Length: 100\r\n\r\n{",
  };
  const closings = Object.entries(starts).map(async ([what, start]) => {
    await using client = await RawClient.connect(url);
    if (start !== "") await client.send(start);
    await within(client.closed, LIMIT, `${what} to be closed`);
  });
  const results = await Promise.allSettled(closings);
  const failures = results.flatMap((result) =>
    result.status === "rejected" ? [String(result.reason)] : []
  );
  assertEquals(failures, []);
  const response = await fetch(`${url}/healthz`);
  assertEquals(await response.json(), { status: "ok" });
});

const NO_UPGRADE: [target: string, status: number, code: string][] = [
  ["/topics/.hidden", 400, "invalid_topic"],
  ["/topics/a%20b", 400, "invalid_topic"],
  ["/topics/%E0%A4%A", 400, "invalid_topic"],
  [`/topics/${"x".repeat(129)}`, 400, "invalid_topic"],
  ["/topics/a?after=yesterday", 400, "invalid_position"],
  ["/topics/a?after=AAAAAAAA:0", 400, "invalid_position"],
  ["/topics/a?after=AAAAAAAA:99999999999999999", 400, "invalid_position"],
  ["/topics/a?after=", 400, "invalid_position"],
  ["/topics/a?mode=some", 400, "invalid_mode"],
  ["/topics/a?mode=", 400, "invalid_mode"],
  ["/topics/a?window=0", 400, "invalid_window"],
  ["/topics/a?window=-1", 400, "invalid_window"],
  ["/topics/a?window=1e3", 400, "invalid_window"],
  ["/topics/a?window=99999999999999999", 400, "invalid_window"],
  ["/topics/a?window=9999999999999999", 400, "invalid_window"],
  ["/topics/a?window=", 400, "invalid_window"],
  ["/topics/a?snapshot=some", 400, "invalid_snapshot"],
  ["/", 404, "not_found"],
  ["/topics", 404, "not_found"],
  ["/topics/", 404, "not_found"],
  ["/topics/a/b", 404, "not_found"],
  ["/wss", 404, "not_found"],
  ["//", 400, "invalid_request"],
];

Deno.test("Relay refuses an upgrade with a plain answer of JSON", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  for (const [target, status, code] of NO_UPGRADE) {
    await using client = await RawClient.connect(url);
    const answer = await requestUpgrade(client, target);
    assertEquals(answer.status, status, `${target}: ${answer.body}`);
    assertStringIncludes(
      answer.headers.get("content-type") ?? "",
      "application/problem+json",
    );
    const problem = JSON.parse(answer.body);
    assertEquals(problem.code, code, target);
    assertEquals(typeof problem.title, "string", target);
    assertEquals(typeof problem.detail, "string", target);
    await within(client.closed, LIMIT, `${target} to be closed`);
  }
  assertEquals([...relay.topics].length, 0);
});

Deno.test("Relay goes on when a hundred connections are reset in the middle", async () => {
  await using relay = createRelay({ port: 0 });
  const { url } = await relay.listen();
  const topic = relay.topics.create("news");
  const data = "x".repeat(8 * KIB);
  const publish = () => topic.append([{ event: "message", data, id: "" }]);
  for (let index = 0; index < 200; index++) publish();
  const get = "GET /topics/news HTTP/1.1\r\nHost: localhost\r\n" +
    "Accept: text/event-stream\r\n\r\n";
  const clients = await Promise.all(
    Array.from({ length: 100 }, async (_, index) => {
      if (index % 2 === 0) {
        const { client } = await RawWebSocket.open(url, "/topics/news");
        return client;
      }
      const client = await RawClient.connect(url);
      await client.send(get);
      return client;
    }),
  );
  await Promise.all(clients.map(async (client) => {
    await client.take(
      ({ length }) => length > 20_000 ? 20_000 : undefined,
      "events",
    );
    publish();
    client.reset();
    publish();
    await client.closed;
  }));
  await until(
    async () => {
      const { topics } = await (await fetch(`${url}/topics`)).json();
      return topics[0].subscribers === 0 || undefined;
    },
    LIMIT,
    () => `subscribers to be forgotten: ${topic.followers}`,
  );
  const { epoch, next } = topic.log;
  await using socket = await RawWebSocket.open(
    url,
    `/topics/news?after=${epoch}:${next - 1}`,
  );
  await socket.message("live");
  publish();
  assertEquals((await socket.message("events"))["offset"], next);
});
