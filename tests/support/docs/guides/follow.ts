/**
 * Follows a guide: all of its programs and commands, in their order.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import type { Block } from "../markdown.ts";
import { commandsOf } from "../shell.ts";
import type { Reader } from "./reader.ts";

/** A guide, with what its words tell a reader to do beside its blocks. */
export interface Guide {
  /** Its path in the repository. */
  readonly page: string;
  /** Makes what the page expects its reader to have; what it returns is stopped last. */
  readonly given?: (reader: Reader) => Promise<AsyncDisposable | void>;
  /** Does what needs a network, before there is none. */
  readonly online?: () => Promise<Online>;
  /** Whether the machine lacks a program that the page needs. */
  readonly lacks?: () => boolean;
  /** Done before commands that have these words. */
  readonly before?: Readonly<Record<string, (reader: Reader) => Promise<void>>>;
  /** Done with the output of commands that have these words. */
  readonly after?: Readonly<
    Record<string, (reader: Reader, output: string) => Promise<void>>
  >;
  /** Why commands that have these words are not followed. */
  readonly not?: Readonly<Record<string, string>>;
  /** Whether a block after commands is what the last of them prints. */
  readonly showsOutput?: boolean;
  /** Follows the page in place of its blocks. */
  readonly follow?: (reader: Reader, timed: Timed) => Promise<void>;
  /** Why nothing of the page can be followed. */
  readonly cannot?: string;
}

/** Does a step of a guide, and notes how long it took. */
export type Timed = <T>(step: string, run: () => Promise<T>) => Promise<T>;

/** Files that were made with a network: removed when it is disposed of. */
export interface Online extends AsyncDisposable {
  /** The variables that name them. */
  readonly env: Readonly<Record<string, string>>;
}

/** A step of a guide, and how long it took, in seconds. */
export interface Step {
  readonly name: string;
  readonly seconds: number;
}

/** The commands and programs that were followed. */
export interface Followed {
  readonly commands: number;
  readonly programs: number;
  /** The commands that were not run, each with the reason. */
  readonly left: readonly string[];
  /** The steps of a page that is followed in a way of its own. */
  readonly steps: readonly Step[];
}

/** Which blocks are followed. */
export type Part = "all" | "commands";

/** Follows a guide. */
export async function followGuide(
  reader: Reader,
  guide: Guide,
  part: Part,
): Promise<Followed> {
  await using _given = await guide.given?.(reader) ?? NOTHING;
  if (guide.follow) {
    const steps: Step[] = [];
    const timed: Timed = async (name, run) => {
      const start = performance.now();
      const result = await run();
      steps.push({ name, seconds: (performance.now() - start) / 1_000 });
      return result;
    };
    await guide.follow(reader, timed);
    return { commands: 0, programs: 0, left: [], steps };
  }
  const walk = new Walk(reader, guide);
  for (const [index, block] of reader.blocks.entries()) {
    await walk.take(block, reader.blocks[index + 1], part);
  }
  return walk;
}

const NOTHING: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} };

/** Finds the entry whose words a command has. */
function find<T>(
  entries: Readonly<Record<string, T>> | undefined,
  command: string,
): T | undefined {
  return Object.entries(entries ?? {}).find(([words]) =>
    command.includes(words)
  )?.[1];
}

class Walk implements Followed {
  commands = 0;
  programs = 0;
  readonly left: string[] = [];
  readonly steps: readonly Step[] = [];
  readonly #reader: Reader;
  readonly #guide: Guide;

  constructor(reader: Reader, guide: Guide) {
    this.#reader = reader;
    this.#guide = guide;
  }

  async take(
    { language, line, text }: Block,
    next: Block | undefined,
    part: Part,
  ): Promise<void> {
    try {
      if (language === "ts" && part === "all") {
        const name = `program_${line}.ts`;
        await this.#reader.write(name, text);
        await this.#reader.run(`deno run -A ${name}`);
        this.programs++;
      } else if (language === "sh") {
        let output = "";
        for (const command of commandsOf(text)) {
          output = await this.#type(command);
        }
        if (this.#guide.showsOutput && next?.language === "text") {
          assertEquals(output, next.text);
        }
      }
    } catch (error) {
      const { message } = error instanceof Error ? error : new Error("");
      throw new Error(`${this.#reader.page}:${line}: ${message}`, {
        cause: error,
      });
    }
  }

  /** Types one command; returns what it has printed, unless it stays. */
  async #type(command: string): Promise<string> {
    const reason = find(this.#guide.not, command);
    if (reason !== undefined) {
      this.left.push(`${command}: ${reason}`);
      return "";
    }
    await find(this.#guide.before, command)?.(this.#reader);
    this.commands++;
    const output = await this.#reader.type(command);
    await find(this.#guide.after, command)?.(this.#reader, output);
    return output;
  }
}
