// Publications that are refused (field.md E10), and topics that nobody fills (E9).
import { assertEquals, assertMatch } from "@std/assert";
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { JWT_KEY, mintToken } from "../../support/rights/token.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

async function names(relay: TestRelay): Promise<string[]> {
  return await Promise.resolve(
    [...relay.relay.topics].map(({ name }) => name),
  );
}

// deno-fmt-ignore
const REFUSALS: readonly (readonly [string, RequestInit, number, RelayOptions?])[] = [
  ["another type", { body: "x", headers: { "Content-Type": "text/html" } }, 415],
  ["no JSON", { body: "x", headers: JSON_TYPE }, 400],
  ["no event", { body: "[]", headers: JSON_TYPE }, 400],
  ["a wrong event", { body: '[{"data":"a"},{"data":1}]', headers: JSON_TYPE }, 400],
  ["too large a body", { body: JSON.stringify({ data: "x".repeat(99) }), headers: JSON_TYPE }, 413, { limits: { maxBody: 50 } }],
  ["too large an event", { body: JSON.stringify({ data: "x".repeat(99) }), headers: JSON_TYPE }, 413, { limits: { maxEvent: 50 } }],
  ["too large an event of a stream", { body: `data: ${"x".repeat(99)}\n\n`, headers: { "Content-Type": "text/event-stream" } }, 413, { limits: { maxEvent: 50 } }],
];

Deno.test("E10: a POST that is refused leaves no topic", async (t) => {
  for (const [name, init, status, options] of REFUSALS) {
    await t.step(name, async () => {
      await using relay = await startRelay(options);
      const response = await relay.request("/topics/t", {
        method: "POST",
        ...init,
      });
      await response.body?.cancel();
      assertEquals([response.status, await names(relay)], [status, []]);
    });
  }
  await t.step("too many events", async () => {
    await using relay = await startRelay({ limits: { maxPublishRate: 1 } });
    const statuses = [];
    for (const topic of ["a", "t"]) {
      const response = await relay.request(`/topics/${topic}`, {
        method: "POST",
        body: JSON.stringify([1, 2, 3].map(() => ({ data: "x" }))),
        headers: JSON_TYPE,
      });
      await response.body?.cancel();
      statuses.push(response.status);
    }
    assertEquals([statuses, await names(relay)], [[200, 429], ["a"]]);
  });
  await t.step("no right", async () => {
    await using relay = await startRelay({ rights: { jwtKey: JWT_KEY } });
    for (
      const [token, status] of [[await mintToken({ write: ["u"] }), 403], [
        "x",
        401,
      ]]
    ) {
      const response = await relay.request("/topics/t", {
        method: "POST",
        body: "x",
        headers: {
          "Content-Type": "text/plain",
          Authorization: `Bearer ${token}`,
        },
      });
      await response.body?.cancel();
      assertEquals([response.status, await names(relay)], [status, []]);
    }
  });
});

Deno.test("E10: a refused message 'publish' leaves no topic", async () => {
  await using relay = await startRelay({ limits: { maxEvent: 50 } });
  await using socket = await RawWebSocket.open(relay.url, "/ws");
  for (const data of [1, "x".repeat(99)]) {
    await socket.say({ type: "publish", topic: "t", events: [{ data }] });
    await socket.message("error");
    assertEquals(await names(relay), []);
  }
});

Deno.test("E10: a refused POST does not take the topic from others that fill or follow it", async () => {
  await using relay = await startRelay();
  const post = async (body: BodyInit, type = "application/json") => {
    const response = await relay.request("/topics/t", {
      method: "POST",
      body,
      headers: { "Content-Type": type },
    });
    return { status: response.status, ...await response.json() };
  };
  // Another publication is under way.
  const first = new TransformStream<Uint8Array, Uint8Array>();
  const publishing = post(first.readable, "text/event-stream");
  const writer = first.writable.getWriter();
  await writer.write(new TextEncoder().encode("data: a"));
  while (!relay.relay.topics.get("t")) {
    await new Promise((r) => setTimeout(r, 5));
  }
  assertEquals((await post("x")).status, 400);
  await writer.write(new TextEncoder().encode("\n\n"));
  await writer.close();
  const { epoch } = await publishing;
  assertEquals(relay.relay.topics.get("t")?.log.epoch, epoch);
  assertEquals(relay.relay.topics.get("t")?.log.next, 2);
  relay.relay.topics.delete("t");
  // Somebody waits for it.
  const reader = await relay.request("/topics/t");
  assertEquals((await post("x")).status, 400);
  assertEquals((await post('{"data":"b"}')).status, 200);
  relay.relay.topics.get("t")?.end("complete");
  assertMatch(await reader.text(), /data: b\n/);
  // A PUT has made it.
  await (await relay.request("/topics/u", { method: "PUT" })).body?.cancel();
  const refused = await relay.request("/topics/u", {
    method: "POST",
    body: "x",
    headers: JSON_TYPE,
  });
  await refused.body?.cancel();
  assertEquals(await names(relay), ["t", "u"]);
});

Deno.test("E9: a reader of a topic that nothing has filled is told so, in one line without an event", async (t) => {
  for (const query of ["", "?raw"]) {
    await t.step(`/topics/mistyped${query}`, async () => {
      await using relay = await startRelay();
      const response = await relay.request(`/topics/mistyped${query}`);
      const topic = relay.relay.topics.get("mistyped");
      topic?.append([{ data: "a" }]);
      topic?.end("complete");
      assertMatch(
        await response.text(),
        /^: topic 'mistyped' is pending: nothing has filled it yet\. Is its name right\?\n(?:id: \S+\n)?data: a\n\n/,
      );
    });
  }
  await t.step("of a topic that was filled", async () => {
    await using relay = await startRelay();
    const topic = relay.relay.topics.create("t");
    topic.append([{ data: "a" }]);
    const response = await relay.request("/topics/t");
    topic.end("complete");
    assertEquals((await response.text()).startsWith("id: "), true);
  });
});
