// `subscribed` is of one moment: what is retained, and where the reader stands.
import { assertEquals } from "@std/assert";
import { createRelay } from "../../../relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until } from "../../support/within.ts";

for (const after of ["start", "now", "AAAAAAAAAAAA:7"]) {
  Deno.test(`Relay says of one moment where a reader after '${after}' stands`, async () => {
    await using relay = createRelay({ port: 0, retention: { maxEvents: 10 } });
    const { url } = await relay.listen();
    const event = { event: "message", data: "x", id: "" };
    const large = { ...event, data: "x".repeat(4_000_000) };
    relay.topics.create("large").append([large, large, large, large]);
    const topic = relay.topics.create("t");
    topic.append([event, event, event]);
    await using socket = await RawWebSocket.open(url, "/ws");
    await socket.message("welcome");
    socket.client.pause();
    // The answer waits behind what this peer does not read.
    await socket.say({ type: "subscribe", topic: "large" });
    await socket.say({ type: "subscribe", topic: "t", after });
    await until(() => topic.followers === 1 || undefined, LIMIT, "a follower");
    for (let count = 0; count < 50; count++) topic.append([event]);
    socket.client.resume();
    for (;;) {
      const message = await socket.message("subscribed");
      if (message["topic"] !== "t") continue;
      const { first, next, after: stands } = message;
      assertEquals(stands, Number(after === "now" ? next : first) - 1);
      break;
    }
  });
}
