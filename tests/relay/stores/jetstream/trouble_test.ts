// The messages of a relay when NATS is away, refuses it, is full, or has
// something else under its names.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { createRelay, RelayStartError } from "../../../../relay/mod.ts";
import { JetStreamStore } from "../../../../relay/stores/jetstream/jetstream_store.ts";
import { parseNatsAddress } from "../../../../relay/stores/jetstream/nats_address.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { Line } from "../../../cluster/line.ts";
import { freePort } from "../../../support/http/free_port.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

async function post(
  { request }: TestRelay,
  data: string,
  key?: string,
): Promise<{ status: number; retry: string | null; body: string }> {
  const response = await request("/topics/t", {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      ...(key !== undefined && { "Idempotency-Key": key }),
    },
    body: JSON.stringify({ data }),
  });
  const { status, headers } = response;
  const body = await response.text();
  return { status, retry: headers.get("retry-after"), body };
}

/** Returns the data of all events of the topic. */
async function eventsOf({ request }: TestRelay): Promise<readonly string[]> {
  const page = await request("/topics/t", {
    headers: { Accept: "application/json" },
  });
  const { events } = await page.json();
  return events.map(({ data }: { readonly data: string }) => data);
}

async function ready(relay: TestRelay, status: number): Promise<void> {
  await until(
    async () => await readiness(relay) === status || undefined,
    LIMIT,
    `/readyz to answer ${status}`,
  );
}

async function readiness({ request }: TestRelay): Promise<number> {
  const { status, body } = await request("/readyz");
  await body?.cancel();
  return status;
}

async function refusal(store: string): Promise<string> {
  const relay = createRelay({ port: 0, store });
  const error = await assertRejects(() => relay.listen(), RelayStartError);
  assertEquals(error.code, "store_failed");
  return error.message;
}

/** A store that does not ask for long. */
function impatient(host: string): JetStreamStore {
  return new JetStreamStore({
    address: parseNatsAddress(`nats://${host}`)!, // it is an address
    retention: { maxEvents: 100, maxBytes: 1_000_000, maxAge: 1_000_000 },
    clock: systemClock,
    // Answers of a busy machine come within it.
    patience: 2_000,
  });
}

Deno.test({
  name: "A relay without NATS listens, says so, and goes on once NATS is there",
  ignore,
  async fn() {
    const port = freePort();
    await using relay = await startRelay({ store: `nats://127.0.0.1:${port}` });
    assertEquals(await readiness(relay), 503);
    const refused = await post(relay, "a");
    assertEquals(refused.status, 503, refused.body);
    assert(refused.retry);
    assertEquals(JSON.parse(refused.body).failure, "away");
    await using socket = await RawWebSocket.open(relay.url, "/ws");
    // A refusal, and no end of the connection.
    for (const id of ["1", "2"]) {
      await socket.say({ type: "subscribe", topic: `t-${id}` });
      const { code, retryable } = await socket.message("error");
      assertEquals([code, retryable], ["store_failed", true]);
    }
    await using _server = await NatsServer.start({ port });
    await ready(relay, 200);
    assertEquals((await post(relay, "a")).status, 200);
  },
});

Deno.test({
  name:
    "A relay leaves a stream alone that is another's, and a NATS that will not have it",
  ignore,
  async fn() {
    await using server = await NatsServer.start({
      config: "authorization { user: u, password: sesame }",
    });
    const said = await refusal(`nats://u:wrong-word@${server.host}`);
    assert(said.includes("credentials"), said);
    assert(!said.includes("wrong-word"), said);
    const nats = await connect({
      servers: server.host,
      user: "u",
      pass: "sesame",
    });
    const manager = await jetstreamManager(nats);
    await manager.streams.add({ name: "rivulet_logs", subjects: ["other"] });
    await nats.close();
    const foreign = await refusal(`nats://u:sesame@${server.host}`);
    assert(foreign.includes("rivulet_logs"), foreign);
    assert(foreign.includes("prefix"), foreign);
    await using _relay = await startRelay({
      store: `nats://u:sesame@${server.host}?prefix=mine`,
    });
  },
});

