import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import fc from "fast-check";
import { HeaderList } from "../../../../relay/header_list.ts";
import { Recorder } from "../../../../relay/gateway/recording/recorder.ts";
import { FixtureSource } from "../../../../relay/sources/fixture.ts";
import { DEFAULT_RETENTION } from "../../../support/retention.ts";
import { MemoryLog } from "../../../../relay/stores/memory_log.ts";
import { Topic } from "../../../../relay/topics/topic.ts";
import { openFixture } from "../../../../src/model/fixture.ts";
import type { ServerSentEvent } from "../../../../src/sse/event.ts";
import { parsePacedEvents } from "../../../../src/sse/paced_events.ts";
import { SseParser } from "../../../../src/sse/parser.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { propertyParameters } from "../../../support/property.ts";
import { readRecordedEvents } from "../../../support/recordings/recorded_events.ts";
import {
  messages,
  recordedFacts,
  recordedRun,
  RecordingWorld,
} from "../../../support/gateway/recorded_run.ts";
import { recordingsMissing } from "../../../support/recordings/recordings.ts";
import { isMissing } from "../../../support/tools.ts";
import { LIMIT, until } from "../../../support/within.ts";

const windows = Deno.build.os === "windows";

/** Returns the events that a parser reads from a text. */
function parse(text: string): ServerSentEvent[] {
  const events: ServerSentEvent[] = [];
  new SseParser({ onEvent: (event) => events.push(event) }).push(text);
  return events;
}

/** Records batches of events, each so long after the one before. */
async function record(
  { recorder, clock }: RecordingWorld,
  batches: readonly (readonly [number, readonly ServerSentEvent[]])[],
): Promise<void> {
  const recording = recorder.begin(recordedRun());
  for (const [delay, events] of batches) {
    await clock.advance(delay);
    recording.events(events);
  }
  recording.end("complete");
}

Deno.test("Recorder keeps the pace in comments, and the end", async () => {
  await using world = await RecordingWorld.create();
  await record(world, [
    [300, messages("a", "b")],
    [0, messages("c")],
    [36.6, messages("d")],
    [0.3, messages("e")],
    [0.3, messages("f")],
  ]);
  await world.written();
  assertEquals(
    world.stream(),
    ": +300ms\ndata: a\n\ndata: b\n\ndata: c\n\n: +37ms\ndata: d\n\n" +
      "data: e\n\ndata: f\n\n: end complete\n\n",
  );
  assertEquals(world.clock.pending, 0);
  assertEquals(world.log(), []);
});

Deno.test("Recorder closes a recording with the end that was said, or with none", async () => {
  for (
    const said of [
      { status: "truncated", reason: "The relay was closed" } as const,
      undefined,
    ]
  ) {
    await using world = await RecordingWorld.create();
    const recording = world.recorder.begin(
      recordedRun({ verdict: () => said }),
    );
    recording.events(messages("a"));
    await world.written();
    assertEquals(world.facts().end, said);
  }
});

Deno.test("Recorder loses no time to rounding", async () => {
  await using world = await RecordingWorld.create();
  const batches = Array.from(
    { length: 100 },
    (_, i) => [10.4, messages(`${i}`)] as const,
  );
  await record(world, batches);
  await world.written();
  const moments = parsePacedEvents(world.stream());
  assertEquals(moments.reduce((sum, { delay }) => sum + delay, 0), 1040);
});

Deno.test("Recorder keeps a pace that can be read after the longest wait", async () => {
  await using world = await RecordingWorld.create();
  await record(world, [[2 ** 31, messages("a")], [5, messages("b")]]);
  await world.written();
  assertEquals(
    parsePacedEvents(world.stream()).map(({ delay }) => delay),
    [999_999_999, 5],
  );
});

const text = fc.array(
  fc.oneof(
    fc.constantFrom("a", " ", ":", "\n", "\n\n", "\ufeff", "é😀", "\0", "\t"),
    fc.constantFrom("data: x", ": +9ms", ": end failed", "id: 7", "event: e"),
    fc.string(),
  ),
).map((parts) => parts.join("").toWellFormed());

