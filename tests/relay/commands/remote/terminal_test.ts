// A terminal gets nothing to obey, whatever a relay says: another program may stand at
// its address.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { topScreen } from "../../../../relay/commands/remote/top_screen.ts";
import { startRelay } from "../../../support/relay/relay.ts";
import { runRemote } from "../../../support/relay/remote_command.ts";

/** A control sequence of seven bits and one of eight, a title, a line and a turn of direction. */
const HOSTILE = "\x1b[2J\x9b31m\x1b]0;x\x07\u2028\u202e";

const SAFE = "\\u001b[2J\\u009b31m\\u001b]0;x\\u0007\\u2028\\u202e";

const TOPIC = {
  name: `n${HOSTILE}`,
  state: `s${HOSTILE}`,
  epoch: `e${HOSTILE}`,
  next: 2,
  subscribers: 0,
  source: `u${HOSTILE}`,
  upstream: { state: `o${HOSTILE}` },
};

function assertHarmless(output: string): void {
  assert(
    !/[\p{Cf}\p{Zl}\p{Zp}\p{Cs}]|(?!\n)\p{Cc}/u.test(output),
    JSON.stringify(output),
  );
}

Deno.test("topics writes what a relay says so that a terminal obeys none of it", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ topics: [TOPIC] }),
  );
  const url = `http://127.0.0.1:${server.addr.port}`;
  const list = await runRemote(url, ["topics"]);
  assertHarmless(list.output);
  assertStringIncludes(list.output, `n${SAFE}  s${SAFE}, o${SAFE}`);
  const isTerminal = true;
  const shown = await runRemote(url, ["topics", "--json"], { isTerminal });
  assertHarmless(shown.output);
  assertEquals(JSON.parse(shown.output), TOPIC);
  // A program gets the characters themselves.
  const piped = await runRemote(url, ["topics", "--json"]);
  assertStringIncludes(piped.output, "\x9b31m");
});

Deno.test("top draws what a relay says so that a terminal obeys none of it", () => {
  const sample = {
    time: 0,
    topics: [TOPIC],
    metrics: undefined,
    status: {
      version: `v${HOSTILE}`,
      uptime: 0,
      store: { kind: `k${HOSTILE}` },
      problem: { code: `p${HOSTILE}` },
      refusals: { [`r${HOSTILE}`]: 1 },
    },
  };
  const size = { columns: Infinity, rows: Infinity };
  const screen = topScreen("http://relay", sample, sample, size).join("\n");
  assertHarmless(screen);
  for (const part of "nsouvkpr") assertStringIncludes(screen, part + SAFE);
});

Deno.test("follow writes what a topic says so that a terminal obeys none of it", async () => {
  await using server = await startRelay();
  const topic = server.relay.topics.create("t");
  await topic.append([{ data: HOSTILE, event: `n\x9b`, id: `i\x9b` }]);
  topic.end("complete", `r${HOSTILE}`);
  const isTerminal = true;
  for (const flags of [[], ["--json"]]) {
    const { output } = await runRemote(
      server.url,
      ["follow", "t", "--after", "start", ...flags],
      { isTerminal },
    );
    assertHarmless(output);
    assertStringIncludes(output, SAFE);
  }
});
