// A prefix has the topics of all relays that share a store.
import { assertEquals } from "@std/assert";
import { lacksNats } from "../../support/nats/nats_server.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { makeStorePlace, type StorePlace } from "../../support/relay/stores.ts";
import { PrefixStream } from "../../support/subscribers/prefix_stream.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";

/** Makes a place for topics that two relays share. */
async function makeSharedPlace(
  kind: "NATS" | "a parent",
): Promise<Pick<StorePlace, "address"> & AsyncDisposable> {
  if (kind === "NATS") return await makeStorePlace("JetStream");
  const parent = await startRelay({ links: true }, "process");
  return {
    address: parent.url,
    [Symbol.asyncDispose]: () => parent[Symbol.asyncDispose](),
  };
}

for (const kind of ["NATS", "a parent"] as const) {
  Deno.test({
    name:
      `A prefix follows topics of other relays, and repeats none that has ended (${kind})`,
    ignore: kind === "NATS" && lacksNats(),
    async fn() {
      await using place = await makeSharedPlace(kind);
      const store = place.address;
      await using one = await startRelay({ store }, "process");
      await using other = await startRelay({ store }, "process");
      const publish = async (topic: string, query = "") => {
        const answer = await other.request(`/topics/${topic}${query}`, {
          method: "POST",
          headers: { "content-type": "text/plain" },
          body: topic,
        });
        await answer.body?.cancel();
        assertEquals(answer.status, 200);
      };
      await publish("p:before");
      await publish("p:over", "?end");
      await using stream = await PrefixStream.open(one.url, "p:*");
      await using socket = await RawWebSocket.open(one.url, "/ws");
      await socket.say({ type: "subscribe", topic: "p:*" });
      const { position } = await socket.message("following");
      const both = async (topic: string) => {
        for (const reader of [stream, socket]) {
          assertEquals((await reader.message("events"))["topic"], topic);
        }
      };
      await both("p:before");
      // Somebody reads one that is over: it is no news.
      const page = await one.request("/topics/p:over", {
        headers: { accept: "application/json" },
      });
      assertEquals((await page.json()).state, "ended");
      await publish("p:later");
      await both("p:later");
      // Back at the other relay, after a topic that began and ended meanwhile.
      await publish("p:short", "?end");
      await using back = await PrefixStream.open(other.url, "p:*", {
        "Last-Event-ID": stream.id,
      });
      assertEquals((await back.message("events"))["topic"], "p:short");
      await using again = await RawWebSocket.open(other.url, "/ws");
      const placeIn = (name: string) => {
        const { log: { epoch } } = one.relay.topics.get(`p:${name}`)!;
        return `${name}@${epoch}:1`;
      };
      await again.say({
        type: "subscribe",
        topic: "p:*",
        since: [position, placeIn("before"), placeIn("later")].join(),
      });
      assertEquals((await again.message("events"))["topic"], "p:short");
    },
  });
}
