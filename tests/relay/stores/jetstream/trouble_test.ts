// What a relay says when NATS is away, refuses it, is full, or has something else there.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { createRelay, RelayStartError } from "../../../../relay/mod.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

async function post(
  { request }: TestRelay,
  data: string,
): Promise<{ status: number; retry: string | null; body: string }> {
  const response = await request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ data }),
  });
  const { status, headers } = response;
  const body = await response.text();
  return { status, retry: headers.get("retry-after"), body };
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

Deno.test({
  name: "A relay without NATS listens, says so, and goes on once NATS is there",
  ignore,
  async fn() {
    let port: number;
    {
      await using server = await NatsServer.start();
      port = server.port;
    }
    await using relay = await startRelay({ store: `nats://127.0.0.1:${port}` });
    assertEquals(await readiness(relay), 503);
    const refused = await post(relay, "a");
    assertEquals(refused.status, 503, refused.body);
    assert(refused.retry);
    assertEquals(JSON.parse(refused.body).failure, "away");
    await using _server = await NatsServer.start({ port });
    await until(
      async () => await readiness(relay) === 200 || undefined,
      LIMIT,
      "the relay to be ready",
    );
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
    const page = await relay.request("/topics/t", {
      headers: { Accept: "application/json" },
    });
    assertEquals((await page.json()).events[0].data, large);
    const refused = await post(relay, large);
    assertEquals(refused.status, 507, refused.body.slice(0, 300));
    assertEquals(JSON.parse(refused.body).failure, "full");
  },
});
