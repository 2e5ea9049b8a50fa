import { configurationText } from "../options/configuration_text.ts";
import type { CommandOptions } from "../options/schema.ts";

/** The settings that are not a worker's: the process that has started it keeps the store. */
const OF_STORE: ReadonlySet<string> = new Set([
  "workers",
  "store",
  "storeToken",
  "storeTokenFile",
  "linkName",
  "retention.maxStore",
]);

/**
 * Writes what a worker is to do, as a configuration file.
 *
 * The bytes that clients may have under way are divided: they are too quick to be counted
 * together. All other limits are those of the relay, and the workers count together.
 *
 * @param options The options of the relay.
 * @param of The number of workers.
 * @param maxMemory The memory that all processes may use.
 */
export function configurationOfWorker(
  options: CommandOptions,
  of: number,
  maxMemory: number,
): string {
  const part = (bytes: number): number => Math.ceil(bytes / of);
  const { limits } = options;
  const maxQueued = limits.maxQueued ?? maxMemory / 4;
  const maxReceived = limits.maxReceived ?? maxMemory / 4;
  return configurationText({
    ...options,
    limits: {
      ...limits,
      maxMemory,
      maxQueued: part(maxQueued),
      maxQueuedPerClient: part(limits.maxQueuedPerClient ?? maxQueued / 2),
      maxReceived: part(maxReceived),
      maxReceivedPerClient: part(
        limits.maxReceivedPerClient ?? maxReceived / 2,
      ),
    },
  }, OF_STORE);
}
