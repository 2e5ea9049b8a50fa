/**
 * A relay with workers, for tests that do not look into the relay.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import { configurationText } from "../../../relay/options/configuration_text.ts";
import { commandOptions } from "../../../relay/options/schema.ts";
import { RelayCommand } from "./relay_command.ts";
import { InProcessOnlyError } from "./shape.ts";

/** Starts a relay with two workers. */
export async function startWorkersRelay(
  options: RelayOptions,
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
      args: ["--config", path, "--workers", "2"],
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
