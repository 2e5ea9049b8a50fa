// Event streams of all topics whose names begin alike: a table of places to come back from,
// and what each is refused, told and spared.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { startRelay, type TestRelay } from "../../../support/relay/relay.ts";
import { startStoredRelay } from "../../../support/relay/stores.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import {
  type PrefixMessage,
  PrefixStream,
} from "../../../support/subscribers/prefix_stream.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

const event = (data: string) => [{ event: "message", data, id: "" }];

type Message = PrefixMessage["message"];

/** Says what a message tells of its topic. */
function told(message: Message): string[] {
  const { topic } = message;
  switch (message.type) {
    case "events":
      return (message["events"] as { data: string }[])
        .map(({ data }, at) =>
          `${topic} ${Number(message["offset"]) + at} ${data}`
        );
    case "end":
      return [`${topic} ${message["offset"]} ends ${message["status"]}`];
    case "gap":
      return [
        `${topic} gap ${message["from"]} ${message["to"]} ${message["reason"]}`,
      ];
    case "error":
      return [`${topic} ${message["code"]}`];
    default:
      return [];
  }
}

/** Reads until so much was told. */
async function read(stream: PrefixStream, count: number): Promise<string[]> {
  const seen: string[] = [];
  while (seen.length < count) seen.push(...told(await stream.next()));
  return seen;
}

function resume(
  { url }: TestRelay,
  id: string,
  query = "",
): Promise<PrefixStream> {
  return PrefixStream.open(url, `p:*${query}`, { "Last-Event-ID": id });
}

Deno.test("An event stream of a prefix has the topics that there are, and those that come", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  topics.create("p:a").append(event("a"));
  topics.create("q").append(event("other"));
  topics.create("p:over").end("complete");
  await using stream = await PrefixStream.open(relay.url, "p:*");
  assertEquals(await read(stream, 1), ["p:a 1 a"]);
  const b = topics.create("p:b");
  await b.append([...event("1"), ...event("2")]);
  const { epoch } = b.log;
  const message = await stream.message("events");
  assertEquals(message, {
    type: "events",
    topic: "p:b",
    epoch,
    offset: 1,
    events: [{ data: "1" }, { data: "2" }],
  });
  b.end("failed", "no luck");
  assertEquals(await stream.message("end"), {
    type: "end",
    topic: "p:b",
    epoch,
    offset: 3,
    status: "failed",
    reason: "no luck",
  });
  // The same name once more.
  await topics.renew("p:b").append(event("again"));
  assertEquals(await read(stream, 1), ["p:b 1 again"]);
});

Deno.test("A reader of a prefix that comes back at any place gets all that is missing, once", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  topics.create("p:a").append(event("1"));
  const passed: { id: string; told: string[] }[] = [];
  await using stream = await PrefixStream.open(relay.url, "p:*?stay");
  passed.push({ id: stream.id, told: [] });
  const step = async (count: number) => {
    for (let left = count; left > 0;) {
      const message = await stream.next();
      passed.push({ id: stream.id, told: told(message) });
      left -= told(message).length;
    }
  };
  await step(1);
  await topics.create("p:b").append(event("1"));
  await step(1);
  await topics.get("p:a")!.append(event("2"));
  await step(1);
  topics.get("p:b")!.end("complete");
  await step(1);
  await topics.renew("p:b").append(event("new"));
  await step(1);
  topics.get("p:b")!.end("cancelled");
  topics.create("p:c").end("complete");
  await step(2);
  const all = passed.flatMap(({ told }) => told);
  for (const [at, { id }] of passed.entries()) {
    const missing = passed.slice(at + 1).flatMap(({ told }) => told);
    await using again = await resume(relay, id, "?stay");
    assertEquals(
      (await read(again, missing.length)).sort(),
      missing.sort(),
      `after ${id}`,
    );
  }
  assertEquals(all.slice(0, 5), [
    "p:a 1 1",
    "p:b 1 1",
    "p:a 2 2",
    "p:b 2 ends complete",
    "p:b 1 new",
  ]);
  assertEquals(all.slice(5).sort(), [
    "p:b 2 ends cancelled",
    "p:c 1 ends complete",
  ]);
});

