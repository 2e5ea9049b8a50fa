// Topics that are deleted, at once or by another relay, and lists meanwhile.
import { assert, assertEquals } from "@std/assert";
import { connect, headers } from "@nats-io/transport-node";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { AFTER } from "../../../../relay/stores/jetstream/bucket.ts";
import type { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { Line } from "../../../cluster/line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

async function make(store: JetStreamStore, name: string): Promise<string> {
  using log = store.create(name, NO_FACTS);
  await log.append([message(name)]);
  return log.epoch;
}

/** Returns the number of messages of a stream. */
async function count(
  manager: JetStreamManager,
  stream: string,
): Promise<number> {
  return (await manager.streams.info(stream)).state.messages;
}

Deno.test({
  name: "JetStreamStore finishes the deletion of a relay that died meanwhile",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const clock = new FakeClock(1_000_000);
    await using store = await openStore(server.host, clock);
    const epoch = await make(store, "t");
    await make(store, "other");
    const nats = await connect({ servers: server.host });
    try {
      const manager = await jetstreamManager(nats);
      const subject = "$KV.rivulet_topics.t";
      const made = await manager.streams.getMessage("KV_rivulet_topics", {
        last_by_subj: subject,
      });
      const kept = await count(manager, "rivulet_logs");
      // As a relay leaves it that has deleted the topic, and has removed no message.
      const record = JSON.stringify({ v: 1, logs: [], gone: [epoch] });
      const after = headers();
      after.set(AFTER, String(made?.seq));
      nats.publish(subject, record, { headers: after });
      await until(
        async () => (await store.list(ALL)).length === 1 || undefined,
        LIMIT,
        "the topic to be gone",
      );
      await store.deleteEnded(0);
      assertEquals(await count(manager, "rivulet_logs"), kept);
      await clock.advance(30_000);
      await store.deleteEnded(0);
      assert(await count(manager, "rivulet_logs") < kept);
      const left = await manager.streams.info("rivulet_logs", {
        subjects_filter: ">",
      });
      const subjects = Object.keys(left.state.subjects ?? {});
      assertEquals(subjects.length, 1);
      assert(subjects[0]?.startsWith("rivulet.log.other."), subjects[0]);
      const names = await manager.streams.info("KV_rivulet_topics", {
        subjects_filter: ">",
      });
      assertEquals(Object.keys(names.state.subjects ?? {}), [
        "$KV.rivulet_topics.other",
      ]);
    } finally {
      await nats.close();
    }
  },
});

const ALL = { after: "", prefix: "", limit: 100 };

Deno.test({
  name: "JetStreamStore fills a page of a list though a topic is gone by then",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using line = await Line.start(() => [server.port]);
    await using other = await openStore(server.host);
    const names = ["a", "b", "c", "d", "e"];
    const epochs = new Map<string, string>();
    for (const name of names) epochs.set(name, await make(other, name));
    await using store = await openStore(`127.0.0.1:${line.port}`);
    const list = async (query: Partial<typeof ALL>) =>
      (await store.list({ ...ALL, ...query })).map(({ name }) => name);
    // From then on it knows all names, and has none of the topics at hand.
    assertEquals(await list({ prefix: "none" }), []);
    // It hears of what is deleted only later.
    line.delay = 200;
    await other.delete("a", epochs.get("a")!);
    await other.delete("c", epochs.get("c")!);
    const page = await list({ limit: 2 });
    line.delay = 0;
    assertEquals(page, ["b", "d"]);
    assertEquals(await list({ after: "d", limit: 2 }), ["e"]);
  },
});
