import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { Metrics } from "../../../relay/metrics/metrics.ts";
import type { MeasuredTopic } from "../../../relay/metrics/topic_metrics.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { Exposition } from "../../support/observing/exposition.ts";
import { FakeReadings } from "../../support/observing/fake_readings.ts";
import { propertyParameters } from "../../support/property.ts";

/** Metrics of a relay that has what a test says. */
class Measured implements Disposable {
  readonly clock = new FakeClock();
  readonly readings = new FakeReadings();
  readonly metrics = new Metrics(this.readings, {
    clock: this.clock,
    version: "1.2.3",
  });

  async read(): Promise<Exposition> {
    return new Exposition(await this.metrics.text());
  }

  [Symbol.dispose](): void {
    this.metrics[Symbol.dispose]();
  }
}

function topic(
  kind: MeasuredTopic["state"]["kind"],
  upstream?: NonNullable<MeasuredTopic["upstream"]>["state"],
  log: MeasuredTopic["log"] = { first: 1, next: 1, bytes: 0 },
): MeasuredTopic {
  return {
    state: { kind },
    upstream: upstream && { state: upstream },
    log,
  };
}

Deno.test("Metrics are named as Prometheus asks for", async () => {
  using measured = new Measured();
  const { families } = await measured.read();
  for (const { name, type, help } of families.values()) {
    assert(/^(rivulet|process)_[a-z_]+$/.test(name), name);
    assertEquals(name.endsWith("_total"), type === "counter", name);
    const isGaugeOfBytes = name.includes("bytes") && type !== "counter";
    if (isGaugeOfBytes) assert(name.endsWith("_bytes"), name);
    const unit = /_(milliseconds|ms|kb|mb|percent)(_|$)/;
    assert(!unit.test(name), `${name} has no base unit`);
    assert(/^[A-Z0-9].*\.$/.test(help), `${name}: ${help}`);
  }
  assertEquals(
    measured.metrics.contentType,
    "text/plain; version=0.0.4; charset=utf-8",
  );
});

Deno.test("Metrics have every series from the beginning, at 0: a first one can be seen then", async () => {
  using measured = new Measured();
  const { families } = await measured.read();
  for (const { name, type, samples } of families.values()) {
    assert(samples.length > 0, `${name} has no series`);
    if (type !== "counter" || name.startsWith("process_")) continue;
    for (const { value } of samples) assertEquals(value, 0, name);
  }
});

Deno.test("Metrics tell what there is when they are asked", async () => {
  using measured = new Measured();
  const { metrics, readings } = measured;
  readings.websockets.add({ subscriptions: [] }).add({ subscriptions: [] });
  readings.streams.add({ subscriptions: [] });
  readings.tcp = 7;
  readings.active = 4;
  readings.topicList.push(
    topic("pending"),
    topic("open", undefined, { first: 3, next: 10, bytes: 700 }),
    topic("open", undefined, { first: 1, next: 3, bytes: 60 }),
    topic("ended"),
  );
  metrics.delivery("websocket").subscribed += 9;
  metrics.delivery("websocket").unsubscribed += 4;
  const first = await measured.read();
  assertEquals(first.by("rivulet_connections", "door"), {
    websocket: 2,
    sse: 1,
  });
  assertEquals(first.value("rivulet_tcp_connections"), 7);
  assertEquals(first.value("rivulet_runs"), 4);
  assertEquals(first.by("rivulet_topics", "state"), {
    pending: 1,
    open: 2,
    ended: 1,
  });
  assertEquals(first.value("rivulet_log_events"), 9);
  assertEquals(first.value("rivulet_log_bytes"), 760);
  assertEquals(first.by("rivulet_subscriptions", "door"), {
    websocket: 5,
    sse: 0,
  });
  assertEquals(first.value("rivulet_build_info", { version: "1.2.3" }), 1);

  readings.websockets.clear();
  readings.topicList.length = 0;
  const second = await measured.read();
  assertEquals(second.value("rivulet_connections", { door: "websocket" }), 0);
  assertEquals(second.by("rivulet_topics", "state"), {
    pending: 0,
    open: 0,
    ended: 0,
  });
  assertEquals(second.value("rivulet_log_bytes"), 0);
});

Deno.test("Metrics tell how upstreams are, as far as there is one", async () => {
  using measured = new Measured();
  measured.readings.upstreamList.push(
    topic("pending"), // being connected to for the first time
    topic("open"), // nothing had to be said of it
    topic("open", "open"),
    topic("open", "connecting"),
    topic("open", "retrying"),
    topic("ended"), // it was done
    topic("ended", "open"),
    topic("ended", "retrying"), // somebody has ended the topic meanwhile
    topic("ended", "lost"),
  );
  assertEquals((await measured.read()).by("rivulet_upstreams", "state"), {
    connecting: 2,
    open: 2,
    retrying: 1,
    lost: 1,
  });
});

