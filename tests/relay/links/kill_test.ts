// kill -9 of a parent and of an edge, in processes of their own.
import { assert, assertEquals } from "@std/assert";
import { subscribe } from "../../../relay/client/mod.ts";
import { freePort } from "../../support/http/free_port.ts";
import { MortalRelay } from "../../support/relay/mortal_relay.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** Publishes numbers under keys of their own, each until it is acknowledged. */
async function publish(url: string, from: number, to: number): Promise<void> {
  for (let number = from; number <= to; number++) {
    await until(
      async () => {
        try {
          const { status, body } = await fetch(`${url}/topics/t`, {
            method: "POST",
            headers: {
              "Content-Type": "text/plain",
              "Idempotency-Key": `key-${number}`,
            },
            body: `${number}`,
          });
          await body?.cancel();
          return status === 200 || undefined;
        } catch {
          return undefined; // the relay is away
        }
      },
      LIMIT,
      `event ${number} to be taken`,
    );
  }
}

/** One who follows a topic to its end, and can move to another relay. */
class Follower {
  readonly told: string[] = [];
  #position: string | undefined;
  #stop = new AbortController();
  over: Promise<void>;

  constructor(url: string) {
    this.over = this.#follow(url);
  }

  /** Goes on at another relay, after the last event that it has. */
  async move(url: string): Promise<void> {
    this.#stop.abort();
    await this.over;
    this.#stop = new AbortController();
    this.over = this.#follow(url);
  }

  async #follow(url: string): Promise<void> {
    const { signal } = this.#stop;
    const options = { signal, ...this.#position && { after: this.#position } };
    try {
      for await (const message of subscribe(`${url}/topics/t`, options)) {
        if (message.type === "gap") this.told.push(`gap ${message.reason}`);
        if (message.type !== "event") continue;
        this.told.push(message.data);
        this.#position = message.position;
      }
    } catch (error) {
      if (!signal.aborted) this.told.push((error as Error).message);
    }
  }
}

Deno.test("A parent and an edge that are killed lose and double nothing", async () => {
  await using folder = new TemporaryFolder();
  const port = freePort();
  const root = async (): Promise<MortalRelay> => {
    const relay = new MortalRelay([
      ...["--port", `${port}`, "--links"],
      ...["--store", `sqlite:${folder.path}/s.db`],
    ]);
    assert(await within(relay.listening, LIMIT, "the root"));
    return relay;
  };
  const store = `http://127.0.0.1:${port}`;
  let parent = await root();
  await using middle = await startRelay({ store, links: true });
  await using edge = await startRelay({ store: middle.url });
  const doomed = new MortalRelay(["--port", "0", "--store", middle.url]);
  const other = await within(doomed.listening, LIMIT, "another edge");
  assert(other);
  // One follows at the edge, one at an edge that dies, and moves to the other one.
  const mover = new Follower(other);
  const followers = [new Follower(edge.url), mover];
  await publish(edge.url, 1, 20);
  const publishing = publish(edge.url, 21, 60);
  await parent.kill("SIGKILL");
  parent = await root();
  await within(publishing, LIMIT, "the publications");
  await publish(other, 61, 70);
  await doomed.kill("SIGKILL");
  await publish(edge.url, 71, 75);
  await mover.move(edge.url);
  await publish(edge.url, 76, 80);
  const ended = await fetch(`${store}/topics/t/end`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ status: "failed", reason: "enough" }),
  });
  await ended.body?.cancel();
  const expected = Array.from({ length: 80 }, (_, index) => `${index + 1}`);
  for (const { told, over } of followers) {
    await within(over, LIMIT, () => `the end after ${told.at(-1)}`);
    assertEquals(told, [...expected, "Topic 't' failed: enough"]);
  }
  await parent.kill("SIGTERM");
});

Deno.test("A publication that an edge was given when it was killed ends as truncated at its parent", async () => {
  await using root = await startRelay({ links: true });
  const doomed = new MortalRelay(["--port", "0", "--store", root.url]);
  const url = await within(doomed.listening, LIMIT, "the edge");
  assert(url);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) =>
      controller.enqueue(new TextEncoder().encode("data: 1\n\n")),
  });
  const publishing = fetch(`${url}/topics/t?end`, {
    method: "POST",
    headers: { "Content-Type": "text/event-stream" },
    body,
  }).catch(() => {});
  const { topics } = root.relay;
  await until(
    () => topics.get("t")?.log.next === 2 || undefined,
    LIMIT,
    "its event",
  );
  await doomed.kill("SIGKILL");
  await publishing;
  const ended = topics.get("t")?.ended;
  const end = await within(Promise.resolve(ended), LIMIT, "its end");
  assertEquals(end?.status, "truncated");
});
