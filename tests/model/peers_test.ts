/**
 * The results of other clients for the same endings, on the same server:
 * `openai`, and `ai` with `@ai-sdk/openai` (Responses) and
 * `@ai-sdk/openai-compatible` (Chat).
 *
 * Only ours is asserted on; the table of all is printed. Not for Node and Bun, where
 * the peers would say the same.
 */
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { assert, assertEquals } from "@std/assert";
import { jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";
import { EndingServer } from "../support/model/ending_server.ts";
import { assertDelivered, assertEnded } from "./assert_ending.ts";
import { type Ending, ENDINGS } from "./endings.ts";
import { type Outcome, runEnding } from "./run_ending.ts";

/** A client's report of an ending. */
interface PeerReport {
  /** Of the response: that it is whole; that it is not, in whatever way; or nothing. */
  readonly says: "whole" | "not whole" | "nothing";
  /** Whether it waits on and on. */
  readonly hangs: boolean;
  /** In words. */
  readonly words: string;
}

/** The observations of a peer while it runs. */
interface Sightings {
  /** Its report of how the response ended; `undefined` for none. */
  end?: Pick<PeerReport, "says" | "words">;
  /** Its report of usage: all tokens. */
  tokens?: number | undefined;
  /** The number of events that it gave. */
  events: number;
}

/**
 * Returns the meaning of a reason to finish; "other" and the like mean nothing.
 */
function saidBy(reason: string): PeerReport["says"] {
  if (/^(?:stop|tool.calls)$/.test(reason)) return "whole";
  return /^(?:other|unknown)$/.test(reason) ? "nothing" : "not whole";
}

/** Reads a whole stream with a peer. */
type Peer = (
  baseURL: string,
  wire: Ending["wire"],
  signal: AbortSignal,
  seen: Sightings,
  onEvent: () => void,
) => Promise<void>;

const openai: Peer = async (baseURL, wire, signal, seen, onEvent) => {
  const client = new OpenAI({ apiKey: "key", baseURL, maxRetries: 0 });
  if (wire === "responses") {
    const stream = await client.responses.create({
      model: "gpt-x",
      input: "Hello?",
      stream: true,
    }, { signal });
    for await (const event of stream) {
      seen.events++;
      switch (event.type) {
        case "response.completed":
        case "response.incomplete":
        case "response.failed":
          seen.end = {
            says: event.type === "response.completed" ? "whole" : "not whole",
            words: `event ${event.type}`,
          };
          seen.tokens = event.response.usage?.total_tokens;
          break;
        case "error":
          seen.end = { says: "not whole", words: "event error" };
      }
      onEvent();
    }
    return;
  }
  const stream = await client.chat.completions.create({
    model: "gpt-x",
    messages: [{ role: "user", content: "Hello?" }],
    stream: true,
    stream_options: { include_usage: true },
  }, { signal });
  for await (const { choices, usage } of stream) {
    seen.events++;
    const reason = choices[0]?.finish_reason;
    if (reason) seen.end = { says: saidBy(reason), words: reason };
    seen.tokens = usage?.total_tokens ?? seen.tokens;
    onEvent();
  }
};

const ai: Peer = async (baseURL, wire, signal, seen, onEvent) => {
  const model = wire === "responses"
    ? createOpenAI({ apiKey: "key", baseURL }).responses("gpt-x")
    : createOpenAICompatible({
      apiKey: "key",
      baseURL,
      name: "test",
      includeUsage: true,
    }).chatModel("gpt-x");
  const { fullStream } = streamText({
    model,
    prompt: "Hello?",
    maxRetries: 0,
    abortSignal: signal,
    tools: {
      weather: tool({ inputSchema: jsonSchema({ type: "object" }) }),
    },
    // It would print them.
    onError: () => {},
  });
  for await (const part of fullStream) {
    seen.events++;
    switch (part.type) {
      case "error":
        seen.end = {
          says: "not whole",
          words: `part error: ${show(part.error)}`,
        };
        break;
      case "abort":
        seen.end = { says: "not whole", words: "part abort" };
        break;
      case "tool-call":
        if (!part.invalid) break;
        seen.end = { says: "not whole", words: "part tool-call, invalid" };
        break;
      case "finish":
        seen.tokens = part.totalUsage.totalTokens;
        // After an error it says no more than that it has finished.
        seen.end ??= {
          says: saidBy(part.finishReason),
          words: `finish ${part.finishReason}`,
        };
    }
    onEvent();
  }
};

const PEERS = { openai, ai };

/** The time limit for a peer where the server holds the socket open, in ms. */
const PATIENCE = 400;

/**
 * The time limit elsewhere, in ms: it does not matter, but should not be for
 * ever.
 */
const LIMIT = 10_000;

/** The time that a peer has to take the events before a break, in ms. */
const TAKEN_AFTER = 30;

/** The number of rows at a time: most of it is waiting. */
const AT_A_TIME = 8;

function show(error: unknown): string {
  return error instanceof Error
    ? `${error.constructor.name}: ${error.message}`
    : JSON.stringify(error) ?? String(error);
}

async function runPeer(peer: Peer, ending: Ending): Promise<PeerReport> {
  const { server: script = [], wire, abort } = ending;
  await using server = await EndingServer.start(script);
  const controller = new AbortController();
  const seen: Sightings = { events: 0 };
  let whenHanging: Sightings | undefined;
  const isHeld = script.some((answer) =>
    answer === "silence" ||
    typeof answer === "object" && answer.then === "hold"
  );
  const timers = [
    setTimeout(() => server.takeAll(), TAKEN_AFTER),
    setTimeout(() => {
      // It may take the abort for an end.
      whenHanging = { ...seen };
      controller.abort(new Error("hangs"));
    }, isHeld ? PATIENCE : LIMIT),
  ];
  const abortNow = () => controller.abort(new Error("enough"));
  if (abort === "before") abortNow();
  if (abort === "headers") server.requested(1).then(abortNow);
  let thrown: Pick<PeerReport, "says" | "words"> | undefined;
  try {
    await peer(`${server.origin}/v1`, wire, controller.signal, seen, () => {
      if (typeof abort === "object") abortNow();
    });
  } catch (error) {
    const before = seen.end ? ` after ${seen.end.words}` : "";
    thrown = { says: "not whole", words: `throws ${show(error)}${before}` };
  }
  for (const timer of timers) clearTimeout(timer);
  const { end, tokens, events } = whenHanging ?? seen;
  const { says, words } = (whenHanging ? end : thrown ?? end) ??
    { says: "nothing", words: `${events} events` };
  return {
    says,
    hangs: whenHanging !== undefined,
    words: `${words}${tokens === undefined ? "" : `, ${tokens} tokens`}`,
  };
}

function ours({ end }: Ending, { events, thrown }: Outcome): PeerReport {
  if (thrown) {
    const what = end === "aborted" ? "the signal's reason" : show(thrown.error);
    return { says: "not whole", hangs: false, words: `throws ${what}` };
  }
  const last = events.at(-1);
  assert(last?.type === "completed" || last?.type === "incomplete");
  return {
    says: last.type === "completed" ? "whole" : "not whole",
    hangs: false,
    words: `${last.type === "completed" ? "completed" : last.reason}${
      last.usage ? `, ${last.usage.totalTokens} tokens` : ""
    }`,
  };
}

/** Whether a row is one that the peers can be asked for too. */
function isShared(
  { server, abort, requests = 1, options, delivered }: Ending,
): boolean {
  if (server === undefined || requests !== 1) return false;
  if (options?.retryMidStream || options?.deltas === false) return false;
  // After all of it: not for those who count their events otherwise.
  return !(typeof abort === "object" && "taken" in abort &&
    abort.taken > delivered.length);
}

/** Compares a peer's report with the truth. */
function compare(peer: PeerReport, right: PeerReport): string {
  const said = peer.says === right.says
    ? "right"
    : peer.says === "nothing"
    ? "silent"
    : "wrong";
  return peer.hangs ? `${said}, hangs` : said;
}

interface Row {
  readonly ending: Ending;
  readonly right: PeerReport;
  readonly peers: ReadonlyMap<string, PeerReport>;
}

async function runRow(ending: Ending): Promise<Row> {
  const outcome = await runEnding(ending, "events");
  assertDelivered(ending, outcome);
  assertEnded(ending, outcome);
  const peers = await Promise.all(
    Object.entries(PEERS).map(async (
      [name, peer],
    ): Promise<[string, PeerReport]> => [name, await runPeer(peer, ending)]),
  );
  return { ending, right: ours(ending, outcome), peers: new Map(peers) };
}

/** The widths of the columns. */
const WIDTHS = [9, 72, 60, 90, 90];

function print(cells: string[]): void {
  console.log(
    cells.map((cell, index) => {
      const width = WIDTHS[index] ?? 0;
      const line = cell.replace(/\s+/g, " ");
      return (line.length > width ? `${line.slice(0, width - 1)}…` : line)
        .padEnd(width);
    }).join(" | "),
  );
}

Deno.test("ModelClient tells every ending, whatever its peers say", async () => {
  const endings = ENDINGS.filter(isShared);
  const rows: Row[] = [];
  while (rows.length < endings.length) {
    const group = endings.slice(rows.length, rows.length + AT_A_TIME);
    rows.push(...await Promise.all(group.map(runRow)));
  }
  print(["wire", "row", "ours", ...Object.keys(PEERS)]);
  const counts = new Map<string, number>();
  for (const { ending, right, peers } of rows) {
    const cells = [...peers].map(([name, verdict]) => {
      const kind = compare(verdict, right);
      const key = `${name} ${kind}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return `[${kind}] ${verdict.words}`;
    });
    print([ending.wire, ending.name, right.words, ...cells]);
  }
  for (const [key, count] of [...counts].sort()) console.log(key, count);
  // All of them have said something, if only that they say nothing.
  assertEquals(rows.map(({ peers }) => peers.size), rows.map(() => 2));
});
