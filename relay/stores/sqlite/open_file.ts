import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { createEpoch } from "../../topics/position.ts";
import { type Boot, formatBoot, isSameBoot } from "./boot.ts";
import { refusal, storeErrorOf } from "./failures.ts";
import { APPLICATION_ID, MIGRATIONS } from "./migrations.ts";

/** The header of a file of SQLite (https://sqlite.org/fileformat.html, 1.3). */
const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const APPLICATION_ID_AT = 68;

/**
 * A lock on a store's file, for as long as the process lives.
 *
 * It is the lock of an empty database beside the file: the system gives it up with the
 * process, however that ends, and the file itself stays open to other connections of
 * this one.
 */
export class FileLock implements Disposable {
  readonly #db: DatabaseSync;

  /**
   * Takes the lock.
   *
   * @throws {StoreError} If another store has it, or the file cannot be one of a store's:
   * nothing is left beside it then.
   */
  constructor(path: string) {
    try {
      if (existsSync(path)) assertOwn(path);
      createFile(`${path}.lock`);
      this.#db = new DatabaseSync(`${path}.lock`, { timeout: 0 });
    } catch (error) {
      throw storeErrorOf(path, error);
    }
    try {
      this.#db.prepare("PRAGMA journal_mode=MEMORY").get();
      this.#db.prepare("BEGIN EXCLUSIVE").run();
    } catch (error) {
      this.#db.close();
      throw storeErrorOf(path, error);
    }
  }

  /** Gives the lock up. */
  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** The facts that tell whether a file may have lost something. */
export interface OpenFileOptions {
  /** Whether commits wait for the disk. */
  readonly sync: "full" | "normal";
  /** The start of the machine, as far as it is known. */
  readonly boot: Boot | undefined;
}

/** The repairs that were made to a file when it was opened. */
export interface OpenedFile {
  /** The number of logs that have a new epoch. */
  readonly renewed: number;
}

/**
 * Makes the file of a store, or brings it in order.
 *
 * @throws {StoreError} If it is not a file of this version or one before.
 */
export function openFile(
  path: string,
  { sync, boot }: OpenFileOptions,
): OpenedFile {
  try {
    createFile(path);
    assertOwn(path);
    using connection = new Connection(path);
    const { db } = connection;
    migrate(db, path);
    db.exec("PRAGMA synchronous=FULL");
    db.prepare("PRAGMA journal_mode=WAL").get();
    const renewed = renewLoose(db, sync, boot);
    return { renewed };
  } catch (error) {
    throw storeErrorOf(path, error);
  }
}

/** A connection that is closed at the end of its scope. */
class Connection implements Disposable {
  readonly db: DatabaseSync;

  constructor(path: string) {
    this.db = new DatabaseSync(path, { timeout: 1_000 });
  }

  [Symbol.dispose](): void {
    this.db.close();
  }
}

/**
 * Makes an empty file if there is none. Only the user of the process may read it:
 * SQLite gives the files that it makes beside it the same mode.
 */
export function createFile(path: string): void {
  if (existsSync(path)) return;
  closeSync(openSync(path, "ax", 0o600));
}

/** Looks at the header before SQLite does: it may not change the file of another program. */
export function assertOwn(path: string): void {
  // SQLite has been interrupted while it made the file, and has to bring it in order.
  if (existsSync(`${path}-journal`)) return;
  const header = new Uint8Array(HEADER_BYTES);
  const file = openSync(path, "r");
  let length: number;
  try {
    length = readSync(file, header, 0, HEADER_BYTES, 0);
  } finally {
    closeSync(file);
  }
  if (length === 0) return;
  if (new TextDecoder().decode(header.subarray(0, MAGIC.length)) !== MAGIC) {
    throw refusal(path, "foreign", "it is not a database of SQLite");
  }
  const id = new DataView(header.buffer).getUint32(APPLICATION_ID_AT);
  if (id !== APPLICATION_ID) {
    throw refusal(
      path,
      "foreign",
      `expected a database with the application id ${APPLICATION_ID}, got ${id}`,
    );
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const version = numberOf(db, "PRAGMA user_version");
  if (version > MIGRATIONS.length) {
    throw refusal(
      path,
      "newer",
      `expected version ${MIGRATIONS.length} at most, got ${version}`,
    );
  }
  if (version === MIGRATIONS.length) return;
  // Only a file without tables can be told.
  if (version === 0) db.exec("PRAGMA auto_vacuum=INCREMENTAL");
  db.prepare("BEGIN IMMEDIATE").run();
  for (const step of MIGRATIONS.slice(version)) db.exec(step);
  db.exec(`PRAGMA application_id=${APPLICATION_ID}`);
  db.exec(`PRAGMA user_version=${MIGRATIONS.length}`);
  db.prepare("COMMIT").run();
}

function numberOf(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get() ?? {})[0]);
}

/**
 * Gives logs a new epoch that may be shorter than what was shown of them: those that
 * go on, if commits did not wait for the disk and the machine was restarted since.
 */
function renewLoose(
  db: DatabaseSync,
  sync: "full" | "normal",
  boot: Boot | undefined,
): number {
  const loose = db.prepare("SELECT value FROM meta WHERE key = 'loose'").get();
  let renewed = 0;
  db.prepare("BEGIN IMMEDIATE").run();
  if (loose && !isSameBoot(String(loose.value), boot)) {
    const update = db.prepare("UPDATE topics SET epoch = ? WHERE id = ?");
    const unended = db.prepare("SELECT id FROM topics WHERE ended IS NULL")
      .all();
    for (const { id } of unended) update.run(createEpoch(), Number(id));
    renewed = unended.length;
  }
  if (sync === "normal") {
    db.prepare("INSERT OR REPLACE INTO meta(key, value) VALUES('loose', ?)")
      .run(formatBoot(boot));
  } else db.prepare("DELETE FROM meta WHERE key = 'loose'").run();
  db.prepare("COMMIT").run();
  return renewed;
}
