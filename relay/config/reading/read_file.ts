import { nearest } from "./nearest.ts";
import { settings } from "../settings.ts";

/** What a configuration file says. */
export interface ConfigurationFile {
  /** What is said by each key that is there. */
  readonly given: ReadonlyMap<string, unknown>;
  /** What is wrong with it. */
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
 * @param path What it is called in messages.
 * @param text What is in it.
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
  const given = new Map<string, unknown>();
  const problems: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (Object.hasOwn(settings, key)) {
      given.set(key, value);
      continue;
    }
    const meant = nearest(key, Object.keys(settings));
    problems.push(
      `file ${path}, key ${key}: there is no such key${
        meant === undefined ? "" : `; did you mean ${meant}?`
      }`,
    );
  }
  return { given, problems };
}
