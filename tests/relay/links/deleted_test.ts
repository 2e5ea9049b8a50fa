// A topic that is deleted at one relay of a tree is filled no more by another.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  type ClientSocket,
  openSocket,
} from "../../support/client/client_socket.ts";
import { CuttableLine } from "../../support/http/cuttable_line.ts";
import { freePort } from "../../support/http/free_port.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { LIMIT, until, within } from "../../support/within.ts";

async function publish(
  { request }: TestRelay,
  data: string,
): Promise<{ epoch: string; first: number }> {
  const answer = await request("/topics/t", {
    method: "POST",
    headers: { "Content-Type": "text/plain" },
    body: data,
  });
  const told = await answer.json();
  assertEquals(answer.status, 200, JSON.stringify(told));
  return told;
}

for (const kind of ["memory", "sqlite"] as const) {
  Deno.test(`A publication that comes to an edge after a topic was deleted at another begins a new epoch (${kind})`, async () => {
    await using folder = new TemporaryFolder();
    await using root = await startRelay({
      links: true,
      store: kind === "memory" ? "memory" : `sqlite:${folder.path}/s.db`,
    }, "process");
    await using one = await startRelay({ store: root.url }, "process");
    // News of others come later here than to publishers.
    await using line = await CuttableLine.start(root.port, 30);
    await using other = await startRelay({ store: line.url }, "process");
    const relays = [root, one, other];
    for (let round = 0; round < 8; round++) {
      const at = (step: number) => relays[(round + step) % 3]!; // of three
      const { epoch } = await publish(at(0), "1");
      await publish(at(1), "2");
      const deleted = await at(0).request("/topics/t", { method: "DELETE" });
      assertEquals(deleted.status, 204);
      const after = await publish(at(1), "3");
      assertNotEquals(after.epoch, epoch, `round ${round}`);
      assert(after.first === 1);
      await (await at(2).request("/topics/t", { method: "DELETE" })).body
        ?.cancel();
    }
  });
}

/** A publisher over a WebSocket. */
class SocketPublisher implements AsyncDisposable {
  readonly #socket: ClientSocket;
  readonly #open = Promise.withResolvers<void>();
  #answer = Promise.withResolvers<string>();

  constructor(url: string) {
    this.#socket = openSocket("ws", `${url.replace("http", "ws")}/ws`, {
      onOpen: () => this.#open.resolve(),
      onText: (text) => {
        if (!text.includes('"welcome"')) this.#answer.resolve(text);
      },
      onClose: () => {},
    });
  }

  async publish(data: string): Promise<{ epoch: string; first: number }> {
    await within(this.#open.promise, LIMIT, "the socket");
    this.#answer = Promise.withResolvers();
    this.#socket.send(
      JSON.stringify({ type: "publish", topic: "t", events: [{ data }] }),
    );
    const text = await within(this.#answer.promise, LIMIT, "an answer");
    const told = JSON.parse(text);
    assertEquals(told.type, "published", text);
    return told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#socket.closed;
  }
}

Deno.test("A message that publishes at an edge after a topic was deleted at another begins a new epoch", async () => {
  await using root = await startRelay({ links: true }, "process");
  // News of others come later here than to publishers.
  await using line = await CuttableLine.start(root.port, 30);
  await using edge = await startRelay({ store: line.url }, "process");
  await using publisher = new SocketPublisher(edge.url);
  for (let round = 0; round < 8; round++) {
    const { epoch } = await publisher.publish("1");
    const deleted = await root.request("/topics/t", { method: "DELETE" });
    assertEquals(deleted.status, 204);
    const after = await publisher.publish("2");
    assertNotEquals(after.epoch, epoch, `round ${round}`);
    assertEquals(after.first, 1);
  }
});

Deno.test("A reader of the edge where a topic is deleted is told of all that was there before", async () => {
  await using root = await startRelay({ links: true }, "process");
  await using middle = await startRelay({
    store: root.url,
    links: true,
  }, "process");
  await using edge = await startRelay({ store: middle.url }, "process");
  for (let round = 0; round < 5; round++) {
    const topic = root.relay.topics.create("t");
    await topic.append([{ data: "first" }]);
    const reader = await edge.request("/topics/t?after=now", {
      headers: { Accept: "text/event-stream" },
    });
    const told = reader.text();
    // More than is on its way at a time: the edge is behind.
    const data = "x".repeat(1_000);
    await topic.append(Array.from({ length: 200 }, () => ({ data })));
    const deleted = await edge.request("/topics/t", { method: "DELETE" });
    assertEquals(deleted.status, 204);
    const text = await within(told, LIMIT, "the end");
    assertEquals(text.split(data).length - 1, 200);
    assert(
      text.includes(`"offset":202,"status":"cancelled"`),
      text.slice(-300),
    );
    await until(
      () => root.relay.topics.get("t") === undefined || undefined,
      LIMIT,
      "the deletion",
    );
  }
});

Deno.test("A reader of an edge is cut, and not told of a deletion, when the root has lost its memory", async () => {
  const port = freePort();
  const start = () => startRelay({ port, links: true }, "process");
  let root = await start();
  await using middle = await startRelay({
    store: root.url,
    links: true,
  }, "process");
  await using edge = await startRelay({ store: middle.url }, "process");
  // These are looked up before the topic is.
  for (let index = 0; index < 400; index++) {
    await edge.request(`/topics/other-${index}`, { method: "HEAD" });
  }
  for (let round = 0; round < 3; round++) {
    await root.relay.topics.create("t").append([{ data: "first" }]);
    const reader = await edge.request("/topics/t", {
      headers: { Accept: "text/event-stream" },
    });
    let told = "";
    const reading = (async () => {
      for await (const chunk of reader.body!) { // it is a stream
        told += new TextDecoder().decode(chunk);
      }
    })().catch(() => {});
    await until(() => told.includes("first") || undefined, LIMIT, "the event");
    await root[Symbol.asyncDispose]();
    root = await start();
    await root.relay.topics.create("t").append([{ data: "again" }]);
    // Whoever asks for the topic has the name looked up anew.
    let isCut = false;
    void reading.then(() => isCut = true);
    await until(
      async () => {
        await edge.request("/topics/t", { method: "HEAD" });
        return isCut || undefined;
      },
      LIMIT,
      "the reader to be cut",
    );
    assert(!told.includes("deleted"), told);
    await root.request("/topics/t", { method: "DELETE" });
    await until(
      async () => {
        const { status } = await edge.request("/topics/t", { method: "HEAD" });
        return status === 404 || undefined;
      },
      LIMIT,
      "the deletion",
    );
  }
  await root[Symbol.asyncDispose]();
});
