import type { System } from "../system.ts";
import { escapeInvisible } from "../../logs/escape_invisible.ts";

const encoder = new TextEncoder();

/**
 * The status of a command on stderr, beside its output: the present state, on a
 * terminal.
 */
export class StatusLine {
  readonly #system: System;
  #isShown = false;

  /** Makes a line; none on what is no terminal. */
  constructor(system: System) {
    this.#system = system;
  }

  /** Shows the present state in the place of the last one. */
  show(text: string): void {
    if (!this.#system.isTerminal) return;
    this.#write(`${this.#cleared()}${this.#dim(escapeInvisible(text))}`);
    this.#isShown = true;
  }

  /** Writes a line that stays, also to what is no terminal. */
  say(text: string): void {
    this.#write(`${this.#cleared()}${escapeInvisible(text)}\n`);
    this.#isShown = false;
  }

  /** Makes room for output. */
  clear(): void {
    const cleared = this.#cleared();
    if (cleared !== "") this.#write(cleared);
    this.#isShown = false;
  }

  #cleared(): string {
    // Back to the beginning of the line, and what is there is erased.
    return this.#isShown ? "\r\x1b[K" : "";
  }

  #dim(text: string): string {
    return this.#system.hasColors ? `\x1b[2m${text}\x1b[0m` : text;
  }

  #write(text: string): void {
    // Whether anybody sees it or not.
    void this.#system.writeError(encoder.encode(text)).catch(() => {});
  }
}
