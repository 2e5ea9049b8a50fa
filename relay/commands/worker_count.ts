import process from "node:process";
import { ConfigurationError } from "../options/read_configuration.ts";
import type { CommandOptions } from "../options/schema.ts";
import { coreCount, mayStartItself, SPREADS_CONNECTIONS } from "../runtime.ts";

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
  const count = workers === "auto" ? coreCount() : workers;
  if (count > 1 && !mayStartItself()) {
    throw new ConfigurationError([
      `--workers: expected the permission to start processes: give Deno --allow-run=${process.execPath}, or start 1 worker`,
    ]);
  }
  return count;
}
