import { redactUrls } from "../../src/fetch/secrets/urls.ts";
import { jsonOf } from "./configuration_text.ts";
import { valueAt } from "./option.ts";
import { describeOrigin, type Origin, type Reading } from "./reading.ts";
import { type CommandOptions, settings } from "./schema.ts";

/**
 * Writes the options in force as JSON: `config` is a valid configuration file,
 * `from` has the place that each option comes from, and `hidden` the places of
 * the secrets that `config` leaves out or stars.
 *
 * @param options The options in force.
 * @param readings The settings that were read, by name.
 * @param secrets The places that the secrets of items come from, by the places where they
 * might stand.
 */
export function printConfiguration(
  options: CommandOptions,
  readings: ReadonlyMap<string, Reading>,
  secrets: ReadonlyMap<string, Origin>,
): string {
  const config: Record<string, unknown> = {};
  const from: Record<string, string> = {};
  const hidden: Record<string, string> = {};
  const { gateway, chats, jwtKeyFile } = options;
  const values = {
    ...options,
    chats: chats.map(({ secret: _secret, ...route }) => route),
    gateway: {
      ...gateway,
      providers: gateway.providers.map(({ key: _key, ...provider }) =>
        provider
      ),
    },
  };
  for (const setting of settings) {
    const { name, path, file: key } = setting;
    const value = valueAt(values, path);
    if (value === undefined) continue;
    const reading = readings.get(name);
    const origin = describeOrigin(reading?.origin ?? { kind: "default" });
    if (setting.secret) {
      if (!jwtKeyFile) hidden[key] = origin;
      continue;
    }
    from[key] = origin;
    config[key] = starred(jsonOf(value, setting), key, (place) => {
      hidden[place] = origin;
    });
  }
  for (const [place, origin] of secrets) {
    hidden[place] = describeOrigin(origin);
  }
  return JSON.stringify({ config, from, hidden }, null, 2);
}

/** Hides credentials in every text of a value, and reports their places. */
function starred(
  value: unknown,
  place: string,
  found: (place: string) => void,
): unknown {
  if (typeof value === "string") {
    const shown = redactUrls(value);
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
