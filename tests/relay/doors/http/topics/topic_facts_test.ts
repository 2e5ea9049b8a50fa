// The facts of a topic: each field, over each store, after a restart, and at
// another relay.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../../../../src/testing/fake_clock.ts";
import type { TopicDescription } from "../../../../../relay/topics/topic_description.ts";
import {
  type GatewayWorld,
  startGateway,
} from "../../../../support/gateway/gateway_world.ts";
import { lacksNats } from "../../../../support/nats/nats_server.ts";
import { passTime } from "../../../../support/pass_time.ts";
import { TemporaryFolder } from "../../../../support/relay/sqlite_world.ts";
import { startRelay, type TestRelay } from "../../../../support/relay/relay.ts";
import { makeStorePlace } from "../../../../support/relay/stores.ts";
import { LIMIT, until } from "../../../../support/within.ts";

async function infoOf(
  relay: Pick<TestRelay, "request">,
  name = "t",
): Promise<TopicDescription> {
  const response = await relay.request(`/topics/${name}/info`);
  const info = await response.json();
  assertEquals(response.status, 200, JSON.stringify(info));
  return info;
}

function chunk(delta: object, rest: object = {}): string {
  const choices = [{ index: 0, delta, finish_reason: null }];
  return `data: ${JSON.stringify({ id: "c-1", choices, ...rest })}\n\n`;
}

/** A stream of the Chat Completions API up to its first token, and from there on. */
const START = chunk({ role: "assistant" });
const REST = chunk({ content: "a" }) + chunk({}, {
  choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
}) + chunk({}, {
  choices: [],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
}) + "data: [DONE]\n\n";

/** Has a provider be asked twice, and answer with a token after a while. */
async function run(world: GatewayWorld, clock: FakeClock): Promise<void> {
  const start = clock.now();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "t", "idempotency-key": "k" },
    body: { model: "m-1" },
  });
  const asked = await infoOf(world);
  assertEquals(asked.state, "pending");
  assertEquals(asked.filledBy, {
    kind: "run",
    provider: "raw",
    endpoint: "chat/completions",
  });
  assertEquals(
    asked.run,
    {
      askedAt: start,
      attempts: 1,
      model: "m-1",
      caller: "connected",
    } as TopicDescription["run"],
  );
  exchange.close();
  const second = await passTime(clock, world.provider.next());
  await second.body();
  await second.stream(START, { "x-request-id": "req_7" });
  await until(
    async () => (await infoOf(world)).next === 2 || undefined,
    LIMIT,
    "the first event",
  );
  const begun = await infoOf(world);
  assertEquals(begun.state, "open");
  assertEquals(begun.run?.firstTokenAfter, undefined);
  await clock.advance(1_000);
  await second.end(REST);
  await (await answer).rest();
  await world.ended("t");
  const { recording, caller } = await until(
    async () => {
      const { run } = await infoOf(world);
      return run?.recording !== undefined && run.caller === "answered"
        ? run
        : undefined;
    },
    LIMIT,
    "the recording, and the answer",
  );
  assertMatch(recording ?? "", /^[^/]+-t\.sse$/);
  assertEquals(caller, "answered");
}

/**
 * Checks what is known of it when it has ended. Whoever has not run it does not know of
 * its caller, unless that had its answer before the end.
 */
function assertEnded(info: TopicDescription, isHere = false): void {
  const { run, endedAt, createdAt, firstEventAt, lastEventAt } = info;
  assert(run && endedAt && firstEventAt && lastEventAt);
  assert(run.caller || !isHere);
  const { askedAt, retries = [], firstTokenAfter, duration } = run;
  assert(createdAt >= askedAt && firstEventAt >= createdAt);
  assert(lastEventAt >= firstEventAt && endedAt >= lastEventAt);
  assertEquals(duration, endedAt - askedAt);
  assert(firstTokenAfter && firstTokenAfter >= 1_000, `${firstTokenAfter}`);
  assert(firstTokenAfter <= endedAt - askedAt);
  assertEquals(retries.length, 1);
  assert(retries[0]!.at >= askedAt && retries[0]!.reason.length > 5);
  assertEquals([info.first, info.next, info.state], [1, 6, "ended"]);
  assertEquals(info.end, { status: "complete" });
  assertEquals(info.filledBy?.kind, "run");
  assert(info.bytes > 300);
  assertEquals(run, {
    ...{ askedAt, retries, firstTokenAfter, duration },
    model: "m-1",
    attempts: 2,
    status: 200,
    usage: { inputTokens: 7, outputTokens: 3, totalTokens: 10 },
    requestId: "req_7",
    responseId: "c-1",
    recording: run.recording,
    ...(run.caller && { caller: "answered" as const }),
  });
}

