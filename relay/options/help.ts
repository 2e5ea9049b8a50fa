import type { HelpTopic, Setting } from "./option.ts";
import { valueAt } from "./option.ts";
import { commandOptions, settings } from "./schema.ts";

const WIDTH = 79;

/** Where what is said of a flag begins. */
const INDENT = 29;

/** What is set by none of the settings. */
const FILE = [
  {
    usage: "--config FILE",
    help: [
      'a file in JSON with any of these settings, by the names that --print-config prints: {"port": 8787}. Durations and sizes are texts as of flags, or numbers of milliseconds and bytes; lists are lists, of such texts or of objects',
    ],
  },
  {
    usage: "--print-config",
    help: [
      'prints what holds, and where each setting came from, without keys; its "config" is such a file',
    ],
  },
  { usage: "--help", help: ["this text"] },
];

const GROUPS: readonly {
  readonly group: HelpTopic;
  readonly title: string;
  readonly after?: string;
}[] = [
  {
    group: "topics",
    title: "What fills the topics (each may be given any number of times)",
    after: "  (and everybody who may: POST /topics/NAME)",
  },
  {
    group: "rights",
    title: "Who may do what",
    after: "  (deno task token mints tokens)",
  },
  { group: "listening", title: "Where it listens" },
  { group: "limits", title: "The most there may be" },
  { group: "retention", title: "What is kept" },
  { group: "subscribers", title: "Subscribers" },
  { group: "models", title: "Language models" },
  { group: "telling", title: "What it tells" },
  { group: "file", title: "Where settings come from" },
];

const BEGIN = `Rivulet: one event stream in, any number of subscribers out.

Usage: deno run -A jsr:@rivulet/rivulet/cli [FLAG ...]
`;

const END =
  `Each flag but the last two has a variable of the environment too: --log-level is RIVULET_LOG_LEVEL. A flag comes before its variable, and that before the file. A flag that takes no value is turned off by --no-NAME, and on or off by a variable that is true or false. One that may be given several times has a variable with spaces between the values, or with a list in JSON; wherever such a setting is found first, that is all of it.

A DURATION is a number with ms, s, m or h: 500ms, 30s, 10m, 1h. BYTES are a number, or one with KiB, MiB or GiB.
`;

/** Writes what the command line offers. */
export function help(): string {
  const defaults = commandOptions.parse({});
  const groups = GROUPS.map(({ group, title, after }) => {
    const entries = settings.filter(({ topic }) => topic === group)
      .map((setting) =>
        entry(
          usageOf(setting),
          paragraphsOf(setting, valueAt(defaults, setting.path)),
        )
      );
    if (group === "file") {
      entries.push(...FILE.map(({ usage, help }) => entry(usage, help)));
    }
    return [`${title}:`, ...entries, ...after ? [after] : []].join("\n");
  });
  const end = END.trimEnd().split("\n\n").map((text) => wrap(text, 0));
  return [BEGIN, groups.join("\n\n"), "", end.join("\n\n")].join("\n");
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

/** What is said of a setting, with what holds without it at the end. */
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
