import type { System } from "../../../relay/commands/system.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";

/** Surroundings of a command that keep its output, without files and signals. */
export class FakeSystem implements System {
  readonly clock = new FakeClock();
  readonly outputClosed = new AbortController().signal;
  readonly isTerminal = false;
  readonly hasColors = false;
  /** The text on stdout. */
  output = "";
  /** The text on stderr. */
  errors = "";

  environment(): undefined {}

  readBytes(): Promise<Uint8Array> {
    return Promise.reject(new Error("There are no files"));
  }

  readText(): Promise<string> {
    return Promise.reject(new Error("There are no files"));
  }

  write(text: string): Promise<void> {
    this.output += text;
    return Promise.resolve();
  }

  say(line: string): void {
    this.output += `${line}\n`;
  }

  writeError(bytes: Uint8Array): Promise<void> {
    this.errors += new TextDecoder().decode(bytes);
    return Promise.resolve();
  }

  onStop(): void {}
}