Deno.test({
  name:
    "A relay refuses events that NATS has no room for, and keeps larger ones than a message",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using relay = await startRelay({
      store: `nats://${server.host}?max-bytes=4000000`,
    });
    // NATS takes messages of 1 MiB.
    const large = "x".repeat(2_500_000);
    assertEquals((await post(relay, large)).status, 200);
    assertEquals(await eventsOf(relay), [large]);
    const refused = await post(relay, large);
    assertEquals(refused.status, 507, refused.body.slice(0, 300));
    assertEquals(JSON.parse(refused.body).failure, "full");
  },
});

Deno.test({
  name: "A relay waits for a slow NATS, and keeps once what it did not hear of",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using line = await Line.start(() => [server.port]);
    const store = impatient(`127.0.0.1:${line.port}`);
    await using relay = await startRelay({ store });
    line.delay = 100;
    assertEquals((await post(relay, "a", "1")).status, 200);
    // Longer than an answer is waited for.
    line.delay = 5_000;
    const refused = await post(relay, "b", "2");
    assertEquals(refused.status, 503, refused.body);
    assert(refused.retry);
    const { failure, detail } = JSON.parse(refused.body);
    assertEquals(failure, "away");
    assert(detail.includes("does not answer"), detail);
    line.delay = 0;
    const kept = await until(
      async () => {
        const { status } = await post(relay, "b", "2");
        return status === 200 || undefined;
      },
      LIMIT,
      "the same publication to be answered",
    );
    assert(kept);
    assertEquals(await eventsOf(relay), ["a", "b"]);
  },
});

Deno.test({
  name:
    "A relay says that its stream was deleted, and makes it anew at a start",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    {
      const store = impatient(server.host);
      await using relay = await startRelay({ store });
      assertEquals((await post(relay, "a")).status, 200);
      const nats = await connect({ servers: server.host });
      await (await jetstreamManager(nats)).streams.delete("rivulet_logs");
      await nats.close();
      const refused = await post(relay, "b");
      assertEquals(refused.status, 507, refused.body);
      const { failure, detail } = JSON.parse(refused.body);
      assertEquals(failure, "corrupt");
      assert(detail.includes("was deleted. Restart the relays"), detail);
      await ready(relay, 503);
    }
    const store = `nats://${server.host}`;
    await using relay = await startRelay({ store });
    assertEquals((await post(relay, "c")).status, 200);
  },
});

Deno.test({
  name:
    "A relay says what it may not do any more, and goes on when it may again",
  ignore,
  async fn() {
    const configOf = (publish: string, subscribe: string): string =>
      `authorization { users: [ { user: u, password: p, permissions: { publish: { deny: ["${publish}"] }, subscribe: { deny: ["${subscribe}"] } } } ] }`;
    const nothing = configOf("none", "none");
    await using server = await NatsServer.start({ config: nothing });
    await using relay = await startRelay({
      store: `nats://u:p@${server.host}`,
    });
    assertEquals((await post(relay, "a")).status, 200);
    await server.reload(configOf("rivulet.log.>", "none"));
    const refused = await until(
      async () => {
        const refused = await post(relay, "b");
        return refused.status === 200 ? undefined : refused;
      },
      LIMIT,
      "a refusal",
    );
    const { failure, detail } = JSON.parse(refused.body);
    assertEquals(failure, "denied");
    assert(detail.includes("publish to 'rivulet.log.t."), detail);
    await server.reload(configOf("none", "rivulet.beat"));
    await ready(relay, 503);
    await server.reload(nothing);
    await ready(relay, 200);
    assertEquals((await post(relay, "c")).status, 200);
    const events = await eventsOf(relay);
    assertEquals([events[0], events.at(-1)], ["a", "c"]);
  },
});
