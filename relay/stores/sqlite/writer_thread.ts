import type { WriterRequest } from "./messages.ts";
import { RowMerger } from "./row_merger.ts";
import { Thread } from "./thread.ts";
import { Writer, type WriterParts, type WriterSettings } from "./writer.ts";
import { WriterFile } from "./writer_file.ts";

/** The classes of the objects that a {@linkcode Writer} makes. */
export const WRITER_PARTS: WriterParts = { WriterFile, RowMerger };

/** Prepares the thread that writes the file of a store. */
export function makeWriterThread(
  settings: WriterSettings,
): Thread<WriterRequest> {
  return new Thread<WriterRequest>(
    Writer,
    `DatabaseSync, data, { ${Object.keys(WRITER_PARTS).join()} }`,
    settings,
    { ...WRITER_PARTS },
  );
}