Deno.test("Metrics count what they are told, and are no other by being asked", async () => {
  using measured = new Measured();
  const { metrics } = measured;
  const websocket = metrics.delivery("websocket");
  websocket.opened += 3;
  websocket.subscribed += 4;
  websocket.events += 5;
  websocket.wrote(60);
  websocket.wrote(7);
  websocket.slowCloses += 8;
  websocket.gaps.slow += 9;
  metrics.delivery("sse").gaps.epoch += 10;
  metrics.published("http").add([{ data: "é" }, { data: "ab" }]);
  metrics.published("websocket").add([{ data: "" }]);
  metrics.topicEnded("truncated");
  metrics.upstreamAttempted("failed");
  metrics.upstreamAttempted("failed");
  metrics.runEnded("refused");
  metrics.providerAsked("stream");
  for (const _ of [1, 2]) {
    const seen = await measured.read();
    const door = "websocket";
    const total = (name: string): number =>
      seen.value(`rivulet_${name}_total`, { door });
    assertEquals(total("connections_opened"), 3);
    assertEquals(total("subscriptions_begun"), 4);
    assertEquals(total("delivered_events"), 5);
    assertEquals(total("delivered_messages"), 2);
    assertEquals(total("delivered_bytes"), 67);
    assertEquals(total("slow_closes"), 8);
    const gaps = (door: string, reason: string): number =>
      seen.value("rivulet_gaps_total", { door, reason });
    assertEquals([gaps(door, "slow"), gaps("sse", "epoch")], [9, 10]);
    assertEquals([gaps(door, "epoch"), gaps("sse", "slow")], [0, 0]);
    assertEquals(seen.by("rivulet_published_events_total", "door"), {
      http: 2,
      websocket: 1,
    });
    assertEquals(seen.by("rivulet_published_bytes_total", "door"), {
      http: 4,
      websocket: 0,
    });
    const counted = (name: string, label: string): unknown =>
      Object.entries(seen.by(name, label)).filter(([, value]) => value > 0);
    assertEquals(counted("rivulet_topic_ends_total", "status"), [
      ["truncated", 1],
    ]);
    assertEquals(counted("rivulet_upstream_attempts_total", "outcome"), [
      ["failed", 2],
    ]);
    assertEquals(counted("rivulet_runs_ended_total", "outcome"), [
      ["refused", 1],
    ]);
    assertEquals(counted("rivulet_provider_attempts_total", "outcome"), [
      ["stream", 1],
    ]);
  }
});

Deno.test("Metrics have no label of what a client has said", async () => {
  using measured = new Measured();
  const before = (await measured.read()).labelValues;
  let refused = 0;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constantFrom('x"} 1\nforged_total 7', "\n", "__proto__", "\\"),
      ),
      (code) => {
        fc.pre(!before.has(code));
        measured.metrics.refused(code);
        refused++;
      },
    ),
    propertyParameters(500),
  );
  measured.metrics.refused("forbidden");
  const seen = await measured.read();
  assertEquals(seen.labelValues, before);
  const reasons = Object.entries(seen.by("rivulet_refusals_total", "reason"))
    .filter(([, value]) => value > 0);
  assertEquals(reasons, [["forbidden", 1], ["other", refused]]);
});

Deno.test("Metrics put what is measured into histograms, by door", async () => {
  using measured = new Measured();
  const { clock, metrics, readings } = measured;
  await clock.advance(5_000);
  metrics.delivery("sse").aged(4_970);
  const read = (): { entries: { time: number }[] } => ({
    entries: [{ time: 8_000 }],
  });
  const log = { first: 1, next: 31, read };
  readings.websockets.add({
    subscriptions: [{ cursor: 11, topic: { log } }],
  });
  readings.streams.add({ subscriptions: [{ cursor: 31, topic: { log } }] });
  await clock.advance(10_000);
  const seen = await measured.read();
  const sums = (name: string): unknown => [
    seen.by(`rivulet_${name}_sum`, "door"),
    seen.by(`rivulet_${name}_count`, "door"),
  ];
  assertEquals(sums("append_to_write_seconds"), [
    { websocket: 0, sse: 0.03 },
    { websocket: 0, sse: 1 },
  ]);
  assertEquals(sums("lag_events"), [
    { websocket: 20, sse: 0 },
    { websocket: 1, sse: 1 },
  ]);
  assertEquals(sums("lag_seconds"), [
    { websocket: 2, sse: 0 },
    { websocket: 1, sse: 1 },
  ]);
  await clock.advance(10_000);
  const later = await measured.read();
  assertEquals(later.by("rivulet_lag_seconds_sum", "door"), {
    websocket: 2 + 12,
    sse: 0,
  });
});

Deno.test("Metrics of two relays in one process have nothing in common", async () => {
  using one = new Measured();
  using other = new Measured();
  const before = await other.metrics.text();
  one.metrics.refused("forbidden");
  one.metrics.delivery("sse").wrote(5);
  one.metrics.published("http").add([{ data: "a" }]);
  one.metrics.topicEnded("complete");
  one.readings.tcp = 3;
  assertEquals((await one.read()).value("rivulet_tcp_connections"), 3);
  const ofRelay = (text: string): string[] =>
    text.split("\n").filter((line) =>
      line.startsWith("rivulet_") && !/event_loop|heap/.test(line)
    );
  assertEquals(ofRelay(await other.metrics.text()), ofRelay(before));
});

Deno.test("Metrics tell what the process takes", async () => {
  using measured = new Measured();
  const seen = await measured.read();
  const { rss } = Deno.memoryUsage();
  const resident = seen.value("process_resident_memory_bytes");
  assert(resident > rss / 2 && resident < rss * 2, `${resident} of ${rss}`);
  assert(seen.value("rivulet_heap_used_bytes") > 1_000_000);
  assert(seen.value("process_cpu_seconds_total") > 0);
  const age = Date.now() / 1_000 - seen.value("process_start_time_seconds");
  assert(age >= 0 && age < 86_400, `${age} s`);
});

Deno.test("Metrics leave no timer behind", async () => {
  const measured = new Measured();
  await measured.clock.advance(60_000);
  measured[Symbol.dispose]();
  assertEquals(measured.clock.pending, 0);
});

Deno.test("Metrics can be asked by two at a time", async () => {
  using measured = new Measured();
  measured.metrics.delivery("sse").wrote(5);
  const texts = await Promise.all([
    measured.metrics.text(),
    measured.metrics.text(),
  ]);
  for (const text of texts) {
    const seen = new Exposition(text);
    assertEquals(
      seen.value("rivulet_delivered_bytes_total", { door: "sse" }),
      5,
    );
  }
});
