/**
 * A relay with workers, for tests that do not look into the relay.
 *
 * `RIVULET_TEST_WORKERS=2 deno task test tests/relay/gateway` has each relay of
 * `startRelay` be one with two workers, in processes of their own. A test that moves the
 * relay's clock, or reads its topics from memory, cannot be run so, and says that.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { configurationText } from "../../../relay/options/configuration_text.ts";
import { commandOptions } from "../../../relay/options/schema.ts";
import { RelayCommand } from "./relay_command.ts";

/** The number of workers that relays of tests have; `undefined` for one process, this one. */
export const TEST_WORKERS: string | undefined =
  Deno.env.get("RIVULET_TEST_WORKERS") || undefined;

/** A test looks into its relay, and the relay is in other processes. */
export class InProcessOnlyError extends Error {
  /** Names what the test needs. */
  constructor(what: string) {
    super(`Only for a relay of this process: the test needs ${what}`);
    this.name = "InProcessOnlyError";
  }
}

/** Starts a relay with workers. */
export async function startWorkersRelay(
  options: RelayOptions,
  workers: string,
): Promise<RelayCommand> {
  for (const name of ["clock", "memory", "reusePort"] as const) {
    if (options[name] !== undefined) {
      throw new InProcessOnlyError(`the option ${name}`);
    }
  }
  if (typeof options.store === "object") {
    throw new InProcessOnlyError("a store of its own");
  }
  const folder = await Deno.makeTempDir({ prefix: "rivulet-workers-" });
  const path = `${folder}/config.json`;
  await Deno.writeTextFile(
    path,
    configurationText(commandOptions.parse({ port: 0, ...options })),
  );
  try {
    return await RelayCommand.start({
      args: ["--config", path, "--workers", workers],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
