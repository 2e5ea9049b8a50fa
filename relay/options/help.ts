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
      'reads settings from a JSON file: {"port": 8787}. The names are those that --print-config prints. Durations and sizes are strings as on the command line, or numbers of milliseconds and bytes. A flag that can be repeated is a list',
    ],
  },
  {
    usage: "--print-config",
    help: [
      'prints the settings in force and where each was set, without keys. Its "config" is such a file',
    ],
  },
];

/** The parts of the help, in order. */
const TOPICS: Readonly<
  Record<HelpTopic, { readonly title: string; readonly after?: string }>
> = {
  sources: {
    title: "Sources of topics",
    after: "  (publishers fill topics too: POST /topics/NAME, rivulet publish)",
  },
  models: { title: "Language models" },
  chats: { title: "Chats of applications" },
  listening: { title: "Listening" },
  rights: {
    title: "Rights",
    after: "  (rivulet token makes tokens: docs/rights.md)",
  },
  subscribers: { title: "Subscribers" },
  retention: { title: "Retention" },
  limits: {
    title: "Limits",
    after: "  (PROTOCOL.md, section 7, says what happens beyond each)",
  },
  logs: { title: "Logs" },
  file: { title: "Settings from a file" },
};

const BEGIN = `Runs the relay until it is interrupted.

Usage: rivulet [serve] [FLAG ...]

Examples:
  rivulet --source news=https://example.com/events
  rivulet --provider openai --store sqlite:rivulet.db
  rivulet --host 0.0.0.0 --jwt-key-file key --origin https://app.example.com
`;

const END = `A flag whose value is followed by '...' can be repeated.

Each flag but --print-config also has an environment variable: --log-level is RIVULET_LOG_LEVEL. The variable of a flag that can be repeated has spaces between the values, or is a list in JSON. A flag that takes no value has the variable true or false; --no-NAME turns it off.

A flag takes precedence over its variable, and the variable over the file. Lists from several places are not joined.

A DURATION is a number with ms, s, m or h: 500ms, 30s, 10m, 1h. Times that can be turned off take 'never'. BYTES are a number, or one with KiB, MiB or GiB.

Exit status: 0 after a stop, 2 if the configuration is wrong, 3 if the relay cannot start now, so that a later attempt may succeed.
`;

const PERMISSIONS = `Permissions, instead of -A:
  --allow-net=ADDRESS:PORT,...
      where it listens, and the hosts of sources, providers and key sets
  --allow-env='RIVULET_*,WS_NO_BUFFER_UTIL,...'
      settings, and NAME_API_KEY of each provider
  --allow-read=PATHS
      for --fixture, --config, --jwt-key-file, --store-token-file, and the
      folders of --record and --store sqlite:PATH
  --allow-write=FOLDERS
      for the folders of --record and --store sqlite:PATH
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
  const entries = inOrder(settings.filter((one) => one.topic === topic))
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

/** Returns the settings in order, each that reads another one from a file behind that. */
function inOrder(settings: readonly Setting[]): readonly Setting[] {
  const isFile = ({ flag }: Setting) => flag.endsWith("-file");
  const files = settings.filter(isFile);
  return settings.filter((one) => !isFile(one)).flatMap((one) => [
    one,
    ...files.filter(({ flag }) => flag === `${one.flag}-file`),
  ]);
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
      return `--${flag} ${kind.item.hint} ...`;
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
