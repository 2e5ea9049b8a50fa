import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { Clock } from "../../../../src/fetch/clock.ts";
import { systemClock } from "../../../../src/fetch/clock.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { ReceiveBudget } from "../../../../relay/limits/memory/receive_budget.ts";
import { UpstreamSlots } from "../../../../relay/limits/upstream_slots.ts";
import { Problem } from "../../../../relay/problem.ts";
import { AddressPolicy } from "../../../../relay/sources/guard/address_policy.ts";
import { createGuardedFetch } from "../../../../relay/sources/guard/guarded_fetch.ts";
import { SourcePolicy } from "../../../../relay/sources/guard/source_policy.ts";
import { createSourceFetch } from "../../../../relay/sources/source_fetch.ts";
import { Upstreams } from "../../../../relay/upstream/upstreams.ts";
import { Sources, type SourceSpec } from "../../../../relay/sources/sources.ts";
import { DEFAULT_RETENTION } from "../../../support/retention.ts";
import { MemoryLog } from "../../../../relay/stores/memory_log.ts";
import { MemoryStore } from "../../../../relay/stores/memory_store.ts";
import { Leases } from "../../../../relay/topics/leases.ts";
import { Topic } from "../../../../relay/topics/topic.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { passTime } from "../../../support/pass_time.ts";
import { RawServer } from "../../../support/http/raw_server.ts";
import {
  events,
  RecordingSite,
  redirect,
} from "../../../support/upstreams/recording_site.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

/** Sources for which each look-up of any name has the next answer, and then the last one again. */
function makeSources(
  answers: (readonly string[])[],
  {
    clock = systemClock,
    slots = new UpstreamSlots(10),
    maxEvent = 1_000,
    counted = [],
  }: {
    clock?: Clock;
    slots?: UpstreamSlots;
    maxEvent?: number;
    counted?: string[];
  } = {},
): Sources {
  const left = [...answers];
  const upstreams = new Upstreams(clock);
  const policy = new SourcePolicy(["http://*:*"]);
  const sources = new Sources({
    policy,
    idleTimeout: 600_000,
    clock,
    maxEvent,
    leases: new Leases(new MemoryStore(DEFAULT_RETENTION, clock)),
    slots,
    received: new ReceiveBudget({
      maxReceived: 10_000,
      maxReceivedPerClient: 10_000,
    }),
    counts: {
      attempted: (outcome) => counted.push(outcome),
      refused: (code) => counted.push(code),
    },
    fetch: createSourceFetch(upstreams),
    guardedFetch: createGuardedFetch({
      sources: policy,
      addresses: new AddressPolicy(["127.0.0.1"]),
      upstreams,
      lookUp: () =>
        Promise.resolve((left.length > 1 ? left.shift() : left[0]) ?? []),
    }),
  });
  const end = sources[Symbol.asyncDispose].bind(sources);
  return Object.assign(sources, {
    async [Symbol.asyncDispose](): Promise<void> {
      await end();
      upstreams[Symbol.dispose]();
    },
  });
}

function makeTopic(clock: Clock = systemClock): Topic {
  return new Topic("t", new MemoryLog(DEFAULT_RETENTION, clock), clock);
}

function guarded(url: string): SourceSpec & { kind: "guarded" } {
  return {
    kind: "guarded",
    url,
    reconnect: { minTimeout: 1_000 },
    repeats: "keep",
  };
}

Deno.test("A guarded source looks its host up for each connection, and is not asked again once it is not allowed", async () => {
  await using log = await LogCapture.start();
  const clock = new FakeClock();
  await using site = await RecordingSite.start({
    "*": events("data: a\n\n"),
  });
  await using inside = await RecordingSite.start({}, "127.0.0.2");
  const counted: string[] = [];
  // It was at home when it was checked, and at each connection until now.
  await using sources = makeSources(
    [["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1"]],
    { clock, counted },
  );
  const topic = makeTopic(clock);
  const source = sources.start(topic, guarded(`http://a.test:${site.port}/`));
  await source.opened;
  const { status, reason = "" } = await passTime(clock, topic.ended);
  await source.finished;
  assertEquals([status, topic.log.next], ["failed", 3]);
  assertEquals([site.connections, inside.connections], [2, 0]);
  assertStringIncludes(reason, "no address that the operator has allowed");
  assertEquals(/127\.|address_not_allowed/.test(reason), false);
  assertEquals(topic.upstream?.state, "lost");
  assertStringIncludes(log.text, "127.0.0.2");
  assertEquals(counted, ["opened", "opened", "address_not_allowed", "failed"]);
  assertEquals(clock.pending, 0);
});

