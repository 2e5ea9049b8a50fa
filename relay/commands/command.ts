import { parseArgs, type ParseArgsConfig } from "node:util";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { System } from "./system.ts";

/** A command of the command line, as its module has it. */
export interface Command {
  /** The text of `help COMMAND`. */
  readonly help: string;
  /**
   * Runs the command to its end.
   *
   * @param args The arguments after the command's name.
   */
  run(args: readonly string[], system: System): Promise<void>;
}

/** A mistake in the flags of a command. */
export class FlagError extends Error {
  /** The code for programs. */
  readonly code = "invalid_flag";

  /** Names the flag, and what was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FlagError";
  }
}

/**
 * Something that the relay cannot be without is not to be had: a source is away, or
 * the port is taken. It may be there later.
 */
export class UnavailableError extends Error {
  /** The code for programs. */
  readonly code = "unavailable";

  /** Names what is not to be had, and why. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UnavailableError";
  }
}

/** A command has come to an end of which its caller learns by the status. */
export class ExitError extends Error {
  /** The code for programs. */
  readonly code = "exit";
  /** The status of the process. */
  readonly status: number;

  /** Says what has happened; nothing if the caller knows it. */
  constructor(status: number, message = "", options?: ErrorOptions) {
    super(message, options);
    this.name = "ExitError";
    this.status = status;
  }
}

/**
 * Parses the arguments of a command.
 *
 * @param args The arguments after the command's name.
 * @param config The flags, and whether there are arguments besides them.
 * @throws {FlagError} If there is an unknown flag, or one lacks its value.
 */
export function parseFlags<const T extends ParseArgsConfig>(
  args: readonly string[],
  config: T,
): ReturnType<typeof parseArgs<T & { args: string[] }>> {
  try {
    return parseArgs({ ...config, args: joinValues(args, config) });
  } catch (cause) {
    // The first sentence says what is wrong, the others how to quote arguments.
    const [message] = messageOf(cause).split(/\.\s/);
    throw new FlagError(`${message}: --help lists the flags`, { cause });
  }
}

/**
 * Joins a flag with its value if the value begins with one or two dashes, as the epoch of
 * a position may: `parseArgs` would take the value for a flag. The name of a flag is
 * never taken for a value.
 */
function joinValues(
  args: readonly string[],
  { options = {} }: ParseArgsConfig,
): string[] {
  const optionOf = (arg: string) =>
    arg.startsWith("--") && Object.hasOwn(options, arg.slice(2))
      ? options[arg.slice(2)]
      : undefined;
  const joined: string[] = [];
  let lacksValue = false;
  for (const [index, arg] of args.entries()) {
    if (arg === "--") return [...joined, ...args.slice(index)];
    const isValue: boolean = lacksValue && /^-./.test(arg) &&
      !optionOf(arg.replace(/=.*/s, ""));
    if (isValue) joined.push(`${joined.pop()}=${arg}`);
    else joined.push(arg);
    lacksValue = !isValue && optionOf(arg)?.type === "string";
  }
  return joined;
}
