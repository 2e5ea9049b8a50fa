import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { replay } from "../../../relay/commands/replay.ts";
import { parsePacedEvents } from "../../../src/sse/paced_events.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  messages,
  recordedRun,
  RecordingWorld,
} from "../../support/gateway/recorded_run.ts";
import { LIMIT, within } from "../../support/within.ts";

const windows = Deno.build.os === "windows";

/** A recording on the disk, and what is printed of it. */
class Replay implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly path = Deno.makeTempFileSync({ suffix: ".sse" });
  readonly abort = new AbortController();
  printed = "";
  /** The duration of each write, in milliseconds. */
  delay = 0;

  constructor(text: string) {
    Deno.writeTextFileSync(this.path, text);
  }

  start(...flags: string[]): Promise<void> {
    return replay([this.path, ...flags], {
      write: async (text) => {
        if (this.delay > 0) await this.clock.advance(this.delay);
        this.printed += text;
      },
      clock: this.clock,
      signal: this.abort.signal,
    });
  }

  /** Prints it to its end; returns all that was printed. */
  async run(...flags: string[]): Promise<string> {
    await this.clock.run(this.start(...flags));
    assertEquals(this.clock.pending, 0);
    return this.printed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Deno.remove(this.path);
  }
}

async function assertFails(
  promise: Promise<unknown>,
  code: string,
  message: string,
): Promise<void> {
  const error = await assertRejects(() => promise, Error, message);
  assert("code" in error);
  assertEquals(error.code, code);
}

const STREAM = ": +100ms\nevent: e\nid: 1\ndata: a\ndata: b\n\n" +
  ": +50ms\ndata: c\n\ndata: d\n\n: end complete\n\n";

Deno.test("replay prints a recording as it is, at its pace", async () => {
  await using recording = new Replay(STREAM);
  const printed = recording.run();
  await printed;
  assertEquals(recording.printed, STREAM);
  assertEquals(recording.clock.now(), 150);
});

Deno.test("replay prints each event when it came", async () => {
  await using recording = new Replay(STREAM);
  const { clock } = recording;
  const finished = recording.start("--speed", "2", "--raw");
  const seen: [number, string][] = [];
  // Reading the file is no matter of the clock.
  await within(
    (async () => {
      while (clock.pending === 0) await clock.advance(0);
    })(),
    LIMIT,
    "the first wait",
  );
  for (let time = 0; time <= 80; time++) {
    if (seen.at(-1)?.[1] !== recording.printed) {
      seen.push([time, recording.printed]);
    }
    await clock.advance(1);
  }
  await finished;
  const first = "event: e\nid: 1\ndata: a\ndata: b\n\n";
  assertEquals(seen, [
    [0, ""],
    [50, first],
    [75, `${first}data: c\n\ndata: d\n\n`],
  ]);
});

Deno.test("replay takes the speed as it is told", async () => {
  for (
    const [speed, duration] of [["0", 0], ["0.5", 300], ["3", 50]] as const
  ) {
    await using recording = new Replay(STREAM);
    assertEquals(await recording.run("--speed", speed), STREAM);
    assertEquals(recording.clock.now(), duration);
  }
});

Deno.test("replay makes up for the time that printing takes", async () => {
  await using recording = new Replay(
    Array.from({ length: 10 }, (_, i) => `: +20ms\ndata: ${i}\n\n`).join(""),
  );
  recording.delay = 5;
  await recording.run();
  assertEquals(recording.clock.now(), 205);
});

Deno.test("replay stops at a signal", async () => {
  await using recording = new Replay(STREAM);
  const finished = recording.start();
  recording.abort.abort(new Error("enough"));
  await assertRejects(() => finished, Error, "enough");
  assertEquals([recording.printed, recording.clock.pending], ["", 0]);
});

Deno.test("replay stops at a signal also where it does not wait", async () => {
  await using recording = new Replay(STREAM);
  const { path, clock, abort } = recording;
  const write = (text: string) => {
    recording.printed += text;
    abort.abort(new Error("enough"));
    return Promise.resolve();
  };
  await assertRejects(
    () => replay([path, "--speed=0"], { write, clock, signal: abort.signal }),
    Error,
    "enough",
  );
  assertEquals(parsePacedEvents(recording.printed).length, 1);
});

Deno.test("replay prints what Recorder has written", async () => {
  await using world = await RecordingWorld.create();
  const recording = world.recorder.begin(recordedRun());
  recording.events([
    { event: "a", data: "\n: +9ms\n", id: "" },
    { event: "message", data: "\ufeff", id: "1" },
  ]);
  await world.clock.advance(5);
  recording.events(messages(""));
  recording.end("failed", "busy");
  await world.written();
  await using copy = new Replay(world.stream());
  assertEquals(await copy.run(), world.stream());
  assertStringIncludes(copy.printed, ": end failed: busy\n");
});

Deno.test("replay takes other line ends and a byte order mark", async () => {
  for (const end of ["\r\n", "\r"]) {
    await using recording = new Replay(
      `\ufeff${STREAM.replaceAll("\n", end)}`,
    );
    assertEquals(await recording.run(), STREAM);
  }
});

Deno.test("replay prints a run that had no event", async () => {
  await using recording = new Replay(": lost 2 events\n: end failed: busy\n\n");
  assertEquals(
    await recording.run(),
    ": lost 2 events\n: end failed: busy\n\n",
  );
});

