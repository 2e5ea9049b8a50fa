import type { backup, DatabaseSync, StatementSync } from "node:sqlite";
import type { PackedRange, ReaderRequest } from "./messages.ts";

/**
 * Reads ranges of events from the file of a store, without waiting for the writer.
 *
 * The class is run in a thread from its text (see `thread.ts`): it uses nothing of its
 * module but types.
 */
export class Reader {
  readonly #Database: typeof DatabaseSync;
  readonly #db: DatabaseSync;
  readonly #backup: typeof backup;
  readonly #read: StatementSync;

  /** Opens the file, which is there and in order. */
  constructor(
    Database: typeof DatabaseSync,
    makeBackup: typeof backup,
    settings: { readonly path: string },
  ) {
    this.#Database = Database;
    this.#db = new Database(settings.path, { readOnly: true, timeout: 5_000 });
    this.#backup = makeBackup;
    this.#read = this.#db.prepare(
      "SELECT first, count, bytes, time, times, sizes, events FROM ranges WHERE topic = ? AND first >= coalesce((SELECT max(first) FROM ranges WHERE topic = ? AND first <= ?), ?) ORDER BY first",
    );
  }

  /** Does what it is asked for. */
  async handle(
    request: ReaderRequest,
  ): Promise<readonly PackedRange[] | undefined> {
    if (request.kind === "backup") {
      await this.#copy(request.path);
      return undefined;
    }
    const { id, from, bytes } = request;
    const ranges: PackedRange[] = [];
    let left = bytes;
    for (const row of this.#read.iterate(id, id, from, from)) {
      const range = row as unknown as PackedRange; // the columns that are selected
      ranges.push({ ...range });
      left -= range.bytes;
      if (left <= 0) break;
    }
    return ranges;
  }

  async #copy(path: string): Promise<void> {
    // In one go: a copy in steps begins anew with each commit meanwhile.
    await this.#backup(this.#db, path, { rate: 2 ** 31 - 1 });
    // When the copy is put back, logs that went on are shorter than what
    // readers have seen of them.
    const copy = new this.#Database(path, { timeout: 5_000 });
    try {
      copy.prepare(
        "INSERT OR REPLACE INTO meta(key, value) VALUES('loose', '')",
      )
        .run();
    } finally {
      copy.close();
    }
  }

  /** Closes the file. */
  close(): void {
    this.#db.close();
  }
}