for (const kind of ["memory", "sqlite"] as const) {
  Deno.test(`A reader of a prefix gets what came and ended while it was away, and no end twice (${kind})`, async () => {
    const clock = new FakeClock();
    await using world = await startStoredRelay(kind, { clock });
    const { relay } = world;
    const { topics } = relay.relay;
    await topics.create("p:old").append(event("1"));
    const first = await PrefixStream.open(relay.url, "p:*");
    assertEquals(await read(first, 1), ["p:old 1 1"]);
    topics.get("p:old")!.end("complete");
    assertEquals(await read(first, 1), ["p:old 2 ends complete"]);
    // Its end is no news any more, and out of the id.
    await clock.advance(20_000);
    await topics.create("p:live").append(event("1"));
    assertEquals(await read(first, 1), ["p:live 1 1"]);
    assertMatch(first.id, /^[0-9]+,live@[\w-]+:1$/);
    await first[Symbol.asyncDispose]();
    for (const data of ["one", "two"]) {
      const topic = topics.renew("p:short");
      await topic.append(event(data));
      topic.end("complete");
      await topic.ended;
      // Only the store has it then.
      await clock.advance(15_000);
    }
    await topics.get("p:live")!.append(event("2"));
    await using again = await resume(relay, first.id);
    assertEquals((await read(again, 5)).sort(), [
      "p:live 2 2",
      "p:short 1 one",
      "p:short 1 two",
      "p:short 2 ends complete",
      "p:short 2 ends complete",
    ]);
  });
}

Deno.test("A reader of a prefix is told which of its topics are gone, and where events are missing", async () => {
  await using relay = await startRelay({ retention: { maxEvents: 2 } });
  const { topics } = relay.relay;
  const names = ["p:deleted", "p:anew", "p:evicted"];
  for (const name of names) await topics.create(name).append(event("1"));
  const first = await PrefixStream.open(relay.url, "p:*");
  await read(first, 3);
  await first[Symbol.asyncDispose]();
  for (const name of ["p:deleted", "p:anew"]) topics.delete(name);
  await topics.create("p:anew").append(event("new"));
  await topics.get("p:evicted")!.append(
    ["2", "3", "4"].flatMap((data) => event(data)),
  );
  await using again = await resume(relay, first.id);
  assertEquals((await read(again, 6)).sort(), [
    "p:anew 1 new",
    "p:anew gap 1 0 epoch",
    "p:deleted unknown_topic",
    "p:evicted 3 3",
    "p:evicted 4 4",
    "p:evicted gap 2 2 evicted",
  ]);
});

