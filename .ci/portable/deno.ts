/**
 * The parts of Deno's global, and of the library that Node 20 does not have
 * yet, that tests use. Only tests get them, when they are bundled: `src/` gets
 * none of it, and fails where it is used.
 *
 * @module
 */
import { type PathLike, readdirSync, readFileSync, statSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import process from "node:process";
import { inspect as inspectValue } from "node:util";
import { BadResource, connect, Interrupted, listen, serve } from "./net.ts";
import { test } from "./runner.ts";
export { AsyncDisposableStack, DisposableStack } from "./disposable_stack.ts";
export { withResolvers } from "./net.ts";

class NotFound extends Error {
  override name = "NotFound";
}

/** Returns the error to throw in place of an error of Node's. */
function translated(error: unknown): unknown {
  const isMissing = error instanceof Error && "code" in error &&
    error.code === "ENOENT";
  return isMissing ? new NotFound(error.message, { cause: error }) : error;
}

function sync<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw translated(error);
  }
}

async function async<T>(action: Promise<T>): Promise<T> {
  try {
    return await action;
  } catch (error) {
    throw translated(error);
  }
}

/** Deno takes an address where Node takes one that it knows to be none. */
const at = (path: string | URL): PathLike => path;

interface Stats {
  isFile(): boolean;
  isDirectory(): boolean;
}

const kindOf = (stats: Stats) => ({
  isFile: stats.isFile(),
  isDirectory: stats.isDirectory(),
});

/** The part of `Deno` that tests of the core use. */
export const Deno = {
  test,
  listen,
  connect,
  serve,
  errors: { NotFound, BadResource, Interrupted },
  args: [] as string[],
  build: { os: process.platform === "win32" ? "windows" : process.platform },
  env: {
    get: (name: string): string | undefined => process.env[name],
    has: (name: string): boolean => process.env[name] !== undefined,
    set: (name: string, value: string): void => {
      process.env[name] = value;
    },
    delete: (name: string): void => {
      delete process.env[name];
    },
  },
  inspect: (
    value: unknown,
    options: { depth?: number; showHidden?: boolean; getters?: boolean } = {},
  ): string => inspectValue(value, options),
  memoryUsage: (): NodeJS.MemoryUsage => process.memoryUsage(),
  statSync: (path: string | URL) => sync(() => kindOf(statSync(at(path)))),
  readFileSync: (path: string | URL): Uint8Array =>
    sync(() => new Uint8Array(readFileSync(at(path)))),
  readTextFileSync: (path: string | URL): string =>
    sync(() => readFileSync(at(path), "utf8")),
  readFile: async (path: string | URL): Promise<Uint8Array> =>
    new Uint8Array(await async(readFile(at(path)))),
  readTextFile: (path: string | URL): Promise<string> =>
    async(readFile(at(path), "utf8")),
  *readDirSync(path: string | URL) {
    const entries = sync(() => readdirSync(at(path), { withFileTypes: true }));
    for (const entry of entries) yield { name: entry.name, ...kindOf(entry) };
  },
  async *readDir(path: string | URL) {
    const entries = await async(readdir(at(path), { withFileTypes: true }));
    for (const entry of entries) yield { name: entry.name, ...kindOf(entry) };
  },
};

/** `Array.fromAsync`, which Node 20 does not have. */
export async function fromAsync<T>(
  items: AsyncIterable<T> | Iterable<T | Promise<T>>,
): Promise<T[]> {
  const array: T[] = [];
  for await (const item of items) array.push(item);
  return array;
}
