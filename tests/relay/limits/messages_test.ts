// The messages that a WebSocket client may send, and the limits for their
// effects.
import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { passTime } from "../../support/pass_time.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
import { readProblem } from "../../support/http/raw_answer.ts";
import {
  OPCODE,
  RawWebSocket,
} from "../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

async function open(relay: TestRelay): Promise<RawWebSocket> {
  const socket = await RawWebSocket.open(relay.url, "/ws");
  await socket.message("welcome");
  return socket;
}

/** Sends a message, and reads its answer. */
async function beat(socket: RawWebSocket): Promise<void> {
  await socket.say({ type: "heartbeat" });
  await socket.message("heartbeat");
}

/** A message of this many bytes. */
function messageOf(bytes: number): string {
  const message = '{"type":"heartbeat","x":""}';
  return message.replace('""', `"${"x".repeat(bytes - message.length)}"`);
}

async function beatWith(socket: RawWebSocket, bytes: number): Promise<void> {
  await socket.send(OPCODE.text, messageOf(bytes));
  await socket.message("heartbeat");
}

Deno.test("Relay takes as many messages in a second as a client may send, and closes behind them", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxMessageRate: 4 },
  });
  await using socket = await open(relay);
  await using other = await open(relay);
  for (let i = 0; i < 4; i++) await beat(socket);
  await clock.advance(500);
  for (let i = 0; i < 2; i++) await beat(socket);
  await socket.say({ type: "publish", topic: "t", events: [{ data: "x" }] });
  assertEquals(await socket.closeCode(), 4429);
  assertEquals(relay.relay.topics.get("t"), undefined, "nothing came of it");
  await beat(other);
  await using again = await open(relay);
  await beat(again);
});

Deno.test("Relay counts messages whatever they are", async () => {
  for (
    const payload of [
      '{"type":"dance"}',
      '{"type":"ack","topic":"t","offset":1}',
      '{"type":"unsubscribe","topic":"t"}',
    ]
  ) {
    const clock = new FakeClock();
    await using relay = await startRelay({
      clock,
      limits: { maxMessageRate: 3 },
    });
    await using socket = await open(relay);
    for (let i = 0; i < 3; i++) await socket.send(OPCODE.text, payload);
    await socket.say({ type: "heartbeat" });
    assertEquals(await socket.closeCode(), 4429, payload);
  }
});

Deno.test("Relay takes as many bytes in a second as a client may send, and closes behind them", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { maxMessageBytesRate: 1_000 },
  });
  await using socket = await open(relay);
  await beatWith(socket, 900);
  await beatWith(socket, 100);
  await clock.advance(100);
  await beatWith(socket, 100);
  await socket.send(OPCODE.text, messageOf(30));
  assertEquals(await socket.closeCode(), 4429);
});

Deno.test("Relay takes a message of the size that it may have, and closes at a larger one", async () => {
  await using relay = await startRelay({ limits: { maxMessage: 1_000 } });
  await using socket = await open(relay);
  await beatWith(socket, 1_000);
  await socket.send(OPCODE.text, messageOf(1_001));
  assertEquals(await socket.closeCode(), 1009);
  await using again = await open(relay);
  await beat(again);
});

Deno.test("Relay takes as many subscriptions of a connection as it may have, and refuses another", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 2 } });
  await using socket = await open(relay);
  for (const topic of ["a", "b"]) {
    await socket.say({ type: "subscribe", topic });
    await socket.message("subscribed");
  }
  await socket.say({ type: "subscribe", topic: "c" });
  const { code, topic } = await socket.message("error");
  assertEquals([code, topic], ["too_many_subscriptions", "c"]);
  await socket.say({ type: "unsubscribe", topic: "a" });
  await socket.say({ type: "subscribe", topic: "c" });
  assertEquals((await socket.message("subscribed"))["topic"], "c");
});

Deno.test("Relay waits for a body as long as it may bring nothing", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    limits: { bodyTimeout: 3_000 },
  });
  const head = { "content-type": "text/plain", "content-length": "5" };
  using slow = await RawCaller.open(relay.port);
  slow.head("POST", "/topics/t", head);
  slow.send("ab");
  const text = await passTime(clock, slow.see('"}'));
  const { status, code } = readProblem(text);
  assertEquals([status, code], [408, "body_timeout"]);
  // The rest is passed over, and the connection goes on.
  slow.send("cde");
  slow.head("POST", "/topics/t", head);
  slow.send("abcde");
  await slow.see('"first":1');
});
