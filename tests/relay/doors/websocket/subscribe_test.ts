// A peer that has been told the end of a topic does not follow it any more, and may do so again.
import { assertEquals } from "@std/assert";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { startRelay } from "../../../support/relay/relay.ts";

/** Reads on to the answer to a subscription; returns its type and topic. */
async function answerOf(socket: RawWebSocket): Promise<unknown> {
  for (;;) {
    const message = await socket.next();
    if (!message) throw new Error("The connection was closed");
    const { type, topic } = message;
    if (type === "subscribed" || type === "error") return [type, topic];
  }
}

Deno.test("Relay lets a peer subscribe again once it has seen the end, whatever else is being written", async () => {
  await using relay = await startRelay();
  const short = relay.relay.topics.create("short");
  const large = relay.relay.topics.create("large");
  short.append([{ event: "message", data: "a", id: "" }]);
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  for (const topic of ["short", "large"]) {
    await socket.say({ type: "subscribe", topic });
    assertEquals(await answerOf(socket), ["subscribed", topic]);
  }
  // The end comes between two that take the connection for a while: they are encoded,
  // and written, in parts.
  const event = { event: "message", data: "x".repeat(8_000_000), id: "" };
  large.append([event, event]);
  short.end("complete");
  await socket.message("end");
  socket.client.pause();
  await socket.say({ type: "subscribe", topic: "short" });
  socket.client.resume();
  assertEquals(await answerOf(socket), ["subscribed", "short"]);
});
