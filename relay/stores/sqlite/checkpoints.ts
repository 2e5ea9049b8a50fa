import { getLogger } from "@logtape/logtape";
import type { Checkpointed } from "./messages.ts";
import type { Thread } from "./thread.ts";

/** The pages in the log of SQLite after which they are copied to its file. */
const FRAMES = 1_000;

/** The pages that a commit writes, before that is known. */
const FRAMES_OF_COMMIT = 16;

/** The commits after which the thread is started. */
const FIRST_COMMITS = 8;

const logger = getLogger(["rivulet", "relay", "store"]);

/**
 * Has the log of SQLite copied to its file now and then, in a thread of its own. The
 * thread that writes does it too where this one does not keep up (see `writer.ts`).
 */
export class Checkpoints implements AsyncDisposable {
  readonly #start: () => Thread<"checkpoint">;
  #thread: Thread<"checkpoint">;
  #turn: Promise<void> | undefined;
  #commits = 0;
  #frames = 0;
  #framesOfCommit = FRAMES_OF_COMMIT;

  /** Prepares a thread, which a store that is little used does without. */
  constructor(start: () => Thread<"checkpoint">) {
    this.#start = start;
    this.#thread = start();
  }

  /** Takes note of a commit. */
  committed(): void {
    this.#commits++;
    // To start it takes up to 100 ms on a busy machine: not when there is most to do.
    if (this.#commits === FIRST_COMMITS) this.#thread.start();
    if (this.#turn || this.#commits * this.#framesOfCommit < FRAMES) return;
    this.#turn = this.#checkpoint().finally(() => this.#turn = undefined);
  }

  /** Ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn;
    await this.#thread[Symbol.asyncDispose]();
  }

  async #checkpoint(): Promise<void> {
    const commits = this.#commits;
    this.#commits = 0;
    try {
      if (this.#thread.error) {
        await this.#thread[Symbol.asyncDispose]();
        this.#thread = this.#start();
      }
      // The answer to a checkpoint.
      const { frames } = await this.#thread.ask("checkpoint") as Checkpointed;
      // The log begins anew once all of it was copied.
      const written = frames > this.#frames ? frames - this.#frames : frames;
      this.#frames = frames;
      this.#framesOfCommit = Math.max(written / commits, 1);
    } catch (error) {
      // The thread that writes says what is wrong with the disk.
      logger.debug("A checkpoint has failed: {error}", { error });
    }
  }
}