for (const kind of ["memory", "sqlite", "JetStream"] as const) {
  const ignore = kind === "JetStream" && lacksNats();
  Deno.test({
    name: `The facts of a run are told, and kept (${kind})`,
    ignore,
    async fn() {
      await using folder = new TemporaryFolder();
      await using place = await makeStorePlace(kind);
      const store = place.address;
      const clock = new FakeClock(Date.now());
      const options = {
        ...{ store, clock },
        gateway: { record: `${folder.path}/recordings` },
      };
      {
        await using world = await startGateway(options, { idempotent: true });
        await run(world, clock);
        assertEnded(await infoOf(world), true);
        if (place.isShared) {
          await using other = await startRelay({ store, clock });
          assertEnded(await infoOf(other));
          const { topics } = await (await other.request("/topics")).json();
          assertEnded(topics[0]);
        }
      }
      if (kind === "memory") return;
      await using next = await startRelay({ store, clock });
      // From a list first: to be looked at, a topic need not be taken into memory.
      const { topics } = await (await next.request("/topics")).json();
      assertEnded(topics[0]);
      assertEnded(await infoOf(next));
    },
  });
}

Deno.test("A caller that leaves its run is told to have left, and a run that fails to have been refused", async () => {
  await using world = await startGateway();
  const leaves = new AbortController();
  const { exchange, answer } = await world.begin({
    headers: { "rivulet-topic": "left" },
    signal: leaves.signal,
  });
  await exchange.stream(START);
  await answer;
  leaves.abort();
  await until(
    async () =>
      (await infoOf(world, "left")).run?.caller === "left" || undefined,
    LIMIT,
    "the caller to have left",
  );
  const refused = await world.begin({ headers: { "rivulet-topic": "no" } });
  await refused.exchange.json(400, { error: { message: "no such model" } });
  await (await refused.answer).rest();
  const { run, end } = await infoOf(world, "no");
  assertEquals([end?.status, run?.status, run?.attempts], ["failed", 400, 1]);
});

Deno.test("A source is told as data, without its secrets; a file, and publications", async () => {
  await using folder = new TemporaryFolder();
  const file = `${folder.path}/a.sse`;
  await Deno.writeTextFile(file, "data: 1\n\n");
  await using upstream = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      new Response(
        new ReadableStream({
          start: (body) =>
            body.enqueue(new TextEncoder().encode("data: 1\n\n")),
        }),
        { headers: { "content-type": "text/event-stream" } },
      ),
  );
  const secret = "s3cr3t-9f8e7d6c5b4a39281706";
  const url =
    `http://user:${secret}@127.0.0.1:${upstream.addr.port}/x?api_key=${secret}&a=1`;
  await using relay = await startRelay({
    sources: [{ name: "feed", url }],
    fixtures: [{ name: "file", path: file, loop: false }],
  });
  relay.relay.topics.create("mine").append([{ data: "1" }]);
  await until(
    async () => (await infoOf(relay, "feed")).next === 2 || undefined,
    LIMIT,
    "an event",
  );
  const text = await (await relay.request("/topics")).text();
  assert(!text.includes(secret), text);
  assertEquals((await infoOf(relay, "file")).filledBy, {
    kind: "fixture",
    file,
  });
  const { filledBy, source } = await infoOf(relay, "feed");
  assert(filledBy?.kind === "sse");
  assertEquals(filledBy.url, source);
  assertEquals((await infoOf(relay, "mine")).filledBy, undefined);
});

Deno.test("The lag of a topic is that of its slowest follower", async () => {
  await using relay = await startRelay();
  const topic = relay.relay.topics.create("t");
  assertEquals((await infoOf(relay)).lag, undefined);
  const follow = (query: string): WebSocket =>
    new WebSocket(`${relay.url.replace("http", "ws")}/topics/t${query}`);
  const quick = follow("");
  const slow = follow("?window=1000");
  await until(() => topic.followers === 2 || undefined, LIMIT, "followers");
  assertEquals((await infoOf(relay)).lag, 0);
  for (let index = 0; index < 50; index++) {
    topic.append([{ data: "x".repeat(100) }]);
  }
  await until(
    async () => {
      const { lag = 0, subscribers } = await infoOf(relay);
      return lag >= 40 && lag < 50 && subscribers === 2 || undefined;
    },
    LIMIT,
    "the lag of who acknowledges nothing",
  );
  slow.close();
  await until(
    async () => (await infoOf(relay)).lag === 0 || undefined,
    LIMIT,
    "no lag of who reads",
  );
  quick.close();
  await until(
    async () => (await infoOf(relay)).lag === undefined || undefined,
    LIMIT,
    "nobody who follows",
  );
});

Deno.test("Information about a topic is for those who may read it, and makes no topic", async () => {
  await using relay = await startRelay();
  const response = await relay.request("/topics/none/info");
  assertEquals((await response.json()).code, "unknown_topic");
  assertEquals(relay.relay.topics.size, 0);
});
