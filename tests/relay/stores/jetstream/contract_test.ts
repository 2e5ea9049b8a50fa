import { storeContract } from "../../../../relay/testing/store_contract.ts";
import { JetStreamWorld } from "../../../support/nats/jetstream_world.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";

const ignore = lacksNats();

const checks = storeContract({
  open: (retention) => JetStreamWorld.open(retention),
});
for (const { name, run } of checks) {
  Deno.test({ name: `JetStreamStore ${name}`, ignore, fn: run });
}
