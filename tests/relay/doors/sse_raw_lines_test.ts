// Strict clients dispatch an event at every blank line: a raw stream has those of the
// upstream's events only (field.md D5).
import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { askFramed } from "../../support/http/framed_answer.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { LIMIT, until } from "../../support/within.ts";

Deno.test("A raw stream has no blank line but those that end its events (D5)", async () => {
  const clock = new FakeClock();
  await using world = await startRelay({
    clock,
    delivery: { heartbeat: 1_000 },
  });
  const { relay, port } = world;
  const topic = relay.topics.create("t");
  topic.open();
  const answer = askFramed({ port, version: "1.1", target: "/topics/t?raw" });
  await until(() => topic.followers === 1 || undefined, LIMIT, "the reader");
  for (const data of ["a\nb", "c"]) {
    await clock.advance(3_000);
    await topic.append([{ event: "x", data, id: "" }]);
  }
  await clock.advance(3_000);
  void relay.drain(1_000);
  await clock.advance(1_000);
  const { body } = await answer;
  // One that is due before the last write is over is left out: that takes real time.
  assert((body.match(/^:$/gm)?.length ?? 0) >= 1, body);
  assertEquals(body.match(/^retry: 1000$/gm)?.length, 1);
  const { epoch } = topic.log;
  assertEquals(
    body.replaceAll(/^(?::|retry: 1000)\n/gm, ""),
    [
      `event: x\nid: ${epoch}:1\ndata: a\ndata: b\n\n`,
      `event: x\nid: ${epoch}:2\ndata: c\n\n`,
    ].join(""),
  );
});
