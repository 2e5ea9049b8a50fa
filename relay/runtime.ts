/**
 * The differences between the runtimes that a relay runs on: Deno, Node and
 * Bun. All other modules use what the three have in common, the web's APIs and
 * Node's.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { readFileSync, write } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { Readable, Writable } from "node:stream";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Whether the runtime is Deno; the others have neither its permissions nor its sockets. */
const IS_DENO = "Deno" in globalThis;

/** The part of Bun's own API that is used here. */
interface BunApi {
  /** Its version. */
  readonly version: string;
  /** Collects garbage, at once. */
  gc(isSynchronous: true): void;
}

/** Bun's own API, on Bun. */
const { Bun: BUN } = globalThis as { readonly Bun?: BunApi }; // or nothing of this name

/** The runtime, and its version: `Deno 2.9.6`. */
export const RUNTIME: string = IS_DENO
  ? `Deno ${Deno.version.deno}`
  : BUN
  ? `Bun ${BUN.version}`
  : `Node ${process.versions.node}`;

/** The time after which a stderr that was full is tried again, in milliseconds. */
const RETRY = 10;

/**
 * Whether TLS connections are Deno's, and not those of `node:tls`.
 *
 * `node:tls` of Deno 2.9.6 trusts neither the certificates of `--cert`, `DENO_CERT` and
 * `DENO_TLS_CA_STORE`, as `fetch` does, nor works without `--allow-sys`. On Node and
 * Bun it trusts what `fetch` trusts, such as `NODE_EXTRA_CA_CERTS`.
 */
export const HAS_DENO_TLS: boolean = IS_DENO;

/**
 * Whether `node:http2` takes the handle out of a socket, and reads it itself: then
 * nobody else sees the bytes. Node 24.21 does; Deno 2.9.6 does not.
 */
export const HTTP2_TAKES_HANDLES: boolean = !IS_DENO;

/**
 * Whether a write of several parts is dearer than one of their bytes: Deno 2.9.6 copies
 * the parts, and tells of the end of the write by a task of its own.
 */
export const WRITES_PARTS_LATE: boolean = IS_DENO;

/**
 * Whether the parser of `node:http` pushes the parts of an answer's body into its stream.
 * In Bun (1.4.5), the stream fetches them.
 */
export const PARSERS_PUSH: boolean = BUN === undefined;

/**
 * Whether `node:http` adds each request of a server to a `Map`, and takes it out at its
 * end, which makes all of a request outlive the collections of young objects: Deno 2.9.6.
 */
export const RELINKS_REQUESTS: boolean = IS_DENO;

/**
 * Whether each read of a socket makes a buffer of its own, which costs more than to copy
 * what has come, unless `onread` gives one buffer to all reads: Deno 2.9.6 takes six small
 * pieces of memory besides. Node 24.21 and Bun 1.4.5 were not measured.
 */
export const READS_MAKE_BUFFERS: boolean = IS_DENO;

/**
 * Whether an HTTP server is a server of `node:net`, which tells of each connection as
 * it accepts it, and can be stopped without its connections. Bun's (1.4.5) is not: it
 * tells of a connection with its first request.
 */
export const HAS_NET_SERVERS: boolean = BUN === undefined;

/**
 * Whether the process may do something without a question to its user. Node and Bun
 * ask nobody.
 */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return !IS_DENO ||
    Deno.permissions.querySync(permission).state === "granted";
}

/** Whether the user wants no colors; Deno tells that to a program without permissions, too. */
export function wantsNoColor(): boolean {
  return IS_DENO ? Deno.noColor : (process.env["NO_COLOR"] ?? "") !== "";
}

/**
 * Writes to stderr, all of it. Never blocks the process, however slowly stderr is read.
 *
 * `process.stderr` blocks every runtime while nobody reads a pipe. `write` of
 * `node:fs` blocks Deno 2.9.6, but neither Node 24.21 nor Bun 1.4.5.
 */
export async function writeError(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    const count = IS_DENO
      ? await Deno.stderr.write(rest)
      : await writeDescriptor(process.stderr.fd, rest);
    rest = rest.subarray(count);
  }
}

/** Writes a part; returns its length. */
function writeDescriptor(
  descriptor: number,
  bytes: Uint8Array,
): Promise<number> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, 0, bytes.length, null, (error, count) => {
      if (!error) resolve(count);
      // The pipe is full, and set not to block.
      else if (error.code === "EAGAIN") setTimeout(() => resolve(0), RETRY);
      else reject(error);
    });
  });
}

let knownLimit: number | undefined;

/**
 * Returns the bytes of objects at which the engine ends the process. Bun 1.4.5 has no
 * such limit: what `node:v8` says there is less than what a program may use.
 */
export function heapLimit(): number {
  return knownLimit ??= BUN ? Infinity : getHeapStatistics().heap_size_limit;
}

/**
 * Collects garbage. Buffers that are no longer needed stay where they are until
 * something is collected, and a relay that refuses all work makes nothing that would
 * have it collected.
 */
export function collectGarbage(): void {
  if (BUN) BUN.gc(true);
  else collector()?.();
}

let knownCollector: (() => void) | undefined;

/** Returns the collector of V8, which is hidden from programs. */
function collector(): (() => void) | undefined {
  if (knownCollector) return knownCollector;
  setFlagsFromString("--expose-gc");
  const found: unknown = runInNewContext("gc");
  if (typeof found !== "function") return undefined;
  return knownCollector = () => void Reflect.apply(found, undefined, []);
}

