// kill -9 of each relay of a tree, in processes of their own, with runs at an edge under way.
import { assertEquals } from "@std/assert";
import { readEvents } from "../../../src/sse/read_events.ts";
import type { CallerStream } from "../../support/gateway/caller_stream.ts";
import type { ProviderExchange } from "../../support/gateway/raw_provider.ts";
import {
  WIRE_FORMATS,
  type WireFormat,
} from "../../support/gateway/wire_formats.ts";
import { MortalTree } from "../../support/links/mortal_tree.ts";
import type { PlacedRelay } from "../../support/relay/placed_relay.ts";
import { readRemoteTopic } from "../../support/relay/remote_topic.ts";
import { TemporaryFolder } from "../../support/relay/sqlite_world.ts";
import { MovingFollower } from "../../support/subscribers/moving_follower.ts";
import { LIMIT, until, within } from "../../support/within.ts";

/** A format, and what its requests have besides `stream`. */
interface Format extends Pick<WireFormat, "path" | "headers" | "start"> {
  readonly body?: object;
  delta(text: string): string;
  /** The last words of an answer that is complete. */
  readonly last: string;
}

function numbered(type: string, sequence_number: number, more: object): string {
  const data = JSON.stringify({ type, sequence_number, ...more });
  return `event: ${type}\ndata: ${data}\n\n`;
}

const response = (status: string): object => ({
  response: { id: "resp_kept", background: true, status },
});

/** A response that its provider keeps: `a` has the number 1. */
const BACKGROUND: Format = {
  path: "responses",
  body: { background: true },
  start: numbered("response.created", 0, response("in_progress")),
  delta: (text) =>
    numbered("response.output_text.delta", text.charCodeAt(0) - 96, {
      delta: text,
    }),
  last: numbered("response.completed", 9, response("completed")),
};

const FORMATS: readonly (readonly [name: string, format: Format])[] = [
  ...Object.entries(WIRE_FORMATS).map(([name, format]) =>
    [name, { ...format, last: format.ends[0]![1] }] as const // all have some
  ),
  ["background", BACKGROUND],
];

/** Returns what a subscriber is told of the events of a stream. */
async function toldOf(stream: string): Promise<string[]> {
  const events = await Array.fromAsync(readEvents(new Blob([stream]).stream()));
  return events.map(({ data }, at) => `${at + 1} ${data}`);
}

/** A run at the edge whose first two events everybody has. */
class BegunRun {
  readonly topic: string;
  readonly format: Format;
  readonly exchange: ProviderExchange;
  readonly caller: CallerStream;
  readonly followers: ReadonlyMap<PlacedRelay, MovingFollower>;
  readonly #tree: MortalTree;
  /** All that the provider has sent. */
  sent: string;

  private constructor(
    tree: MortalTree,
    topic: string,
    format: Format,
    exchange: ProviderExchange,
    caller: CallerStream,
    followers: ReadonlyMap<PlacedRelay, MovingFollower>,
  ) {
    this.#tree = tree;
    this.topic = topic;
    this.format = format;
    this.exchange = exchange;
    this.caller = caller;
    this.followers = followers;
    this.sent = format.start + format.delta("a");
  }

  static async begin(
    tree: MortalTree,
    topic: string,
    format: Format,
  ): Promise<BegunRun> {
    const followers = new Map(
      tree.relays.map((relay) => [relay, new MovingFollower(relay, topic)]),
    );
    const { path, headers, body } = format;
    const key = { "Idempotency-Key": topic };
    const asked = tree.ask(tree.edge, path, topic, key, body);
    const exchange = await tree.next();
    const sent = format.start + format.delta("a");
    await exchange.stream(sent, headers);
    const caller = await asked;
    await caller.see(sent);
    const own = new BegunRun(tree, topic, format, exchange, caller, followers);
    for (const follower of followers.values()) await follower.has(2);
    return own;
  }

  /** Has the provider send more. */
  async send(text: string): Promise<void> {
    this.sent += text;
    await this.exchange.write(text);
  }

