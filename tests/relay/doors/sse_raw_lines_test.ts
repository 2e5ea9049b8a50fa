// Strict clients dispatch an event at every blank line: a raw stream has those of the
// upstream's events only (field.md D5).
import { assertEquals } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { parseFramed } from "../../support/http/framed_answer.ts";
import { RawCaller } from "../../support/http/raw_caller.ts";
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
  using reader = await RawCaller.open(port);
  reader.head("GET", "/topics/t?raw");
  await until(() => topic.followers === 1 || undefined, LIMIT, "the reader");
  let seen = 0;
  for (const data of ["a\nb", "c"]) {
    await topic.append([{ event: "x", data, id: "" }]);
    seen = (await reader.see(`data: ${data.at(-1)}\n`)).length;
    // A heartbeat is left out while the last write goes on, so more than one may be due.
    await until(
      async () => {
        await clock.advance(1_000);
        return /^:\r?$/m.test(reader.text.slice(seen)) || undefined;
      },
      LIMIT,
      "a heartbeat",
    );
  }
  void relay.drain(1_000);
  await clock.advance(1_000);
  const { body } = parseFramed(await reader.closed());
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