const delta = (index: number, delta: string) =>
  `data: ${
    JSON.stringify({
      type: "response.output_text.delta",
      output_index: index,
      content_index: 0,
      delta,
    })
  }\n\n`;
const created =
  'data: {"type":"response.created","response":{"id":"r","model":"m"}}\n\n';

Deno.test("replay prints the text of an answer", async (t) => {
  for (const [name, expected] of [["demo", "A river"], ["chat", "A bend"]]) {
    await t.step(name!, async () => {
      await using recording = new Replay(
        await Deno.readTextFile(`fixtures/${name}.sse`),
      );
      const text = await recording.run("--text");
      assert(text.startsWith(expected!), text);
      assertMatch(text, /[^\n]\n$/);
      assert(!text.includes("{"), text);
    });
  }
  await t.step("in parts, and without what moves the cursor", async () => {
    await using recording = new Replay(
      created + delta(0, "a\x1b[2Jb\r\n") + delta(0, "\tc") + delta(1, "d") +
        'data: {"type":"response.completed","response":{"id":"r"}}\n\n',
    );
    assertEquals(await recording.run("--text"), "a[2Jb\n\tc\n\nd\n");
  });
  await t.step("that is not whole, and says so", async () => {
    const failed = `data: ${
      JSON.stringify({
        type: "response.failed",
        response: { id: "r", error: { code: "server_error", message: "busy" } },
      })
    }\n\n`;
    for (
      const [end, code, message] of [
        ["", "truncated", "disconnected"],
        [failed, "response_failed", "busy"],
      ] as const
    ) {
      await using recording = new Replay(created + delta(0, "a") + end);
      await assertFails(recording.run("--text"), code, message);
      assertEquals(recording.printed, "a\n");
    }
  });
});

Deno.test("replay says what is wrong", async () => {
  await using recording = new Replay("hello");
  const output = {
    write: () => Promise.reject(new Error("Expected nothing")),
    clock: recording.clock,
    signal: recording.abort.signal,
  };
  const { path } = recording;
  const stream = await Deno.makeTempFile();
  await Deno.writeTextFile(stream, "data: 1\n\n");
  try {
    for (
      const [args, code, message] of [
        [[], "invalid_flag", "expected one, got 0"],
        [["a", "b"], "invalid_flag", "expected one, got 2"],
        [["--nope"], "invalid_flag", "--help lists the flags"],
        [[path, "--speed", "fast"], "invalid_flag", "got 'fast'"],
        [[path, "--speed=-1"], "invalid_flag", "got '-1'"],
        [[path, "--raw", "--text"], "invalid_flag", "got both"],
        [[path], "invalid_fixture", "expected a stream with events, got none"],
        [[`${path}.nowhere`], "invalid_fixture", "nowhere"],
        [
          [stream, "--text"],
          "invalid_fixture",
          "UI messages for --text",
        ],
      ] as const
    ) {
      await assertFails(replay(args, output), code, message);
    }
  } finally {
    await Deno.remove(stream);
  }
});

/** The program, as its task starts it. */
function program(...args: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-read", "--no-prompt", "relay/main.ts", "replay"],
      ...args,
    ],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("replay's program explains itself, and may only read", async () => {
  const { code, stdout, stderr } = await program("--help").output();
  assertEquals([code, text(stderr)], [0, ""]);
  for (const flag of ["--speed NUMBER", "--raw", "--text"]) {
    assertStringIncludes(text(stdout), flag);
  }
  for (const line of text(stdout).split("\n")) assert(line.length <= 80, line);
});

Deno.test("replay's program prints a stream whole", async () => {
  const { code, stdout, stderr } = await program(
    "fixtures/demo.sse",
    "--speed",
    "0",
  ).output();
  assertEquals([code, text(stderr)], [0, ""]);
  const fixture = await Deno.readTextFile("fixtures/demo.sse");
  assertEquals(text(stdout), fixture.replaceAll(": +0ms\n", ""));
});

Deno.test("replay's program answers what goes wrong by one line and status 1", async () => {
  const { code, stdout, stderr } = await program("no\nwhere").output();
  assertEquals([code, text(stdout)], [1, ""]);
  assertMatch(text(stderr), /^rivulet replay: [^\n]+\n$/);
});

Deno.test("replay's program ends quietly when nobody reads any more", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(
      path,
      `data: ${"x".repeat(9_999)}\n\n`.repeat(999),
    );
    await using process = program(path).spawn();
    const reader = process.stdout.getReader();
    await reader.read();
    await reader.cancel();
    assertEquals(text(await new Response(process.stderr).bytes()), "");
    assertEquals((await process.status).code, 0);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test({
  name: "replay's program ends quietly on Ctrl-C",
  ignore: windows, // has no signals to stop a process by
  async fn() {
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(path, "data: 1\n\n: +999999ms\ndata: 2\n\n");
      await using process = program(path).spawn();
      const reader = process.stdout.getReader();
      assertEquals(text((await reader.read()).value!), "data: 1\n\n");
      process.kill("SIGINT");
      assertEquals((await reader.read()).done, true);
      assertEquals(text(await new Response(process.stderr).bytes()), "");
      assertEquals((await process.status).signal, "SIGINT");
    } finally {
      await Deno.remove(path);
    }
  },
});
