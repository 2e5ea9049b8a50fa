// A filler that has lost its lease does not end the topic: whoever has it does.
import { assertEquals, assertRejects } from "@std/assert";
import { MemoryStore } from "../../../relay/stores/memory_store.ts";
import { LeaseLostError } from "../../../relay/topics/lease.ts";
import { Leases } from "../../../relay/topics/leases.ts";
import { StoreError } from "../../../relay/topics/store.ts";
import { Topic } from "../../../relay/topics/topic.ts";
import { TopicWriter } from "../../../relay/topics/topic_writer.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { AwayLog } from "../../support/delivery/away_log.ts";
import { HeldLog, StoreLog } from "../../support/delivery/store_log.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";

const EVENT = { event: "message", data: "a", id: "" };
const AWAY = new StoreError("io", "The store is away");

/** The leases of a relay, and how often a filler was told that its own is lost. */
function filling<L extends StoreLog>(clock: FakeClock, log: L) {
  const store = new MemoryStore(DEFAULT_RETENTION, clock);
  const leases = new Leases(store);
  const topic = new Topic("t", log, clock);
  const filler = { lost: 0, onLost: () => void filler.lost++ };
  const hold = leases.hold(topic, filler);
  const takeOver = (by = topic) =>
    new Leases(store).hold(by, { onLost: () => {} });
  return { log, leases, topic, filler, hold, takeOver };
}

Deno.test("Topic goes on whose end came after its filler had lost the lease", async () => {
  const clock = new FakeClock();
  const { log, topic, filler, hold, takeOver } = filling(
    clock,
    new StoreLog(clock),
  );
  await clock.advance(5_000);
  using taken = takeOver();
  assertEquals(topic.end("truncated", "Lost", false, hold), false);
  assertEquals([topic.verdict, log.ended, filler.lost], [
    undefined,
    undefined,
    1,
  ]);
  await new TopicWriter(topic, { hold: taken }).write([EVENT]);
  assertEquals(topic.end("complete", undefined, true, taken), true);
  assertEquals(log.ended?.status, "complete");
  assertEquals((await topic.ended).status, "complete");
});

Deno.test("Topic does not change the facts that another filler has said", async () => {
  const clock = new FakeClock();
  const { log, topic, filler, takeOver } = filling(clock, new StoreLog(clock));
  topic.source = "mine";
  assertEquals(log.facts.source, "mine");
  await clock.advance(5_000);
  // As another relay has it.
  const theirs = new Topic("t", log, clock);
  using _taken = takeOver(theirs);
  theirs.source = "theirs";
  topic.source = "late";
  assertEquals([log.facts.source, topic.source, filler.lost], [
    "theirs",
    "theirs",
    1,
  ]);
});

Deno.test("Topic takes its verdict back that the store refuses for the lease", async () => {
  const clock = new FakeClock();
  const { log, leases, topic, filler, hold } = filling(
    clock,
    new HeldLog(clock),
  );
  topic.end("truncated", "Lost", false, hold);
  hold[Symbol.dispose]();
  assertEquals(topic.verdict?.status, "truncated");
  log.refuse(new LeaseLostError("t"));
  await clock.advance(0);
  assertEquals([topic.verdict, topic.state.kind, filler.lost, leases.size], [
    undefined,
    "pending",
    1,
    0,
  ]);
  const end = { status: "complete", isWhole: true, at: 1 } as const;
  topic.takeOver({ kind: "ended", next: 1, end });
  assertEquals((await topic.ended).status, "complete");
});

Deno.test("Hold keeps the lease until the end that was said with it is kept", async () => {
  const clock = new FakeClock();
  const { log, leases, topic, filler, hold } = filling(
    clock,
    new HeldLog(clock),
  );
  topic.end("complete", undefined, true, hold);
  hold[Symbol.dispose]();
  log.refuse(AWAY);
  await clock.advance(0);
  assertEquals([leases.size, topic.endFailure], [1, AWAY]);
  topic.keepAgain();
  log.keep();
  await clock.advance(0);
  assertEquals([leases.size, filler.lost, log.ended?.status], [
    0,
    0,
    "complete",
  ]);
});

Deno.test("Hold gives the lease up on a topic that was deleted before its end was kept", async () => {
  const clock = new FakeClock();
  const { log, leases, topic, hold } = filling(clock, new HeldLog(clock));
  topic.end("complete", undefined, true, hold);
  hold[Symbol.dispose]();
  log.refuse(AWAY);
  await clock.advance(0);
  topic.forgetEnd();
  await clock.advance(0);
  assertEquals(leases.size, 0);
});

Deno.test("TopicWriter has a filler stop that lost its lease while the store was away", async () => {
  const clock = new FakeClock();
  const { log, topic, filler, hold, takeOver } = filling(
    clock,
    new AwayLog(clock),
  );
  const { signal } = new AbortController();
  const writer = new TopicWriter(topic, { hold, retry: { clock, signal } });
  log.isAway = true;
  writer.write([EVENT]);
  await clock.advance(5_000);
  using _taken = takeOver();
  assertEquals(filler.lost, 0);
  log.isAway = false;
  await clock.advance(1_000);
  assertEquals(filler.lost, 1);
  await assertRejects(() => writer.settled(), LeaseLostError);
});
