// A topic that has ended at one relay of a tree is renewed by another at once.
import { assertEquals } from "@std/assert";
import {
  BEGIN,
  REST,
  UI_HEADER,
  userMessage,
} from "../../support/gateway/chat_world.ts";
import { RawProvider } from "../../support/gateway/raw_provider.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { RawWebSocket } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, within } from "../../support/within.ts";

const ROUNDS = 6;

/** The time by which news are late at an edge that is far away, in milliseconds. */
const DELAY = 30;

async function post(
  { request }: TestRelay,
  query = "",
): Promise<{ epoch?: string; code?: string }> {
  const answer = await request(`/topics/t${query}`, {
    method: "POST",
    headers: { "Content-Type": "text/plain", "Rivulet-If-Ended": "renew" },
    body: "x",
  });
  return await answer.json();
}

/** The answer to a publication. */
async function told(socket: RawWebSocket): Promise<Record<string, unknown>> {
  for (;;) {
    const message = await socket.next();
    const { type } = message ?? { type: "error", code: "closed" };
    if (type === "published" || type === "error") return message ?? {};
  }
}

Deno.test("A topic that a publication has ended at one edge is renewed at another at once", async () => {
  await using root = await startRelay({ links: true }, "process");
  await using one = await startRelay({ store: root.url }, "process");
  await using line = await CuttableLine.start(root.port, DELAY);
  await using other = await startRelay({ store: line.url }, "process");
  const relays = [root, one, other];
  const epochs = new Set<string | undefined>();
  for (let round = 0; round < ROUNDS; round++) {
    const { epoch, code } = await post(relays[round % 3]!, "?end"); // of three
    assertEquals(code, undefined, `round ${round}`);
    epochs.add(epoch);
  }
  assertEquals(epochs.size, ROUNDS);
});

Deno.test("A message renews a topic at once that has ended at another edge", async () => {
  await using root = await startRelay({ links: true }, "process");
  await using one = await startRelay({ store: root.url }, "process");
  await using line = await CuttableLine.start(root.port, DELAY);
  await using other = await startRelay({ store: line.url }, "process");
  await using socket = await RawWebSocket.open(other.url, "/ws", {});
  for (let round = 0; round < ROUNDS; round++) {
    const { code } = await post(one, "?end");
    assertEquals(code, undefined, `round ${round}`);
    await socket.say({
      type: "publish",
      topic: "t",
      events: [{ data: "y" }],
      ifEnded: "renew",
    });
    const { code: refused } = await told(socket);
    assertEquals(refused, undefined, `round ${round}`);
    const ended = await other.request("/topics/t/end", { method: "POST" });
    assertEquals(ended.status, 200);
    await ended.body?.cancel();
  }
});

Deno.test("A chat's next turn begins at another edge, and at the same one, as soon as the last one has ended", async () => {
  await using provider = await RawProvider.start();
  await using root = await startRelay({ links: true }, "process");
  const edge = {
    store: root.url,
    chats: [{ name: "app", url: `${provider.url}/chat` }],
  };
  await using one = await startRelay(edge, "process");
  await using line = await CuttableLine.start(root.port, DELAY);
  await using other = await startRelay({ ...edge, store: line.url }, "process");
  for (const [round, relay] of [one, other, other, one, one].entries()) {
    const asked = relay.request("/chat/app", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ id: "7", messages: [userMessage("Hi")] }),
    });
    const refused = asked.then(async (answer) => {
      if (!answer.ok) throw new Error(`round ${round}: ${await answer.text()}`);
      return await new Promise<never>(() => {});
    });
    const exchange = await Promise.race([provider.next(), refused]);
    await exchange.body();
    await exchange.stream(BEGIN, UI_HEADER);
    await exchange.end(REST);
    const text = await within((await asked).text(), LIMIT, "the answer");
    assertEquals(text.endsWith(REST), true);
  }
});
