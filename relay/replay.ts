/**
 * Prints a recorded stream, as fast as it was: `deno task replay --help`.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { z } from "zod";
import { type Clock, systemClock } from "../src/fetch/clock.ts";
import { messageOf } from "../src/fetch/message_of.ts";
import { wait } from "../src/fetch/retry.ts";
import type { ResponseEvent } from "../src/model/response_event.ts";
import { type Wire, wires } from "../src/model/wires/wire.ts";
import { type PacedEvents, parsePacedEvents } from "../src/sse/paced_events.ts";
import { FlagError } from "./options/flag_error.ts";
import { PacedWriter } from "./gateway/recording/paced_writer.ts";
import { FixtureError } from "./sources/fixture.ts";

/** Where a recording is printed. */
export interface ReplayOutput {
  /** Prints text; resolves when there is room for more. */
  write(text: string): Promise<void>;
  /** Where time comes from. */
  readonly clock: Clock;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
}

/** The status for all that goes wrong. */
const FAILED = 1;

const HELP = `Prints a recorded stream, as fast as it was.

Usage: deno task replay FILE [FLAG ...]

  --speed NUMBER   2 is twice as fast, 0.5 half as fast, 0 at once; default 1
  --raw            only what the provider sent: without the comments that keep
                   the pace, and say how it ended
  --text           only the text of a model's answer, of the Responses or the
                   Chat Completions API
  --help           this text
`;

const FLAGS = {
  speed: { type: "string", default: "1" },
  raw: { type: "boolean", default: false },
  text: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** What becomes of a recording when it is printed. */
interface Printer {
  /** The text of what came at once. */
  print(moment: PacedEvents): string;
  /** What is to be said after all events, and what there is to complain of. */
  end(): { readonly text: string; readonly error?: Error };
}

/**
 * Does what a command line asks for.
 *
 * @throws {FlagError} If it asks for nothing that there is.
 * @throws {FixtureError} If the recording cannot be read, or is none.
 * @throws {ModelError} If the text of an answer was asked for that is not whole.
 */
export async function replay(
  args: readonly string[],
  { write, clock, signal }: ReplayOutput,
): Promise<void> {
  const { values: { speed, raw, text, help }, positionals } = parse(args);
  if (help) return await write(HELP);
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
    ? new TextPrinter(wireOf(path, moments))
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

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: FLAGS,
      allowPositionals: true,
    });
  } catch (cause) {
    // The first sentence says what is wrong, the others how to quote arguments.
    const [message] = messageOf(cause)
      .split(". ");
    throw new FlagError(`${message}: --help lists the flags`, { cause });
  }
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

/** What a recording says of how it ended. */
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
  readonly #decoder;
  #part: string | undefined;

  constructor(wire: Wire) {
    this.#decoder = wire.decoder({ deltas: true });
  }

  print({ events }: PacedEvents): string {
    const out: ResponseEvent[] = [];
    for (const { event, data } of events) this.#decoder.push(event, data, out);
    return out.map((event) => this.#textOf(event)).join("");
  }

  end(): { text: string; error?: Error } {
    const out: ResponseEvent[] = [];
    const verdict = this.#decoder.end(out);
    const rest = out.map((event) => this.#textOf(event)).join("");
    return {
      text: `${rest}\n`,
      ...("error" in verdict && { error: verdict.error }),
    };
  }

  #textOf(event: ResponseEvent): string {
    if (event.type !== "output_text.delta" && event.type !== "refusal.delta") {
      return "";
    }
    const part = `${event.outputIndex}.${event.contentIndex}`;
    const gap = this.#part === undefined || this.#part === part ? "" : "\n\n";
    this.#part = part;
    // A model can write what moves a terminal's cursor, and worse.
    return gap + event.delta.replace(/[^\P{Cc}\n\t]/gu, "");
  }
}

const wireEvent = z.object({
  type: z.string().optional(),
  object: z.string().optional(),
});

/** Tells the API by what its first event says. */
function wireOf(path: string, [first]: readonly PacedEvents[]): Wire {
  const data = first?.events[0]?.data;
  let event: z.infer<typeof wireEvent> = {};
  try {
    event = wireEvent.parse(JSON.parse(data ?? ""));
  } catch {
    // It is of neither.
  }
  if (event.type?.startsWith("response.")) return wires.responses;
  if (event.object?.startsWith("chat.completion")) return wires.chat;
  throw new FixtureError(
    path,
    "expected a stream of the Responses or the Chat Completions API for --text",
  );
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EPIPE";
}

if (import.meta.main) {
  const { stdout } = process;
  const closed = new AbortController();
  stdout.on("error", (error) => closed.abort(error));
  try {
    await replay(process.argv.slice(2), {
      write: (text) =>
        new Promise((resolve, reject) => {
          stdout.write(text, (error) => error ? reject(error) : resolve());
        }),
      clock: systemClock,
      signal: closed.signal,
    });
    process.exit(0);
  } catch (error) {
    // Whoever was reading has seen enough.
    if (isClosedPipe(error)) process.exit(0);
    const message = messageOf(error);
    console.error(`replay: ${message.replaceAll(/\s*\n\s*/g, " ")}`);
    process.exit(FAILED);
  }
}
