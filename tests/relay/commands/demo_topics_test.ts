// The topics of the demo: answers that go on, fail and break off.
import { assert, assertEquals } from "@std/assert";
import { fillAll } from "../../../relay/commands/demo.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { startRelay } from "../../support/relay/relay.ts";
import { passTime } from "../../support/pass_time.ts";
import { LIMIT, until } from "../../support/within.ts";

Deno.test("The demo has topics whose answers go on, fail and break off, again and again", async () => {
  await using relay = await startRelay();
  const { topics } = relay.relay;
  const clock = new FakeClock();
  const stopping = new AbortController();
  const filled = fillAll(topics, clock, stopping.signal);
  const endOf = (name: string): Promise<string> =>
    passTime(
      clock,
      until(
        () => {
          const state = topics.get(name)?.state;
          return state?.kind === "ended" ? state.end.status : undefined;
        },
        LIMIT,
        `the end of ${name}`,
      ),
    );
  assertEquals(await endOf("demo-failing"), "failed");
  assertEquals(await endOf("demo-truncated"), "truncated");
  const { epoch } = topics.get("demo-failing")!.log;
  await passTime(
    clock,
    until(
      () => topics.get("demo-failing")?.log.epoch !== epoch || undefined,
      LIMIT,
      "the next answer",
    ),
  );
  assertEquals(await endOf("demo-failing"), "failed");
  for (const name of ["demo", "demo-long"]) {
    const topic = topics.get(name);
    assert(topic?.state.kind === "open" && topic.log.next > 3, name);
  }
  // Whoever looks may stop one, and delete it: the demo goes on.
  topics.get("demo-long")!.end("cancelled");
  topics.delete("demo-truncated");
  assertEquals(await endOf("demo-truncated"), "truncated");
  stopping.abort();
  await filled;
});
