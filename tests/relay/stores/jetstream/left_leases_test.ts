// Leases of a relay that is gone are removed, unless there is something to take over.
import { assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { LIMIT, until } from "../../../support/within.ts";

Deno.test({
  name:
    "JetStreamStore removes the leases of a relay that is gone which nobody takes over",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    const clock = new FakeClock(1_000_000);
    await using store = await openStore(server.host, clock);
    {
      await using gone = await openStore(server.host);
      for (const name of ["ended", "plain", "source", "deleted"]) {
        const filling = name === "source" ? { filling: "a source" } : {};
        using log = gone.create(name, { ...NO_FACTS, ...filling });
        await log.append([message("a")]);
        for (const part of [undefined, "*.> a part"]) {
          await gone.hold({
            ...{ topic: name, epoch: log.epoch, holder: "one", ttl: 60_000 },
            ...{ part, onCancel: () => Promise.resolve() },
          });
        }
        if (name === "ended") {
          await log.end({ status: "complete", isWhole: true, at: 1_000_000 });
        } else if (name === "deleted") await gone.delete(name, log.epoch);
      }
    }
    const nats = await connect({ servers: server.host });
    const manager = await jetstreamManager(nats);
    const left = async () => {
      const { state } = await manager.streams.info("KV_rivulet_leases", {
        subjects_filter: ">",
      });
      return Object.keys(state.subjects ?? {})
        .map((subject) => subject.split(".").slice(2).join("."));
    };
    assertEquals((await left()).length, 8);
    const abort = new AbortController();
    const found: string[] = [];
    const looking = (async () => {
      for await (const { name } of store.orphans(abort.signal)) {
        found.push(name);
      }
    })();
    await until(
      async () => {
        await clock.advance(500);
        await store.get("nothing", "nothing");
        return (await left()).length === 1 || undefined;
      },
      LIMIT,
      () => `one lease: found those of ${found}`,
    );
    const [only = ""] = await left();
    assertEquals(only.split(".")[0], "source");
    abort.abort();
    await looking.catch(() => {});
    assertEquals(new Set(found).has("source"), true);
    await nats.close();
  },
});
