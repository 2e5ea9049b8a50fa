// Keys of publications are the publisher's own: row B3 of what users' reports break.
import { assertEquals } from "@std/assert";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";

const JSON_TYPE = "application/json";
const SSE_TYPE = "text/event-stream";
const TEXT_TYPE = "text/plain";

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly first?: number;
  readonly next?: number;
}

/** Publishes under the key `k`. */
async function post(
  { request }: TestRelay,
  type: string,
  body: BodyInit,
  token?: string,
): Promise<Answer> {
  const answer = await request("/topics/t", {
    method: "POST",
    headers: {
      "content-type": type,
      "idempotency-key": "k",
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    body,
  });
  const { code, first, next } = await answer.json();
  return {
    status: answer.status,
    ...(code !== undefined ? { code } : { first, next }),
  };
}

const MISMATCH: Answer = { status: 422, code: "idempotency_mismatch" };

async function dataOf({ relay }: TestRelay): Promise<string[]> {
  const { log } = relay.topics.get("t")!; // the tests have made it
  const { entries } = await log.read(1, { events: 100, bytes: Infinity });
  return entries.map(({ event }) => event.data);
}

Deno.test("Two publishers with one Idempotency-Key publish both (B3)", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const [ann, bob] = await Promise.all(
    ["ann", "bob"].map((sub) => mintToken({ write: ["t"], sub })),
  );
  assertEquals(await post(relay, TEXT_TYPE, "a", ann), {
    status: 200,
    first: 1,
    next: 2,
  });
  assertEquals(await post(relay, TEXT_TYPE, "b", bob), {
    status: 200,
    first: 2,
    next: 3,
  });
  // Another token of the same holder is the same publisher.
  const again = await mintToken({ write: ["t"], sub: "ann", exp: 4e9 });
  assertEquals(await post(relay, TEXT_TYPE, "a", again), {
    status: 200,
    first: 1,
    next: 2,
  });
  assertEquals(await dataOf(relay), ["a", "b"]);
});

for (
  const [name, type, body, others] of [
    ["text", TEXT_TYPE, "a", ["b", "", "aa"]],
    ["JSON", JSON_TYPE, '[{"data":"a"},{"data":"b"}]', [
      '{"data":"a"}',
      '[{"data":"a"}]',
      '[{"data":"a"},{"data":"c"}]',
      '[{"data":"a"},{"data":"b"},{"data":"c"}]',
      '[{"data":"a"},{"data":"b","id":"1"}]',
      '[{"data":"a"},{"data":"b","event":"x"}]',
    ]],
    ["an event stream", SSE_TYPE, "data: a\n\ndata: b\n\n", [
      "",
      "data: a\n\n",
      "data: a\n\ndata: c\n\n",
      "data: a\n\ndata: b\n\ndata: c\n\n",
    ]],
  ] as const
) {
  Deno.test(`Another body under the same key is refused: ${name} (B3)`, async () => {
    await using relay = await startRelay();
    const first = await post(relay, type, body);
    assertEquals(first.status, 200);
    const before = await dataOf(relay);
    for (const other of others) {
      assertEquals(await post(relay, type, other), MISMATCH, other);
    }
    assertEquals(await post(relay, type, body), first);
    assertEquals(await dataOf(relay), before);
  });
}

Deno.test("A repeated body is compared by its events, not by their form (B3)", async () => {
  await using relay = await startRelay();
  const first = await post(relay, JSON_TYPE, '[{"data":"a"}]');
  assertEquals(await post(relay, JSON_TYPE, ' { "data": "a" }'), first);
  assertEquals(await post(relay, TEXT_TYPE, "a"), first);
  assertEquals(await post(relay, SSE_TYPE, ": c\ndata:a\n\n"), first);
});

for (
  const [name, type, whole, other] of [
    [
      "an event stream",
      SSE_TYPE,
      "data: a\n\ndata: b\n\n",
      "data: c\n\ndata: b\n\n",
    ],
    ["JSON", JSON_TYPE, '[{"data":"a"},{"data":"b"}]', '[{"data":"c"}]'],
  ] as const
) {
  Deno.test(`A stream that broke off is completed by itself only, as ${name} (B3)`, async () => {
    await using relay = await startRelay({ limits: { maxEvent: 1_024 } });
    const broken = `data: a\n\ndata: ${"x".repeat(2_048)}\n\n`;
    assertEquals((await post(relay, SSE_TYPE, broken)).status, 413);
    assertEquals(await dataOf(relay), ["a"]);
    assertEquals(await post(relay, type, other), MISMATCH);
    assertEquals(await dataOf(relay), ["a"]);
    assertEquals((await post(relay, type, whole)).status, 200);
    assertEquals(await dataOf(relay), ["a", "b"]);
  });
}

Deno.test("The id of a publish message is the publisher's own, and compared (B3)", async () => {
  await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const open = async (sub: string) =>
    await RawWebSocket.open(relay.url, "/ws", {
      Authorization: `Bearer ${await mintToken({ write: ["t"], sub })}`,
    });
  await using ann = await open("ann");
  await using bob = await open("bob");
  const publish = async (socket: RawWebSocket, data: string, type: string) => {
    await socket.say({
      type: "publish",
      topic: "t",
      events: [{ data }],
      id: "1",
    });
    const { first, code } = await socket.message(type);
    return first ?? code;
  };
  assertEquals(await publish(ann, "a", "published"), 1);
  assertEquals(await publish(bob, "b", "published"), 2);
  assertEquals(await publish(ann, "a", "published"), 1);
  assertEquals(await publish(ann, "c", "error"), "idempotency_mismatch");
  assertEquals(await dataOf(relay), ["a", "b"]);
});

Deno.test("Long events under one Idempotency-Key are compared whole (A2, B3)", async () => {
  await using relay = await startRelay();
  const long = "\u0001".repeat(40 * 1_024);
  const bodyOf = (...data: string[]): string =>
    JSON.stringify(data.map((data) => ({ data })));
  const published = { status: 200, first: 1, next: 3 };
  const body = bodyOf(`${long}\ud800`, "b");
  assertEquals(await post(relay, JSON_TYPE, body), published);
  assertEquals(await post(relay, JSON_TYPE, body), published);
  for (
    const other of [
      bodyOf(`${long}\ud801`, "b"),
      bodyOf(`${long}\ud800b`, ""),
      bodyOf(long, "\ud800b"),
      bodyOf(`${long}\ud800`),
    ]
  ) assertEquals(await post(relay, JSON_TYPE, other), MISMATCH);
});