Deno.test("A guarded source is connected to again where its name cannot be looked up for a while", async () => {
  await using log = await LogCapture.start();
  const clock = new FakeClock();
  await using site = await RecordingSite.start({ "*": events("data: a\n\n") });
  const counted: string[] = [];
  await using sources = makeSources(
    [["127.0.0.1"], [], [], ["127.0.0.1"]],
    { clock, counted },
  );
  const topic = makeTopic(clock);
  const source = sources.start(topic, guarded(`http://a.test:${site.port}/`));
  await source.opened;
  await passTime(
    clock,
    until(
      () => topic.log.next > 2 || undefined,
      LIMIT,
      "the second connection",
    ),
  );
  topic.end("complete");
  await source.finished;
  assertStringIncludes(log.text, "which has no address");
  assertEquals(counted.slice(0, 6), [
    "opened",
    "unknown_host",
    "failed",
    "unknown_host",
    "failed",
    "opened",
  ]);
});

Deno.test("A guarded source that may not be reached fails its topic at once, and says nothing of where it is", async (t) => {
  await using site = await RecordingSite.start({
    "/metadata": redirect("http://169.254.169.254/latest/"),
    "/loop": redirect("/loop"),
  });
  // deno-fmt-ignore
  const table: [string, readonly string[], string, RegExp, string][] = [
    ["a private address", ["10.1.2.3"], "/", /no address/, "10.1.2.3"],
    ["one private address of two", ["127.0.0.1", "10.1.2.3"], "/", /no address/, "10.1.2.3"],
    ["no address", [], "/", /no address/, "nothing was found"],
    ["a redirect to metadata", ["127.0.0.1"], "/metadata", /no address/, "169.254.169.254"],
    ["a redirect to itself", ["127.0.0.1"], "/loop", /redirects more than 5 times/, ""],
  ];
  for (const [name, addresses, path, expected, logged] of table) {
    await t.step(name, async () => {
      await using log = await LogCapture.start();
      await using sources = makeSources([addresses]);
      const topic = makeTopic();
      const url = `http://a.test:${site.port}${path}?key=sesame`;
      const on = path === "/" ? url : url.replace("?key=sesame", "");
      const source = sources.start(topic, guarded(on));
      await source.finished;
      const { status, reason = "" } = await topic.ended;
      assertEquals([status, expected.test(reason)], ["failed", true], reason);
      assertEquals(/10\.|127\.|169\.|sesame/.test(reason), false, reason);
      assertEquals(topic.upstream, undefined);
      assertStringIncludes(log.text, logged);
      assertEquals(log.text.includes("sesame"), false);
      assertEquals(sources.size, 0);
    });
  }
});

Deno.test("Sources of the operator are not guarded", async () => {
  await using site = await RecordingSite.start({
    "/": redirect("/b"),
    "/b": events("data: a\n\n"),
  });
  const slots = new UpstreamSlots(1);
  using _slot = slots.take("");
  await using sources = makeSources([], { slots });
  const topic = makeTopic();
  sources.start(topic, {
    kind: "sse",
    required: true,
    url: site.origin.replace("127.0.0.1", "localhost"),
    reconnect: false,
    repeats: "keep",
  });
  assertEquals((await topic.ended).status, "complete");
});

Deno.test("Each guarded source takes an upstream's slot for as long as it runs", async () => {
  using server = new RawServer();
  const slots = new UpstreamSlots(2, 2);
  await using sources = makeSources([["127.0.0.1"]], { slots });
  const topics = [makeTopic(), makeTopic(), makeTopic()] as const;
  const spec = guarded(server.origin);
  const first = sources.start(topics[0], spec);
  sources.start(topics[1], spec);
  const third = makeTopic();
  const { code } = assertThrows(() => sources.start(third, spec), Problem);
  assertEquals([code, slots.taken], ["too_many_upstreams", 2]);
  assertEquals([third.source, sources.get(third)], [undefined, undefined]);
  topics[0].end("cancelled");
  await first.finished;
  assertEquals([slots.taken, sources.size], [1, 1]);
  sources.start(topics[2], spec);
  assertEquals([slots.taken, sources.size], [2, 2]);
  await sources[Symbol.asyncDispose]();
  assertEquals([slots.taken, sources.size], [0, 0]);
});

