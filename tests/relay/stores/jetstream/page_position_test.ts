// A page after a position that another relay has given waits for a leader of NATS that
// lags behind.
import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

Deno.test({
  name: "A page after a position that NATS does not have yet is read again",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    await using relay = await startRelay({ store: `nats://${server.host}` });
    const made = await relay.request("/topics/t", {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: "a",
    });
    const { epoch } = await made.json();
    await using nats = await connect({ servers: server.host });
    let reads = 0;
    nats.subscribe("$JS.API.STREAM.MSG.GET.rivulet_logs", {
      callback: () => void reads++,
    });
    await nats.flush();
    // As if the leader did not know of the second event, which another relay has told of.
    let isAnswered = false;
    const asked = relay.request(`/topics/t?after=${epoch}:2`, {
      headers: { accept: "application/json" },
    }).then((response) => {
      isAnswered = true;
      return response.json();
    });
    await until(
      () => reads >= 3 || isAnswered || undefined,
      LIMIT,
      () => `the third read: there were ${reads}`,
    );
    assertEquals(isAnswered, false);
    // If the event does not come, the position is one that cannot be honoured.
    assertEquals((await asked).recovered, false);
  },
});