/** Events that a parser can return: text of any kind, read by it. */
const parsed = fc.array(
  fc.record({
    event: fc.oneof(fc.constant(""), text),
    data: text,
    id: fc.option(fc.oneof(fc.constant(""), text), { nil: undefined }),
  }),
).map((events) =>
  parse(
    events.map(({ event, data, id }) =>
      `event: ${line(event)}\n${id === undefined ? "" : `id: ${line(id)}\n`}` +
      `${data.split(/\r\n|[\r\n]/).map((line) => `data: ${line}\n`).join("")}\n`
    ).join(""),
  )
);

const line = (text: string) => text.replaceAll(/[\r\n]/g, "");

Deno.test("Recorder gives every event back as it was", async () => {
  await using world = await RecordingWorld.create();
  await fc.assert(
    fc.asyncProperty(
      parsed,
      fc.array(fc.tuple(fc.nat({ max: 4 }), fc.nat({ max: 500 })), {
        maxLength: 10,
      }),
      async (events, cuts) => {
        await Deno.remove(world.folder, { recursive: true }).catch(() => {});
        const rest = [...events];
        const batches = [
          ...cuts.map(([count, delay]) =>
            [delay, rest.splice(0, count)] as const
          ),
          [0, rest] as const,
        ];
        await record(world, batches);
        await world.written();
        const moments = parsePacedEvents(world.stream());
        assertEquals(moments.flatMap(({ events }) => events), events);
        // The times at which they came.
        let time = 0;
        const times = batches.flatMap(([delay, events]) => {
          time += delay;
          return events.map(() => time);
        });
        time = 0;
        assertEquals(
          moments.flatMap(({ delay, events }) => {
            time += delay;
            return events.map(() => time);
          }),
          times,
        );
        assertEquals(world.facts().events, events.length);
      },
    ),
    propertyParameters(200),
  );
  assertEquals(world.log(), []);
});

const RECORDINGS = "Recorder gives real streams back, to both that play them";

Deno.test({
  name: RECORDINGS,
  ignore: recordingsMissing(RECORDINGS),
  async fn() {
    await using world = await RecordingWorld.create();
    for (const [name, events] of await readRecordedEvents()) {
      if (events.length === 0) continue;
      await record(world, events.map((event) => [7, [event]] as const));
      await world.written();
      const path = world.path(".sse");

      const clock = new FakeClock();
      const upstream = await openFixture({ path }, {
        clock,
        signal: new AbortController().signal,
      });
      const played: ServerSentEvent[] = [];
      for (let batch; (batch = await upstream.nextBatch());) {
        played.push(...batch);
      }
      assertEquals(played, events, name);

      const topic = new Topic(
        "t",
        new MemoryLog({ ...DEFAULT_RETENTION, maxEvents: Infinity }, clock),
        clock,
      );
      const source = new FixtureSource(topic, path, { clock });
      await source.opened;
      await clock.run(source.finished);
      const all = { events: Infinity, bytes: Infinity };
      const { entries } = await topic.log.read(1, all);
      assertEquals(entries.map(({ event }) => event), events, name);
      assertEquals(clock.now(), 7 * events.length, name);
      await Deno.remove(world.folder, { recursive: true });
    }
  },
});

