import type { Clock } from "../../../src/fetch/clock.ts";
import type { RecordedRun, Recording } from "./recording.ts";
import { RecordingFile } from "./recording_file.ts";

/** The most text that waits for the disk, of all runs, in UTF-16 code units. */
const MAX_WAITING = 64 * 1024 * 1024;

/** How runs are recorded. */
export interface RecorderOptions {
  /**
   * The most text of events that may wait for the disk, of all runs together, in
   * UTF-16 code units. A recording that it has no room for stops there.
   * Default: 67,108,864.
   */
  readonly maxWaiting?: number;
}

/**
 * Writes runs to a folder: each as a stream that can be played again, with its
 * pace, and the request beside it.
 *
 * A recording is the run without a gap, as far as it goes: where the disk is too
 * slow, or full, it stops, and says how many events are lost. Events are
 * gathered for 200 ms, which is what a crash may lose.
 */
export class Recorder implements AsyncDisposable {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #room: { free: number };
  readonly #open = new Set<RecordingFile>();

  /**
   * Makes a recorder. Nothing is written, and no folder made, before the first run.
   *
   * @param folder Where the files go.
   * @param clock Where time comes from.
   * @param options How much may wait.
   */
  constructor(
    folder: string,
    clock: Clock,
    { maxWaiting = MAX_WAITING }: RecorderOptions = {},
  ) {
    this.#folder = folder;
    this.#clock = clock;
    this.#room = { free: maxWaiting };
  }

  /** How many recordings are still to be written to. */
  get active(): number {
    return this.#open.size;
  }

  /**
   * Begins a file for a run. Never throws: what cannot be written is logged once,
   * and the run goes on.
   */
  begin(run: RecordedRun): Recording {
    const file = new RecordingFile(run, {
      folder: this.#folder,
      clock: this.#clock,
      room: this.#room,
    });
    this.#open.add(file);
    void file.finished.then(() => this.#open.delete(file));
    return file;
  }

  /** Writes what is still to be written; the runs that go on are recorded as far as they came. */
  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#open];
    for (const file of open) file.stop();
    await Promise.all(open.map(({ finished }) => finished));
  }
}
