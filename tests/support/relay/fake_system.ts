import type { System } from "../../../relay/commands/system.ts";
import type { Clock } from "../../../src/fetch/clock.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

/** The differences from a script without input. */
export interface FakeSystemOptions {
  /** The variables. Default: none. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The content of stdin. Default: nothing. */
  readonly input?: string | ReadableStream<Uint8Array>;
  /** Whether stdout and stderr are a terminal, of 80 x 24 characters. Default: no. */
  readonly isTerminal?: boolean;
  /** Default: one that stands still. */
  readonly clock?: Clock;
}

/** Surroundings of a command that keep its output, without files. */
export class FakeSystem implements System {
  readonly clock: Clock;
  readonly outputClosed = new AbortController().signal;
  readonly isTerminal: boolean;
  readonly isOutputTerminal: boolean;
  readonly hasColors = false;
  /** The text on stdout. */
  output = "";
  /** The text on stderr. */
  errors = "";
  readonly #environment: Readonly<Record<string, string>>;
  readonly #input: string | ReadableStream<Uint8Array>;
  readonly #listeners: ((signal: string) => void)[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(
    { environment = {}, input = "", isTerminal = false, clock }:
      FakeSystemOptions = {},
  ) {
    this.#environment = environment;
    this.#input = input;
    this.isTerminal = isTerminal;
    this.isOutputTerminal = isTerminal;
    this.clock = clock ?? new FakeClock();
  }

  /** Commands hand it on by itself. */
  readonly environment = (name: string): string | undefined =>
    this.#environment[name];

  readBytes(_path: string): Promise<Uint8Array> {
    return Promise.reject(new Error("There are no files"));
  }

  readText(_path: string): Promise<string> {
    return Promise.reject(new Error("There are no files"));
  }

  outputSize(): { columns: number; rows: number } {
    return { columns: 80, rows: 24 };
  }

  readInput(): ReadableStream<Uint8Array> {
    return typeof this.#input === "string"
      ? new Blob([this.#input]).stream()
      : this.#input;
  }

  write(text: string): Promise<void> {
    this.output += text;
    this.#change();
    return Promise.resolve();
  }

  say(line: string): void {
    this.output += `${line}\n`;
    this.#change();
  }

  writeError(bytes: Uint8Array): Promise<void> {
    this.errors += new TextDecoder().decode(bytes);
    this.#change();
    return Promise.resolve();
  }

  onStop(listener: (signal: string) => void): void {
    this.#listeners.push(listener);
    this.#change();
  }

  /** Whether the command listens for signals. */
  get listens(): boolean {
    return this.#listeners.length > 0;
  }

  /** Sends a signal. */
  stop(signal: "SIGINT" | "SIGTERM"): void {
    for (const listener of this.#listeners) listener(signal);
  }

  /** Resolves when something was written, or is listened for, that makes this true. */
  async written(isThere: () => boolean): Promise<void> {
    while (!isThere()) await this.#changed.promise;
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
