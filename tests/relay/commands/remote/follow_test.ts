import { assert, assertEquals, assertMatch } from "@std/assert";
import type { TopicEnd } from "../../../../relay/topics/end.ts";
import { CuttableLine } from "../../../support/http/cuttable_line.ts";
import { freePort } from "../../../support/http/free_port.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import {
  runRemote,
  startRemote,
} from "../../../support/relay/remote_command.ts";
import { LIMIT, within } from "../../../support/within.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";

Deno.test("follow prints the data of each event, and its status tells the end", async (t) => {
  const ends: [TopicEnd, number, string][] = [
    [{ status: "complete" }, 0, ""],
    [
      { status: "failed", reason: "no power" },
      4,
      "rivulet follow: Topic 't' is failed: no power\n",
    ],
    [
      { status: "truncated" },
      5,
      "rivulet follow: Topic 't' is truncated\n",
    ],
    [
      { status: "cancelled", reason: "enough" },
      6,
      "rivulet follow: Topic 't' is cancelled: enough\n",
    ],
    [{ status: "expired" }, 7, "rivulet follow: Topic 't' is expired\n"],
  ];
  for (const [end, status, errors] of ends) {
    await t.step(end.status, async () => {
      await using server = await startRelay();
      const topic = server.relay.topics.create("t");
      topic.append([{ data: "one" }, { data: "two\nlines" }, { data: "" }]);
      topic.end(end.status, end.reason);
      assertEquals(await runRemote(server.url, ["follow", "t"]), {
        status,
        output: "one\ntwo\nlines\n\n",
        errors,
      });
    });
  }
});

Deno.test("follow --json prints each message as a line, with positions that --after takes", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  topic.append([{ event: "a", data: "1", id: "x" }, { data: "2" }]);
  topic.end("complete");
  const first = await runRemote(server.url, ["follow", "t", "--json"]);
  assertEquals(first.status, 0, first.errors);
  const messages = first.output.trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  assertEquals(messages.map(({ type }) => type), ["event", "event", "end"]);
  assertEquals([messages[0].event, messages[0].data, messages[0].id], [
    "a",
    "1",
    "x",
  ]);
  assertEquals(messages[2], { type: "end", status: "complete" });
  const rest = await runRemote(server.url, [
    ...["follow", "t", "--after", messages[0].position],
  ]);
  assertEquals([rest.status, rest.output], [0, "2\n"]);
});

Deno.test("follow --after takes a position whose epoch begins with dashes, and no flag", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  topic.append([{ data: "1" }]);
  topic.end("complete");
  for (const epoch of ["-_Jc0mQ2vLrT", "--Jc0mQ2vLrT", "--json-Q2vLrT"]) {
    assertEquals(
      await runRemote(server.url, ["follow", "t", "--after", `${epoch}:1`]),
      {
        status: 0,
        output: "1\n",
        errors: "rivulet follow: the topic was begun anew (epoch)\n",
      },
    );
  }
  for (const flag of ["--json", "--url=http://127.0.0.1/"]) {
    const args = ["follow", "t", "--after", flag];
    const { status, errors } = await runRemote(server.url, args);
    assertEquals(status, 2);
    assertMatch(errors, /Option '--after' argument is ambiguous: --help/);
  }
});

Deno.test("follow prints events as they come, and says on a terminal what goes on", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  const { system, status } = startRemote(server.url, ["follow", "t"], {
    isTerminal: true,
  });
  topic.append([{ data: "a\x1b[2Jb" }]);
  await within(
    system.written(() => system.errors.includes("live: waiting for event 2")),
    LIMIT,
    "the word live",
  );
  // A sequence that would clear the terminal is shown instead.
  assertEquals(system.output, "a\\u001b[2Jb\n");
  topic.append([{ data: "c" }]);
  await within(
    system.written(() => system.output.endsWith("\nc\n")),
    LIMIT,
    "the next event",
  );
  topic.end("complete");
  assertEquals(await within(status, LIMIT, "the end"), 0);
});

