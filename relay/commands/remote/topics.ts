import { jsonLine } from "./json_line.ts";
import { type Command, FlagError, parseFlags } from "../command.ts";
import type { System } from "../system.ts";
import { ACCESS_FLAGS, ACCESS_HELP, RelayAccess } from "./relay_access.ts";
import { stopping } from "./stopping.ts";
import { type Column, table } from "./table.ts";
import { type ListedTopic, listTopics } from "./topic_lists.ts";

const HELP = `Lists the topics that one may read.

Usage: rivulet topics [FLAG ...]

  --prefix TEXT   only topics whose names begin so
  --search TEXT   only topics whose names contain it, in upper or lower case
  --state STATE   only topics that are pending, open or ended
  --source KIND   only topics that are filled so: run, chat, sse, fixture, none
  --sort KEY      name (default), created, lastEvent, followers, lag, bytes,
                  events; with - in front (--sort=-lag), greatest first
  --json          prints the description of each topic as a line of JSON

${ACCESS_HELP}`;

const FLAGS = {
  prefix: { type: "string" },
  search: { type: "string" },
  state: { type: "string" },
  source: { type: "string" },
  sort: { type: "string" },
  json: { type: "boolean", default: false },
  ...ACCESS_FLAGS,
} as const;

const STATES = ["pending", "open", "ended"];

const COLUMNS: readonly Column[] = [
  { title: "TOPIC" },
  { title: "STATE" },
  { title: "EVENTS", isNumber: true },
  { title: "FOLLOWERS", isNumber: true },
  { title: "LAG", isNumber: true },
  { title: "SOURCE" },
];

/** The command that lists topics. */
export const topicsCommand: Command = { help: HELP, run: topics };

async function topics(args: readonly string[], system: System): Promise<void> {
  const { values } = parseFlags(args, { options: FLAGS });
  const { prefix, search, state, source, sort, json } = values;
  if (state !== undefined && !STATES.includes(state)) {
    throw new FlagError(
      `--state: expected pending, open or ended, got '${state}'`,
    );
  }
  const relay = new RelayAccess(values, system, stopping(system));
  const rows: string[][] = [];
  const filter = { prefix, search, state, source, sort };
  for await (const page of listTopics(relay, filter)) {
    if (json) {
      const lines = page.map((topic) => jsonLine(topic, system));
      await system.write(lines.join(""));
    } else rows.push(...page.map(rowOf));
  }
  if (!json) await system.write(`${table(COLUMNS, rows).join("\n")}\n`);
}

function rowOf(topic: ListedTopic): string[] {
  return [
    topic.name,
    stateOf(topic),
    String(topic.next - 1),
    String(topic.subscribers),
    lagOf(topic),
    topic.source ?? "",
  ];
}

/** Returns how far the slowest follower of a topic is behind, if there is one. */
export function lagOf({ lag }: ListedTopic): string {
  return lag === undefined ? "" : String(lag);
}

/** Returns the state of a topic in a word: of one that has ended, how. */
export function stateOf({ state, end, upstream }: ListedTopic): string {
  if (end) return end.status;
  return upstream && upstream.state !== "open"
    ? `${state}, ${upstream.state}`
    : state;
}