Deno.test("An event stream of a prefix refuses what it cannot do", async (t) => {
  await using relay = await startRelay();
  const sse = { Accept: "text/event-stream" };
  // deno-fmt-ignore
  const table: [string, string, HeadersInit, number, string][] = [
    ["an id of another stream", "p:*", { "Last-Event-ID": "x8Jc0mQ2vLrT:7" }, 400, "invalid_position"],
    ["a topic twice wrong", "p:*", { "Last-Event-ID": "17,a@short:1" }, 400, "invalid_position"],
    ["an offset beyond numbers", "p:*", { "Last-Event-ID": "17,a@x8Jc0mQ2vLrT:9999999999999999" }, 400, "invalid_position"],
    ["a position of one topic", "p:*?after=x8Jc0mQ2vLrT:7", sse, 400, "invalid_position"],
    ["raw", "p:*?raw", sse, 400, "unsupported"],
    ["active", "p:*?active", sse, 400, "unsupported"],
    ["a mode", "p:*?mode=latest", sse, 400, "unsupported"],
    ["a window", "p:*?window=10", sse, 400, "unsupported"],
    ["a snapshot", "p:*?snapshot=true", sse, 400, "unsupported"],
    ["stay of another kind", "p:*?stay=2", sse, 400, "invalid_query"],
    ["JSON", "p:*", { Accept: "application/json" }, 406, "not_acceptable"],
    ["a name that cannot be", ".*", sse, 400, "invalid_topic"],
    ["two stars", "a**", sse, 400, "invalid_topic"],
    ["a long name", `${"a".repeat(129)}*`, sse, 400, "invalid_topic"],
  ];
  for (const [what, target, headers, status, code] of table) {
    await t.step(what, async () => {
      const answer = await relay.request(`/topics/${target}`, { headers });
      assertEquals([answer.status, (await answer.json()).code], [status, code]);
    });
  }
  await t.step("every method but GET", async () => {
    for (const method of ["PUT", "POST", "DELETE", "PATCH"]) {
      const answer = await relay.request("/topics/p:*", { method });
      await answer.body?.cancel();
      assertEquals([answer.status, answer.headers.get("allow")], [405, "GET"]);
    }
  });
  assertEquals(relay.relay.topics.size, 0);
});

Deno.test("A reader of a prefix gets only what its token may read", async () => {
  const clock = new FakeClock(Date.now());
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY }, clock });
  const { topics } = relay.relay;
  for (const name of ["p:mine", "p:theirs"]) {
    await topics.create(name).append(event(name));
  }
  const nobody = await relay.request("/topics/p:*");
  assertEquals([nobody.status, (await nobody.json()).code], [
    401,
    "token_required",
  ]);
  const token = await mintToken({ read: ["p:mine*"] });
  const authorization = `Bearer ${token}`;
  const { log: { epoch } } = topics.get("p:theirs")!;
  await using stream = await PrefixStream.open(relay.url, "p:*", {
    authorization,
    // Whoever guesses a position gets nothing of the topic.
    "Last-Event-ID": `17,theirs@${epoch}:0,none@${epoch}:0`,
  });
  await topics.create("p:theirs-2").append(event("secret"));
  await topics.create("p:mine-2").append(event("2"));
  assertEquals(await read(stream, 4), [
    "p:theirs forbidden",
    "p:none forbidden",
    "p:mine 1 p:mine",
    "p:mine-2 1 2",
  ]);
  // A client of today comes back with another token.
  await clock.advance(2 * 3_600_000);
  const rest = await stream.rest();
  assertEquals(rest.flatMap(told), []);
});

Deno.test("A reader of a prefix follows no more topics at a time than a connection may", async () => {
  await using relay = await startRelay({ limits: { maxSubscriptions: 2 } });
  const { topics } = relay.relay;
  for (const name of ["p:a", "p:b", "p:c"]) {
    await topics.create(name).append(event("1"));
  }
  await using stream = await PrefixStream.open(relay.url, "p:*");
  assertEquals((await read(stream, 3)).sort(), [
    "p:a 1 1",
    "p:b 1 1",
    "p:c too_many_subscriptions",
  ]);
  // One of those that there is no room for is told, and each that comes later.
  await topics.create("p:e").append(event("1"));
  assertEquals(await read(stream, 1), ["p:e too_many_subscriptions"]);
  await using more = await PrefixStream.open(relay.url, "p:*");
  assertEquals((await read(more, 3)).sort(), [
    "p:a 1 1",
    "p:b 1 1",
    "p:c too_many_subscriptions",
  ]);
  topics.get("p:a")!.end("complete");
  assertEquals(await read(more, 1), ["p:a 2 ends complete"]);
  assertEquals(await read(stream, 1), ["p:a 2 ends complete"]);
  await topics.create("p:d").append(event("1"));
  assertEquals(await read(stream, 1), ["p:d 1 1"]);
  // A reader that comes back gets what there is room for then, from its beginning.
  topics.get("p:d")!.end("complete");
  await read(stream, 1);
  await using again = await resume(relay, stream.id);
  assertEquals((await read(again, 2)).sort(), [
    "p:c 1 1",
    "p:e too_many_subscriptions",
  ]);
});

