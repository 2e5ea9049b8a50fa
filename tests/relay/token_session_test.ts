// The sessions of clients whose token expires, or is replaced.
import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { RelayOptions } from "../../relay/options/relay_options.ts";
import { FakeClock } from "../../src/testing/fake_clock.ts";
import { passTime } from "../support/pass_time.ts";
import {
  makeFrame,
  OPCODE,
  RawWebSocket,
} from "../support/subscribers/raw_websocket.ts";
import { startRelay, type TestRelay } from "../support/relay/relay.ts";
import {
  JWT_KEY,
  mintToken,
  type TokenClaims,
} from "../support/rights/token.ts";
import { LIMIT, until, within } from "../support/within.ts";

/** The difference of clocks that is allowed, in milliseconds. */
const LEEWAY = 30_000;

/** The time at which the tests begin, in milliseconds since the epoch. */
const START = Date.parse("2030-01-01T00:00:00Z");

/** A relay that asks for tokens, whose time does not pass by itself. */
async function startTimed(
  options: RelayOptions = {},
): Promise<TestRelay & { clock: FakeClock }> {
  const clock = new FakeClock(START);
  const relay = await startRelay({
    clock,
    ...options,
    rights: { jwtKey: JWT_KEY, ...options.rights },
  });
  for (const name of ["a", "b"]) {
    relay.relay.topics.create(name).append([
      { event: "message", data: `secret of ${name}`, id: "" },
    ]);
  }
  return { ...relay, clock };
}

/** A token that holds for so long, in seconds. */
function lasting(seconds: number, claims: TokenClaims): Promise<string> {
  return mintToken({ ...claims, exp: START / 1_000 + seconds });
}

function open(
  { url }: TestRelay,
  target: string,
  token: string,
): Promise<RawWebSocket> {
  return RawWebSocket.open(url, target, { Authorization: `Bearer ${token}` });
}

/** Follows the topic `a`, with a token that holds for so long, in seconds. */
async function followA(
  relay: TestRelay,
  seconds = 600,
): Promise<RawWebSocket> {
  const token = await lasting(seconds, { read: ["a"] });
  const socket = await open(relay, "/topics/a", token);
  await socket.message("live");
  return socket;
}

for (const target of ["/topics/a", "/ws"]) {
  Deno.test(`A WebSocket of ${target} is closed with 4401 when its token expires, and no sooner`, async () => {
    await using relay = await startTimed({
      delivery: { heartbeat: 3_600_000 },
    });
    const { clock } = relay;
    await using socket = await open(
      relay,
      target,
      await lasting(600, { read: ["*"] }),
    );
    if (target === "/ws") await socket.say({ type: "subscribe", topic: "a" });
    await socket.message("live");
    await clock.advance(600_000 + LEEWAY - 1);
    await socket.say({ type: "heartbeat", time: 0 });
    await socket.message("heartbeat");
    await clock.advance(1);
    assertEquals(await socket.closeCode(), 4401);
  });
}

for (const byDoor of ["a WebSocket", "an event stream", "a request"]) {
  Deno.test(`A machine that has slept takes no token that has expired meanwhile: ${byDoor} (B7)`, async () => {
    await using relay = await startTimed({
      delivery: { heartbeat: 3_600_000 },
    });
    const { clock } = relay;
    const token = await lasting(600, { read: ["a"] });
    const headers = {
      Accept: byDoor === "a request" ? "application/json" : "text/event-stream",
      Authorization: `Bearer ${token}`,
    };
    const ask = () => relay.request("/topics/a", { headers });
    await using socket = byDoor === "a WebSocket"
      ? await open(relay, "/topics/a", token)
      : undefined;
    await socket?.message("live");
    const first = socket ? undefined : await ask();
    const text = first?.text();
    clock.jump(600_000 + LEEWAY);
    await clock.advance(5_000);
    if (socket) assertEquals(await socket.closeCode(), 4401);
    if (text) await within(text, LIMIT, "the end of the stream");
    const again = await ask();
    assertEquals([again.status, (await again.json()).reason], [401, "expired"]);
  });
}

Deno.test("A clock that was wrong at the start is believed once it is right (B7)", async () => {
  const clock = new FakeClock(START - 365 * 24 * 3_600_000);
  await using relay = await startRelay({ clock, rights: { jwtKey: JWT_KEY } });
  relay.relay.topics.create("a");
  const ask = async (token: string) => {
    const response = await relay.request("/topics/a", {
      headers: { Accept: "application/json", Authorization: `Bearer ${token}` },
    });
    return [response.status, (await response.json()).reason];
  };
  const old = await lasting(-600, { read: ["a"] });
  const present = await lasting(600, { read: ["a"], nbf: START / 1_000 - 600 });
  assertEquals(await ask(old), [200, undefined]);
  assertEquals(await ask(present), [401, "not_yet_valid"]);
  clock.jump(365 * 24 * 3_600_000);
  assertEquals(await ask(old), [401, "expired"]);
  assertEquals(await ask(present), [200, undefined]);
});

