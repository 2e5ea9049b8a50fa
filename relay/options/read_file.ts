import { nearest } from "./nearest.ts";
import { settings } from "./schema.ts";

/** The contents of a configuration file. */
export interface ConfigurationFile {
  /** The values, by key. */
  readonly given: ReadonlyMap<string, unknown>;
  /** The mistakes in it. */
  readonly problems: readonly string[];
}

function fail(problem: string): ConfigurationFile {
  return { given: new Map(), problems: [problem] };
}

/** V8 says where, and then quotes what is there: which may be a key. */
function placeOf(error: unknown): string {
  const [place = ""] =
    /at (?:position|line) \d+(?: \(line \d+ column \d+\))?/.exec(
      String(error),
    ) ?? [];
  return place === "" ? "" : ` ${place}`;
}

/**
 * Reads a configuration file.
 *
 * @param path The file's name in messages.
 * @param text The contents.
 */
export function readFile(path: string, text: string): ConfigurationFile {
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    return fail(
      `file ${path}: expected JSON, got something else${placeOf(error)}`,
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fail(
      `file ${path}: expected an object such as {"port": 8787}, got ${
        json === null ? "null" : Array.isArray(json) ? "a list" : typeof json
      }`,
    );
  }
  const keys = settings.map(({ file }) => file);
  const given = new Map<string, unknown>();
  const problems: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (keys.includes(key)) {
      given.set(key, value);
      continue;
    }
    const meant = nearest(key, keys);
    problems.push(
      `file ${path}, key ${key}: there is no such key${
        meant === undefined ? "" : `; did you mean ${meant}?`
      }`,
    );
  }
  return { given, problems };
}
