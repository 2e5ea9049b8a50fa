import { helpTopics, isHelpTopic, topicHelp } from "../options/help.ts";
import { nearest } from "../options/nearest.ts";
import { FlagError } from "./command.ts";
import { commands, DEFAULT_COMMAND, findCommand } from "./commands.ts";

/** The width of the column of commands. */
const COLUMN = 10;

/** Writes the first help: about thirty lines, which lead to the rest. */
function firstHelp(): string {
  const lines = Object.entries(commands)
    .map(([name, { summary }]) => `  ${name.padEnd(COLUMN)}${summary}`);
  return `Rivulet: one event stream in, any number of subscribers out.

Usage: rivulet [COMMAND] [FLAG ...]
where rivulet is: deno run -A jsr:@rivulet/rivulet/cli

Commands:
${lines.join("\n")}

Examples:
  rivulet demo
      plays a stream to look at: http://localhost:8787/topics/demo
  rivulet --source news=https://example.com/events
      relays an SSE stream to subscribers of ws://localhost:8787/topics/news
  rivulet --provider openai
      forwards requests to a provider: set an SDK's base URL to
      http://localhost:8787/v1

Help:
  rivulet COMMAND --help  a command's flags, and the permissions it needs
  rivulet help TOPIC      the relay's flags of a topic:
                          ${helpTopics.slice(0, 5).join(", ")},
                          ${helpTopics.slice(5).join(", ")}
  rivulet help all        all of the relay's flags
  rivulet --version       the version
`;
}

/**
 * Returns the help on a command or a topic.
 *
 * @param word The command, the topic, or `all`. Default: the first help.
 * @throws {FlagError} If there is no help on it.
 */
export async function helpOn(word?: string): Promise<string> {
  if (word === undefined || word === "help") return firstHelp();
  if (isHelpTopic(word)) return topicHelp(word);
  const command = findCommand(word === "all" ? DEFAULT_COMMAND : word);
  if (command) return (await command.load()).help;
  throw new FlagError(
    `help: expected a command or a topic; ${
      suggestion(word, [...Object.keys(commands), ...helpTopics, "all"])
    }--help lists them`,
  );
}

/** Suggests the name that was probably meant. The word itself may be a misplaced secret. */
export function suggestion(word: string, names: readonly string[]): string {
  const meant = nearest(word, names);
  return meant === undefined ? "" : `did you mean ${meant}? `;
}
