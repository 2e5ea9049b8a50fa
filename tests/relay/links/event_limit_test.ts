// An event that the edge takes and its parent does not: refused, and no part of it is
// taken for the whole.
import { assert, assertEquals } from "@std/assert";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until } from "../../support/within.ts";

const LARGE = "x".repeat(101);

const MESSAGE =
  "Expected events of at most 100 bytes each, which is --max-event of the relay that the topic lives in";

function startParent(): Promise<TestRelay> {
  return startRelay({ links: true, limits: { maxEvent: 100 } });
}

async function endOf(
  { request }: TestRelay,
  name: string,
): Promise<{ events: unknown; end: unknown }> {
  return await until(
    async () => {
      const response = await request(`/topics/${name}?after=start`, {
        headers: { Accept: "application/json" },
      });
      const { events, end } = await response.json();
      return end && { events, end };
    },
    LIMIT,
    "the end",
  );
}

Deno.test("An edge refuses a publication that its parent does not take", async () => {
  await using parent = await startParent();
  await using edge = await startRelay({ store: parent.url });
  const publish = async (type: string, body: string): Promise<unknown[]> => {
    const response = await edge.request("/topics/t", {
      method: "POST",
      headers: { "Content-Type": type },
      body,
    });
    const { code, detail, first } = await response.json();
    return [response.status, code ?? first, detail];
  };
  const refused = [413, "event_too_large", MESSAGE];
  assertEquals(await publish("text/plain", LARGE), refused);
  assertEquals(
    await publish("application/json", JSON.stringify({ data: LARGE })),
    refused,
  );
  const stream = `data: ${LARGE}\n\n`;
  assertEquals(await publish("text/event-stream", stream), refused);
  await using socket = await RawWebSocket.open(edge.url, "/ws");
  const events = [{ data: LARGE }];
  await socket.say({ type: "publish", topic: "t", events });
  const { code, message, retryable } = await socket.message("error");
  assertEquals([code, message, retryable], [...refused.slice(1), false]);
  assertEquals(await publish("text/plain", "fits"), [200, 1, undefined]);
});

Deno.test("A source ends as truncated if the parent does not take its last event", async () => {
  await using upstream = await RawProvider.start();
  await using parent = await startParent();
  await using edge = await startRelay({
    store: parent.url,
    sources: [{ name: "s", url: upstream.url, reconnect: false }],
  });
  const exchange = await upstream.next();
  await exchange.stream(`data: a\n\ndata: ${LARGE}\n\n`);
  await exchange.end();
  const { end } = await endOf(edge, "s");
  assertEquals(end, { offset: 1, status: "truncated", reason: MESSAGE });
});

Deno.test("A run's caller gets all of it if the parent does not take an event", async () => {
  await using provider = await RawProvider.start();
  await using parent = await startParent();
  await using edge = await startRelay({
    store: parent.url,
    gateway: { providers: [{ name: "raw", url: provider.url }] },
  });
  const asked = edge.request("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json", "Rivulet-Topic": "run" },
    body: '{"stream":true}',
  });
  const exchange = await provider.next();
  await exchange.body();
  const text = `data: {"x":"${LARGE}"}\n\ndata: [DONE]\n\n`;
  await exchange.stream(text);
  await exchange.end();
  const response = await asked;
  assert((await response.text()).endsWith(text));
  const { end } = await endOf(edge, "run");
  assertEquals((end as { status: string }).status, "truncated");
});