Deno.test("Recorder tells the request, the answer and the end", async () => {
  await using world = await RecordingWorld.create();
  const { recorder, clock } = world;
  const headers = HeaderList.from(
    new Headers({ "X-Stainless-Lang": "js", accept: "*/*" }),
  );
  const recording = recorder.begin(recordedRun({
    topic: "chat:1",
    path: "/v1/responses?include=usage",
    headers,
    body: '{"model":"gpt-5","stream":true,"input":[{"a":null,"é":1.5}]}',
  }));
  headers.set("accept", "changed");
  const answer = HeaderList.from(new Headers({ "x-request-id": "req_1" }));
  recording.response(200, answer);
  answer.set("x-request-id", "changed");
  recording.events(messages("a", "b"));
  await clock.advance(1234.4);
  recording.end("failed", "server_error:\n: +37ms\r\nbusy");
  // The first verdict stands, and nothing comes after it.
  recording.events(messages("late"));
  recording.response(500, HeaderList.from(new Headers()));
  recording.end("complete");
  await world.written();
  assertEquals(world.facts(), {
    started: "2026-11-22T21:19:25.123Z",
    topic: "chat:1",
    provider: "openai",
    method: "POST",
    path: "/v1/responses?include=usage",
    headers: { accept: "*/*", "x-stainless-lang": "js" },
    body: { model: "gpt-5", stream: true, input: [{ a: null, "é": 1.5 }] },
    response: { status: 200, headers: { "x-request-id": "req_1" } },
    end: { status: "failed", reason: "server_error:\n: +37ms\r\nbusy" },
    events: 2,
    duration: 1234,
  });
  assertEquals(
    world.stream(),
    "data: a\n\ndata: b\n\n: end failed: server_error: : +37ms busy\n\n",
  );
  assertEquals(world.names(), [
    "20261122T211925123Z-chat_1.json",
    "20261122T211925123Z-chat_1.sse",
  ]);
});

Deno.test("Recorder keeps a body that is no JSON, or too deep, as text", async () => {
  for (const body of ["{not JSON", "", "[".repeat(1e5) + "]".repeat(1e5)]) {
    await using world = await RecordingWorld.create();
    world.recorder.begin(recordedRun({ body })).end("complete");
    await world.written();
    assertEquals(world.facts().body, body);
    assertEquals(world.log(), []);
  }
});

Deno.test("Recorder leaves the facts and the events of a run that a crash cuts off", async () => {
  await using world = await RecordingWorld.create();
  const recording = world.recorder.begin(recordedRun({ body: '"é"' }));
  recording.events(messages("a"));
  await world.reaches(() => world.facts().body === "é");
  const { events, end } = world.facts();
  assertEquals([events, end], [undefined, undefined]);
  await world.clock.advance(199);
  assertEquals(world.stream(), "");
  await world.clock.advance(1);
  await world.reaches(() => world.stream() === "data: a\n\n");
  assertEquals(world.clock.pending, 0);
});

Deno.test("Recorder gathers no more than 64 KiB", async () => {
  await using world = await RecordingWorld.create();
  const recording = world.recorder.begin(recordedRun());
  recording.events(messages("x".repeat(70_000)));
  await world.reaches(() => world.stream().length === 70_008);
  assertEquals(world.clock.pending, 0);
});

Deno.test("Recorder leaves open how a run ends that it does not see the end of", async () => {
  await using world = await RecordingWorld.create();
  const recording = world.recorder.begin(recordedRun());
  recording.events(messages("a"));
  await world.written();
  recording.events(messages("late"));
  recording.end("complete");
  await world.written();
  const { end, events, duration } = world.facts();
  assertEquals([end, events, duration], [undefined, 1, 0]);
  assertEquals(world.stream(), "data: a\n\n");
});

Deno.test("Recorder gives every run files of its own, in its folder", async () => {
  await using world = await RecordingWorld.create();
  const topics = ["t", "t", "t-2", "T", "../../t", "/etc/t", "..", "a\0b", ""];
  for (const topic of [...topics, "x".repeat(999)]) {
    const recording = world.recorder.begin(recordedRun({ topic }));
    recording.events(messages(topic.replace("\0", "")));
    recording.end("complete");
  }
  await world.written();
  assertEquals(world.log(), []);
  assertEquals([...Deno.readDirSync(world.root)].map(({ name }) => name), [
    "recordings",
  ]);
  const names = world.names();
  assertEquals(names.length, 20);
  for (const name of names) {
    assertMatch(name, /^20261122T211925123Z-[\w.~-]{0,130}\.(sse|json)$/);
    const path = `${world.folder}/${name}`;
    if (!windows) assertEquals(Deno.statSync(path).mode! & 0o777, 0o600);
  }
  // Each beside its own request.
  for (const name of names.filter((name) => name.endsWith(".json"))) {
    const path = `${world.folder}/${name}`;
    const { topic } = recordedFacts.parse(
      JSON.parse(Deno.readTextFileSync(path)),
    );
    assertStringIncludes(
      Deno.readTextFileSync(path.replace(/json$/, "sse")),
      `data: ${topic.replace("\0", "")}\n`,
    );
  }
});

