// A raw reader is not given a stream with a hole in it (field.md C6).
import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { askFramed } from "../../support/http/framed_answer.ts";
import { startRelay, type TestRelay } from "../../support/relay/relay.ts";

async function startTopic(): Promise<TestRelay & { epoch: string }> {
  const world = await startRelay({ retention: { maxEvents: 3 } });
  const topic = world.relay.topics.create("t");
  for (const data of ["a", "b", "c", "d", "e"]) {
    topic.append([{ event: "message", data, id: "" }]);
  }
  topic.end("complete");
  return { ...world, epoch: topic.log.epoch };
}

for (const version of ["1.0", "1.1"] as const) {
  Deno.test(`A raw reader over HTTP/${version} is refused a position that retention has passed (C6)`, async () => {
    await using world = await startTopic();
    const { port, epoch } = world;
    for (
      const ask of [
        { headers: { "last-event-id": `${epoch}:1` } },
        { query: `&after=${epoch}:1` },
        { headers: { "last-event-id": "another-log:9" } },
        { headers: { "last-event-id": "17" } },
      ]
    ) {
      const { status, body } = await askFramed({
        port,
        version,
        target: `/topics/t?raw${ask.query ?? ""}`,
        headers: { ...ask.headers },
      });
      const { code, first, epoch: log } = JSON.parse(body);
      assertEquals(
        { status, code, first, log },
        { status: 410, code: "position_not_retained", first: 3, log: epoch },
      );
    }
  });

  Deno.test(`A raw reader over HTTP/${version} gets what follows a retained position, or none (C6)`, async () => {
    await using world = await startTopic();
    const { port, epoch } = world;
    for (
      const [query, data] of [
        [`after=${epoch}:2`, ["c", "d", "e"]],
        [`after=${epoch}:4`, ["e"]],
        ["after=start", ["c", "d", "e"]],
        ["", ["c", "d", "e"]],
      ] as const
    ) {
      const { status, body, end } = await askFramed({
        port,
        version,
        target: `/topics/t?raw&${query}`,
      });
      assertEquals(
        [status, body.match(/^data: .*$/gm), end],
        [200, data.map((text) => `data: ${text}`), "whole"],
      );
    }
  });
}

Deno.test("A raw reader of another log reads one that has lost nothing from its start (C6)", async () => {
  await using world = await startRelay();
  const topic = world.relay.topics.create("t");
  topic.append([{ event: "message", data: "a", id: "" }]);
  topic.end("complete");
  const { status, body, end } = await askFramed({
    port: world.port,
    version: "1.1",
    target: "/topics/t?raw",
    headers: { "last-event-id": "another-log:9" },
  });
  assertEquals([status, body.match(/^data: .*$/gm), end], [
    200,
    ["data: a"],
    "whole",
  ]);
});

Deno.test("A raw reader that retention overtakes is cut, and not told the rest as if it were all (C6)", async () => {
  const clock = new FakeClock();
  await using world = await startRelay({
    clock,
    retention: { maxEvents: 3 },
  });
  const topic = world.relay.topics.create("t");
  const large = "x".repeat(4_000_000);
  topic.append([{ event: "message", data: large, id: "" }]);
  const { body } = await fetch(`${world.url}/topics/t?raw`);
  const reader = body!.getReader(); // an event stream has a body
  await reader.read();
  // The first event is under way: the reader takes no other until it is read.
  for (const data of ["b", "c", "d", "e", "f"]) {
    topic.append([{ event: "message", data, id: "" }]);
  }
  topic.end("complete");
  let text = "";
  let end = "whole";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += new TextDecoder().decode(value);
    }
  } catch {
    end = "cut";
  }
  assertEquals([text.includes("data: f"), end], [false, "cut"]);
});