Deno.test("follow is quiet in a pipe, but for events that are missing", async () => {
  await using server = await startRelay({ retention: { maxEvents: 2 } });
  const topic = server.relay.topics.create("t");
  topic.append(["1", "2", "3", "4"].map((data) => ({ data })));
  topic.end("complete");
  const after = `${topic.log.epoch}:1`;
  assertEquals(await runRemote(server.url, ["follow", "t", "--after", after]), {
    status: 0,
    output: "3\n4\n",
    errors: "rivulet follow: event 2 is missing: evicted\n",
  });
});

Deno.test("follow resumes in the next relay on the same store, each event once", async () => {
  const folder = await Deno.makeTempDir();
  const store = `sqlite:${folder}/topics.db`;
  const port = freePort();
  try {
    const { system, status, epoch } = await (async () => {
      await using server = await startRelay({ store, port });
      const topic = server.relay.topics.create("t");
      await topic.append([{ data: "1" }, { data: "2" }]);
      const following = startRemote(server.url, ["follow", "t"]);
      await within(
        following.system.written(() => following.system.output === "1\n2\n"),
        LIMIT,
        "the first events",
      );
      return { ...following, epoch: topic.log.epoch };
    })();
    await using server = await startRelay({ store, port });
    const topic = server.relay.topics.get("t");
    assert(topic);
    assertEquals(topic.log.epoch, epoch);
    await topic.append([{ data: "3" }]);
    await topic.end("complete");
    assertEquals(await within(status, LIMIT, "the end"), 0);
    assertEquals([system.output, system.errors], ["1\n2\n3\n", ""]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The same answer in each format. */
const ANSWERS: Readonly<Record<string, readonly object[]>> = {
  Responses: [
    { type: "response.created", response: { id: "r", output: [] } },
    ...["Hel", "lo\x1b[2J"].map((delta) => ({
      type: "response.output_text.delta",
      item_id: "m",
      output_index: 0,
      content_index: 0,
      delta,
    })),
    { type: "response.completed", response: { id: "r", output: [] } },
  ],
  "Chat Completions": [
    ...["Hel", "lo\x1b[2J"].map((content) => ({
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: { content } }],
    })),
    {
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: {}, finish_reason: "stop" }],
    },
  ],
  Messages: [
    { type: "message_start", message: { id: "m", content: [] } },
    {
      type: "content_block_start",
      index: 0,
      content_block: { type: "text", text: "" },
    },
    ...["Hel", "lo\x1b[2J"].map((text) => ({
      type: "content_block_delta",
      index: 0,
      delta: { type: "text_delta", text },
    })),
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" } },
    { type: "message_stop" },
  ],
  "UI messages": [
    { type: "data-user", data: "what a chat begins with" },
    { type: "start", messageId: "m" },
    { type: "text-start", id: "1" },
    { type: "text-delta", id: "1", delta: "Hel" },
    { type: "text-delta", id: "1", delta: "lo\x1b[2J" },
    { type: "text-end", id: "1" },
    { type: "finish" },
  ],
};

Deno.test("follow --text prints the text of an answer in every format", async (t) => {
  for (const [name, events] of Object.entries(ANSWERS)) {
    await t.step(name, async () => {
      await using server = await startRelay();
      const topic = server.relay.topics.create("t");
      topic.append(events.map((event) => ({
        event: "type" in event ? String(event.type) : "message",
        data: JSON.stringify(event),
      })));
      topic.end("complete");
      const result = await runRemote(server.url, ["follow", "t", "--text"]);
      // The escape that a terminal would obey is dropped.
      assertEquals(result, { status: 0, output: "Hello[2J\n", errors: "" });
    });
  }
});

