// A topic whose publisher has said in which time it goes on.
import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { RawHttp } from "../../support/http/raw_http.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { startStoredRelay, STORE_KINDS } from "../../support/relay/stores.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const HEAD = "POST /topics/t?end&within=1000 HTTP/1.1\r\n" +
  "Host: 127.0.0.1\r\nContent-Type: text/event-stream\r\n" +
  "Idempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n";

const STREAM = { "content-type": "text/event-stream", "idempotency-key": "k" };

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** Publishes a part of a stream, whose connection then breaks. */
async function breakOff(relay: TestRelay, events: number): Promise<void> {
  await using http = await RawHttp.open(relay.url);
  await http.send(HEAD + chunk("data: a\n\n".repeat(events)));
  await until(
    () => topicOf(relay)?.log.next === events + 1 || undefined,
    LIMIT,
    "the events",
  );
}

async function post(
  relay: TestRelay,
  query: string,
  headers: Record<string, string>,
  body: string,
): Promise<number> {
  const response = await relay.request(`/topics/t${query}`, {
    method: "POST",
    headers,
    body,
  });
  await response.body?.cancel();
  return response.status;
}

function topicOf({ relay }: TestRelay) {
  return relay.topics.get("t");
}

/** Waits until nobody publishes, which the relay notices in its own time. */
async function quiet(relay: TestRelay): Promise<void> {
  await until(
    () => relay.relay.topics.leases.size === 0 || undefined,
    LIMIT,
    "the end of the publication",
  );
}

for (const kind of STORE_KINDS) {
  Deno.test(`A stream that broke off is gone on with in time (${kind})`, async () => {
    const clock = new FakeClock();
    await using world = await startStoredRelay(kind, { clock });
    await breakOff(world.relay, 2);
    await quiet(world.relay);
    await clock.advance(999);
    assertEquals(topicOf(world.relay)?.state.kind, "open");
    if (kind === "sqlite") {
      await world.restart();
      await clock.advance(999);
    }
    const status = await post(
      world.relay,
      "?end&within=1000",
      STREAM,
      "data: a\n\n".repeat(3),
    );
    assertEquals(status, 200);
    assertEquals(topicOf(world.relay)?.log.next, 4);
    assertEquals(topicOf(world.relay)?.verdict?.status, "complete");
  });

  Deno.test(`A stream that nobody goes on with is truncated (${kind})`, async () => {
    const clock = new FakeClock();
    await using world = await startStoredRelay(kind, { clock });
    await breakOff(world.relay, 2);
    await quiet(world.relay);
    if (kind === "sqlite") await world.restart();
    const topic = topicOf(world.relay);
    assertEquals(topic?.state.kind, "open");
    await clock.advance(1_001);
    assertEquals(await within(topic!.ended, LIMIT, "the end"), {
      status: "truncated",
      reason: "Its publisher has not gone on within 1000 ms",
    });
  });
}

Deno.test("A topic waits for its publisher only while nobody publishes", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const json = { "content-type": "application/json" };
  assertEquals(await post(relay, "?within=1000", json, '{"data":"a"}'), 200);
  await clock.advance(900);
  // It says nothing of a time: that of before holds.
  assertEquals(await post(relay, "", json, '{"data":"b"}'), 200);
  await clock.advance(900);
  await using http = await RawHttp.open(relay.url);
  await http.send(HEAD + chunk("data: c\n\n"));
  await until(
    () => topicOf(relay)?.log.next === 4 || undefined,
    LIMIT,
    "the stream",
  );
  await clock.advance(5_000);
  assertEquals(await post(relay, "", json, '{"data":"d"}'), 200);
  await clock.advance(5_000);
  assertEquals(topicOf(relay)?.state.kind, "open");
  await http.send("0\r\n\r\n");
  assertEquals((await http.answer())?.status, 200);
  assertEquals(topicOf(relay)?.verdict?.status, "complete");
});

Deno.test("A refused publication is no promise to go on", async () => {
  const clock = new FakeClock();
  await using relay = await startRelay({ clock });
  const json = { "content-type": "application/json" };
  await relay.request("/topics/t", { method: "PUT" }).then((answer) =>
    answer.body?.cancel()
  );
  assertEquals(await post(relay, "?within=1000", json, "no JSON"), 400);
  await clock.advance(2_000);
  assertEquals(topicOf(relay)?.state.kind, "pending");
  assertEquals(topicOf(relay)?.filling, undefined);
  for (const wrong of ["0", "-1", "1s", "600001", "1e3", ""]) {
    const status = await post(relay, `?within=${wrong}`, json, '{"data":"a"}');
    assertEquals(status, 400, wrong);
  }
});