/** Whether `[major, minor]` of a version is at least this one. */
function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split(".").map(Number);
  return ownMajor > major || ownMajor === major && ownMinor >= minor;
}

/**
 * Whether the kernel spreads the connections of a port among the processes that listen
 * on it with `reusePort`: that of Linux does. That of macOS gives all of them to one, and
 * Windows has nothing like it. Node has the option since 22.12, and 23.1.
 */
export const SPREADS_CONNECTIONS: boolean = process.platform === "linux" &&
  (IS_DENO || BUN !== undefined ||
    isAtLeast(process.versions.node, 23, 1) ||
    /^22\.(1[2-9]|[2-9][0-9])\./.test(process.versions.node));

/** Returns the number of cores that the process may use. */
export function coreCount(): number {
  // `node:os` of Deno needs --allow-sys for that.
  return IS_DENO ? navigator.hardwareConcurrency : availableParallelism();
}

/** The rights of Deno that a process gets which this one starts. */
export interface HandedPermissions {
  /** Hosts with ports. */
  readonly net: readonly string[];
  /** Paths. */
  readonly read: readonly string[];
  /** Paths. */
  readonly write: readonly string[];
  /** Variables. */
  readonly env: readonly string[];
}

/** A process that this one has started. */
export interface StartedProcess {
  /** The number that the system has given it. */
  readonly pid: number;
  /** Its stdin. */
  readonly input: WritableStream<Uint8Array>;
  /** Its stdout. */
  readonly output: ReadableStream<Uint8Array>;
  /** Its stderr. */
  readonly errors: ReadableStream<Uint8Array>;
  /** Resolves when it has ended, with how: `status 1`, `SIGKILL`. */
  readonly ended: Promise<string>;
  /** Ends it at once. */
  kill(): void;
}

/**
 * Starts this program once more.
 *
 * @param args The arguments of the command line.
 * @param permissions What the process may do, as far as this one may. A process of Deno
 * cannot ask which lists its permissions have, so it asks for each of these.
 * @throws {Error} If it may not.
 */
export function startOwnProgram(
  args: readonly string[],
  permissions: HandedPermissions,
): StartedProcess {
  if (IS_DENO) return startDeno([...denoProgram(permissions), ...args]);
  const [, script = ""] = process.argv;
  const child = spawn(process.execPath, [...process.execArgv, script, ...args]);
  const ended = Promise.withResolvers<string>();
  child.on(
    "exit",
    (status, signal) => ended.resolve(signal ?? `status ${status}`),
  );
  child.on("error", ended.reject);
  ended.promise.catch(() => {}); // it may be looked at later
  return {
    pid: child.pid ?? 0,
    input: Writable.toWeb(child.stdin),
    // Pipes have bytes.
    output: Readable.toWeb(child.stdout) as ReadableStream<Uint8Array>,
    errors: Readable.toWeb(child.stderr) as ReadableStream<Uint8Array>,
    ended: ended.promise,
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Whether this process may start its own program once more. */
export function mayStartItself(): boolean {
  return !IS_DENO ||
    isGranted({ name: "run", command: Deno.execPath() });
}

function startDeno(args: readonly string[]): StartedProcess {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return {
    pid: child.pid,
    input: child.stdin,
    output: child.stdout,
    errors: child.stderr,
    ended: child.status.then(({ code, signal }) => signal ?? `status ${code}`),
    kill() {
      try {
        child.kill("SIGKILL");
      } catch {
        // It has ended by itself.
      }
    },
  };
}

/** Returns the arguments with which Deno runs this program, without those of the program. */
function denoProgram(permissions: HandedPermissions): readonly string[] {
  if (Deno.build.standalone) return [];
  const own = ownCommandLine();
  if (own) {
    // All flags, such as --cert and --v8-flags, hold for it too.
    return own.slice(1, own.length - Deno.args.length);
  }
  return [
    "run",
    "--no-prompt",
    ...permissionFlags(permissions),
    Deno.mainModule,
  ];
}

/** Returns the command line of this process, where the system and Deno tell it. */
function ownCommandLine(): readonly string[] | undefined {
  try {
    // Deno 2.9.6 lets only those read it that may do all.
    return readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  } catch {
    return undefined;
  }
}

function permissionFlags(
  { net, read, write, env }: HandedPermissions,
): readonly string[] {
  const flag = (
    name: "net" | "read" | "write" | "env" | "sys",
    wanted: readonly string[],
    describe: (value: string) => Deno.PermissionDescriptor,
  ): readonly string[] => {
    if (isGranted({ name })) return [`--allow-${name}`];
    const granted = wanted.filter((value) => isGranted(describe(value)));
    return granted.length === 0 ? [] : [`--allow-${name}=${granted.join(",")}`];
  };
  return [
    ...flag("net", net, (host) => ({ name: "net", host })),
    ...flag("read", read, (path) => ({ name: "read", path })),
    ...flag("write", write, (path) => ({ name: "write", path })),
    ...flag("env", env, (variable) => ({ name: "env", variable })),
    ...flag("sys", ["systemMemoryInfo"], (kind) => ({
      name: "sys",
      // It is the one above.
      kind: kind as "systemMemoryInfo",
    })),
  ];
}
