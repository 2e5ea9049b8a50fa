import { type Setting, valueAt } from "./option.ts";
import { type CommandOptions, settings } from "./schema.ts";

/** Settings that say where others are to be read. */
const PLACES: ReadonlySet<string> = new Set(["jwtKeyFile", "storeTokenFile"]);

/**
 * Writes options as a configuration file that means the same, secrets included: for
 * another process of the relay, and nobody else.
 *
 * @param options The options in force.
 * @param without The names of settings to be left out. Default: none.
 */
export function configurationText(
  options: CommandOptions,
  without: ReadonlySet<string> = new Set(),
): string {
  const config: Record<string, unknown> = {};
  for (const setting of settings) {
    const { name, path, file } = setting;
    if (PLACES.has(name) || without.has(name)) continue;
    const value = valueAt(options, path);
    if (value !== undefined) config[file] = jsonOf(value, setting);
  }
  return JSON.stringify(config);
}

/** Returns the value of a setting as a configuration file has it. */
export function jsonOf(value: unknown, { kind }: Setting): unknown {
  switch (kind.takes) {
    case "nothing":
      return value;
    case "value":
      return kind.toJson(value);
    case "values":
      return Array.isArray(value)
        ? value.map((item) => kind.item.toJson(item))
        : value;
  }
}
