// The life of a chat's turn: the application is told of it, it goes on without
// its caller, others read along, it is stopped, and the next follows.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import {
  BEGIN,
  type ChatWorld,
  opening,
  part,
  REST,
  startChats,
  UI_HEADER,
  userMessage,
} from "../../../support/gateway/chat_world.ts";
import { CallerStream } from "../../../support/gateway/caller_stream.ts";
import { RawProvider } from "../../../support/gateway/raw_provider.ts";
import { MortalRelay } from "../../../support/relay/mortal_relay.ts";
import { LIMIT } from "../../../support/gateway/gateway_world.ts";
import { TemporaryFolder } from "../../../support/relay/sqlite_world.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { RawWebSocket } from "../../../support/subscribers/raw_websocket.ts";
import { until, within } from "../../../support/within.ts";

function abort(reason: string): string {
  return part({ type: "abort", reason }) + part("[DONE]");
}

Deno.test("A turn reaches the application byte for byte, with what the relay says of it", async () => {
  await using world = await startChats({ rights: { jwtKey: JWT_KEY } }, {
    secret: "a secret of ours".replaceAll(" ", "-"),
  });
  const token = await mintToken({
    sub: "ada@example.com/é%",
    write: ["raw:ada~40example.com~2F~C3~A9~25:*"],
  });
  const body =
    `{"messages": [ ], "id" :"a\\u002fb", "extra": 1e999, "messages":[{"id":"u1"}] }`;
  const answer = world.request("/chat/raw?tenant=3&access_token=x", {
    method: "POST",
    headers: {
      "content-type": "application/json; charset=utf-8",
      "rivulet-token": token,
      authorization: "Bearer the-applications-own",
      cookie: "session=1",
      origin: world.url,
      "rivulet-subject": "eve",
      "rivulet_subject": "eve",
      "rivulet.subject": "eve",
      "rivulet-chat": "another",
      "rivulet-secret": "guessed",
      "rivulet-topic": "another",
      "x-forwarded-for": "10.0.0.1",
      "x-tab": "2",
    },
    body,
  });
  const exchange = await world.provider.next();
  assertEquals(new TextDecoder().decode(await exchange.body()), body);
  assertEquals(exchange.method, "POST");
  assertEquals(exchange.target, "/base/v1/chat?tenant=3");
  const told = Object.fromEntries(
    exchange.headers.filter(([name]) => name.startsWith("rivulet")),
  );
  assertEquals(told, {
    "rivulet-subject": "ada@example.com/%C3%A9%25",
    "rivulet-chat": "a/b",
    "rivulet-topic": "raw:ada~40example.com~2F~C3~A9~25:a~2Fb",
    "rivulet-secret": "a-secret-of-ours",
  });
  assertEquals(
    decodeURIComponent(told["rivulet-subject"]!),
    "ada@example.com/é%",
  );
  assertEquals(
    ["authorization", "cookie", "x-tab", "origin", "x-forwarded-for"]
      .map((name) => exchange.header(name)),
    ["Bearer the-applications-own", "session=1", "2", undefined, undefined],
  );
  await exchange.answer(204);
  assertEquals((await answer).status, 204);
});

Deno.test("A turn shows its question before the application has answered", async () => {
  await using world = await startChats();
  await using watcher = await RawWebSocket.open(
    world.url,
    "/topics/raw:7?stay",
  );
  await watcher.message("subscribed");
  const { exchange, answer } = await world.beginTurn({ text: "Why?" });
  const { events } = await watcher.message("events");
  assertEquals(JSON.parse((events as { data: string }[])[0]!.data).data, {
    message: userMessage("Why?"),
  });
  await using reader = await world.resume();
  await reader.see(opening("Why?"));
  await exchange.stream(BEGIN + REST, UI_HEADER);
  const caller = await answer;
  assertEquals(caller.header("rivulet-topic"), "raw:7");
  const { text } = await caller.rest();
  // The caller's Nth event has the offset N.
  assertEquals(
    text.match(/^data: (.*)$/gm)?.map((line) => line.slice(6)),
    (await world.events("raw:7")).map(({ data }) => data),
  );
});

Deno.test("A turn goes on when its caller leaves, and is there for whoever comes back", async () => {
  await using world = await startChats();
  const { exchange, answer } = await world.beginTurn();
  await exchange.stream(BEGIN, UI_HEADER);
  const caller = await answer;
  await caller.see(BEGIN);
  await caller.leave();
  await using reader = await world.resume();
  await exchange.end(REST);
  assert((await reader.rest()).text.endsWith(part("[DONE]")));
  assertEquals(await world.ended("raw:7"), { status: "complete" });
});

Deno.test("A turn goes on whose caller leaves before the application answers", async () => {
  await using world = await startChats();
  const leaving = new AbortController();
  const { exchange, answer } = await world.beginTurn({
    signal: leaving.signal,
  });
  leaving.abort();
  await answer.catch(() => {});
  await exchange.stream(BEGIN + REST, UI_HEADER);
  assertEquals(await world.ended("raw:7"), { status: "complete" });
});

