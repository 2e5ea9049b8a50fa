import { copyStore } from "../stores/sqlite/copy_store.ts";
import { type Command, FlagError, parseFlags } from "./command.ts";

const HELP = `Copies the file of a store, also while a relay has it open.

Usage: rivulet backup FILE COPY

  FILE   the file of --store sqlite:FILE
  COPY   the path of the copy; there must be no file yet

To restore a copy, stop the relay, remove FILE, FILE-wal and FILE-shm, and put
the copy in the place of FILE. Topics that had not ended then get a new epoch,
since subscribers may have seen more of them than the copy has.

Permissions, instead of -A:
  --allow-read=FOLDER,FOLDER     the folders of FILE and COPY
  --allow-write=FOLDER           the folder of COPY
`;

/** The command that copies the file of a store. */
export const backupCommand: Command = {
  help: HELP,
  run: async (args, { write }) => {
    const { positionals } = parseFlags(args, {
      options: {},
      allowPositionals: true,
    });
    const [path, copy, ...others] = positionals;
    if (!path || !copy || others.length > 0) {
      throw new FlagError(
        `FILE COPY: expected two paths, got ${positionals.length}: --help says more`,
      );
    }
    await copyStore(path, copy);
    await write(`Copied ${path} to ${copy}\n`);
  },
};
