import type { RelayOptions } from "../options/relay_options.ts";
import type { CommandOptions } from "../options/schema.ts";

/** Returns the options of a relay, without those that only the command line has. */
export function relayOptionsOf(options: CommandOptions): RelayOptions {
  const {
    drain: _drain,
    logLevel: _logLevel,
    logFormat: _logFormat,
    jwtKeyFile: _jwtKeyFile,
    storeTokenFile: _storeTokenFile,
    workers: _workers,
    ...ofRelay
  } = options;
  return ofRelay;
}
