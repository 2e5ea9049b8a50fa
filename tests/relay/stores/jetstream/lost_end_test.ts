// A relay that was cut off from NATS does not end what another one has gone on with.
import { assertEquals } from "@std/assert";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import {
  numbered,
  ReconnectingUpstream,
} from "../../../support/upstreams/reconnecting_upstream.ts";
import { LIMIT, until } from "../../../support/within.ts";

/** Waits until a relay has so many events of the topic, which goes on. */
async function goesOn({ relay: { topics } }: TestRelay, next: number) {
  const at = () => {
    const topic = topics.get("s");
    return `${topic?.log.next} ${topic?.verdict?.status ?? "open"}`;
  };
  await until(
    async () => {
      await topics.prepare("s");
      return at() === `${next} open` || undefined;
    },
    LIMIT,
    () => `event ${next - 1}: it is at ${at()}`,
  );
}

Deno.test({
  name:
    "A relay that NATS was away for does not end a source that another relay reads",
  ignore: lacksNats(),
  async fn() {
    const over = Promise.withResolvers<void>();
    const more = Promise.withResolvers<void>();
    await using upstream = await ReconnectingUpstream.start(
      async (connection) => {
        await connection.write(numbered(1, 2));
        await over.promise;
        connection.end();
      },
      async (connection) => {
        await connection.write(numbered(3, 3));
        await more.promise;
        await connection.write(numbered(4, 4));
      },
    );
    await using server = await NatsServer.start();
    await using line = await CuttableLine.start(server.port);
    const rights = {
      allowAddresses: ["127.0.0.1"],
      allowSources: [upstream.url],
    };
    const { host } = new URL(line.url);
    await using one = await startRelay({ rights, store: `nats://${host}` });
    const store = `nats://${server.host}`;
    await using other = await startRelay({ rights, store });
    const put = await one.request("/topics/s", {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ source: { url: upstream.url, reconnect: false } }),
    });
    await put.body?.cancel();
    assertEquals(put.status, 201);
    await goesOn(other, 3);
    line.cut();
    await goesOn(other, 4);
    // Its source is over, and the end waits for NATS.
    over.resolve();
    await until(
      () => one.relay.topics.get("s")?.verdict && true,
      LIMIT,
      "the source of the relay that is cut off to end",
    );
    line.mend();
    await goesOn(one, 4);
    more.resolve();
    await goesOn(other, 5);
    await goesOn(one, 5);
    assertEquals(one.relay.topics.leases.size, 0);
  },
});