Deno.test("The id of a prefix stays short enough for a header", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  await using stream = await PrefixStream.open(relay.url, "p:*");
  let isRefused = false;
  for (let i = 0; !isRefused; i++) {
    assert(i < 40, "the id has a bound");
    const name = `p:${`${i}`.padStart(126, "x")}`;
    await topics.create(name).append(event("1"));
    const [line = ""] = await read(stream, 1);
    isRefused = line === `${name} too_many_subscriptions`;
    assert(stream.id.length < 4_096, `${stream.id.length}`);
  }
  // The first id of a reader that begins at the end has places of as many, and no more.
  for (let i = 0; i < 20; i++) {
    await topics.create(`p:more-${`${i}`.padStart(100, "x")}`).append(
      event("1"),
    );
  }
  await using now = await PrefixStream.open(relay.url, "p:*?after=now");
  assert(now.id.length < 4_096, `${now.id.length}`);
  await using again = await resume(relay, stream.id);
  topics.get(`p:${"0".padStart(126, "x")}`)!.end("complete");
  await again.message("end");
});

Deno.test("A stream of a prefix has long events whole, behind their id", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  const data = `${'é\n"'.repeat(200_000)}end`;
  await topics.create("p:a").append(event(data));
  await using stream = await PrefixStream.open(relay.url, "p:*");
  const message = await stream.message("events");
  assertEquals(message["events"], [{ data }]);
  assertMatch(stream.id, /,a@[\w-]+:1$/);
});

Deno.test("A stream of a prefix gives signs of life, and leaves with the relay", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  await relay.relay.topics.create("p:a").append(event("1"));
  const { body } = await relay.request("/topics/p:*");
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const readUntil = (part: string) =>
    within(
      (async () => {
        while (!text.includes(part)) {
          const { done, value } = await reader.read();
          if (done) throw new Error(`It has ended: ${text}`);
          text += value;
        }
      })(),
      LIMIT,
      part,
    );
  await readUntil('"live"');
  await clock.advance(30_000);
  await readUntil("\n\n:\n\n");
  // The second to leave, later.
  await using other = await PrefixStream.open(relay.url, "p:*");
  const drained = relay.relay.drain(1_000);
  await readUntil("retry: ");
  assertEquals((await reader.read()).done, true);
  // An `EventSource` that comes now is told to come back.
  const late = await relay.request("/topics/p:*");
  assertEquals(late.status, 200);
  await late.body?.pipeTo(new WritableStream()).catch(() => {});
  await clock.advance(1_000);
  await other.rest();
  await drained;
});

Deno.test("An EventSource goes on with all topics of a prefix by itself", async () => {
  await using relay = await startRelay();
  await using line = await CuttableLine.start(relay.port);
  const { topics } = relay.relay;
  await topics.create("p:a").append(event("1"));
  const source = new EventSource(`${line.url}/topics/p:*?after=now`);
  try {
    const seen: string[] = [];
    let opened = 0;
    source.onopen = () => opened++;
    source.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "following") seen.push("following");
      else seen.push(...told(message));
    };
    const has = (count: number) =>
      until(() => seen.length >= count || undefined, LIMIT, () => `${seen}`);
    await has(1);
    await topics.get("p:a")!.append(event("2"));
    await has(2);
    line.cut();
    const short = topics.create("p:short");
    await short.append(event("while away"));
    short.end("complete");
    await topics.get("p:a")!.append(event("3"));
    line.mend();
    await has(6);
    assertEquals(opened, 2);
    assertEquals(seen.slice(0, 3), ["following", "p:a 2 2", "following"]);
    assertEquals(seen.slice(3).sort(), [
      "p:a 3 3",
      "p:short 1 while away",
      "p:short 2 ends complete",
    ]);
  } finally {
    source.close();
  }
});