  /** Asks another relay for the same run, under its key. */
  async join(relay: PlacedRelay): Promise<CallerStream> {
    const { path, body } = this.format;
    const key = { "Idempotency-Key": this.topic };
    const joined = await this.#tree.ask(relay, path, this.topic, key, body);
    assertEquals(
      [joined.status, joined.header("idempotent-replayed")],
      [200, "true"],
    );
    return joined;
  }
}

/** Begins a run of each format. */
async function beginAll(tree: MortalTree): Promise<readonly BegunRun[]> {
  const runs: BegunRun[] = [];
  for (const [name, format] of FORMATS) {
    runs.push(await BegunRun.begin(tree, name.toLowerCase(), format));
  }
  return runs;
}

/** The events that a joined caller was given, and the end of its answer. */
async function restOf(
  joined: CallerStream,
): Promise<readonly [string[], string]> {
  const { text, end } = await joined.rest();
  return [await toldOf(text), end];
}

Deno.test("An edge that is killed leaves no run open, and those that their provider keeps go on elsewhere", async () => {
  await using folder = new TemporaryFolder();
  await using tree = await MortalTree.start(`sqlite:${folder.path}/s.db`);
  const { edge, other, root, middle } = tree;
  const runs = await beginAll(tree);
  const joined = await Promise.all(runs.map((run) => run.join(other)));
  // One more has no answer of its provider's yet.
  const key = { "Idempotency-Key": "asked" };
  const asked = (relay: PlacedRelay) =>
    tree.ask(relay, "chat/completions", "asked", key);
  const lost = asked(edge).catch(() => {});
  await tree.next();
  await edge.kill("SIGKILL");
  await lost;
  for (const { followers, caller } of runs) {
    assertEquals((await caller.rest()).end, "cut");
    await followers.get(edge)?.move(other);
  }
  const later = await Promise.all(runs.map((run) => run.join(other)));
  const again = asked(other);
  // The rest is asked for once, and the run without an event is made anew.
  const first = await tree.next();
  const second = await tree.next();
  const [rest, anew] = first.method === "GET"
    ? [first, second]
    : [second, first];
  assertEquals(
    [rest.method, rest.target, anew.target],
    [
      "GET",
      "/base/v1/responses/resp_kept?stream=true&starting_after=1",
      "/base/v1/chat/completions",
    ],
  );
  const { delta, last } = BACKGROUND;
  await rest.stream(delta("b") + last);
  await rest.end();
  const { start, last: stop } = FORMATS[1]![1]; // Chat
  await anew.stream(start);
  await anew.end(stop);
  assertEquals((await (await again).rest()).text, start + stop);
  for (const [index, { topic, followers, format, sent }] of runs.entries()) {
    const isKept = format === BACKGROUND;
    const events = await toldOf(isKept ? sent + delta("b") + last : sent);
    const end = isKept
      ? 'end {"status":"complete"}'
      : `truncated: Topic '${topic}' truncated: The relay was restarted`;
    for (const [relay, follower] of followers) {
      assertEquals(
        await follower.end(),
        [...events, end],
        `${topic} at ${relay.name}`,
      );
    }
    for (const one of [joined[index]!, later[index]!]) { // one of each run
      assertEquals(
        await restOf(one),
        [events, isKept ? "whole" : "cut"],
        `${topic}, for a caller that joined`,
      );
    }
    for (const { url, name } of [root, middle, other]) {
      const kept = await readRemoteTopic(url, topic);
      assertEquals(kept?.events.length, events.length, `${topic} at ${name}`);
    }
  }
  assertEquals(tree.provider.count, runs.length + 3);
});