Deno.test("A source that cannot be made takes no slot", async () => {
  const slots = new UpstreamSlots(1);
  await using sources = makeSources([], { slots });
  const topic = makeTopic();
  const wrong = { ...guarded("http://a.test/"), headers: { "a b": "c" } };
  assertThrows(() => sources.start(topic, wrong), TypeError);
  assertEquals([slots.taken, sources.size], [0, 0]);
  assertEquals([sources.get(topic), topic.source], [undefined, undefined]);
});

Deno.test("Sources forget what has finished, and know what has filled a topic", async () => {
  await using site = await RecordingSite.start({ "*": events("data: a\n\n") });
  await using sources = makeSources([["127.0.0.1"]]);
  const topic = makeTopic();
  const spec = { ...guarded(site.origin), reconnect: false };
  const source = sources.start(topic, spec);
  assertEquals([sources.size, sources.get(topic)], [1, spec]);
  await source.finished;
  assertEquals([sources.size, sources.get(topic)], [0, spec]);
});

Deno.test("A guarded source that says nothing for ten minutes is connected to again", async () => {
  const clock = new FakeClock();
  using server = new RawServer();
  await using sources = makeSources([["127.0.0.1"]], { clock });
  const topic = makeTopic(clock);
  const streaming = server.stream(": here\n\n");
  const source = sources.start(topic, guarded(server.origin));
  const first = await streaming;
  await source.opened;
  await until(() => clock.pending > 0 || undefined, LIMIT, "the wait");
  await clock.advance(590_000);
  assertEquals(topic.upstream, undefined);
  const again = server.stream("data: a\n\n");
  await passTime(clock, first.closed(), 5_000);
  await passTime(clock, again);
  await until(() => topic.log.next > 1 || undefined, LIMIT, "the event");
  assertEquals(topic.state.kind, "open");
});

Deno.test("An event of a source may be as large as any", async (t) => {
  for (const kind of ["sse", "guarded"] as const) {
    await t.step(kind, async () => {
      await using site = await RecordingSite.start({
        "/10": events(`data: ${"x".repeat(4)}\n\n`),
        "/1000": events(`data: ${"x".repeat(1_001)}\n\n`),
      });
      await using sources = makeSources([["127.0.0.1"]], { maxEvent: 100 });
      const fill = async (path: string) => {
        const topic = makeTopic();
        const url = site.origin + path;
        const source = sources.start(topic, {
          ...guarded(url),
          kind,
          required: true,
          reconnect: false,
        });
        await within(source.finished, LIMIT, "the source");
        return (await topic.ended).status;
      };
      assertEquals([await fill("/10"), await fill("/1000")], [
        "complete",
        "truncated",
      ]);
    });
  }
});

Deno.test("Each attempt of a source is counted once, whatever comes of it, unless it is stopped", async (t) => {
  await using site = await RecordingSite.start({
    "/events": events("data: a\n\n"),
    "/done": (response) => response.writeHead(204).end(),
    "/not-there": (response) => response.writeHead(404).end(),
  });
  for (
    const [path, expected] of [
      ["/events", ["opened"]],
      ["/done", ["failed"]],
      ["/not-there", ["failed"]],
    ] as const
  ) {
    await t.step(path, async () => {
      const counted: string[] = [];
      await using sources = makeSources([], { counted });
      const source = sources.start(makeTopic(), {
        ...guarded(site.origin + path),
        reconnect: false,
      });
      await source.finished;
      assertEquals(counted, [...expected]);
    });
  }
  await t.step("stopped", async () => {
    using server = new RawServer();
    const counted: string[] = [];
    await using sources = makeSources([], { counted });
    const source = sources.start(makeTopic(), guarded(server.origin));
    await (await server.accept()).readHead();
    source.stop();
    await source.finished;
    assertEquals(counted, []);
  });
});