Deno.test("follow --text says that it knows no text of other streams", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  topic.append([{ data: "news" }]);
  topic.end("complete");
  const result = await runRemote(server.url, ["follow", "t", "--text"]);
  assertEquals([result.status, result.output], [1, ""]);
  assertMatch(result.errors, /Expected a stream of .* for --text/);
});

Deno.test("follow --stay prints each epoch of a topic, until it is stopped", async () => {
  await using server = await startRelay();
  const { topics } = server.relay;
  const turn = async (text: string) => {
    const topic = topics.renew("t");
    await topic.append(
      ["start", "text-delta"].map((type) => ({
        data: JSON.stringify({ type, delta: text }),
      })),
    );
    topic.end("complete");
  };
  await turn("Hello");
  const text = startRemote(server.url, ["follow", "t", "--text", "--stay"], {
    isTerminal: true,
  });
  const json = startRemote(server.url, ["follow", "t", "--json", "--stay"]);
  for (const [index, output] of ["Hello\n", "Hello\nWorld\n"].entries()) {
    await within(
      text.system.written(() =>
        text.system.output === output &&
        text.system.errors.endsWith("complete; waiting for the next epoch")
      ),
      LIMIT,
      "a turn",
    );
    await within(
      json.system.written(() =>
        json.system.output.match(/"end"/g)?.length === index + 1
      ),
      LIMIT,
      "its end",
    );
    if (index === 0) await turn("World");
  }
  const types = json.system.output.trimEnd().split("\n")
    .map((line) => JSON.parse(line).type);
  assertEquals(types.filter((type) => type !== "live"), [
    ...["subscribed", "event", "event", "end"],
    ...["subscribed", "event", "event", "end"],
  ]);
  for (const { system, status } of [text, json]) {
    system.stop("SIGINT");
    assertEquals(await within(status, LIMIT, "the end"), 130);
  }
});

Deno.test("follow ends at a signal, and says where to go on", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  topic.append([{ data: "1" }]);
  for (
    const [signal, expected] of [["SIGINT", 130], ["SIGTERM", 143]] as const
  ) {
    const { system, status } = startRemote(server.url, ["follow", "t"], {
      isTerminal: true,
    });
    await within(
      system.written(() => system.output === "1\n"),
      LIMIT,
      "the event",
    );
    system.stop(signal);
    assertEquals(await within(status, LIMIT, "the end"), expected);
    assertMatch(
      system.errors,
      new RegExp(`Go on with --after ${topic.log.epoch}:1\\n$`),
    );
  }
});

Deno.test("follow 'PREFIX*' prints the lines of all topics that begin so, each with its topic", async () => {
  await using server = await startRelay();
  const { topics } = server.relay;
  await topics.create("run:a").append([{ data: "1\n2" }]);
  await topics.create("other").append([{ data: "no" }]);
  const lines = startRemote(server.url, ["follow", "run:*"]);
  const json = startRemote(server.url, ["follow", "run:*", "--json"]);
  const has = (output: string) =>
    within(
      lines.system.written(() => lines.system.output === output),
      LIMIT,
      output,
    );
  await has("run:a\t1\nrun:a\t2\n");
  // Whoever follows later would not be told of a topic that is over by then.
  await within(
    json.system.written(() => json.system.output.includes('"live"')),
    LIMIT,
    "what there is of a topic",
  );
  const later = topics.create("run:b");
  await later.append([{ data: "3" }]);
  later.end("failed", "no luck");
  await has("run:a\t1\nrun:a\t2\nrun:b\t3\n");
  await within(
    json.system.written(() => json.system.output.includes('"end"')),
    LIMIT,
    "the end of a topic",
  );
  const { type, topic, status } = JSON.parse(
    json.system.output.trimEnd().split("\n").at(-1)!, // it has a line
  );
  assertEquals([type, topic, status], ["end", "run:b", "failed"]);
  for (const { system, status } of [lines, json]) {
    system.stop("SIGINT");
    assertEquals(await within(status, LIMIT, "the end"), 130);
  }
});