Deno.test("An event stream ends when its token expires, and is not begun again with that", async () => {
  await using relay = await startTimed({ delivery: { heartbeat: 3_600_000 } });
  const { clock } = relay;
  const headers = {
    Accept: "text/event-stream",
    Authorization: `Bearer ${await lasting(600, { read: ["a"] })}`,
  };
  const response = await relay.request("/topics/a", { headers });
  const text = response.text();
  await clock.advance(600_000 + LEEWAY);
  const told = await within(text, LIMIT, "the end of the stream");
  assert(told.includes("data: secret of a\n"));
  assert(!told.includes("rivulet.end"), told);
  const again = await relay.request("/topics/a", { headers });
  assertEquals(again.status, 401);
  assertEquals((await again.json()).code, "invalid_token");
});

Deno.test("A token of years is no reason to close at once, nor its timer one to keep the relay", async () => {
  await using relay = await startTimed();
  const { clock } = relay;
  const years = 10 * 365 * 24 * 3_600;
  await using socket = await followA(relay, years);
  // The longest that a timer takes is 25 days.
  await clock.advance(0);
  await socket.say({ type: "heartbeat", time: 0 });
  await socket.message("heartbeat");
});

Deno.test("The frame auth brings a new token, before the old one expires", async () => {
  await using relay = await startTimed({ delivery: { heartbeat: 3_600_000 } });
  const { clock } = relay;
  await using socket = await followA(relay);
  await socket.say({
    type: "auth",
    token: await lasting(1_200, { read: ["a"] }),
  });
  assertEquals(await socket.message("authorized"), {
    type: "authorized",
    expires: START + 1_200_000 + LEEWAY,
  });
  await clock.advance(600_000 + LEEWAY);
  await socket.say({ type: "heartbeat", time: 0 });
  await socket.message("heartbeat");
  await clock.advance(600_000);
  assertEquals(await socket.closeCode(), 4401);
});

Deno.test("The frame auth with a bad token changes nothing", async () => {
  await using relay = await startTimed({ delivery: { heartbeat: 3_600_000 } });
  const { clock } = relay;
  await using socket = await followA(relay);
  for (
    const token of [
      "none",
      await lasting(-60, { read: ["a"] }),
      await mintToken({ read: ["a"] }, { key: "x".repeat(40) }),
    ]
  ) {
    await socket.say({ type: "auth", token });
    const { code, retryable } = await socket.message("error");
    assertEquals([code, retryable], ["invalid_token", false]);
  }
  relay.relay.topics.get("a")!.append([ // it was made
    { event: "message", data: "more", id: "" },
  ]);
  assertEquals((await socket.message("events"))["events"], [{ data: "more" }]);
  await clock.advance(600_000 + LEEWAY);
  assertEquals(await socket.closeCode(), 4401);
});

Deno.test("The frame auth ends the subscriptions that the new token has no right to", async () => {
  await using relay = await startTimed();
  const { topics } = relay.relay;
  await using socket = await open(
    relay,
    "/ws",
    await lasting(600, { read: ["a", "b"] }),
  );
  for (const topic of ["a", "b"]) {
    await socket.say({ type: "subscribe", topic });
    await socket.message("live");
  }
  await socket.say({
    type: "auth",
    token: await lasting(600, { read: ["b"] }),
  });
  const { code, topic } = await socket.message("error");
  assertEquals([code, topic], ["forbidden", "a"]);
  for (const name of ["a", "b"]) {
    topics.get(name)!.append([{ event: "message", data: name, id: "" }]); // it was made
  }
  assertEquals((await socket.message("events"))["topic"], "b");
  await socket.say({ type: "subscribe", topic: "a" });
  assertEquals((await socket.message("error"))["code"], "forbidden");
  assertEquals(topics.get("a")?.followers, 0);
});

Deno.test("The frame auth closes the WebSocket of a topic that the new token has no right to", async () => {
  await using relay = await startTimed();
  await using socket = await followA(relay);
  await socket.say({
    type: "auth",
    token: await lasting(600, { read: ["b"] }),
  });
  assertEquals(await socket.closeCode(), 4503);
});

Deno.test("What is said right behind a token is done with that token, in order", async () => {
  await using relay = await startTimed();
  await using socket = await open(
    relay,
    "/ws",
    await lasting(600, { read: ["a"] }),
  );
  const token = await lasting(600, { read: ["b"], write: ["b"] });
  // In one piece, so that all of it is there before the token is read.
  await socket.client.send(Buffer.concat(
    [
      { type: "auth", token },
      { type: "subscribe", topic: "a" },
      { type: "publish", topic: "b", events: [{ data: "new" }] },
      { type: "subscribe", topic: "b", after: "now" },
    ].map((message) => makeFrame(OPCODE.text, JSON.stringify(message))),
  ));
  await socket.message("authorized");
  const { code, topic } = await socket.message("error");
  assertEquals([code, topic], ["forbidden", "a"]);
  await socket.message("published");
  assertEquals((await socket.message("subscribed"))["next"], 3);
});

