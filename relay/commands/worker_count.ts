import process from "node:process";
import { ConfigurationError } from "../options/read_configuration.ts";
import type { CommandOptions } from "../options/schema.ts";
import { coreCount, mayStartItself, SPREADS_CONNECTIONS } from "../runtime.ts";

/** The most workers: each takes some 60 MB, and no machine is known that has use for more. */
const MAX_WORKERS = 256;

/**
 * Returns the number of workers that a relay is to have.
 *
 * @throws {ConfigurationError} If it cannot have as many.
 */
export function workerCount(workers: CommandOptions["workers"]): number {
  if (workers === 1) return 1;
  if (!SPREADS_CONNECTIONS) {
    if (workers === "auto") return 1;
    throw new ConfigurationError([
      `--workers: expected 1, got ${workers}: only Linux, with Deno, Bun or Node 22.12 and later, spreads the connections of a port among processes. Put several relays with one store behind a proxy instead`,
    ]);
  }
  const count = workers === "auto"
    ? Math.min(coreCount(), MAX_WORKERS)
    : workers;
  if (count > MAX_WORKERS) {
    throw new ConfigurationError([
      `--workers: expected ${MAX_WORKERS} at most, got ${count}: one for each core is enough, which auto gives`,
    ]);
  }
  if (count > 1 && !mayStartItself()) {
    throw new ConfigurationError([
      `--workers: expected the permission to start processes: give Deno --allow-run=${process.execPath}, or start 1 worker`,
    ]);
  }
  return count;
}
