import { JetStreamStore } from "../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../relay/stores/jetstream/nats_address.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

/** Opens a store in a server, as another relay each time. */
export async function openStore(
  host: string,
  clock: FakeClock = new FakeClock(1_000_000),
): Promise<JetStreamStore> {
  const store = new JetStreamStore({
    address: parseNatsAddress(`nats://${host}`)!, // it is an address
    retention: { maxEvents: 100, maxBytes: 1_000_000, maxAge: 1_000_000 },
    clock,
  });
  await store.open();
  return store;
}
