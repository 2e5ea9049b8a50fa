// Figures and spans of a relay whose topics are in NATS.
import { assert, assertEquals } from "@std/assert";
import { message } from "../../../../relay/testing/contract_world.ts";
import { Line } from "../../../cluster/line.ts";
import { lacksNats, NatsServer } from "../../../support/nats/nats_server.ts";
import { Exposition } from "../../../support/observing/exposition.ts";
import { MadeSpans } from "../../../support/observing/made_spans.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { LIMIT, until } from "../../../support/within.ts";

const ignore = lacksNats();

async function figuresOf(
  { request }: TestRelay,
): Promise<(name: string) => number> {
  const text = await (await request("/metrics")).text();
  const samples = [...new Exposition(text).families.values()]
    .flatMap(({ samples }) => samples);
  return (name) => {
    const found = samples.filter((sample) => sample.name === `rivulet_${name}`);
    assertEquals(found.length, 1, name);
    return found[0]!.value; // there is one
  };
}

Deno.test({
  name: "A relay counts what it has NATS keep, follows, and holds in memory",
  ignore,
  async fn() {
    await using server = await NatsServer.start();
    await using relay = await startRelay({ store: `nats://${server.host}` });
    await using other = await startRelay({ store: `nats://${server.host}` });
    const topic = relay.relay.topics.create("t");
    await topic.append([message("abc"), message("def")]);
    const figure = await figuresOf(relay);
    assertEquals(figure("nats_connected"), 1);
    assertEquals(figure("nats_followed_logs"), 1);
    const size = "message".length + 3;
    assertEquals(figure("store_bytes_total"), 2 * size);
    assert(figure("store_operations_total") >= 1);
    assert(figure("store_commit_seconds_count") >= 1);
    assert(figure("store_commit_seconds_sum") > 0);
    assert(figure("nats_window_bytes") >= 2 * size);
    assertEquals(figure("store_backlog"), 0);
    assertEquals(figure("store_failures_total"), 0);
    // It follows no topic for which nobody asks.
    const idle = await figuresOf(other);
    assertEquals([idle("nats_followed_logs"), idle("nats_window_bytes")], [
      0,
      0,
    ]);
    await until(
      async () =>
        (await figuresOf(relay))("store_lag_seconds") > 0 || undefined,
      LIMIT,
      "a message to have come back from NATS",
    );
  },
});

Deno.test({
  name: "A relay counts what it asks NATS again, and says that NATS is lost",
  ignore,
  async fn() {
    const server = await NatsServer.start();
    await using relay = await startRelay({ store: `nats://${server.host}` });
    const topic = relay.relay.topics.create("t");
    await topic.append([message("abc")]);
    await server[Symbol.asyncDispose]();
    await until(
      async () => {
        const figure = await figuresOf(relay);
        return figure("nats_connected") === 0 || undefined;
      },
      LIMIT,
      "NATS to be lost",
    );
    const appended = Promise.resolve(topic.append([message("def")]))
      .catch(() => {});
    await until(
      async () => {
        const figure = await figuresOf(relay);
        return figure("nats_retries_total") > 0 &&
            figure("store_lag_seconds") > 0.5 || undefined;
      },
      LIMIT,
      "NATS to be asked again",
    );
    await appended;
    assertEquals((await figuresOf(relay))("store_failures_total"), 1);
  },
});

Deno.test({
  name: "A relay makes a span of a message that NATS was slow to keep",
  ignore,
  async fn() {
    using spans = new MadeSpans();
    await using server = await NatsServer.start();
    await using line = await Line.start(() => [server.port]);
    await using relay = await startRelay({
      store: `nats://127.0.0.1:${line.port}`,
    });
    const topic = relay.relay.topics.create("t");
    await topic.append([message("a")]);
    const before = spans.all.length;
    line.delay = 60;
    await topic.append([message("b")]);
    line.delay = 0;
    const span = spans.all.slice(before)
      .find(({ name }) => name === "store commit");
    assert(span?.isEnded);
    const took = Number(span.end) - Number(span.start);
    assert(took >= 119, `${took} ms`);
  },
});
