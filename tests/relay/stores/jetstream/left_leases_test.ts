// Leases of a relay that is gone are removed, unless there is something to take over.
import { assert, assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import type { Log } from "../../../../relay/topics/log.ts";
import type { Store } from "../../../../relay/topics/store.ts";
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

Deno.test({
  name:
    "JetStreamStore finds what a relay that is gone has left, though NATS has lost its lease",
  ignore: lacksNats(),
  async fn() {
    await using server = await NatsServer.start();
    const clock = new FakeClock(1_000_000);
    await using store = await openStore(server.host, clock);
    const abort = new AbortController();
    const found: string[] = [];
    const looking = (async () => {
      for await (const { name } of store.orphans(abort.signal)) {
        found.push(name);
      }
    })();
    const nats = await connect({ servers: server.host });
    const manager = await jetstreamManager(nats);
    /** Has the store look once more, as it does when a relay leaves. */
    const look = async (): Promise<void> => {
      let looks = 0;
      const heard = nats.subscribe("$JS.API.CONSUMER.*.KV_rivulet_leases.>", {
        callback: () => void looks++,
      });
      await nats.flush();
      await until(
        async () => {
          await using _leaving = await openStore(server.host, clock);
          await clock.advance(500);
          await store.get("nothing", "nothing");
          return looks > 0 || undefined;
        },
        LIMIT,
        "a look at the leases",
      );
      heard.unsubscribe();
    };
    {
      await using gone = await openStore(server.host, clock);
      for (const name of ["run", "ended", "plain"]) {
        const filling = name === "plain" ? {} : { filling: "a run" };
        using log = gone.create(name, { ...NO_FACTS, ...filling });
        await log.append([message("a")]);
        await gone.hold({
          ...{ topic: name, epoch: log.epoch, holder: "one", ttl: 60_000 },
          onCancel: () => Promise.resolve(),
        });
      }
      await look();
      // As a server may that is elected before it has all messages.
      await manager.streams.purge("KV_rivulet_leases");
      await look();
      await look();
      assertEquals(found, [], "the holder is there");
      await gone.prepare("ended", {});
      using ended = gone.find("ended");
      await ended?.end({ status: "complete", isWhole: true, at: 1_000_000 });
    }
    await until(
      async () => {
        await look();
        return found.length > 0 || undefined;
      },
      LIMIT,
      "what is left",
    );
    assertEquals([...new Set(found)], ["run"]);
    using log = await taken(store);
    const lease = await store.hold({
      ...{ topic: "run", epoch: log.epoch, holder: "two", ttl: 1_000_000 },
      onCancel: () => Promise.resolve(),
    });
    await look();
    found.length = 0;
    await look();
    await look();
    assertEquals(found, [], "it was taken over");
    await lease.release();
    abort.abort();
    await looking.catch(() => {});
    await nats.close();
  },
});

async function taken(store: Store): Promise<Log> {
  await store.prepare?.("run", {});
  const log = store.find("run");
  assert(log);
  return log;
}
