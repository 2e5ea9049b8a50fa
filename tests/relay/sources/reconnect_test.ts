// A source that survives, over real sockets: what its subscribers are told.
import { assert, assertEquals } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { readEvents } from "../../../src/sse/read_events.ts";
import {
  letter,
  numbered,
  ReconnectingUpstream,
} from "../../support/upstreams/reconnecting_upstream.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const FAST = { minTimeout: 2, maxTimeout: 5 };

type Source = NonNullable<RelayOptions["sources"]>[number];

function startWith(
  url: string,
  source: Partial<Source> = {},
): Promise<TestRelay> {
  return startRelay({
    sources: [{ name: "t", url, reconnect: FAST, ...source }],
  });
}

function letters(from: number, to: number): string {
  let text = "";
  for (let id = from; id <= to; id++) text += letter(id);
  return text;
}

/** Something that a subscriber was told. */
interface Told {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A subscriber of the topic `t` through either door. */
interface Follower {
  readonly told: Told[];
  /** The data of all events. */
  data(): string;
  /** The states of the upstream, in the order in which they were told. */
  states(): unknown[];
  stop(): Promise<void>;
}

function follower(told: Told[], stop: () => Promise<void>): Follower {
  const events = () =>
    told.flatMap(({ events }) => (events ?? []) as { data: string }[]);
  return {
    told,
    data: () => events().map(({ data }) => data).join(""),
    states: () =>
      told.filter(({ type }) => type === "upstream").map(({ state }) => state),
    stop,
  };
}

async function followWebSocket({ url }: TestRelay): Promise<Follower> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/topics/t`);
  const told: Told[] = [];
  const closed = Promise.withResolvers<void>();
  const isThere = Promise.withResolvers<void>();
  socket.onmessage = ({ data }) => {
    told.push(JSON.parse(data));
    if (told.at(-1)?.type === "subscribed") isThere.resolve();
  };
  socket.onclose = () => closed.resolve();
  await within(isThere.promise, LIMIT, "subscribed");
  return follower(told, async () => {
    socket.close();
    await closed.promise;
  });
}

async function followSse(
  { url }: TestRelay,
  query = "",
): Promise<Follower & { ids: string[] }> {
  const response = await fetch(`${url}/topics/t${query}`, {
    headers: { Accept: "text/event-stream" },
  });
  assert(response.body);
  const reader = readEvents(response.body);
  const told: Told[] = [];
  const ids: string[] = [];
  const reading = (async () => {
    for await (const { event, data, id } of reader) {
      ids.push(id);
      told.push(
        event.startsWith("rivulet.")
          ? JSON.parse(data)
          : { type: "events", events: [{ data }] },
      );
    }
  })();
  return {
    ...follower(told, async () => {
      await reader.return();
      await reading;
    }),
    ids,
  };
}

function reaches(who: Follower, data: string): Promise<unknown> {
  return until(
    () => who.data() === data || undefined,
    LIMIT,
    () => `${data}: got ${JSON.stringify(who.told)}`,
  );
}

function isTold(who: Follower, type: string): Promise<Told> {
  return until(
    () => who.told.find((told) => told.type === type),
    LIMIT,
    () => `${type}: got ${JSON.stringify(who.told)}`,
  );
}

Deno.test("A source resumes after its last event, and every subscriber is told how its upstream is", async () => {
  const gates = [0, 1].map(() => Promise.withResolvers<void>());
  await using upstream = await ReconnectingUpstream.start(
    async (connection) => {
      await connection.write(numbered(1, 2) + "id: 3\ndata: unfinished");
      await gates[0]?.promise;
      connection.drop();
    },
    (connection) => connection.refuse(503),
    async (connection) => {
      await gates[1]?.promise;
      await connection.write(numbered(3, 4));
    },
  );
  await using relay = await startWith(upstream.url);
  const all = [
    await followWebSocket(relay),
    await followSse(relay),
    await followSse(relay, "?raw"),
  ] as const;
  const [socket, stream, raw] = all;
  for (const each of all) await reaches(each, "ab");
  for (const each of all) assertEquals(each.states(), []);

  gates[0]?.resolve();
  const topic = relay.relay.topics.get("t");
  await until(
    () =>
      (topic?.upstream?.state === "connecting" &&
        topic.upstream.attempt === 3) || undefined,
    LIMIT,
    "the third attempt",
  );
  for (const each of [socket, stream]) await isTold(each, "upstream");
  // A subscriber that comes meanwhile is told at once, before the events.
  const late = await followWebSocket(relay);
  await reaches(late, "ab");
  assertEquals(
    late.told.slice(1, 4).map(({ type }) => type),
    ["subscribed", "upstream", "events"],
  );
  assertEquals(late.states(), ["connecting"]);
  assertEquals(topic?.state.kind, "open");

  gates[1]?.resolve();
  for (const each of [...all, late]) await reaches(each, "abcd");
  assertEquals(upstream.given, [undefined, "2", "2"]);
  assertEquals(late.states(), ["connecting", "open"]);
  for (const each of [socket, stream]) {
    const told = each.told.filter(({ type }) => type === "upstream");
    assertEquals(told.at(-1), { type: "upstream", topic: "t", state: "open" });
    // Some may be skipped, as only the latest is told, but not all of them.
    assert(told.length > 1);
  }
  assertEquals(raw.states(), []);
  // Notices do not move the position: each id of a position comes with its
  // event.
  assertEquals(new Set(stream.ids.filter((id) => id !== "")).size, 4);
  const after = await followWebSocket(relay);
  await reaches(after, "abcd");
  assertEquals(after.states(), []);
  for (const each of [...all, late, after]) await each.stop();
});

Deno.test("A source gets every event once from an upstream that drops it again and again", async (t) => {
  const LAST = 20;
  // deno-fmt-ignore
  const table: [name: string, from: (lastEventId: number) => number][] = [
    ["honours the id", (last) => last + 1],
    ["sends the event of that id again", (last) => Math.max(last, 1)],
    ["sends several again", (last) => last < 5 ? last + 1 : last - 3],
  ];
  for (const [name, from] of table) {
    for (const ending of ["drop", "end"] as const) {
      await t.step(`${name}, ${ending}`, async () => {
        await using upstream = await ReconnectingUpstream.start(
          async (connection) => {
            const last = Number(connection.lastEventId ?? 0);
            const to = Math.min(last + 3, LAST);
            await connection.write(numbered(from(last), to));
            if (last < LAST) connection[ending]();
          },
        );
        await using relay = await startWith(upstream.url);
        const socket = await followWebSocket(relay);
        await reaches(socket, letters(1, LAST));
        await until(
          () => upstream.given.at(-1) === String(LAST) || undefined,
          LIMIT,
          "the last connection",
        );
        assertEquals(socket.data(), letters(1, LAST));
        await socket.stop();
      });
    }
  }
});

Deno.test("A server that starts over is visible as repeated ids, unless they are to be dropped", async (t) => {
  for (
    const [repeats, expected] of [
      [undefined, "abcabcd"],
      ["drop", "abcd"],
    ] as const
  ) {
    await t.step(repeats ?? "keep", async () => {
      await using upstream = await ReconnectingUpstream.start(
        async (connection) => {
          await connection.write(numbered(1, 3));
          connection.drop();
        },
        (connection) => connection.write(numbered(1, 4)),
      );
      await using relay = await startWith(
        upstream.url,
        repeats ? { repeats } : {},
      );
      const socket = await followWebSocket(relay);
      await reaches(socket, expected);
      assertEquals(upstream.given, [undefined, "3"]);
      await socket.stop();
    });
  }
});

Deno.test("A source that gives up says so, and ends its topic with the reason", async (t) => {
  const once = { ...FAST, maxAttempts: 1 };
  // deno-fmt-ignore
  const table: [
    name: string, source: Partial<Source>, second: "refuse" | "page" | "drop" | "gone",
    status: number, end: string, states: string, lost: number | undefined,
  ][] = [
    ["a permanent status", {}, "refuse", 404, "failed", "lost", 404],
    ["a page", {}, "page", 0, "failed", "lost", 200],
    ["no more attempts, refused", { reconnect: { ...FAST, maxAttempts: 3 } }, "refuse", 503, "failed", "lost", 503],
    ["no more attempts, no answer", { reconnect: { ...FAST, maxAttempts: 3 } }, "drop", 0, "failed", "lost", undefined],
    ["no attempts at all", { reconnect: once }, "gone", 0, "truncated", "lost", undefined],
    ["no more time", { reconnect: { ...FAST, minTimeout: 4, maxElapsed: 1 } }, "gone", 0, "truncated", "lost", undefined],
    ["no content", {}, "refuse", 204, "complete", "", undefined],
    ["no reconnection", { reconnect: false }, "gone", 0, "truncated", "", undefined],
  ];
  for (const [name, source, second, status, end, last, lost] of table) {
    await t.step(name, async () => {
      const gate = Promise.withResolvers<void>();
      await using upstream = await ReconnectingUpstream.start(
        async (connection) => {
          await connection.write(numbered(1, 1));
          await gate.promise;
          connection.drop();
        },
        (connection) => {
          if (second === "refuse") connection.refuse(status);
          else if (second === "page") connection.page();
          else connection.drop();
        },
      );
      await using relay = await startWith(upstream.url, source);
      const socket = await followWebSocket(relay);
      await reaches(socket, "a");
      gate.resolve();
      const ended = await isTold(socket, "end");
      assertEquals([ended["status"], ended["offset"]], [end, 2]);
      assertEquals(ended["reason"] === undefined, end === "complete");
      assertEquals(socket.told.at(-1), ended);
      if (last === "lost") {
        assertEquals(socket.told.at(-2), {
          type: "upstream",
          topic: "t",
          state: "lost",
          ...(lost !== undefined && { status: lost }),
        });
      } else {
        assertEquals(socket.states().includes("lost"), false);
        if (second === "gone") assertEquals(socket.states(), []);
      }
      if (second === "gone") assertEquals(upstream.given.length, 1);
      await socket.stop();
      // After the end nothing is said of how the upstream was.
      const late = await followWebSocket(relay);
      await isTold(late, "end");
      assertEquals(late.states(), []);
      await late.stop();
    });
  }
});

Deno.test("A source that ends well is connected to again, unless that is the end", async (t) => {
  for (const onCleanEnd of ["reconnect", "done"] as const) {
    await t.step(onCleanEnd, async () => {
      await using upstream = await ReconnectingUpstream.start(
        async (connection) => {
          await connection.write(numbered(1, 1));
          connection.end();
        },
        (connection) => connection.write(numbered(2, 2)),
      );
      await using relay = await startWith(upstream.url, {
        reconnect: { ...FAST, onCleanEnd },
      });
      const socket = await followWebSocket(relay);
      await reaches(socket, onCleanEnd === "done" ? "a" : "ab");
      if (onCleanEnd === "done") {
        assertEquals((await isTold(socket, "end"))["status"], "complete");
        assertEquals(socket.states(), []);
      }
      await socket.stop();
    });
  }
});

Deno.test("PUT makes a topic whose source reconnects", async () => {
  const gate = Promise.withResolvers<void>();
  await using upstream = await ReconnectingUpstream.start(
    async (connection) => {
      await connection.write(numbered(1, 2));
      await gate.promise;
      connection.drop();
    },
    (connection) => connection.write(numbered(1, 3)),
    (connection) => connection.refuse(503),
  );
  await using relay = await startRelay({
    rights: { allowSources: [upstream.url], allowAddresses: ["127.0.0.0/8"] },
  });
  const put = async (topic: string) => {
    const source = {
      url: upstream.url,
      reconnect: { minTimeout: 100 },
      repeats: "drop",
    };
    const response = await relay.request(`/topics/${topic}`, {
      method: "PUT",
      body: JSON.stringify({ source }),
    });
    await response.body?.cancel();
    return response.status;
  };
  const early = await followWebSocket(relay);
  assertEquals([await put("t"), await put("t")], [201, 200]);
  await reaches(early, "ab");
  // Until it was open once, the topic is pending, and that says it.
  assertEquals(early.states(), []);
  gate.resolve();
  await reaches(early, "abc");
  assertEquals(early.states().at(-1), "open");
  assertEquals(await put("u"), 201);
  const end = await relay.relay.topics.get("u")?.ended;
  assertEquals([end?.status, upstream.given.length], ["failed", 3]);
  await early.stop();
});

Deno.test("A relay closes, and a topic is deleted, while a source waits to connect again", async (t) => {
  for (const how of ["close", "delete"]) {
    await t.step(how, async () => {
      await using upstream = await ReconnectingUpstream.start(
        async (connection) => {
          await connection.write(numbered(1, 1));
          connection.drop();
        },
      );
      await using relay = await startWith(upstream.url, {
        reconnect: { minTimeout: 50_000 },
      });
      const topic = relay.relay.topics.get("t");
      await until(
        () => topic?.upstream?.state === "retrying" || undefined,
        LIMIT,
        "retrying",
      );
      for (const follow of [followWebSocket, followSse]) {
        const who = await follow(relay);
        const retrying = await isTold(who, "upstream");
        const retryIn = Number(retrying["retryIn"]);
        assert(Number.isInteger(retryIn));
        assert(retryIn >= 50_000 && retryIn <= 60_000, String(retryIn));
        assertEquals(retrying, {
          type: "upstream",
          topic: "t",
          state: "retrying",
          attempt: 2,
          retryIn,
        });
        await who.stop();
      }
      if (how === "delete") {
        relay.relay.topics.delete("t");
        assertEquals((await topic?.ended)?.status, "cancelled");
      }
      // Neither the wait nor a timer is left: the sanitizers look.
      await within(relay.relay.close(), LIMIT, "the relay to close");
      assertEquals(upstream.given.length, 1);
    });
  }
});
