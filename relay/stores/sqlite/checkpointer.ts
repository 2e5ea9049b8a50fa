import type { DatabaseSync } from "node:sqlite";
import type { Checkpointed } from "./messages.ts";

/**
 * Copies what was committed from the log of SQLite to its file, beside the thread that
 * writes: a commit that had to do it would take 10 to 40 ms.
 *
 * The class is run in a thread from its text (see `thread.ts`): it uses nothing of its
 * module but types.
 */
export class Checkpointer {
  readonly #db: DatabaseSync;

  /** Opens the file, which is there and in order. */
  constructor(
    Database: typeof DatabaseSync,
    settings: { readonly path: string; readonly sync: "full" | "normal" },
  ) {
    this.#db = new Database(settings.path, { timeout: 0 });
    this.#db.exec(`PRAGMA synchronous=${settings.sync}`);
  }

  /** Copies as much as it can without waiting for anybody. */
  handle(_request: "checkpoint"): Checkpointed {
    const row = this.#db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
    return { frames: Number(row?.log) };
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }
}
