import { lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** The beginning of the names of these folders. */
const PREFIX = "rivulet-store-";

/** The name of the socket in a folder. */
const SOCKET = "store";

/**
 * Makes a folder for a Unix socket that only this user can reach, and removes those that
 * processes have left which were killed.
 *
 * @returns The path of the folder, and of the socket that is to be made.
 */
export async function makeSocketFolder(): Promise<
  { readonly folder: string; readonly path: string }
> {
  const all = tmpdir();
  await removeLeft(all);
  const folder = await mkdtemp(join(all, PREFIX));
  return { folder, path: join(folder, SOCKET) };
}

/** Removes the folders in whose socket nobody listens any more. */
async function removeLeft(all: string): Promise<void> {
  try {
    const names = await readdir(all);
    const folders = names.filter((name) => name.startsWith(PREFIX));
    await Promise.all(folders.map((name) => removeIfLeft(join(all, name))));
  } catch {
    // Whoever may not look there leaves them.
  }
}

async function removeIfLeft(folder: string): Promise<void> {
  try {
    const { uid } = await lstat(folder);
    // A process of another user may be one that cannot be asked.
    if (uid !== process.getuid?.() || !await isRefused(join(folder, SOCKET))) {
      return;
    }
    await rm(folder, { recursive: true, force: true });
  } catch {
    // Another process was first.
  }
}

/**
 * Whether a socket is there and nobody listens. A folder without a socket may be that of
 * a process which is about to listen.
 */
function isRefused(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "ECONNREFUSED");
    });
  });
}
