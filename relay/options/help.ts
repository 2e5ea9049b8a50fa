import type { HelpTopic, Setting } from "./option.ts";
import { valueAt } from "./option.ts";
import { commandOptions, settings } from "./schema.ts";

const WIDTH = 79;

/** The column in which the text on a flag begins. */
const INDENT = 29;

/** The flags that set no option. */
const FILE = [
  {
    usage: "--config FILE",
    help: [
      'reads settings from a JSON file: {"port": 8787}. The output of --print-config has the names of all. Durations and sizes are texts as of flags, or numbers of milliseconds and bytes; lists are lists of such texts or of objects',
    ],
  },
  {
    usage: "--print-config",
    help: [
      'prints the settings in force and their places, without keys; its "config" is such a file',
    ],
  },
];

/** The parts of the help, in order. */
const TOPICS: Readonly<
  Record<HelpTopic, { readonly title: string; readonly after?: string }>
> = {
  sources: {
    title: "Sources of topics (each flag any number of times)",
    after: "  (callers with the right fill topics too: POST /topics/NAME)",
  },
  models: { title: "Language models" },
  chats: { title: "Chats of applications" },
  listening: { title: "Listening" },
  rights: {
    title: "Rights",
    after: "  (rivulet token makes tokens)",
  },
  subscribers: { title: "Subscribers" },
  retention: { title: "Retention" },
  limits: { title: "Limits" },
  logs: { title: "Logs" },
  file: { title: "Settings from a file" },
};

const BEGIN = `Runs the relay until it is interrupted.

Usage: rivulet [serve] [FLAG ...]
`;

const END =
  `Each flag but the last also has an environment variable: --log-level is RIVULET_LOG_LEVEL. A flag goes before its variable, and the variable before the file. --no-NAME turns off a flag that takes no value; its variable is true or false. The variable of a flag that can be given several times has spaces between the values, or is a list in JSON. The first place that has a setting decides all of it.

A DURATION is a number with ms, s, m or h: 500ms, 30s, 10m, 1h. BYTES are a number, or one with KiB, MiB or GiB.
`;

const PERMISSIONS = `Permissions, instead of -A:
  --allow-net=ADDRESS:PORT,...
      where it listens, and the hosts of sources, providers and key sets
  --allow-env='RIVULET_*,WS_NO_BUFFER_UTIL,...'
      settings, and NAME_API_KEY of each provider
  --allow-read=PATHS
      for --fixture, --config, --jwt-key-file and --record
  --allow-write=DIR
      for --record
  --allow-run=PATH
      for --workers: the path of deno, which allows everything; and --allow-net
      without a list
`;

/** The topics of the help, in its order. */
export const helpTopics: readonly string[] = Object.keys(TOPICS);

/** Whether there is help on a topic. */
export function isHelpTopic(word: string): word is HelpTopic {
  return Object.hasOwn(TOPICS, word);
}

/** Writes the help on one topic. */
export function topicHelp(topic: HelpTopic): string {
  const defaults = commandOptions.parse({});
  const { title, after } = TOPICS[topic];
  const entries = settings.filter((setting) => setting.topic === topic)
    .map((setting) =>
      entry(
        usageOf(setting),
        paragraphsOf(setting, valueAt(defaults, setting.path)),
      )
    );
  if (topic === "file") {
    entries.push(...FILE.map(({ usage, help }) => entry(usage, help)));
  }
  return [`${title}:`, ...entries, ...after ? [after] : [], ""].join("\n");
}

/** Writes the help on all flags. */
export function help(): string {
  const topics = helpTopics.filter(isHelpTopic).map(topicHelp);
  const end = END.trimEnd().split("\n\n").map((text) => `${wrap(text, 0)}\n`);
  return [BEGIN, ...topics, ...end, PERMISSIONS].join("\n");
}

function usageOf({ flag, kind }: Setting): string {
  switch (kind.takes) {
    case "nothing":
      return `--${flag}`;
    case "value":
      return `--${flag} ${kind.hint}`;
    case "values":
      return `--${flag} ${kind.item.hint}`;
  }
}

/** Returns the text on a setting, with its default at the end. */
function paragraphsOf(
  { kind, help, without }: Setting,
  value: unknown,
): readonly string[] {
  const otherwise = without !== undefined
    ? `default: ${without}`
    : kind.takes === "value" && value !== undefined
    ? `default ${String(kind.toJson(value))}`
    : undefined;
  if (otherwise === undefined) return help;
  const last = help.at(-1);
  return [
    ...help.slice(0, -1),
    last === undefined ? otherwise : `${last}; ${otherwise}`,
  ];
}

function entry(usage: string, paragraphs: readonly string[]): string {
  const text = paragraphs.map((paragraph) => wrap(paragraph, INDENT))
    .join("\n");
  const begin = `  ${usage}`;
  return begin.length < INDENT
    ? begin + text.slice(begin.length)
    : `${begin}\n${text}`;
}

function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].map((line) => " ".repeat(indent) + line).join("\n");
}
