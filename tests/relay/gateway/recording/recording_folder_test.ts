// Recordings are noticed to be impossible at the start (field.md E6), and bounded (E11).
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Recorder } from "../../../../relay/gateway/recording/recorder.ts";
import { RelayStartError } from "../../../../relay/mod.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import {
  InProcessOnlyError,
  RELAY_SHAPE,
} from "../../../support/relay/shape.ts";
import {
  messages,
  recordedRun,
  RecordingWorld,
} from "../../../support/gateway/recorded_run.ts";

const HOUR = 3_600_000;

async function recordOne(world: RecordingWorld, topic: string): Promise<void> {
  const recording = world.recorder.begin(recordedRun({ topic }));
  recording.events(messages("x".repeat(1_000)));
  recording.end("complete");
  await world.reaches(() => world.recorder.active === 0);
  await world.clock.advance(1_000);
}

/** The topics of the recordings that are left; each has two files. */
function topics(world: RecordingWorld): string[] {
  const names = world.names().map((name) =>
    name.replace(/^\d+T\d+Z-(.*)\.(sse|json)$/, "$1")
  );
  return [...new Set(names)].filter((name) =>
    names.filter((other) => other === name).length === 2
  );
}

Deno.test("E6: a folder that cannot be written to is noticed when the relay starts", async (t) => {
  if (RELAY_SHAPE === "workers") {
    throw new InProcessOnlyError("the error with which the relay starts");
  }
  const file = await Deno.makeTempFile();
  for (const record of [file, `${file}/below`, "/proc/rivulet-recordings"]) {
    await t.step(record.replace(file, "a file"), async () => {
      const error = await assertRejects(
        () => startRelay({ gateway: { record } }),
        RelayStartError,
      );
      assertEquals(error.code, "record_failed");
      assertMatch(
        error.message,
        /^--record: expected a folder that the relay can write to, got '\/[^']+': \w/,
      );
    });
  }
  await Deno.remove(file);
});

Deno.test("E6: a folder that can be written to is made at the start, and nothing is left in it", async () => {
  const root = await Deno.makeTempDir();
  const record = `${root}/a/b`;
  {
    await using _relay = await startRelay({ gateway: { record } });
    assertEquals([...Deno.readDirSync(record)], []);
  }
  await Deno.remove(root, { recursive: true });
});

Deno.test("E11: the oldest recordings are deleted beyond a size, and other files are left alone", async () => {
  await using world = await RecordingWorld.create({ maxBytes: 4_000 });
  await Deno.mkdir(world.folder);
  await Deno.writeTextFile(`${world.folder}/notes.json`, "x".repeat(10_000));
  await world.recorder.prepare();
  for (const topic of ["a", "b", "c", "d", "e", "f"]) {
    await recordOne(world, topic);
  }
  assertEquals(topics(world), ["d", "e", "f"]);
  assertEquals(world.names().at(-1), "notes.json");
  // Also those of a relay before.
  await using next = new Recorder(world.folder, world.clock, {
    maxBytes: 2_000,
  });
  await next.prepare();
  assertEquals(topics(world), ["f"]);
});

Deno.test("E11: recordings are deleted beyond an age, without another run", async () => {
  await using world = await RecordingWorld.create({ maxAge: 10 * HOUR });
  // Its files have the time of the machine.
  await world.clock.advance(Date.now() - world.clock.now());
  await world.recorder.prepare();
  await recordOne(world, "a");
  await world.clock.advance(9 * HOUR);
  assertEquals(topics(world), ["a"]);
  await world.clock.advance(2 * HOUR);
  await world.reaches(() => world.names().length === 0);
});

Deno.test("E11: one recording is no larger than all may be", async () => {
  await using world = await RecordingWorld.create({ maxBytes: 2_000 });
  const recording = world.recorder.begin(recordedRun());
  for (let n = 0; n < 10; n++) {
    recording.events(messages("x".repeat(500)));
    await world.clock.advance(300);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  recording.end("complete");
  await world.written();
  assertMatch(world.log().join("\n"), /incomplete.*--record-max-bytes/);
});
