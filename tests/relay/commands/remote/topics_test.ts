import { assertEquals, assertMatch } from "@std/assert";
import { startRelay } from "../../../support/relay/relay.ts";
import { runRemote } from "../../../support/relay/remote_command.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";

Deno.test("topics lists topics in columns, or as JSON", async () => {
  const url = "http://127.0.0.1:1/events"; // nobody is there
  await using server = await startRelay({ sources: [{ name: "c", url }] });
  const { topics } = server.relay;
  topics.create("b-long-name").append([{ data: "1" }, { data: "2" }]);
  topics.create("a").end("failed", "no power");
  const result = await runRemote(server.url, ["topics"]);
  assertEquals(result, {
    status: 0,
    output: [
      "TOPIC        STATE              EVENTS  FOLLOWERS  LAG  SOURCE",
      "a            failed                  0          0",
      "b-long-name  open                    2          0",
      `c            pending, retrying       0          0       ${url}`,
      "",
    ].join("\n"),
    errors: "",
  });
  const json = await runRemote(server.url, [
    ...["topics", "--json", "--prefix", "b", "--state", "open"],
  ]);
  const lines = json.output.trimEnd().split("\n");
  assertEquals(
    lines.map((line) => {
      const { name, state, epoch, next, subscribers, source } = JSON.parse(
        line,
      );
      return { name, state, epoch, next, subscribers, source };
    }),
    [{
      name: "b-long-name",
      state: "open",
      epoch: topics.get("b-long-name")?.log.epoch,
      next: 3,
      subscribers: 0,
      source: null,
    }],
  );
});

Deno.test("topics sorts and searches, whatever the number of pages", async () => {
  await using server = await startRelay();
  const { topics } = server.relay;
  for (let index = 0; index < 2_100; index++) {
    const topic = topics.create(`t-${index}`);
    if (index % 700 === 0) topic.append([{ data: "x".repeat(index + 1) }]);
  }
  const list = async (...flags: string[]): Promise<string[]> => {
    const { output } = await runRemote(server.url, [
      ...["topics", "--json", ...flags],
    ]);
    return output.trimEnd().split("\n").map((line) => JSON.parse(line).name);
  };
  const byBytes = await list("--sort=-bytes");
  assertEquals(byBytes.slice(0, 3), ["t-1400", "t-700", "t-0"]);
  assertEquals(new Set(byBytes).size, 2_100);
  assertEquals(await list("--search", "T-70", "--state=open"), ["t-700"]);
  assertEquals((await list("--source=none", "--prefix=t-209")).length, 11);
  const refused = await runRemote(server.url, ["topics", "--sort=size"]);
  assertMatch(refused.errors, /invalid_query.*'lastEvent'/);
});

Deno.test("topics asks for every page", async () => {
  await using server = await startRelay();
  const names = Array.from(
    { length: 2_345 },
    (_, index) => `t${String(index).padStart(5, "0")}`,
  );
  for (const name of names) server.relay.topics.create(name);
  const { output } = await runRemote(server.url, ["topics", "--json"]);
  assertEquals(
    output.trimEnd().split("\n").map((line) => JSON.parse(line).name),
    names,
  );
});

Deno.test("topics says in words what it cannot do", async () => {
  await using locked = await startRelay({ rights: { jwtKey: JWT_KEY } });
  const state = await runRemote(locked.url, ["topics", "--state", "x"]);
  assertEquals(state.status, 2);
  assertMatch(state.errors, /--state: expected pending, open or ended/);
  const refused = await runRemote(locked.url, ["topics"]);
  assertEquals(refused.status, 1);
  assertMatch(refused.errors, /401 token_required/);
});

Deno.test("cancel cancels a topic, and says on a terminal that it has", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  const result = await runRemote(server.url, [
    ...["cancel", "t", "--reason", "enough"],
  ]);
  assertEquals(result, { status: 0, output: "", errors: "" });
  assertEquals(await topic.ended, { status: "cancelled", reason: "enough" });
  const again = await runRemote(server.url, ["cancel", "t"], {
    isTerminal: true,
  });
  assertEquals(again, {
    status: 0,
    output: "",
    errors: "Topic 't' is cancelled\n",
  });
});

Deno.test("cancel is told what it may not cancel", async () => {
  await using locked = await startRelay({ rights: { jwtKey: JWT_KEY } });
  locked.relay.topics.create("t").end("complete");
  locked.relay.topics.create("u");
  const token = await mintToken({ read: ["*"], cancel: ["t", "x"] });
  for (
    const [topic, message] of [
      ["t", /409 topic_ended/],
      ["u", /403 forbidden/],
      ["x", /404 unknown_topic/],
    ] as const
  ) {
    const result = await runRemote(locked.url, [
      ...["cancel", topic, "--token", token],
    ]);
    assertEquals([result.status, result.output], [1, ""]);
    assertMatch(result.errors, message);
  }
});
