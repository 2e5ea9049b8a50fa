// A topic that ends with the body of its publication (field.md H3).
import { assertEquals } from "@std/assert";
import { RawHttp } from "../../support/http/raw_http.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { startStoredRelay, STORE_KINDS } from "../../support/relay/stores.ts";
import { LIMIT, until, within } from "../../support/within.ts";

const HEAD = "POST /topics/t?end HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
  "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

async function post(
  { request }: TestRelay,
  type: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<[number, unknown]> {
  const response = await request("/topics/t?end", {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body,
  });
  const { code, end } = await response.json();
  return [response.status, code ?? end];
}

async function endOf({ relay }: TestRelay): Promise<unknown> {
  const topic = await until(
    () => relay.topics.get("t"),
    LIMIT,
    "the topic",
  );
  return await within(topic.ended, LIMIT, "the end");
}

const COMPLETE = { status: "complete" };

for (const kind of STORE_KINDS) {
  Deno.test(`A topic ends with a whole body, whatever its type (${kind})`, async () => {
    for (
      const [type, body] of [
        ["text/event-stream", "data: a\n\n"],
        ["application/json", '{"data":"a"}'],
        ["text/plain", "a"],
        ["text/event-stream", ""],
      ] as const
    ) {
      await using world = await startStoredRelay(kind);
      assertEquals(await post(world.relay, type, body), [200, COMPLETE], type);
      assertEquals(await endOf(world.relay), COMPLETE);
      assertEquals(
        world.relay.relay.topics.get("t")?.log.next,
        body === "" ? 1 : 2,
      );
      const [status, code] = await post(world.relay, type, body);
      assertEquals([status, code], [409, "topic_ended"]);
    }
  });

  Deno.test(`A repeated publication that its topic ended with is answered as before (${kind})`, async () => {
    await using world = await startStoredRelay(kind);
    const key = { "idempotency-key": "k" };
    const type = "text/event-stream";
    const body = "data: a\n\ndata: b\n\n";
    for (let attempt = 0; attempt < 3; attempt++) {
      assertEquals(
        await post(world.relay, type, body, key),
        [200, COMPLETE],
      );
      if (kind === "sqlite" && attempt === 1) await world.restart();
    }
    const other = await post(world.relay, type, "data: c\n\n", key);
    assertEquals(other, [422, "idempotency_mismatch"]);
    const longer = `${body}data: c\n\n`;
    const [status] = await post(world.relay, type, longer, key);
    assertEquals(status >= 409, true);
    assertEquals(world.relay.relay.topics.get("t")?.log.next, 3);
  });
}

Deno.test("H3: a publisher that dies within its body leaves no topic open", async () => {
  await using relay = await startRelay();
  const follower = await relay.request("/topics/t");
  {
    await using http = await RawHttp.open(relay.url);
    await http.send(`${HEAD}\r\n${chunk("data: a\n\n")}`);
    await until(
      () => relay.relay.topics.get("t")?.log.next === 2 || undefined,
      LIMIT,
      "the first event",
    );
  }
  const end = await endOf(relay) as { status: string };
  assertEquals(end.status, "truncated");
  const text = await within(follower.text(), LIMIT, "the follower's end");
  assertEquals(/"status":"truncated"/.test(text), true);
});

Deno.test("A publisher whose topic is cancelled is answered while its body is silent (H12)", async () => {
  await using relay = await startRelay();
  await using http = await RawHttp.open(relay.url);
  await http.send(`${HEAD}\r\n${chunk("data: a\n\n")}`);
  const topic = await until(
    () => {
      const topic = relay.relay.topics.get("t");
      return topic?.log.next === 2 ? topic : undefined;
    },
    LIMIT,
    "the first event",
  );
  topic.end("cancelled", "enough");
  const answer = await within(http.answer("POST"), LIMIT, "the answer");
  assertEquals(answer?.status, 409);
  const { code, end } = JSON.parse(answer?.body ?? "");
  assertEquals([code, end], [
    "topic_ended",
    { status: "cancelled", reason: "enough" },
  ]);
  // Of early answers, @hono/node-server looks after the body for 500 ms.
  await new Promise((resolve) => setTimeout(resolve, 600));
});

Deno.test("A stream that the relay does not read to its end ends its topic as truncated", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 50 } });
  const body = `data: a\n\ndata: ${"x".repeat(99)}\n\n`;
  const [status, code] = await post(relay, "text/event-stream", body);
  assertEquals([status, code], [413, "event_too_large"]);
  const end = await endOf(relay) as { status: string };
  assertEquals(end.status, "truncated");
});

Deno.test("A refused body ends nothing", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 50 } });
  relay.relay.topics.create("t").append([{ data: "x" }]);
  for (
    const [type, body, status] of [
      ["application/json", "no JSON", 400],
      ["text/plain", "x".repeat(99), 413],
      ["text/html", "x", 415],
    ] as const
  ) {
    assertEquals((await post(relay, type, body))[0], status);
    assertEquals(relay.relay.topics.get("t")?.state.kind, "open");
  }
  const wrong = await relay.request("/topics/t?end=complete", {
    method: "POST",
    headers: { "content-type": "text/plain" },
    body: "x",
  });
  assertEquals((await wrong.json()).code, "invalid_query");
});

Deno.test("A request that has no part in a publication does not end it", async () => {
  await using relay = await startRelay();
  await using http = await RawHttp.open(relay.url);
  await http.send(
    `${HEAD}Idempotency-Key: k\r\n\r\n${chunk("data: a\n\n")}`,
  );
  await until(
    () => relay.relay.topics.get("t")?.log.next === 2 || undefined,
    LIMIT,
    "the first event",
  );
  const type = "text/event-stream";
  const key = { "idempotency-key": "k" };
  assertEquals(
    await post(relay, type, "data: a\n\n", key),
    [409, "key_in_use"],
  );
  assertEquals(relay.relay.topics.get("t")?.state.kind, "open");
  await http.send("0\r\n\r\n");
  assertEquals((await http.answer())?.status, 200);
  assertEquals(await endOf(relay), COMPLETE);
});

Deno.test("A stream whose relay dies is truncated by the next relay on its store", async () => {
  await using folder = new TemporaryFolder();
  const args = ["--port", "0", "--store", `sqlite:${folder.path}/store.db`];
  const mortal = new MortalRelay(args);
  try {
    const url = await within(mortal.listening, LIMIT, "the relay") ?? "";
    const follower = await fetch(`${url}/topics/t`);
    await using http = await RawHttp.open(url);
    await http.send(`${HEAD}\r\n${chunk("data: a\n\n")}`);
    const reader = follower.body!.pipeThrough(new TextDecoderStream())
      .getReader(); // a stream has a body
    for (let seen = ""; !seen.includes("data: a");) {
      const { value = "" } = await within(reader.read(), LIMIT, "the event");
      seen += value;
    }
    await mortal.kill("SIGKILL");
    await reader.cancel().catch(() => {}); // the connection was reset
  } finally {
    await mortal.kill("SIGKILL");
  }
  await using relay = await startRelay({
    store: `sqlite:${folder.path}/store.db`,
  });
  const end = await endOf(relay) as { status: string };
  assertEquals(end.status, "truncated");
});