Deno.test("A chat has one turn at a time, and each is an epoch of its topic", async () => {
  await using world = await startChats();
  const first = await world.beginTurn();
  const busy = await world.say();
  assertEquals(busy.status, 409);
  assertEquals((await busy.problem())["code"], "topic_busy");
  const other = await world.beginTurn({ id: "8" });
  await other.exchange.stream(BEGIN + REST, UI_HEADER);
  await (await other.answer).rest();
  await first.exchange.stream(BEGIN + REST, UI_HEADER);
  const caller = await first.answer;
  await caller.rest();
  await world.ended("raw:7");
  const second = await world.beginTurn({ text: "And?" });
  await second.exchange.stream(BEGIN + REST, UI_HEADER);
  const next = await second.answer;
  assertEquals((await next.rest()).text, opening("And?") + BEGIN + REST);
  assertEquals(next.header("rivulet-topic"), "raw:7");
  assertNotEquals(
    next.header("rivulet-epoch"),
    caller.header("rivulet-epoch"),
  );
});

/** The last event of the beginning. */
const LAST = part({ type: "text-delta", id: "t", delta: "Hel" });

const STOPS: Readonly<
  Record<string, (world: ChatWorld) => Promise<string>>
> = {
  "the stop of the chat": async (world) => {
    assertEquals((await world.stop()).status, 204);
    return "Stopped by a user";
  },
  "a cancel of the topic": async ({ request }) => {
    const { status, body } = await request("/topics/raw:7/cancel", {
      method: "POST",
      body: `{"reason":"Enough"}`,
    });
    await body?.cancel();
    assertEquals(status, 200);
    return "Enough";
  },
};

for (const [name, stop] of Object.entries(STOPS)) {
  for (
    const [when, before, seen] of [
      ["before the application answers", undefined, ""],
      ["after its head", "", ""],
      ["within an answer", BEGIN, BEGIN],
      ["within an event", `${BEGIN}data: {"ty`, BEGIN],
    ] as const
  ) {
    Deno.test(`By ${name}, a turn stops ${when}: application, caller and readers are told`, async () => {
      await using world = await startChats();
      const { exchange, answer } = await world.beginTurn();
      if (before !== undefined) {
        await exchange.stream(before, UI_HEADER);
        await (await answer).see(seen);
      }
      await using reader = await world.resume();
      await reader.see(seen === "" ? opening() : LAST);
      const ended = abort(await stop(world));
      await within(
        exchange.closed,
        LIMIT,
        "the application's request to close",
      );
      const caller = await answer;
      assertEquals(caller.status, 200);
      assertEquals(caller.header("content-type"), "text/event-stream");
      assertEquals(await caller.rest(), {
        text: opening() + seen + ended,
        end: "whole",
      });
      const read = await reader.rest();
      assertEquals(read.end, "whole");
      assert(read.text.endsWith(ended), read.text);
      assertEquals((await world.ended("raw:7")).status, "cancelled");
      // Nothing goes on now: to stop once more is no error.
      assertEquals((await world.stop()).status, 204);
      const next = await world.beginTurn();
      await next.exchange.stream(BEGIN + REST, UI_HEADER);
      assertEquals((await (await next.answer).rest()).end, "whole");
    });
  }
}

Deno.test("Whatever is no event stream passes word for word, and ends the turn in words", async () => {
  await using world = await startChats();
  for (
    const [status, type, body, reason] of [
      [
        200,
        "application/json",
        "{}",
        "Expected an event stream, and the application has answered 200 with application/json",
      ],
      [
        401,
        "text/plain",
        "Who are you?",
        "The application has answered 401 Status",
      ],
      [
        429,
        "application/json",
        `{"error":"Too many"}`,
        "The application has answered 429 Status: Too many",
      ],
      [500, "text/html", "<p>", "The application has answered 500 Status"],
      [
        302,
        "text/plain",
        "",
        "Expected an event stream, and the application has answered 302 with text/plain",
      ],
    ] as const
  ) {
    const { exchange, answer } = await world.beginTurn();
    await using reader = await world.resume();
    await exchange.answer(status, {
      "content-type": type,
      "x-own": "1",
      ...(status === 302 && { location: "http://localhost:1/" }),
    }, body);
    if (status === 302) {
      // `fetch` of the test would follow it.
      await answer.catch(() => {});
    } else {
      const caller = await answer;
      assertEquals(caller.status, status);
      assertEquals(caller.header("x-own"), "1");
      assertEquals(await caller.rest(), { text: body, end: "whole" });
    }
    assertEquals(await world.ended("raw:7"), { status: "failed", reason });
    const { text } = await reader.rest();
    const told = part({
      type: "error",
      errorText: `There is no answer: ${reason}`,
    });
    assert(text.endsWith(`${told}${part("[DONE]")}`), text);
  }
});

