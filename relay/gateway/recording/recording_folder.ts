import {
  mkdir,
  mkdtemp,
  readdir,
  rmdir,
  stat,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../../src/fetch/clock.ts";
import { messageOf } from "../../../src/fetch/message_of.ts";

/** The bounds of a folder of recordings. */
export interface RecordingBounds {
  /** The most bytes of finished recordings. Default: any number. */
  readonly maxBytes?: number | undefined;
  /** The age from which a recording is deleted, in milliseconds. Default: any. */
  readonly maxAge?: number | undefined;
}

/** A file of a finished recording. */
interface KeptFile {
  readonly path: string;
  readonly size: number;
  /** The time of its last change, in milliseconds since the epoch. */
  readonly changed: number;
}

/** The folder's mode: prompts and answers are for its owner only. */
const FOLDER_MODE = 0o700;

/** The names of the files that recorders write; others in the folder are left alone. */
const RECORDING = /^\d{8}T\d{9}Z-[\w.~-]*\.(?:sse|json)$/;

/** The interval at which the ages are looked at, in milliseconds. */
const CHECK_INTERVAL = 3_600_000;

const logger = getLogger(["rivulet", "relay", "recorder"]);

/** Makes a folder of recordings that only its owner can read, if there is none. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: FOLDER_MODE });
}

/** A folder of recordings, of which the oldest are deleted. */
export class RecordingFolder implements Disposable {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #maxAge: number;
  /** The files of finished recordings, the oldest first. */
  #kept: KeptFile[] = [];
  #bytes = 0;
  #pruning: Promise<void> = Promise.resolve();
  #cancelCheck: (() => void) | undefined;

  /** Looks at nothing yet. */
  constructor(
    path: string,
    clock: Clock,
    { maxBytes = Infinity, maxAge = Infinity }: RecordingBounds,
  ) {
    this.#path = path;
    this.#clock = clock;
    this.#maxBytes = maxBytes;
    this.#maxAge = maxAge;
  }

  /**
   * Makes the folder, finds the recordings that are there, and deletes those that
   * are beyond the bounds.
   *
   * @returns Rejects if the folder cannot be written to.
   */
  async prepare(): Promise<void> {
    await makeFolder(this.#path);
    // The modes do not tell: the disk may be full, or read-only.
    const probe = await mkdtemp(join(this.#path, ".probe-"));
    try {
      await writeFile(join(probe, "probe"), "probe");
      await unlink(join(probe, "probe"));
    } finally {
      await rmdir(probe);
    }
    const names = await readdir(this.#path);
    // They begin with their time.
    for (const name of names.filter((name) => RECORDING.test(name)).sort()) {
      await this.#keep(join(this.#path, name));
    }
    await this.#prune();
    this.#scheduleCheck();
  }

  /** Takes a finished recording in, and deletes what is beyond the bounds. Never rejects. */
  add(paths: readonly string[]): Promise<void> {
    return this.#pruning = this.#pruning.then(async () => {
      for (const path of paths) await this.#keep(path);
      await this.#prune();
    });
  }

  /** Stops looking at the ages. */
  [Symbol.dispose](): void {
    this.#cancelCheck?.();
  }

  async #keep(path: string): Promise<void> {
    try {
      const { size, mtimeMs: changed } = await stat(path);
      this.#kept.push({ path, size, changed });
      this.#bytes += size;
    } catch {
      // somebody has deleted it
    }
  }

  async #prune(): Promise<void> {
    const oldest = this.#clock.now() - this.#maxAge;
    let count = 0;
    for (const { size, changed } of this.#kept) {
      if (this.#bytes <= this.#maxBytes && changed >= oldest) break;
      this.#bytes -= size;
      count++;
    }
    for (const { path } of this.#kept.splice(0, count)) {
      try {
        await unlink(path);
      } catch (error) {
        const isGone = error instanceof Error && "code" in error &&
          error.code === "ENOENT";
        if (isGone) continue;
        logger.warning("Cannot delete the old recording {path}: {reason}", {
          path,
          reason: messageOf(error),
        });
      }
    }
    if (count > 0) {
      logger.debug("Deleted {count} files of old recordings", { count });
    }
  }

  #scheduleCheck(): void {
    if (this.#maxAge === Infinity) return;
    this.#cancelCheck = this.#clock.setTimeout(() => {
      void this.add([]);
      this.#scheduleCheck();
    }, CHECK_INTERVAL);
  }
}
