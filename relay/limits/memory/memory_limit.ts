import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { isGranted } from "../../runtime.ts";

/** The memory that is assumed where nothing can be asked: a small machine's. */
const ASSUMED = 2 * 1024 ** 3;

/** The least limit of a container that is believed to be one, in bytes. */
const LEAST = 16 * 1024 ** 2;

/** The memory that the process may use. */
export interface MemoryLimit {
  /** The number of bytes. */
  readonly bytes: number;
  /** The place that the number comes from. */
  readonly from: "container" | "machine" | "assumption";
}

/** The answers of the system about its memory; `undefined` for what it does not tell. */
export interface MemorySystem {
  /** Returns the text of a file. */
  readText(path: string): string | undefined;
  /** Returns the memory of the machine, in bytes. */
  total(): number | undefined;
}

/**
 * Finds the memory that the process may use: the least limit of the control groups
 * that it is in (`memory.max` of version 2, `memory.limit_in_bytes` of version 1),
 * or else the memory of the machine.
 */
export function findMemoryLimit(
  system: MemorySystem = processSystem,
): MemoryLimit {
  const total = system.total();
  const limits = limitFiles(system.readText("/proc/self/cgroup") ?? "")
    .map((path) => Number(system.readText(path)?.trim() || NaN))
    // `max` is no number, and version 1 writes a limit beyond every machine.
    .filter((bytes) => bytes >= LEAST && bytes < (total ?? 2 ** 53));
  if (limits.length > 0) {
    return { bytes: Math.min(...limits), from: "container" };
  }
  return total === undefined
    ? { bytes: ASSUMED, from: "assumption" }
    : { bytes: total, from: "machine" };
}

/**
 * Lists the files of the limits, of the group itself and those around it.
 *
 * @param groups The text of `/proc/self/cgroup`: `0::/system.slice/a.service`. In a
 * container the path may be the host's, where there is only the root.
 */
function limitFiles(groups: string): readonly string[] {
  const files: string[] = [];
  for (const line of ["0::/", "1:memory:/", ...groups.split("\n")]) {
    const [, controllers, path] = /^[0-9]+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const isOld = controllers.split(",").includes("memory");
    if (!isOld && controllers !== "") continue;
    const [root, name] = isOld
      ? ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"]
      : ["/sys/fs/cgroup", "memory.max"];
    const parts = path.split("/").filter((part) => part !== "");
    for (let depth = parts.length; depth >= 0; depth--) {
      files.push([root, ...parts.slice(0, depth), name].join("/"));
    }
  }
  return [...new Set(files)];
}

/** Asks the process's own system, as far as Deno's permissions allow without a question. */
const processSystem: MemorySystem = {
  readText(path) {
    if (!isGranted({ name: "read", path })) return undefined;
    try {
      return readFileSync(path, "utf8");
    } catch {
      return undefined; // there is no such limit
    }
  },
  total: () =>
    isGranted({ name: "sys", kind: "systemMemoryInfo" })
      ? totalmem()
      : undefined,
};
