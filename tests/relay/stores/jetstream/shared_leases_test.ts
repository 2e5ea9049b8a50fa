import { assert, assertEquals, assertRejects } from "@std/assert";
import { Presence } from "../../../../relay/stores/jetstream/presence.ts";
import { SharedLeases } from "../../../../relay/stores/jetstream/shared_leases.ts";
import { StoreError } from "../../../../relay/topics/store.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { lacksNats } from "../../../support/nats/nats_server.ts";
import { StreamWorld } from "../../../support/nats/stream_world.ts";

const REQUEST = {
  topic: "t",
  epoch: "abcdefghijkl",
  holder: "this relay",
  ttl: 5_000,
  onCancel: () => Promise.resolve(),
};

Deno.test({
  name:
    "SharedLeases finds a lease again that was kept though it could not be taken",
  ignore: lacksNats(),
  async fn() {
    await using world = await StreamWorld.start();
    const clock = new FakeClock(1_000_000);
    let isAway = true;
    const fences: boolean[] = [];
    const leases = new SharedLeases({
      connection: world.connection,
      names: world.names,
      clock,
      presence: new Presence(world.names.beats, clock, { onGone: () => {} }),
      fence: (_log, _lease, isFirst) => {
        fences.push(isFirst);
        if (!isAway) return Promise.resolve();
        return Promise.reject(new StoreError("away", "There is no leader"));
      },
    });
    await assertRejects(() => leases.hold(REQUEST), StoreError);
    isAway = false;
    assertEquals(await leases.orphans(), []);
    await clock.advance(5_000);
    const found = [{ name: REQUEST.topic, epoch: REQUEST.epoch }];
    assertEquals(await leases.orphans(), found);
    const lease = await leases.hold(REQUEST);
    assertEquals(fences, [true, false]);
    await clock.advance(1_000);
    assertEquals(await leases.orphans(), []);
    // Without its key, nobody would miss its holder.
    const { number } = lease;
    await leases.remove(`t.${REQUEST.epoch}`, number);
    const again = await leases.takeAgain(REQUEST);
    assert(again !== undefined && again > number);
    await lease.release();
  },
});
