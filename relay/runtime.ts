/**
 * The differences between the runtimes that a relay runs on: Deno, Node and
 * Bun. All other modules use what the three have in common, the web's APIs and
 * Node's.
 *
 * @module
 */
import { write } from "node:fs";
import process from "node:process";
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
