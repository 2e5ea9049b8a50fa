// The reports of a slow disk: a line of the log, and a span of each.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { CommitReport } from "../../../../relay/stores/slow_commits.ts";
import { message, NO_FACTS } from "../../../../relay/testing/contract_world.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { LogCapture } from "../../../support/observing/log_capture.ts";
import { MadeSpans } from "../../../support/observing/made_spans.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import {
  SqliteWorld,
  TemporaryFolder,
} from "../../../support/relay/sqlite_world.ts";
import { LIMIT, until } from "../../../support/within.ts";

/**
 * Appends until a transaction has taken so long by the clock: the time may pass before
 * it begins, if another one is under way.
 */
async function commitIn(
  duration: number,
  { clock, append, isSlow }: {
    readonly clock: FakeClock;
    readonly append: () => unknown;
    readonly isSlow: () => boolean;
  },
): Promise<void> {
  await until(
    async () => {
      const appended = append();
      // The transaction begins with this turn.
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      await clock.advance(duration);
      await appended;
      return isSlow() || undefined;
    },
    LIMIT,
    "a slow transaction",
  );
}

Deno.test("SqliteStore says in few lines that its disk is slow", async () => {
  await using log = await LogCapture.start();
  const reports: CommitReport[] = [];
  await using world = await SqliteWorld.open({
    onCommit: (report) => reports.push(report),
  });
  const { clock } = world;
  const lines = () => log.lines.filter((line) => line.includes("is slow"));
  using topic = world.store.create("t", NO_FACTS);
  await topic.settled();
  const append = () => topic.append([message("a")]);
  await append();
  assertEquals([reports.at(-1)?.isSlow, lines().length], [false, 0]);

  const slow = () => reports.filter(({ isSlow }) => isSlow);
  const one = (count: number) =>
    commitIn(150, { clock, append, isSlow: () => slow().length >= count });
  await one(1);
  assertEquals([slow()[0]?.duration, lines().length], [150, 1]);
  await one(2);
  await one(3);
  assertEquals(lines().length, 1, "no line for each");
  await clock.advance(10_000);
  await one(4);
  assertEquals(lines().length, 2);
  assertMatch(log.text, /is slow:\s+3\s+transactions .* longest\s+150\s+ms/);
});

Deno.test("A relay makes a span of a slow commit, and of no other", async () => {
  using spans = new MadeSpans();
  await using folder = new TemporaryFolder();
  const clock = new FakeClock(1_000_000);
  await using relay = await startRelay({
    store: `sqlite:${folder.path}/store.db`,
    clock,
  });
  const topic = relay.relay.topics.create("t");
  const append = () => topic.append([message("abc")]);
  await append();
  const commits = () => spans.named("store commit");
  assertEquals(commits(), []);
  await commitIn(250, { clock, append, isSlow: () => commits().length > 0 });
  const [commit] = commits();
  assert(commit);
  assertEquals(Number(commit.end) - Number(commit.start), 250);
  assertEquals(commit.end, clock.now());
  assertEquals(commit.attributes, {
    "rivulet.store.operations": 1,
    "rivulet.store.bytes": "message".length + 3,
  });
});
