// Rarer faults, and odd but right uses: names, prefixes, clocks, a deleted consumer, no room.
import { assert, assertEquals } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { openStore } from "../../../support/nats/open_store.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

async function post({ request }: TestRelay, name: string, data: string) {
  const response = await request(`/topics/${name}`, {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body: data,
  });
  const { status } = response;
  return { status, body: await response.text() };
}

async function dataOf({ request }: TestRelay, name: string): Promise<string> {
  const page = await request(`/topics/${name}`, {
    headers: { Accept: "application/json" },
  });
  const { events } = await page.json();
  return events.map(({ data }: { readonly data: string }) => data).join();
}

async function namesOf({ request }: TestRelay): Promise<readonly string[]> {
  const { topics } = await (await request("/topics?limit=100")).json();
  return topics.map(({ name }: { readonly name: string }) => name);
}

Deno.test({
  name: "Relays keep topics apart whose names NATS would take for patterns",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const store = `nats://${server.host}`;
    await using relay = await startRelay({ store });
    await using other = await startRelay({ store });
    const names = [
      ...["A", "a", "a.b", "a..b", "a.", "~", ":", "-", "_", "a:b~c.d"],
      ...["record", "who", "x".repeat(128), `x${".".repeat(127)}`],
    ].sort();
    for (const name of names) {
      assertEquals((await post(relay, name, name)).status, 200, name);
    }
    for (const name of names) assertEquals(await dataOf(other, name), name);
    assertEquals(await namesOf(other), names);
  },
});

Deno.test({
  name: "Clusters whose prefixes begin alike share a NATS, and nothing else",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const prefixes = ["one", "one_logs", "ONE"];
    await using stack = new AsyncDisposableStack();
    const relays: TestRelay[] = [];
    for (const prefix of prefixes) {
      const store = `nats://${server.host}?prefix=${prefix}`;
      relays.push(stack.use(await startRelay({ store })));
    }
    for (const [index, relay] of relays.entries()) {
      await post(relay, "t", prefixes[index]!); // of as many
    }
    for (const [index, relay] of relays.entries()) {
      assertEquals(await dataOf(relay, "t"), prefixes[index]);
    }
  },
});

Deno.test({
  name: "A relay hears of new topics again whose consumer was deleted in NATS",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const store = `nats://${server.host}`;
    await using relay = await startRelay({ store });
    await using other = await startRelay({ store });
    await post(relay, "before", "a");
    const nats = await connect({ servers: server.host });
    const { consumers } = await jetstreamManager(nats);
    for await (const { name } of consumers.list("KV_rivulet_topics")) {
      await consumers.delete("KV_rivulet_topics", name);
    }
    await nats.close();
    await post(relay, "later", "b");
    await until(
      async () => (await namesOf(other)).includes("later") || undefined,
      LIMIT,
      "the other relay to list it",
    );
  },
});

Deno.test({
  name: "A relay ends and deletes topics when NATS is full, which makes room",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    const store = `nats://${server.host}?max-bytes=100000`;
    await using relay = await startRelay({ store });
    const large = "x".repeat(60_000);
    assertEquals((await post(relay, "t", large)).status, 200);
    const refused = await post(relay, "u", large);
    assertEquals(refused.status, 507, refused.body);
    assert(refused.body.includes("max-bytes"), refused.body);
    const ended = await relay.request("/topics/t/end", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: "{}",
    });
    assertEquals(ended.status, 200, await ended.text());
    const deleted = await relay.request("/topics/t", { method: "DELETE" });
    assertEquals(deleted.status, 204);
    assertEquals((await post(relay, "u", large)).status, 200);
    assertEquals(await dataOf(relay, "u"), large);
  },
});

Deno.test({
  name: "JetStreamStore says that the clock of another relay is ahead, once",
  ignore,
  async fn() {
    await using log = await LogCapture.start();
    await using server = await NatsServer.start();
    const clock = new FakeClock(1_000_000);
    const ahead = new FakeClock(4_600_000);
    await using store = await openStore(server.host, clock);
    await using other = await openStore(server.host, ahead);
    const told = () => log.lines.filter((line) => line.includes("s ahead of"));
    for (let count = 0; count < 4; count++) {
      await ahead.advance(500);
      await clock.advance(500);
      await other.get("nothing", "nothing");
      await store.get("nothing", "nothing");
    }
    await until(() => told().length > 0 || undefined, LIMIT, "the warning");
    assertEquals(told().length, 1);
    assert(/\b3600\b/.test(log.text), log.text);
    using made = other.create("t", NO_FACTS);
    await made.append([message("a")]);
    await store.prepare("t", { isFresh: true });
    using found = store.find("t");
    assertEquals(found?.next, 2);
  },
});
