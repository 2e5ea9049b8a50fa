import type { CommandOptions } from "./command_options.ts";
import { hideCredentials } from "../logs/hide_credentials.ts";
import { describeOrigin, type Origin } from "./reading/origin.ts";
import type { Reading } from "./reading/read_setting.ts";
import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";

/**
 * Writes what holds, as JSON: `config`, which is what a configuration file may
 * be, `from`, where each came from, and `hidden`, where what is left out or
 * starred in `config` came from.
 *
 * @param options What holds.
 * @param readings What was said of each setting.
 * @param keys Where the keys of providers came from, by their place.
 */
export function printConfiguration(
  options: CommandOptions,
  readings: ReadonlyMap<string, Reading>,
  keys: ReadonlyMap<number, Origin>,
): string {
  const config: Record<string, unknown> = {};
  const from: Record<string, string> = {};
  const hidden: Record<string, string> = {};
  const values: ReadonlyMap<string, unknown> = new Map(
    Object.entries({
      ...options,
      jwtKeyFile: readings.get("jwtKeyFile")?.value,
      providers: options.providers.map(({ key: _key, ...provider }) =>
        provider
      ),
    }),
  );
  for (const [key, setting] of Object.entries<Setting>(settings)) {
    const value = values.get(key);
    if (value === undefined) continue;
    const reading = readings.get(key);
    const origin = describeOrigin(reading?.origin ?? { kind: "default" });
    if (setting.secret) {
      if (!values.get("jwtKeyFile")) hidden[key] = origin;
      continue;
    }
    from[key] = origin;
    config[key] = starred(toJson(value, setting), key, (place) => {
      hidden[place] = origin;
    });
  }
  for (const [index, origin] of keys) {
    hidden[`providers[${index}].key`] = describeOrigin(origin);
  }
  return JSON.stringify({ config, from, hidden }, null, 2);
}

function toJson(value: unknown, { kind }: Setting): unknown {
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

/** Hides credentials in every text of a value, and says where there were any. */
function starred(
  value: unknown,
  place: string,
  found: (place: string) => void,
): unknown {
  if (typeof value === "string") {
    const shown = hideCredentials(value);
    if (shown !== value) found(place);
    return shown;
  }
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      starred(item, `${place}[${index}]`, found)
    );
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      starred(item, `${place}.${key}`, found),
    ]),
  );
}