Deno.test("Recorder overwrites nothing", async () => {
  for (const suffix of ["sse", "json"]) {
    await using world = await RecordingWorld.create();
    await Deno.mkdir(world.folder);
    const name = `${world.folder}/20261122T211925123Z-t`;
    await Deno.writeTextFile(`${name}.${suffix}`, "mine");
    world.recorder.begin(recordedRun()).end("complete");
    await world.written();
    assertEquals(await Deno.readTextFile(`${name}.${suffix}`), "mine");
    assertEquals(
      world.names().filter((name) => name.includes("-t-2.")).length,
      2,
    );
    assertEquals(world.names().length, 3);
  }
});

/** Returns the files that this process has open below a folder, on Linux. */
function openFiles(folder: string): string[] {
  const files: string[] = [];
  for (const { name } of Deno.readDirSync("/proc/self/fd")) {
    try {
      files.push(Deno.readLinkSync(`/proc/self/fd/${name}`));
    } catch {
      // That was what the list was read through.
    }
  }
  return files.filter((file) => file.startsWith(folder));
}

Deno.test({
  name: "Recorder holds one file open for a run, and none after it",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using world = await RecordingWorld.create();
    await Deno.mkdir(world.folder);
    // The first name is taken, after one of its files was made.
    const name = `${world.folder}/20261122T211925123Z-t`;
    await Deno.writeTextFile(`${name}.json`, "mine");
    const recording = world.recorder.begin(recordedRun());
    await world.reaches(() => world.names().length === 3);
    await world.reaches(() => openFiles(world.root).length === 1);
    assertEquals(openFiles(world.root), [`${name}-2.sse`]);
    assertEquals(world.recorder.active, 1);
    recording.end("complete");
    await world.reaches(() => world.recorder.active === 0);
    assertEquals(openFiles(world.root), []);
    // Nor where it cannot be written.
    const bad = world.recorder.begin(recordedRun());
    bad.events([{ event: "a\nb", data: "", id: "" }]);
    await world.clock.advance(200);
    await world.reaches(() => world.log().length === 1);
    await world.reaches(() => openFiles(world.root).length === 0);
    bad.end("complete");
    await world.written();
    assertEquals(world.recorder.active, 0);
    assertEquals(openFiles(world.root), []);
  },
});

const SECRETS = {
  header: "sk-header-secret",
  api: "sk-api-secret",
  cookie: "cookie-secret-1",
  custom: 'sk-custom/secret+\\"',
  query: "AIza query&secret",
  tool: "tool-secret-9",
  url: "url-secret-9",
};

/** All forms in which a secret may be written. */
function forms(secret: string): string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    json,
    encodeURIComponent(secret),
    json.replaceAll("/", "\\/"),
  ];
}

