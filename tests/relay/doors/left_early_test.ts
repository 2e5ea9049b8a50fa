// Clients that leave while their topic is being prepared, as it is where topics live
// elsewhere, leave nothing behind (field.md A3).
import { assertEquals } from "@std/assert";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { RawClient } from "../../support/subscribers/raw_websocket.ts";
import { LIMIT, until } from "../../support/within.ts";

/** A store that has to ask others for each topic, and gets no answer for now. */
class SlowStore extends MemoryStore {
  readonly isShared = true;
  #answers = Promise.withResolvers<void>();
  asked = 0;

  constructor() {
    super(
      { maxEvents: 10_000, maxBytes: 2 ** 24, maxAge: Infinity },
      systemClock,
    );
  }

  async prepare(): Promise<void> {
    this.asked++;
    await this.#answers.promise;
  }

  answer(): void {
    this.#answers.resolve();
    this.#answers = Promise.withResolvers();
  }
}

const UPGRADE =
  "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const STREAM = "Accept: text/event-stream\r\n";

const REQUESTS: readonly (readonly [target: string, headers: string])[] = [
  ["/topics/a", STREAM],
  ["/topics/b?raw", STREAM],
  ["/topics/c?stay", STREAM],
  ["/topics/t/info", STREAM],
  ["/topics/t?after=start", "Accept: application/json\r\n"],
  ["/topics/d", UPGRADE],
];

Deno.test("Who leaves before a stream begins leaves no reader behind", async () => {
  const store = new SlowStore();
  await using relay = await startRelay({ store });
  const topic = relay.relay.topics.create("t");
  topic.append([{ data: "x".repeat(100_000) }]);
  const status = async () => {
    const { connections, subscriptions, memory } = await relay.request(
      "/status",
    ).then((response) => response.json());
    return { ...connections, ...subscriptions, queued: memory.queued };
  };
  const before = await status();
  for (const [target, headers] of REQUESTS) {
    const asked = store.asked;
    await using client = await RawClient.connect(relay.url);
    await client.send(
      `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`,
    );
    await until(
      () => store.asked > asked || undefined,
      LIMIT,
      "the question",
    );
    const open = (await status()).tcp;
    client.reset();
    await until(
      async () => (await status()).tcp < open || undefined,
      LIMIT,
      "the connection to be gone",
    );
    store.answer();
  }
  const after = await until(
    async () => {
      const now = await status();
      return now.tcp === before.tcp && now.queued === 0 ? now : undefined;
    },
    LIMIT,
    "all connections to be gone",
  );
  assertEquals(after, before);
});