for (const victim of ["middle", "root"] as const) {
  Deno.test(`Runs at an edge go on while the ${victim} of the tree is killed and started again`, async () => {
    await using folder = new TemporaryFolder();
    await using tree = await MortalTree.start(`sqlite:${folder.path}/s.db`);
    const { [victim]: killed, root, other } = tree;
    const runs = await beginAll(tree);
    const joined = await Promise.all(runs.map((run) => run.join(other)));
    const cancelled = await BegunRun.begin(
      tree,
      "cancelled",
      FORMATS[1]![1], // Chat
    );
    const { count } = tree.provider;
    for (const text of ["b", "c"]) {
      // Events on their way are neither lost nor doubled.
      for (const run of runs) await run.send(run.format.delta(text));
      await killed.kill("SIGKILL");
      const alone = text.toUpperCase();
      for (const run of runs) await run.send(run.format.delta(alone));
      for (const { caller, format } of runs) {
        await caller.see(format.delta(alone));
      }
      await killed.start();
      for (const { followers, sent } of runs) {
        const { length } = await toldOf(sent);
        for (const follower of followers.values()) await follower.has(length);
      }
    }
    // Whoever fills it is found over the new links.
    const stopped = await fetch(`${root.url}/topics/cancelled/cancel`, {
      method: "POST",
      body: '{"reason":"enough"}',
    });
    assertEquals(stopped.status, 200);
    assertEquals((await stopped.json()).end.status, "cancelled");
    await cancelled.exchange.closed;
    await cancelled.caller.rest();
    for (const follower of cancelled.followers.values()) {
      assertEquals(
        (await follower.end()).at(-1),
        'end {"status":"cancelled","reason":"enough"}',
      );
    }
    for (const [index, run] of runs.entries()) {
      const { topic, caller, followers, exchange, format } = run;
      await run.send(format.last);
      await exchange.end();
      assertEquals(await caller.rest(), { text: run.sent, end: "whole" });
      const events = await toldOf(run.sent);
      for (const [relay, follower] of followers) {
        assertEquals(
          await follower.end(),
          [...events, 'end {"status":"complete"}'],
          `${topic} at ${relay.name}`,
        );
      }
      assertEquals(await restOf(joined[index]!), [events, "whole"]); // one of each run
    }
    // No relay took a run for one that nobody fills.
    assertEquals(tree.provider.count, count);
  });
}

Deno.test("A root that has lost its memory is told of by a gap, and callers of runs get the rest", async () => {
  await using tree = await MortalTree.start("memory");
  const { root } = tree;
  const runs = await beginAll(tree);
  const left = await BegunRun.begin(tree, "left", FORMATS[1]![1]); // Chat
  await root.kill("SIGKILL");
  for (const run of runs) await run.send(run.format.delta("b"));
  for (const { caller, format } of runs) await caller.see(format.delta("b"));
  await root.start();
  for (const { followers } of runs) {
    for (const follower of followers.values()) await follower.has(3);
  }
  // Without its caller, nobody can have the answer.
  for (const follower of left.followers.values()) {
    await follower.has(3);
    await follower.leave();
  }
  await left.caller.leave();
  await within(left.exchange.closed, LIMIT, "the provider to be left");
  for (const run of runs) {
    await run.send(run.format.delta("c"));
    await run.caller.see(run.format.delta("c"));
    await run.send(run.format.last);
    await run.exchange.end();
    assertEquals(await run.caller.rest(), { text: run.sent, end: "whole" });
  }
  // They count as what their callers have got.
  const ended = async (outcome: string): Promise<number> => {
    const text = await (await fetch(`${tree.edge.url}/metrics`)).text();
    const line = new RegExp(
      `^rivulet_runs_ended_total\\{outcome="${outcome}"\\} (\\d+)$`,
      "m",
    ).exec(text);
    return Number(line?.[1]);
  };
  await until(
    async () => await ended("complete") === runs.length || undefined,
    LIMIT,
    "the runs to be counted",
  );
  assertEquals(await ended("cancelled"), 1);
  for (const { topic, followers, format } of runs) {
    const events = await toldOf(format.start + format.delta("a"));
    for (const [relay, follower] of followers) {
      await follower.leave();
      assertEquals(
        follower.told,
        [...events, "gap 1 0 epoch"],
        `${topic} at ${relay.name}`,
      );
    }
  }
});
