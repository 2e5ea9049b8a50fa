import { dirname } from "node:path";
import { StoreError, type StoreFailure } from "../../topics/store.ts";

/** The kinds of failure of a file. */
type FileFailure = Exclude<StoreFailure, "away" | "denied">;

const SQLITE_FULL = 13;

/**
 * The kind of failure, by SQLite's primary result code
 * (https://sqlite.org/rescode.html).
 */
const FAILURES: ReadonlyMap<number, FileFailure> = new Map([
  [3, "read_only"], // SQLITE_PERM
  [5, "locked"], // SQLITE_BUSY
  [6, "locked"], // SQLITE_LOCKED
  [8, "read_only"], // SQLITE_READONLY
  [10, "io"], // SQLITE_IOERR
  [11, "corrupt"], // SQLITE_CORRUPT
  [SQLITE_FULL, "full"],
  [14, "io"], // SQLITE_CANTOPEN
  [26, "corrupt"], // SQLITE_NOTADB
]);

/** The remedy, by kind of failure. */
const REMEDIES: Readonly<
  Record<FileFailure, string>
> = {
  full:
    "the disk is full, or the file has the size that it may have: make room, or allow it more",
  read_only:
    "the file or its folder cannot be written: give the relay's user the right to write there",
  io: "the disk does not do what it is told: look at the system's log",
  corrupt: "the file is damaged: stop the relay and restore a backup",
  foreign: "the file belongs to another program: choose another path",
  newer:
    "the file was written by a later version of the relay: run that version",
  locked: "another process uses the file: stop it, or choose another path",
  closed: "the store was closed",
};

/**
 * The kind of failure, by the text of SQLite's errors without a code: those of
 * `exec`.
 */
const TEXTS: readonly (readonly [RegExp, FileFailure])[] = [
  [/locked/, "locked"],
  [/malformed|not a database/, "corrupt"],
  [/is full/, "full"],
  [/readonly/, "read_only"],
];

/** Describes what SQLite, or the file system, could not do with a file. */
export function storeErrorOf(path: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const failure = failureOf(error, message);
  const remedy = remedyOf(path, error) ??
    REMEDIES[failure];
  return new StoreError(
    failure,
    `Cannot use the store ${path}: ${remedy} (${message})`,
    { cause: error },
  );
}

/** Makes the error of a store for a file that is not what it has to be. */
export function refusal(
  path: string,
  failure: FileFailure,
  found: string,
): StoreError {
  return new StoreError(
    failure,
    `Cannot use the store ${path}: ${REMEDIES[failure]} (${found})`,
  );
}

/**
 * Returns the remedy for an error of the file system, if the error says more
 * than that something failed.
 */
function remedyOf(path: string, error: unknown): string | undefined {
  if (isDenied(error)) {
    const folder = dirname(path);
    return `Deno does not let the relay use its folder: start it with --allow-read=${folder} --allow-write=${folder}`;
  }
  switch (codeOf(error)) {
    case "ENOENT":
      return "its folder is not there: make it, or choose another path";
    case "EISDIR":
      return "it is a folder: give the path of a file in it";
  }
  return undefined;
}

/** Whether a permission of Deno's is missing. */
function isDenied(error: unknown): boolean {
  return error instanceof Error &&
    (error.name === "NotCapable" ||
      /--allow-(?:read|write)/.test(error.message));
}

function failureOf(error: unknown, message: string): FileFailure {
  if (error instanceof Error && "errcode" in error) {
    const { errcode } = error;
    if (typeof errcode === "number") {
      return FAILURES.get(errcode & 0xff) ?? "io";
    }
  }
  if (isDenied(error)) return "read_only";
  switch (codeOf(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return "full";
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return "read_only";
  }
  return TEXTS.find(([text]) => text.test(message))?.[1] ?? "io";
}

/** The code of an error of the file system. */
function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
