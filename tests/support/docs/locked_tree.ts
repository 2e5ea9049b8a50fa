/**
 * The tree on a machine that is deployed to, for tests that deploy.
 *
 * @module
 */
import { dirname } from "node:path";
import { neededPackages } from "../../../.ci/tree/needed.ts";

/** The variables with which nothing can be fetched: the proxy that they name is none. */
export const NO_NETWORK: Readonly<Record<string, string>> = {
  HTTPS_PROXY: "http://127.0.0.1:9",
  HTTP_PROXY: "http://127.0.0.1:9",
  NO_PROXY: "127.0.0.1",
};

/** Copies a file or folder, with the program of the system, which is fast. */
export async function copy(from: string, to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  const { success, stderr } = await new Deno.Command("cp", {
    args: ["-R", from, to],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Copies the program of Deno, where another user may run it. */
export async function copyDeno(to: string): Promise<void> {
  await Deno.mkdir(dirname(to), { recursive: true });
  try {
    await Deno.link(Deno.execPath(), to);
  } catch {
    await Deno.copyFile(Deno.execPath(), to); // another file system
  }
}

/** Returns the folder of npm packages in the cache of this process. */
export async function npmCache(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json"],
  }).output();
  const { npmCache }: { npmCache: string } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  return npmCache;
}

/**
 * Puts the npm packages of the relay into a cache, from the cache of this process, so
 * that nothing asks a registry.
 *
 * @param cache The folder of the cache (`DENO_DIR`).
 */
export async function fillCache(cache: string): Promise<void> {
  const packages = await npmCache();
  const needed = await neededPackages(
    new URL("../../../", import.meta.url),
  );
  for await (const { name: registry } of Deno.readDir(packages)) {
    for (const { name, version } of needed) {
      const from = `${packages}/${registry}/${name}`;
      const to = `${cache}/npm/${registry}/${name}`;
      await copy(`${from}/${version}`, `${to}/${version}`);
      // Deno fetches what the lock file pins without the list of its versions.
      if (await exists(`${from}/registry.json`)) {
        await copy(`${from}/registry.json`, `${to}/registry.json`);
      }
    }
  }
}
