// A topic that is deleted at one relay of a tree is filled no more by another.
import { assert, assertEquals, assertNotEquals } from "@std/assert";
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