Deno.test("Recorder writes and logs no secret", async () => {
  await using world = await RecordingWorld.create();
  const all = Object.values(SECRETS).flatMap(forms);
  const { header, api, cookie, custom, query, tool, url } = SECRETS;
  const echo = `Incorrect key: ${all.join(" ")}.`;
  const begin = (recorder: Recorder, topic: string) => {
    const recording = recorder.begin(recordedRun({
      topic,
      provider: `p-${api}`,
      path: `/v1/x?key=${encodeURIComponent(query)}&a=${tool}&stream=true`,
      headers: HeaderList.from(
        new Headers({
          Authorization: `Bearer ${header}`,
          "X-Api-Key": api,
          Cookie: `theme=dark; sid=${cookie}`,
          "X-Forwarded": `Bearer ${header}`,
          "X-Other": `a ${header} b`,
        }),
      ),
      body: JSON.stringify({
        prompt: echo,
        [api]: 1,
        tools: [{
          authorization: tool,
          server_url: `https://h/?sig=${url}&a=1`,
        }],
      }),
      secrets: [custom, ""],
    }));
    recording.response(
      401,
      HeaderList.from(new Headers({ "Set-Cookie": `a=${cookie}`, e: header })),
    );
    recording.events([{ event: `e-${header}`, data: echo, id: api }]);
    recording.events(messages(JSON.stringify({ error: echo })));
    recording.end("failed", echo);
  };
  begin(world.recorder, `t-${header}`);
  await world.written();
  assertEquals(world.log(), []);
  const path = world.path(".json");
  const written = [
    ...world.names(),
    world.stream(),
    Deno.readTextFileSync(path),
  ].join("\n");
  for (const secret of all) {
    assert(!written.includes(secret), `${secret} is in ${written}`);
  }
  // Text that is no secret stays.
  assertEquals(
    world.facts().path,
    "/v1/x?key=[redacted]&a=[redacted]&stream=true",
  );
  assertEquals(world.facts().headers, {
    authorization: "[redacted]",
    cookie: "[redacted]",
    "x-api-key": "[redacted]",
    "x-forwarded": "[redacted]",
    "x-other": "a [redacted] b",
  });
  assertEquals(parse(world.stream()).length, 2);
  assertStringIncludes(world.stream(), "Incorrect key: [redacted] [redacted]");
  // And where it cannot be written.
  const file = `${world.root}/file`;
  await Deno.writeTextFile(file, "");
  {
    await using recorder = new Recorder(file, world.clock);
    begin(recorder, "t");
  }
  const logged = Deno.inspect(world.logged, { depth: 20, showHidden: true });
  assertStringIncludes(logged, "is incomplete");
  for (const secret of all) assert(!logged.includes(secret), logged);
});

Deno.test("Recorder lets a run go on that it cannot record, and logs it once", async (t) => {
  const run = (recorder: Recorder) => {
    const recording = recorder.begin(recordedRun({ topic: "the-topic" }));
    recording.response(200, HeaderList.from(new Headers()));
    for (let i = 0; i < 5; i++) recording.events(messages(`${i}`));
    return recording;
  };
  await t.step("as the folder is a file", async () => {
    await using world = await RecordingWorld.create();
    await Deno.writeTextFile(world.folder, "");
    const recording = run(world.recorder);
    await until(() => world.log()[0], LIMIT, "a log line");
    recording.events(messages("a"));
    recording.end("complete");
    await world.written();
    assertEquals(world.log().length, 1);
    assertMatch(world.log()[0]!, /the-topic.* is incomplete: /);
    assertEquals(world.logged[0]!.level, "warning");
    assertEquals(world.clock.pending, 0);
  });
  await t.step("as the folder is gone", async () => {
    await using world = await RecordingWorld.create();
    const recording = run(world.recorder);
    await until(
      () =>
        Deno.stat(world.folder).then(() => world.path(".json"))
          .catch(() => undefined),
      LIMIT,
      "the files",
    );
    await Deno.remove(world.folder, { recursive: true });
    await world.clock.advance(200);
    recording.events(messages("a"));
    recording.end("complete");
    await world.written();
    assertEquals(world.log().length, 1);
    assertMatch(world.log()[0]!, /ENOENT/);
    // The next one makes it anew.
    run(world.recorder).end("complete");
    await world.written();
    assertEquals(world.facts().events, 5);
    assertEquals(world.log().length, 1);
  });
  await t.step("as an event cannot be written", async () => {
    await using world = await RecordingWorld.create();
    const recording = world.recorder.begin(recordedRun());
    recording.events([{ event: "a\nb", data: "", id: "" }]);
    recording.end("complete");
    await world.written();
    assertEquals(world.log().length, 1);
    const { end, events, lost } = world.facts();
    assertEquals([end?.status, events, lost], ["complete", 1, 1]);
  });
});

