import { messageOf } from "../../src/fetch/message_of.ts";
import { redactText } from "../../src/fetch/secrets/redactor.ts";
import { VERSION } from "../../src/version.ts";
import { escapeInvisible } from "../logs/escape_invisible.ts";
import { ConfigurationError } from "../options/read_configuration.ts";
import { ExitError, FlagError, UnavailableError } from "./command.ts";
import { commands, DEFAULT_COMMAND, findCommand } from "./commands.ts";
import { helpOn, suggestion } from "./help.ts";
import type { System } from "./system.ts";

/** The status of a command line with a mistake, or of a configuration that no relay can start with. */
const CANNOT_START = 2;

/** The status of a relay that needs what may be there later: a source (--fail-fast), or a port. */
const UNAVAILABLE = 3;

/** The status of any other failure. */
const FAILED = 1;

const HELP_FLAGS = ["--help", "-h"];

const VERSION_FLAGS = ["--version", "-V"];

/** The request of a command line. */
type Request =
  | { readonly kind: "help"; readonly word?: string }
  | { readonly kind: "version" }
  | {
    readonly kind: "run";
    readonly name: string;
    readonly args: readonly string[];
  };

function read(given: readonly string[]): Request {
  // As of any flag, its value may stand behind a sign.
  const args = given.flatMap((arg) =>
    arg.startsWith("--help=") ? ["--help", arg.slice("--help=".length)] : [arg]
  );
  const [first] = args;
  const isFlag = first?.startsWith("-") ?? true;
  const help = args.findIndex((arg) => HELP_FLAGS.includes(arg));
  if (help >= 0 || first === "help") {
    const [word] = isFlag || first === "help"
      ? args.slice(Math.max(help, 0) + 1)
      : [first];
    return { kind: "help", ...(word !== undefined && { word }) };
  }
  if (
    first === "version" || args.some((arg) => VERSION_FLAGS.includes(arg))
  ) return { kind: "version" };
  return first === undefined || isFlag
    ? { kind: "run", name: DEFAULT_COMMAND, args }
    : { kind: "run", name: first, args: args.slice(1) };
}

async function run(request: Request, system: System): Promise<void> {
  switch (request.kind) {
    case "help":
      return await system.write(await helpOn(request.word));
    case "version":
      return await system.write(`rivulet ${VERSION}\n`);
    case "run": {
      const { name, args } = request;
      const command = findCommand(name);
      if (!command) {
        throw new FlagError(
          `argument 1: expected a command, or a flag such as --port 8787; ${
            suggestion(name, [...Object.keys(commands), "help"])
          }--help lists the commands`,
        );
      }
      await (await command.load()).run(args, system);
    }
  }
}

/**
 * Runs a command line to its end. Writes mistakes to stderr, a line each, without
 * secrets.
 *
 * @param args The arguments after the program's name.
 * @returns The status of the process: 0, 2 if the command line or the
 * configuration is wrong, 3 if a source that is needed or the relay is away or the
 * port is taken, what a command's help says, or 1.
 */
export async function runCommandLine(
  args: readonly string[],
  system: System,
): Promise<number> {
  const request = read(args);
  try {
    await run(request, system);
    return 0;
  } catch (error) {
    // Whoever was reading has seen enough.
    if (isClosedPipe(error)) return 0;
    const program =
      request.kind === "run" && request.name !== DEFAULT_COMMAND &&
        findCommand(request.name)
        ? `rivulet ${request.name}`
        : "rivulet";
    const lines = problemsOf(error).map((problem) =>
      `${program}: ${escapeInvisible(redactText(problem))}\n`
    );
    await system.writeError(new TextEncoder().encode(lines.join("")));
    return statusOf(error);
  }
}

function statusOf(error: unknown): number {
  if (error instanceof FlagError || error instanceof ConfigurationError) {
    return CANNOT_START;
  }
  if (error instanceof ExitError) return error.status;
  return error instanceof UnavailableError ? UNAVAILABLE : FAILED;
}

function problemsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigurationError) return error.problems;
  if (error instanceof ExitError && error.message === "") return [];
  return [messageOf(error).replaceAll(/\s*\n\s*/g, " ")];
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}