Deno.test("An application that cannot be reached is told of in words", async () => {
  await using world = await startChats({
    chats: [{ name: "raw", url: "http://127.0.0.1:1/chat" }],
  });
  const caller = await world.say();
  assertEquals(caller.status, 502);
  const { code, detail } = await caller.problem();
  assertEquals(code, "provider_unreachable");
  assert(`${detail}`.startsWith("Expected an answer of the application"));
  const { status, reason } = await world.ended("raw:7");
  assertEquals(status, "failed");
  assert(reason);
});

Deno.test("An application that falls silent has its turn truncated", async () => {
  const clock = new FakeClock(Date.now());
  await using world = await startChats({
    clock,
    gateway: { timeout: 5_000 },
  });
  for (const before of [undefined, BEGIN]) {
    const { exchange, answer } = await world.beginTurn();
    if (before !== undefined) {
      await exchange.stream(before, UI_HEADER);
      await (await answer).see(before);
    }
    await until(() => clock.pending > 0 || undefined, LIMIT, "a timer");
    clock.advance(5_000);
    const caller = await answer;
    const reason = "The application has said nothing for 5000 ms";
    assertEquals(await world.ended("raw:7"), { status: "truncated", reason });
    if (before === undefined) assertEquals(caller.status, 502);
    else assert((await caller.rest()).text.includes(reason));
    await caller.rest();
  }
});

Deno.test("The next relay on a store says of a turn that it broke off", async () => {
  await using folder = new TemporaryFolder();
  const store = `sqlite:${folder.path}/chats.db`;
  {
    await using world = await startChats({ store });
    const { exchange, answer } = await world.beginTurn();
    await exchange.stream(BEGIN, UI_HEADER);
    await using caller = await answer;
    await caller.see(BEGIN);
    await using reader = await world.resume();
    await world.relay.close();
    const { text, end } = await caller.rest();
    assertEquals(end, "whole");
    assert(text.includes("The answer broke off: The relay was closed"), text);
    await reader.rest();
  }
  await using world = await startChats({ store });
  const { status, reason } = await world.ended("raw:7");
  assertEquals([status, reason], ["truncated", "The relay was closed"]);
  const again = await world.resume();
  assertEquals([again.status, again.header("rivulet-end")], [204, "truncated"]);
  const { exchange, answer } = await world.beginTurn();
  await exchange.stream(BEGIN + REST, UI_HEADER);
  assertEquals((await (await answer).rest()).end, "whole");
});

Deno.test("The relay after one that was killed says of a turn that it broke off", async () => {
  await using folder = new TemporaryFolder();
  await using provider = await RawProvider.start();
  const start = async (): Promise<[MortalRelay, string]> => {
    const relay = new MortalRelay([
      ...["--port", "0", "--chat", `app=${provider.url}/chat`],
      ...["--store", `sqlite:${folder.path}/chats.db`],
    ]);
    const url = await within(relay.listening, LIMIT, "a relay");
    assert(url);
    return [relay, url];
  };
  const [killed, url] = await start();
  const answer = fetch(`${url}/chat/app`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id: "7", messages: [userMessage("Hi")] }),
  });
  const exchange = await provider.next();
  await exchange.body();
  await exchange.stream(BEGIN, UI_HEADER);
  await using caller = new CallerStream(await answer);
  await caller.see(BEGIN);
  // Readers see what the store has.
  await using reader = new CallerStream(
    await fetch(`${url}/chat/app/7/stream`),
  );
  await reader.see(LAST);
  await killed.kill("SIGKILL");
  assertEquals((await caller.rest()).end, "cut");
  const [next, nextUrl] = await start();
  // It may be about to say so.
  await until(
    async () => {
      const none = await fetch(`${nextUrl}/chat/app/7/stream`);
      await none.text();
      return none.headers.get("rivulet-end") === "truncated" || undefined;
    },
    LIMIT,
    "the end of the turn",
  );
  const page = await fetch(`${nextUrl}/chat/app/7`, {
    headers: { accept: "application/json" },
  });
  const { end, events } = await page.json();
  assertEquals(end.status, "truncated");
  assert(end.reason.includes("restarted"), end.reason);
  assertEquals(events.length, 4);
  await next.kill("SIGTERM");
});

Deno.test("An answer whose beginning is gone cannot be resumed", async () => {
  await using world = await startChats({ retention: { maxEvents: 2 } });
  const { exchange, answer } = await world.beginTurn();
  await exchange.stream(BEGIN, UI_HEADER);
  await (await answer).see(BEGIN);
  const refused = await world.resume();
  assertEquals(refused.status, 410);
  assertEquals((await refused.problem())["code"], "run_not_retained");
  await exchange.end(REST);
  await (await answer).rest();
});

Deno.test("GET of a chat gives the events of its topic", async () => {
  await using world = await startChats();
  const { exchange, answer } = await world.beginTurn({ id: "a/b" });
  await exchange.stream(BEGIN + REST, UI_HEADER);
  await (await answer).rest();
  const page = await world.request("/chat/raw/a%2Fb", {
    headers: { accept: "application/json" },
  });
  assertEquals(page.headers.get("rivulet-topic"), "raw:a~2Fb");
  assertEquals((await page.json()).state, "ended");
});