Deno.test("Recorder logs only the first thing that goes wrong, and makes room again", async () => {
  await using world = await RecordingWorld.create({ maxWaiting: 1_000 });
  await Deno.writeTextFile(world.folder, "");
  for (let i = 0; i < 5; i++) {
    const recording = world.recorder.begin(recordedRun());
    recording.events(messages("a".repeat(900)));
    recording.events(messages("b".repeat(900))); // no room
    recording.end("complete");
    await world.written(); // and no folder
  }
  assertEquals(world.log().length, 5);
  await Deno.remove(world.folder);
  const recording = world.recorder.begin(recordedRun());
  recording.events(messages("a".repeat(900)));
  recording.end("complete");
  await world.written();
  assertEquals(world.log().length, 5);
  assertEquals(parse(world.stream()).length, 1);
});

Deno.test({
  name: "Recorder keeps an unbroken beginning where the disk is full",
  ignore: windows || isMissing("bash", "Install bash to run them."),
  async fn() {
    const root = await Deno.makeTempDir();
    try {
      const program = new URL(
        "../../../support/gateway/recording_program.ts",
        import.meta.url,
      );
      // A file can have 128 KiB, and whoever writes more is told so.
      const { code, stdout } = await new Deno.Command("bash", {
        args: [
          "-c",
          'trap "" XFSZ; ulimit -f 128; exec "$@"',
          "-",
          ...[Deno.execPath(), "run", "-A", program.href, root],
        ],
      }).output();
      const lines = new TextDecoder().decode(stdout).split("\n");
      assertEquals([code, lines.length], [0, 2], lines.join("\n"));
      assertMatch(lines[0]!, /EFBIG/);
      const [json = "", sse = ""] = [...Deno.readDirSync(root)]
        .map(({ name }) => `${root}/${name}`).sort();
      const facts = recordedFacts.parse(
        JSON.parse(await Deno.readTextFile(json)),
      );
      assertEquals([facts.end?.status, facts.events], ["complete", 40]);
      const kept = parse(await Deno.readTextFile(sse));
      assert(kept.length > 0);
      for (const [i, { data }] of kept.entries()) {
        assert(data.startsWith(`${i} x`), data.slice(0, 9));
      }
      assert(kept.length >= 40 - facts.lost!, `${kept.length}, ${facts.lost}`);
      assert(facts.lost! > 0);
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});

Deno.test("Recorder keeps an unbroken beginning where the disk is too slow", async () => {
  await using world = await RecordingWorld.create({ maxWaiting: 1_000 });
  const recording = world.recorder.begin(recordedRun());
  const other = world.recorder.begin(recordedRun({ topic: "other" }));
  recording.events(messages("a".repeat(500)));
  other.events(messages("b".repeat(500))); // no room
  recording.events(messages("c".repeat(200)));
  other.events(messages("d")); // there would be room, but not for what was before
  recording.events(messages("e".repeat(200), "f")); // no room
  assertEquals(
    world.log(),
    ["other", "t"].map((topic) =>
      `The recording of ${topic} is incomplete: the disk is slower than the runs`
    ),
  );
  recording.end("complete");
  other.end("complete");
  await world.written();
  const read = (topic: string, suffix: string) =>
    Deno.readTextFileSync(
      `${world.folder}/20261122T211925123Z-${topic}.${suffix}`,
    );
  assertEquals(
    parse(read("t", "sse")).map(({ data }) => data),
    ["a".repeat(500), "c".repeat(200)],
  );
  assertMatch(read("t", "sse"), /\n: lost 2 events\n: end complete\n\n$/);
  assertEquals(read("other", "sse"), ": lost 2 events\n: end complete\n\n");
  const { events, lost } = recordedFacts.parse(JSON.parse(read("t", "json")));
  assertEquals([events, lost], [4, 2]);
  assertEquals(world.log().length, 2);

  // A finished write makes room again.
  for (let i = 0; i < 5; i++) {
    const next = world.recorder.begin(recordedRun({ topic: `next-${i}` }));
    next.events(messages("g".repeat(800)));
    next.end("complete");
    await world.written();
  }
  assertEquals(world.log().length, 2);
});
