import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  Metrics,
  quantile,
} from "../../../../relay/commands/remote/metrics_text.ts";
import { topScreen } from "../../../../relay/commands/remote/top_screen.ts";
import { FakeClock } from "../../../../src/testing/fake_clock.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { startRemote } from "../../../support/relay/remote_command.ts";
import { JWT_KEY, mintToken } from "../../../support/rights/token.ts";
import { LIMIT, until, within } from "../../../support/within.ts";

/** Waits until a command waits for a clock. */
async function waiting(clock: FakeClock): Promise<void> {
  await until(() => clock.pending > 0 || undefined, LIMIT, "a wait");
}

Deno.test("top draws the screen again, the busiest topics first, and leaves the terminal as it was", async () => {
  await using server = await startRelay();
  const clock = new FakeClock();
  const quiet = server.relay.topics.create("quiet");
  const busy = server.relay.topics.create("busy");
  await quiet.append([{ data: "1" }]);
  const { system, status } = startRemote(server.url, ["top", "--every", "2s"], {
    isTerminal: true,
    clock,
  });
  await waiting(clock);
  const [enter = ""] = system.output.split("http");
  assertEquals(enter, "\x1b[?1049h\x1b[?25l\x1b[H");
  await busy.append(Array.from({ length: 10 }, () => ({ data: "x" })));
  system.output = "";
  await clock.advance(2_000);
  await waiting(clock);
  const lines = system.output.split("\r\n");
  assertMatch(
    lines[0] ?? "",
    /http:\/\/127\.0\.0\.1:\d+ {2}2 topics not ended {2}0 followers {2}5 events\/s/,
  );
  assertMatch(lines[7] ?? "", /^busy {3}open {8}5\.0 {6}10 +0/);
  assertMatch(lines[8] ?? "", /^quiet {2}open {8}0\.0 {7}1 +0/);
  assertMatch(lines[1] ?? "", /^Version \d\S+, up \d+ \w+, store memory/);
  assertMatch(system.output, /Runs: 0 under way, 0 ended\/s; refusals: 0\/s/);
  system.stop("SIGINT");
  assertEquals(await within(status, LIMIT, "the end"), 130);
  assert(system.output.endsWith("\x1b[?25h\x1b[?1049l"));
});

Deno.test("top prints its screen once in a pipe, and does without the right admin", async () => {
  await using server = await startRelay({ rights: { jwtKey: JWT_KEY } });
  await server.relay.topics.create("mine").append([{ data: "1" }]);
  await server.relay.topics.create("other").append([{ data: "1" }]);
  const clock = new FakeClock();
  const { system, status } = startRemote(server.url, ["top"], {
    clock,
    environment: { RIVULET_TOKEN: await mintToken({ read: ["mine"] }) },
  });
  await waiting(clock);
  assertEquals(system.output, "");
  await clock.advance(2_000);
  assertEquals(await within(status, LIMIT, "the end"), 0);
  assertMatch(system.output, /as \/metrics asks for the right admin\n/);
  assertMatch(system.output, /\nmine {3}open /);
  assert(!system.output.includes("other"));
  assert(!system.output.includes("\x1b"));
});

Deno.test("A screen of top has no more lines and columns than the terminal", () => {
  const topics = Array.from({ length: 50 }, (_, index) => ({
    name: `topic-${index}`,
    state: "open",
    epoch: "abcdefgh",
    next: 1 + index,
    subscribers: index,
    source: `http://example.com/${"x".repeat(100)}`,
  }));
  const before = { time: 0, topics: [], metrics: undefined, status: undefined };
  const status = {
    version: "1.0.0",
    uptime: 90_061_000,
    store: { kind: "sqlite" },
    problem: { code: "store_failed" },
    refusals: { forbidden: 2, unknown_topic: 7 },
  };
  const now = { time: 1_000, topics, metrics: undefined, status };
  const size = { columns: 40, rows: 12 };
  const lines = topScreen("http://relay", now, before, size);
  assertEquals(lines.length, 12);
  for (const line of lines) assert(line.length <= 40);
  // All events of a topic that is new since the last sample count for this
  // second.
  const [, about] = topScreen("http://relay", now, before, {
    columns: 200,
    rows: 12,
  });
  assertEquals(
    about,
    "Version 1.0.0, up 1 d 1 h, store sqlite; not ready: store_failed; refused unknown_topic 7, forbidden 2",
  );
  assertMatch(lines[7] ?? "", /^topic-49 {2}open {9}49 {6}49 +/);
});

Deno.test("Metrics are added up over their labels, and quantiles are of what came between", () => {
  const before = new Metrics(
    [
      "# HELP a A number.",
      'a{door="sse"} 1',
      'h_bucket{le="0.1",door="sse"} 10',
      'h_bucket{le="1",door="sse"} 10',
      'h_bucket{le="+Inf",door="sse"} 10',
    ].join("\n"),
  );
  const now = new Metrics(
    [
      'a{door="sse"} 1',
      'a{door="websocket"} 2.5',
      "ab 7",
      'h_bucket{le="0.1",door="sse"} 11',
      'h_bucket{le="1",door="sse"} 13',
      'h_bucket{le="+Inf",door="sse"} 14',
    ].join("\n"),
  );
  assertEquals([before.sum("a"), now.sum("a"), now.sum("none")], [1, 3.5, 0]);
  const between = (share: number) =>
    quantile(share, now.buckets("h"), before.buckets("h"));
  assertEquals([0.2, 0.5, 0.75, 0.99].map(between), [0.1, 1, 1, Infinity]);
  assertEquals(quantile(0.5, now.buckets("h"), now.buckets("h")), undefined);
});
