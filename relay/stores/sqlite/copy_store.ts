import { closeSync, existsSync, openSync, renameSync, rmSync } from "node:fs";
import { StoreError } from "../../topics/store.ts";
import { storeErrorOf } from "./failures.ts";
import type { ReaderRequest } from "./messages.ts";
import { assertOwn, createFile } from "./open_file.ts";
import { Reader } from "./reader.ts";
import { Thread } from "./thread.ts";

/**
 * Copies the file of a store as it is now, also while a relay has it open. Nobody finds
 * half a copy under its path, however the copying ends.
 *
 * @param path The file of a store.
 * @param copy The path of the copy, where there is nothing yet.
 * @throws {StoreError} If either cannot be used.
 */
export async function copyStore(path: string, copy: string): Promise<void> {
  try {
    if (existsSync(copy)) {
      throw new StoreError(
        "io",
        `Cannot copy the store to ${copy}: there is a file already: choose another path, or remove the file`,
      );
    }
    closeSync(openSync(path, "r")); // a file that is not there is not made
    assertOwn(path);
  } catch (error) {
    throw storeErrorOf(path, error);
  }
  const part = `${copy}.part`;
  try {
    // A partial copy of an earlier attempt is of no use.
    rmSync(part, { force: true });
    createFile(part);
    await using reader = new Thread<ReaderRequest>(
      Reader,
      "DatabaseSync, backup, data",
      { path },
    );
    await reader.ask({ kind: "backup", path: part });
    renameSync(part, copy);
  } catch (error) {
    rmSync(part, { force: true });
    throw storeErrorOf(copy, error);
  }
}
