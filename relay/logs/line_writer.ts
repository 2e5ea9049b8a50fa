/** The options of a writer of lines. */
export interface LineWriterOptions {
  /** Writes bytes, all of them; rejects where it cannot. */
  write(bytes: Uint8Array): Promise<void>;
  /** Says, in a line, how many lines were lost. */
  lost(count: number): string;
  /**
   * The most that may wait, in UTF-16 code units.
   *
   * @default {1_048_576}
   */
  readonly maxWaiting?: number;
}

/**
 * Writes lines, as fast as they are taken, and loses those for which there is no
 * room: whoever does not read the log can neither stop the relay nor fill its
 * memory. What was lost is told where it is missing.
 *
 * LogTape's own sink for streams waits for a timer, which never stops, before it
 * writes, and does not say where something is missing.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #maxWaiting: number;
  #waiting = "";
  #lost = 0;
  #writing: Promise<void> | undefined;

  /** Takes what it writes to. */
  constructor(options: LineWriterOptions) {
    this.#options = options;
    this.#maxWaiting = options.maxWaiting ?? 1024 * 1024;
  }

  /** Writes a line, which ends with a line end, or loses it. */
  write(line: string): void {
    if (this.#waiting.length + line.length > this.#maxWaiting) {
      this.#lost++;
      return;
    }
    this.#tellLoss();
    this.#waiting += line;
    this.#writing ??= this.#run();
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #tellLoss(): void {
    if (this.#lost === 0) return;
    this.#waiting += this.#options.lost(this.#lost);
    this.#lost = 0;
  }

  async #run(): Promise<void> {
    const encoder = new TextEncoder();
    while (this.#waiting !== "") {
      const text = this.#waiting;
      this.#waiting = "";
      try {
        await this.#options.write(encoder.encode(text));
      } catch {
        // Nobody is left to tell; the next line is tried again.
        this.#lost += text.split("\n").length - 1;
        continue;
      }
      this.#tellLoss();
    }
    this.#writing = undefined;
  }
}
