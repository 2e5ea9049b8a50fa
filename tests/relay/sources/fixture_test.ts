import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import { FixtureError, FixtureSource } from "../../../relay/sources/fixture.ts";
import { DEFAULT_RETENTION } from "../../support/retention.ts";
import { MemoryLog } from "../../../relay/stores/memory_log.ts";
import { Topic } from "../../../relay/topics/topic.ts";

class Fixture implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly topic = new Topic(
    "t",
    new MemoryLog(DEFAULT_RETENTION, this.clock),
    this.clock,
  );
  readonly path: string = Deno.makeTempFileSync({ suffix: ".sse" });

  constructor(text: string) {
    Deno.writeTextFileSync(this.path, text);
  }

  play(loop = false): FixtureSource {
    return new FixtureSource(this.topic, this.path, {
      loop,
      clock: this.clock,
    });
  }

  data(): string[] {
    const { log } = this.topic;
    if (log.first === log.next) return [];
    const all = { events: Infinity, bytes: Infinity };
    const range = log.read(log.first, all);
    if (range instanceof Promise) throw new Error("Expected memory");
    return range.entries.map(({ event }) => event.data);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path);
  }
}

Deno.test("FixtureSource plays at the pace of the comments", async () => {
  await using fixture = new Fixture(
    "\uFEFF: +100ms\ndata: a\n\ndata: b\n\n: +50ms\n:+30ms\n: other\ndata: c\n\n",
  );
  const source = fixture.play();
  await source.opened;
  assertEquals(fixture.topic.state.kind, "open");
  const { clock } = fixture;
  await clock.advance(99);
  assertEquals(fixture.data(), []);
  await clock.advance(1);
  assertEquals(fixture.data(), ["a", "b"]);
  await clock.advance(79);
  assertEquals(fixture.data(), ["a", "b"]);
  await clock.advance(1);
  assertEquals(fixture.data(), ["a", "b", "c"]);
  await source.finished;
  assertEquals(await fixture.topic.ended, { status: "complete" });
  assertEquals(clock.pending, 0);
});

Deno.test("FixtureSource loops until it is stopped", async () => {
  await using fixture = new Fixture("data: a\n\n: +10ms\ndata: b\n\n");
  const source = fixture.play(true);
  await source.opened;
  await fixture.clock.advance(35);
  assertEquals(fixture.data(), ["a", "b", "a", "b", "a", "b", "a"]);
  source.stop();
  await source.finished;
  assertEquals(fixture.topic.state.kind, "open");
  assertEquals(fixture.clock.pending, 0);
});

Deno.test("FixtureSource stops when its topic is ended", async () => {
  await using fixture = new Fixture(": +10ms\ndata: a\n\n");
  const source = fixture.play(true);
  await source.opened;
  fixture.topic.end("cancelled");
  await source.finished;
  assertEquals(fixture.clock.pending, 0);
});

Deno.test("FixtureSource says what is wrong with a file", async () => {
  for (
    const [text, loop, reason] of [
      ["", false, "got none"],
      ["hello", false, "got none"],
      ["data: a\n\n", true, "pace"],
    ] as const
  ) {
    await using fixture = new Fixture(text);
    const source = fixture.play(loop);
    const error = await assertRejects(
      () => source.opened,
      FixtureError,
      reason,
    );
    assertEquals(error.code, "invalid_fixture");
    await source.finished;
    assertEquals((await fixture.topic.ended).status, "failed");
  }
});
