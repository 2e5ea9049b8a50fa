import { assert, assertEquals } from "@std/assert";
import { readEvents } from "../../../../../src/sse/read_events.ts";
import { FakeClock } from "../../../../../src/testing/fake_clock.ts";
import { startRelay, type TestRelay } from "../../../../support/relay/relay.ts";
import { SECRET, signToken } from "../../../../support/rights/signed_token.ts";
import { LIMIT, until, within } from "../../../../support/within.ts";

interface Listed {
  readonly name: string;
  readonly state: string;
  readonly next: number;
}

interface List {
  readonly topics: readonly Listed[];
  readonly next?: string;
  readonly gone?: readonly string[];
}

async function list(relay: TestRelay, query = ""): Promise<List> {
  const response = await relay.request(`/topics${query}`);
  assertEquals(response.status, 200);
  return await response.json();
}

function names({ topics }: List): string[] {
  return topics.map(({ name }) => name);
}

function message(data: string) {
  return { event: "message", data, id: "" };
}

Deno.test("E12: GET /topics gives pages, in the order of names, up to the last topic", async () => {
  await using relay = await startRelay();
  const all = Array.from(
    { length: 2_345 },
    (_, index) => `t-${String((index * 1_009) % 2_345).padStart(4, "0")}`,
  );
  for (const name of all) relay.relay.topics.create(name);
  const first = await relay.request("/topics");
  const text = await first.text();
  assert(text.length < 20_000, `${text.length} characters`);
  assertEquals(JSON.parse(text).topics.length, 100);
  for (const limit of [undefined, 1, 7, 1_000]) {
    const found: string[] = [];
    for (
      let after: string | undefined = limit === 1 ? "t-2330" : "";
      after !== undefined;
    ) {
      const page: List = await list(
        relay,
        `?after=${after}${limit === undefined ? "" : `&limit=${limit}`}`,
      );
      found.push(...names(page));
      // One that is deleted meanwhile does not move the others.
      relay.relay.topics.delete(page.next ?? "");
      after = page.next;
    }
    assertEquals(
      found,
      [...all].sort().filter((name) => limit !== 1 || name > "t-2330").filter((
        name,
      ) => found.includes(name)),
    );
    assert(new Set(found).size === found.length);
    for (const name of all) relay.relay.topics.create(name);
    assertEquals(found.length, limit === 1 ? 14 : 2_345);
  }
});

