import { readFile } from "node:fs/promises";
import process from "node:process";
import { Readable } from "node:stream";
import { isatty } from "node:tty";
import { type Clock, systemClock } from "../../src/fetch/clock.ts";
import { wantsNoColor, writeError } from "../runtime.ts";

/** The surroundings of a command. */
export interface System {
  /** The source of time. */
  readonly clock: Clock;
  /** Aborts when nobody reads stdout any more. */
  readonly outputClosed: AbortSignal;
  /** Whether stderr is a terminal. */
  readonly isTerminal: boolean;
  /** Whether stdout is a terminal. */
  readonly isOutputTerminal: boolean;
  /** Whether stderr shows colors. */
  readonly hasColors: boolean;
  /** Returns a variable of the environment, if it is set. */
  environment(name: string): string | undefined;
  /** Reads a file; rejects if it cannot. */
  readBytes(path: string): Promise<Uint8Array>;
  /** Reads a text file; rejects if it cannot. */
  readText(path: string): Promise<string>;
  /** Returns the size of the terminal of stdout, in characters. */
  outputSize(): { readonly columns: number; readonly rows: number };
  /** Reads stdin, chunk by chunk. */
  readInput(): ReadableStream<Uint8Array>;
  /** Writes to stdout; resolves when there is room for more, rejects if nobody reads. */
  write(text: string): Promise<void>;
  /** Writes a line to stdout, whether anybody reads it or not. */
  say(line: string): void;
  /** Writes to stderr; never blocks the process, however slowly stderr is read. */
  writeError(bytes: Uint8Array): Promise<void>;
  /** Calls a listener at each SIGINT and SIGTERM, with its name. */
  onStop(listener: (signal: string) => void): void;
}

/** Returns the process as the surroundings. */
export function createSystem(): System {
  const { stdout } = process;
  const closed = new AbortController();
  stdout.on("error", (error) => closed.abort(error));
  const write = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      stdout.write(text, (error) => error ? reject(error) : resolve());
    });
  const isTerminal = isatty(process.stderr.fd);
  return {
    clock: systemClock,
    outputClosed: closed.signal,
    isTerminal,
    isOutputTerminal: isatty(stdout.fd),
    outputSize: () => ({
      columns: stdout.columns ?? 80,
      rows: stdout.rows ?? 24,
    }),
    readInput: () =>
      Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>,
    hasColors: isTerminal && !wantsNoColor(),
    environment: (name) => process.env[name],
    readBytes: (path) => readFile(path),
    readText: (path) => readFile(path, "utf8"),
    write,
    say: (line) => void write(`${line}\n`).catch(() => {}),
    writeError,
    onStop(listener) {
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        process.on(signal, () => listener(signal));
      }
    },
  };
}
