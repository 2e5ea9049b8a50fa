import type { DatabaseSync, StatementSync } from "node:sqlite";

/** The path and the settings of a {@linkcode WriterFile}. */
export interface WriterFileSettings {
  readonly path: string;
  readonly sync: "full" | "normal";
  /** The most bytes of the file. */
  readonly maxFileBytes: number;
}

/**
 * The connection through which the file of a store is written: one at a time, which is
 * opened again after {@linkcode WriterFile.close}.
 *
 * The class is run in a thread from its text (see `thread.ts`): it uses nothing of its
 * module but types.
 */
export class WriterFile {
  readonly #Database: typeof DatabaseSync;
  readonly #settings: WriterFileSettings;
  readonly #statements = new Map<string, StatementSync>();
  #db: DatabaseSync | undefined;

  /** Opens the file, which is there and in order. */
  constructor(Database: typeof DatabaseSync, settings: WriterFileSettings) {
    this.#Database = Database;
    this.#settings = settings;
    this.#open();
  }

  /** Whether the file is so full that the rest is for what has to be written. */
  get isNearBound(): boolean {
    const { maxFileBytes } = this.#settings;
    if (maxFileBytes === Infinity) return false;
    const { pages, free, pageSize } = this.pages;
    return (pages - free) * pageSize > 0.9 * maxFileBytes;
  }

  /** The pages of the file, those of them that are free, and the bytes of each. */
  get pages(): { pages: number; free: number; pageSize: number } {
    return {
      pages: this.#number("PRAGMA page_count"),
      free: this.#number("PRAGMA freelist_count"),
      pageSize: this.#number("PRAGMA page_size"),
    };
  }

  /** Returns a statement, which is made once. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (!statement) {
      const db = this.#db ?? this.#open();
      this.#statements.set(sql, statement = db.prepare(sql));
    }
    return statement;
  }

  /** Runs a statement; returns the number of rows that it has changed. */
  run(sql: string, ...values: (string | number | null)[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  /** Does work in one transaction: all of it, or nothing. */
  transaction<T>(work: () => T): T {
    this.run("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.run("COMMIT");
      return result;
    } catch (error) {
      if (this.#db?.isTransaction) this.run("ROLLBACK");
      throw error;
    }
  }

  /**
   * Has transactions that nobody waits for come to the disk with the next one that
   * somebody waits for, which spares one `fdatasync` each. After a loss of power, the
   * file is as it was before them.
   */
  withoutSync<T>(work: () => T): T {
    const { sync } = this.#settings;
    if (sync === "normal") return work();
    const db = this.#db ?? this.#open();
    db.exec("PRAGMA synchronous=NORMAL");
    try {
      return work();
    } finally {
      db.exec("PRAGMA synchronous=FULL");
    }
  }

  /** Closes the connection. */
  close(): void {
    this.#statements.clear();
    this.#db?.close();
    this.#db = undefined;
  }

  #open(): DatabaseSync {
    const { path, sync, maxFileBytes } = this.#settings;
    // A copy in progress may hold the file up for a moment.
    const db = new this.#Database(path, { timeout: 5_000 });
    this.#db = db;
    db.exec(`PRAGMA synchronous=${sync}`);
    db.exec("PRAGMA temp_store=MEMORY");
    db.exec("PRAGMA cache_size=-16000");
    // A checkpoint holds up the commit that it comes with. Another thread has copied most
    // of these pages before (see `checkpoints.ts`); the log begins anew after the rest,
    // which no commit may come in between of.
    db.exec("PRAGMA wal_autocheckpoint=4000");
    db.exec("PRAGMA journal_size_limit=67108864");
    if (maxFileBytes < Infinity) {
      const { pageSize } = this.pages;
      const pages = Math.max(Math.floor(maxFileBytes / pageSize), 1);
      this.#number(`PRAGMA max_page_count=${pages}`);
    }
    return db;
  }

  #number(pragma: string): number {
    const [value] = Object.values(this.prepare(pragma).get() ?? {});
    return Number(value);
  }
}