Deno.test("E12: GET /topics finds topics by prefix and state, of those that one may read", async () => {
  await using relay = await startRelay({ rights: { jwtKey: SECRET } });
  const { topics } = relay.relay;
  for (const name of ["a", "a-1", "a-2", "b-1", "secret-1", "~"]) {
    topics.create(name);
  }
  topics.get("a-1")?.append([message("x")]);
  topics.get("a-2")?.end("complete");
  topics.get("secret-1")?.end("complete");
  const token = signToken({
    exp: Math.floor(Date.now() / 1_000) + 600,
    rivulet: { read: ["a*", "b*", "~"] },
  });
  const found = async (query: string): Promise<string[]> => {
    const response = await relay.request(`/topics${query}`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    return names(await response.json());
  };
  assertEquals(await found(""), ["a", "a-1", "a-2", "b-1", "~"]);
  assertEquals(await found("?prefix=a-"), ["a-1", "a-2"]);
  assertEquals(await found("?prefix=a-&after=a-1"), ["a-2"]);
  assertEquals(await found("?prefix=b&after=a"), ["b-1"]);
  assertEquals(await found("?prefix=secret"), []);
  assertEquals(await found("?prefix=zzz"), []);
  assertEquals(await found("?state=ended"), ["a-2"]);
  assertEquals(await found("?state=open&prefix=a"), ["a-1"]);
  assertEquals(await found("?state=pending"), ["a", "b-1", "~"]);
});

Deno.test("E12: GET /topics refuses what it does not take", async () => {
  await using relay = await startRelay();
  for (
    const query of [
      "limit=0",
      "limit=1001",
      "limit=1e2",
      "limit=",
      "limit=-1",
      "state=closed",
      "state=",
      `prefix=${"x".repeat(129)}`,
      `after=${"x".repeat(129)}`,
    ]
  ) {
    for (const accept of ["application/json", "text/event-stream"]) {
      const response = await relay.request(`/topics?${query}`, {
        headers: { Accept: accept },
      });
      const { code } = await response.json();
      assertEquals([response.status, code], [400, "invalid_query"], query);
    }
  }
  const response = await relay.request("/topics", {
    headers: { Accept: "image/png" },
  });
  assertEquals((await response.json()).code, "not_acceptable");
});

Deno.test("E12: GET /topics as an event stream is a snapshot, and then what changes", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { heartbeat: 10_000, slowTimeout: Infinity },
  });
  const { topics } = relay.relay;
  for (const name of ["a-1", "a-2", "a-3", "b"]) topics.create(name);
  const { body, headers } = await relay.request("/topics?prefix=a&limit=3", {
    headers: { Accept: "text/event-stream" },
  });
  assertEquals(headers.get("content-type"), "text/event-stream; charset=utf-8");
  assert(body);
  const events = readEvents(body)[Symbol.asyncIterator]();
  const next = async (): Promise<[string, List]> => {
    const { value } = await within(events.next(), LIMIT, "an event");
    return [value?.event ?? "", JSON.parse(value?.data ?? "null")];
  };
  const [event, snapshot] = await next();
  assertEquals([event, names(snapshot)], ["rivulet.snapshot", [
    "a-1",
    "a-2",
    "a-3",
  ]]);
  // A thousand changes within half a second are one.
  for (let index = 0; index < 1_000; index++) {
    topics.get("a-2")?.append([message("x")]);
  }
  topics.get("b")?.append([message("x")]);
  await clock.advance(500);
  const [changes, changed] = await next();
  assertEquals(changes, "rivulet.changes");
  assertEquals(
    changed.topics.map(({ name, state, next }) => [name, state, next]),
    [["a-2", "open", 1_001]],
  );
  assertEquals(changed.gone, []);
  // Nothing happens, and nothing is said but a sign of life.
  await clock.advance(11_000);
  topics.delete("a-1");
  topics.create("a-0");
  topics.create("a-4");
  await clock.advance(500);
  const [, moved] = await next();
  assertEquals([names(moved), moved.gone, moved.next], [
    ["a-0"],
    ["a-1"],
    "a-3",
  ]);
  // It ends with the relay.
  const closed = relay.relay.close();
  const { done } = await events.next();
  assertEquals(done, true);
  await closed;
});

Deno.test("E12: a stream of topics that is not read costs little, and is cut", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({
    clock,
    delivery: { slowTimeout: 10_000 },
  });
  const { topics } = relay.relay;
  for (let index = 0; index < 1_000; index++) topics.create(`t-${index}`);
  const controller = new AbortController();
  const { body } = await relay.request("/topics?limit=1000", {
    headers: { Accept: "text/event-stream" },
    signal: controller.signal,
  });
  const metric = async (name: string): Promise<number> => {
    const text = await (await relay.request("/metrics")).text();
    return Number(
      text.split("\n").find((line) => line.startsWith(`${name} `))
        ?.slice(name.length),
    );
  };
  let most = 0;
  await until(
    async () => {
      for (const topic of topics) topic.append([message("x")]);
      await clock.advance(500);
      most = Math.max(most, await metric("rivulet_queued_bytes"));
      return await metric('rivulet_connections_cut_total{reason="slow"}') > 0 ||
        undefined;
    },
    LIMIT,
    "the stream to be cut",
  );
  assert(most < 2_000_000, `${most} bytes are queued`);
  controller.abort();
  await body?.cancel().catch(() => {});
});

Deno.test("E12: a stream of topics ends when the token of its reader expires", async () => {
  const clock = new FakeClock(Date.now());
  await using relay = await startRelay({ clock, rights: { jwtKey: SECRET } });
  const token = signToken({
    rivulet: { read: ["*"] },
    exp: Math.floor(clock.now() / 1_000) + 60,
  });
  const { body } = await relay.request("/topics", {
    headers: {
      Accept: "text/event-stream",
      Authorization: `Bearer ${token}`,
    },
  });
  assert(body);
  const text = new Response(body).text();
  for (let second = 0; second < 300; second++) await clock.advance(1_000);
  assert(
    (await within(text, LIMIT, "the end")).startsWith(
      "event: rivulet.snapshot\n",
    ),
  );
});