Deno.test("A WebSocket that is gone leaves no timer of its token behind", async () => {
  await using relay = await startTimed();
  const { clock } = relay;
  const before = clock.pending;
  const token = await lasting(600, { read: ["a"] });
  {
    await using socket = await open(relay, "/topics/a", token);
    await socket.message("live");
    await socket.say({ type: "auth", token });
    await socket.message("authorized");
    assert(clock.pending > before);
  }
  await until(
    () => Promise.resolve(clock.pending <= before || undefined),
    LIMIT,
    "the end of the timers",
  );
});

Deno.test("A position of one topic tells nothing of it in another", async () => {
  await using relay = await startTimed();
  const { epoch } = relay.relay.topics.get("a")!.log; // it was made
  const token = await lasting(600, { read: ["b"] });
  const headers = { Authorization: `Bearer ${token}` };
  const page = await relay.request(`/topics/b?after=${epoch}:1`, {
    headers: { ...headers, Accept: "application/json" },
  });
  const { recovered, events } = await page.json();
  assertEquals([recovered, events], [false, [{ data: "secret of b" }]]);
  await using socket = await open(relay, `/topics/b?after=${epoch}:1`, token);
  assertEquals((await socket.message("subscribed"))["recovered"], false);
  assertEquals((await socket.message("gap"))["reason"], "epoch");
  assertEquals((await socket.message("events"))["events"], [
    { data: "secret of b" },
  ]);
  await assertRejects(
    () => open(relay, `/topics/a?after=${epoch}:1`, token),
    Error,
    "403",
  );
  const stream = await relay.request("/topics/a", {
    headers: {
      ...headers,
      Accept: "text/event-stream",
      "Last-Event-ID": `${epoch}:1`,
    },
  });
  assertEquals(stream.status, 403);
  assert(!(await stream.text()).includes("secret"));
});

Deno.test("The list has the topics that the caller may read, and no other", async () => {
  await using relay = await startTimed();
  for (
    const [read, names] of [
      [["a"], ["a"]],
      [["*"], ["a", "b"]],
      [[], []],
      [["c", "A", "ab"], []],
    ] as const
  ) {
    const response = await relay.request("/topics", {
      headers: {
        Authorization: `Bearer ${await lasting(600, { read, write: ["*"] })}`,
      },
    });
    const { topics } = await response.json();
    assertEquals(topics.map(({ name }: { name: string }) => name), names);
  }
});

Deno.test("To wait for a topic that is not there takes the right to read it", async () => {
  await using relay = await startTimed();
  const token = await lasting(600, { read: ["a"] });
  const { status, body } = await relay.request("/topics/new", {
    headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" },
  });
  await body?.cancel();
  assertEquals(status, 403);
  assertEquals(relay.relay.topics.get("new"), undefined);
});

Deno.test("A topic that somebody waits for counts as one of that token", async () => {
  await using relay = await startTimed({ limits: { maxTopicsPerToken: 1 } });
  const token = await lasting(600, { read: ["*"], sub: "one" });
  await using first = await open(relay, "/topics/new", token);
  await first.message("subscribed");
  await assertRejects(() => open(relay, "/topics/newer", token), Error, "429");
  const other = await lasting(600, { read: ["*"], sub: "other" });
  await using second = await open(relay, "/topics/newer", other);
  await second.message("subscribed");
});

Deno.test("A browser's token comes as a subprotocol, and is not echoed", async () => {
  await using relay = await startTimed();
  const token = await lasting(600, { read: ["a"] });
  const encoded = btoa(token).replaceAll("+", "-").replaceAll("/", "_")
    .replaceAll("=", "");
  const socket = new WebSocket(`${relay.url.replace("http", "ws")}/topics/a`, [
    "rivulet.v1",
    `bearer.${encoded}`,
  ]);
  await within(
    new Promise((resolve) => socket.onopen = resolve),
    LIMIT,
    "a connection",
  );
  assertEquals(socket.protocol, "rivulet.v1");
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await passTime(relay.clock, closed);
});

Deno.test("A token in a URL is good only where that is allowed", async () => {
  const token = await lasting(600, { read: ["a"] });
  for (const allowQueryToken of [false, true]) {
    await using relay = await startTimed({ rights: { allowQueryToken } });
    const { status, body } = await relay.request(
      `/topics/a?access_token=${token}`,
      { headers: { Accept: "application/json" } },
    );
    await body?.cancel();
    assertEquals(status, allowQueryToken ? 200 : 401);
  }
});
