import { readFile } from "node:fs/promises";
import type { Clock } from "../../src/fetch/clock.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import { wait } from "../../src/fetch/retry.ts";
import {
  type PacedEvents,
  parsePacedEvents,
} from "../../src/sse/paced_events.ts";
import { ANSWER_FORMATS, AnswerText } from "./answer_text.ts";
import { type Command, FlagError, parseFlags } from "./command.ts";
import { PacedWriter } from "../gateway/recording/paced_writer.ts";
import { FixtureError } from "../sources/fixture.ts";

/** The place that a recording is printed to. */
export interface ReplayOutput {
  /** Prints text; resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** The source of time. */
  readonly clock: Clock;
  /** Ends the printing, with its reason. */
  readonly signal: AbortSignal;
}

const HELP = `Prints a recorded stream at its pace.

Usage: rivulet replay FILE [FLAG ...]

FILE is a recording (--record), or any event stream. Comments such as ': +37ms'
tell the pace.

  --speed NUMBER   2 is twice as fast, 0.5 half as fast, 0 at once; default 1
  --raw            prints only the provider's events, without the comments that
                   keep the pace and say how the stream ended
  --text           prints only the text of a model's answer, of the Responses,
                   Chat Completions or Messages API, or of UI messages

Permissions, instead of -A:
  --allow-read=FILE
`;

const FLAGS = {
  speed: { type: "string", default: "1" },
  raw: { type: "boolean", default: false },
  text: { type: "boolean", default: false },
} as const;

/** Turns a recording into text. */
interface Printer {
  /** The text of what came at once. */
  print(moment: PacedEvents): string;
  /**
   * Returns the text after all events, and an error if the recording has a
   * fault.
   */
  end(): { readonly text: string; readonly error?: Error };
}

/** The command that prints a recording. */
export const replayCommand: Command = {
  help: HELP,
  run: (args, { write, clock, outputClosed }) =>
    replay(args, { write, clock, signal: outputClosed }),
};

/**
 * Prints a recording.
 *
 * @param args The arguments after the command's name.
 * @throws {FlagError} If it asks for nothing that there is.
 * @throws {FixtureError} If the recording cannot be read, or is none.
 * @throws {ModelError} If the text of an answer was asked for that is not whole.
 */
export async function replay(
  args: readonly string[],
  { write, clock, signal }: ReplayOutput,
): Promise<void> {
  const { values: { speed, raw, text }, positionals } = parseFlags(args, {
    options: FLAGS,
    allowPositionals: true,
  });
  const [path, ...others] = positionals;
  if (path === undefined || others.length > 0) {
    throw new FlagError(
      `FILE: expected one, got ${positionals.length}: --help says more`,
    );
  }
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(speed)) {
    throw new FlagError(`--speed: expected a number from 0, got '${speed}'`);
  }
  if (raw && text) {
    throw new FlagError("--raw, --text: expected one of them, got both");
  }
  const stream = await read(path, signal);
  const moments = parsePacedEvents(stream);
  const lastWords = lastWordsOf(stream);
  if (moments.length === 0 && lastWords === "") {
    throw new FixtureError(path, "expected a stream with events, got none");
  }
  const printer: Printer = text
    ? textPrinter(path, moments)
    : new StreamPrinter(raw ? undefined : lastWords);
  // From the start on, so that what each step takes does not add up.
  let due = clock.now();
  for (const moment of moments) {
    if (Number(speed) > 0) due += moment.delay / Number(speed);
    const delay = due - clock.now();
    if (delay > 0) await wait(delay, clock, signal);
    signal.throwIfAborted();
    const output = printer.print(moment);
    if (output !== "") await write(output);
  }
  const end = printer.end();
  if (end.text !== "") await write(end.text);
  if (end.error) throw end.error;
}

async function read(path: string, signal: AbortSignal): Promise<string> {
  try {
    const text = await readFile(path, { encoding: "utf8", signal });
    return text.replace(/^\uFEFF/, "");
  } catch (cause) {
    signal.throwIfAborted();
    const reason = messageOf(cause);
    throw new FixtureError(path, reason, { cause });
  }
}

/** Returns the comments with which a recording says how it ended. */
function lastWordsOf(stream: string): string {
  const lines = stream.split(/\r\n|[\r\n]/)
    .filter((line) => /^: (?:end|lost) /.test(line));
  return lines.length > 0 ? `${lines.join("\n")}\n\n` : "";
}

class StreamPrinter implements Printer {
  readonly #writer = new PacedWriter();
  readonly #lastWords: string | undefined;

  /** Makes a printer; without last words, of nothing but events. */
  constructor(lastWords: string | undefined) {
    this.#lastWords = lastWords;
  }

  print({ delay, events }: PacedEvents): string {
    return this.#writer.write(
      this.#lastWords === undefined ? 0 : delay,
      events,
    );
  }

  end(): { text: string } {
    return { text: this.#lastWords ?? "" };
  }
}

class TextPrinter implements Printer {
  readonly #answer = new AnswerText();

  print({ events }: PacedEvents): string {
    return events.map(({ event, data }) => this.#answer.push(event, data))
      .join("");
  }

  end(): { text: string; error?: Error } {
    const { text, ...rest } = this.#answer.end();
    return { text: `${text}\n`, ...rest };
  }
}

/** Makes a printer of text, if the first event is of a format of which the text is known. */
function textPrinter(
  path: string,
  [first]: readonly PacedEvents[],
): TextPrinter {
  const [event] = first?.events ?? [];
  const probe = new AnswerText();
  if (event) probe.push(event.event, event.data);
  if (probe.isKnown) return new TextPrinter();
  throw new FixtureError(
    path,
    `expected a stream of ${ANSWER_FORMATS} for --text`,
  );
}
