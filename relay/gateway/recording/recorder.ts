import type { Clock } from "../../../src/fetch/clock.ts";
import type { RecordedRun, Recording } from "./recording.ts";
import { RecordingFile } from "./recording_file.ts";
import { type RecordingBounds, RecordingFolder } from "./recording_folder.ts";

/** The most text that waits for the disk, of all runs, in UTF-16 code units. */
const MAX_WAITING = 64 * 1024 * 1024;

/** Options of a {@linkcode Recorder}. */
export interface RecorderOptions extends RecordingBounds {
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
 * A recording has no gap. If the disk is too slow, or full, the recording stops
 * early and says how many events are lost. Events are gathered for 200 ms before
 * they are written: a crash loses those.
 */
export class Recorder implements AsyncDisposable {
  readonly #folder: string;
  readonly #clock: Clock;
  readonly #room: { free: number };
  readonly #maxBytes: number;
  readonly #kept: RecordingFolder;
  readonly #open = new Set<RecordingFile>();

  /**
   * Makes a recorder. It makes no folder before the first run.
   *
   * @param folder The folder of the files.
   * @param clock The clock.
   * @param options The limits.
   */
  constructor(
    folder: string,
    clock: Clock,
    { maxWaiting = MAX_WAITING, ...bounds }: RecorderOptions = {},
  ) {
    this.#maxBytes = bounds.maxBytes ?? Infinity;
    this.#kept = new RecordingFolder(folder, clock, bounds);
    this.#folder = folder;
    this.#clock = clock;
    this.#room = { free: maxWaiting };
  }

  /** The number of recordings that are not finished. */
  get active(): number {
    return this.#open.size;
  }

  /**
   * Makes the folder, and deletes the recordings in it that are beyond the bounds.
   *
   * @returns Rejects if the folder cannot be written to.
   */
  prepare(): Promise<void> {
    return this.#kept.prepare();
  }

  /**
   * Begins the recording of a run. Never throws: if it cannot be written, that is
   * logged once, and the run goes on.
   */
  begin(run: RecordedRun): Recording {
    const file = new RecordingFile(run, {
      folder: this.#folder,
      clock: this.#clock,
      room: this.#room,
      maxBytes: this.#maxBytes,
      done: (paths) => this.#kept.add(paths),
    });
    this.#open.add(file);
    void file.finished.then(() => this.#open.delete(file));
    return file;
  }

  /** Writes what is left to write. Runs that go on are recorded up to here. */
  async [Symbol.asyncDispose](): Promise<void> {
    const open = [...this.#open];
    for (const file of open) file.stop();
    await Promise.all(open.map(({ finished }) => finished));
    this.#kept[Symbol.dispose]();
  }
}
