// A publication that an edge refuses as its parent is away, to a topic that others go on with.
import { assertEquals } from "@std/assert";
import { freePort } from "../../support/http/free_port.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

const TEXT = { "Content-Type": "text/plain" };

async function publish(url: string, topic: string): Promise<number> {
  const { status, body } = await fetch(`${url}/topics/${topic}`, {
    method: "POST",
    headers: TEXT,
    body: "1",
  });
  await body?.cancel();
  return status;
}

async function isThere(url: string, topic: string): Promise<true | undefined> {
  const { ok, body } = await fetch(`${url}/topics/${topic}?wait=false`, {
    method: "HEAD",
  });
  await body?.cancel();
  return ok || undefined;
}

async function isReady(url: string): Promise<true | undefined> {
  const { ok, body } = await fetch(`${url}/readyz`);
  await body?.cancel();
  return ok || undefined;
}

Deno.test("A topic that others have filled outlives a publication that an edge refused meanwhile", async () => {
  await using root = await startRelay({ links: true });
  const port = freePort();
  const options = { port, store: root.url, links: true };
  let middle = await startRelay(options);
  await using edge = await startRelay({ store: middle.url });
  const body = new TransformStream<string, string>();
  const writer = body.writable.getWriter();
  const refused = edge.request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body: body.readable.pipeThrough(new TextEncoderStream()),
  });
  await until(() => isThere(root.url, "t"), LIMIT, "the topic");
  await middle[Symbol.asyncDispose]();
  await writer.write("data: 0\n\n");
  await writer.close();
  const { status, body: rest } = await refused;
  await rest?.cancel();
  assertEquals(status, 503);
  assertEquals(await publish(root.url, "t"), 200);
  middle = await startRelay(options);
  await using _middle = middle;
  await until(() => isReady(edge.url), LIMIT, "the edge");
  assertEquals(await publish(edge.url, "other"), 200);
  const kept = await root.request("/topics/t?wait=false", {
    headers: { Accept: "application/json" },
  });
  const { events, end } = await kept.json();
  assertEquals([kept.status, events, end], [200, [{ data: "1" }], undefined]);
});