Deno.test("follow 'PREFIX*' has the topics that come and end while it is away, and says which are gone", async () => {
  await using server = await startRelay();
  await using line = await CuttableLine.start(server.port);
  const { topics } = server.relay;
  await topics.create("run:a").append([{ data: "1" }]);
  const { system, status } = startRemote(line.url, ["follow", "run:*"]);
  const has = (output: string) =>
    within(system.written(() => system.output === output), LIMIT, output);
  await has("run:a\t1\n");
  line.cut();
  const short = topics.create("run:b");
  await short.append([{ data: "2" }]);
  short.end("complete");
  topics.delete("run:a");
  line.mend();
  await has("run:a\t1\nrun:b\t2\n");
  await within(
    system.written(() => system.errors.includes("run:a: refused")),
    LIMIT,
    "which topic is gone",
  );
  assertMatch(
    system.errors,
    /^rivulet follow: run:a: refused \(unknown_topic\): There is no such topic$/m,
  );
  system.stop("SIGINT");
  assertEquals(await within(status, LIMIT, "the end"), 130);
});

Deno.test("follow says in words what it cannot do", async (t) => {
  await using server = await startRelay({ delivery: { awaitTopics: false } });
  await using locked = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const nobody = "http://127.0.0.1:1";
  const other = await mintToken({ read: ["other"] });
  const table: [string, string, string[], number, RegExp][] = [
    ["no topic", server.url, [], 2, /TOPIC: expected one, got 0/],
    ["two topics", server.url, ["a", "b"], 2, /TOPIC: expected one, got 2/],
    ["a bad name", server.url, ["a/b"], 2, /TOPIC: expected 1 to 128.*'a\/b'/],
    ["two forms", server.url, ["a", "--text", "--json"], 2, /--text, --json/],
    [
      "the text of many",
      server.url,
      ["a*", "--text"],
      2,
      /--text: expected one/,
    ],
    ["a position of many", server.url, ["a*", "--after", "x:7"], 2, /--after/],
    ["a bad prefix", server.url, ["a/*"], 2, /TOPIC: expected 1 to 128/],
    ["no token for many", locked.url, ["a*"], 1, /401/],
    ["a bad position", server.url, ["a", "--after", "x"], 2, /--after.*'x'/],
    ["a bad duration", server.url, ["a", "--retry-for", "x"], 2, /--retry-for/],
    ["a bad URL", "nowhere", ["a"], 2, /RIVULET_URL.*'nowhere'/],
    ["a bad flag", server.url, ["a", "--url", "x:y"], 2, /--url.*'x:y'/],
    ["an unknown topic", server.url, ["a"], 1, /unknown_topic/],
    ["no token", locked.url, ["a"], 1, /401/],
    ["a wrong token", locked.url, ["a", "--token", other], 1, /403/],
    ["nobody there", nobody, ["a"], 3, /Expected an answer of the relay at/],
  ];
  for (const [name, url, args, status, message] of table) {
    await t.step(name, async () => {
      const result = await runRemote(url, ["follow", ...args]);
      assertEquals([result.status, result.output], [status, ""], result.errors);
      assertMatch(result.errors, /^rivulet follow: [^\n]+\n$/);
      assertMatch(result.errors, message);
    });
  }
});

Deno.test("follow takes the URL of the relay's sockets, a path, and a token", async () => {
  await using server = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const topic = server.relay.topics.create("t");
  topic.append([{ data: "1" }]);
  topic.end("complete");
  const token = await mintToken({ read: ["t"] });
  for (const path of ["", "/", "/ws", "/ws?x=y"]) {
    const url = server.url.replace("http", "ws") + path;
    const result = await runRemote(url, ["follow", "t"], {
      environment: { RIVULET_TOKEN: token },
    });
    assertEquals(result, { status: 0, output: "1\n", errors: "" }, path);
  }
});
