import type { z } from "zod";
import { closestIssue } from "../issue_text.ts";
import { type Setting, valueAt } from "./option.ts";
import {
  describeOrigin,
  type Origin,
  type Reading,
  written,
} from "./reading.ts";
import { settings } from "./schema.ts";

type Issue = z.core.$ZodIssue;

/** The fields of a list's items that are secrets. */
const SECRET_FIELDS: ReadonlySet<unknown> = new Set(["key", "secret"]);

/**
 * Returns the place where a secret might stand in the configuration file:
 * `providers[0].key`.
 *
 * @param name The name of the setting, which is a list.
 * @param index The index of the item.
 * @param field The field of the item.
 */
export function placeOfSecret(
  name: string,
  index: number,
  field: string,
): string {
  return `${settingOf(name)?.file ?? name}[${index}].${field}`;
}

/** Matches the options that a message of the schema names. */
const NAMED = /`([\w.]+)`/g;

function settingOf(name: string): Setting | undefined {
  return settings.find((setting) => setting.name === name);
}

/** Returns the names of the settings that an issue is about, the main one first. */
export function settingsOfIssue({ path, message }: Issue): readonly string[] {
  const place = settings.find((setting) =>
    setting.path.every((part, index) => part === path[index])
  );
  return [
    place?.name ?? path.join("."),
    ...Array.from(message.matchAll(NAMED), ([, name = ""]) => name),
  ];
}

/**
 * Says what is expected.
 *
 * @param depth The number of names and indexes below the setting.
 */
function expectedBy(
  issue: Issue,
  setting: Setting | undefined,
  depth: number,
): string {
  const { code, message } = issue;
  if (code === "unrecognized_keys") {
    return `expected no key '${issue.keys.join("', '")}'`;
  }
  const kind = setting?.kind;
  if (code !== "custom" && kind) {
    if (depth === 0) {
      return `expected ${
        kind.takes === "value"
          ? kind.wanted
          : kind.takes === "nothing"
          ? "true or false"
          : "a list"
      }`;
    }
    if (depth === 1 && kind.takes === "values") {
      return `expected ${kind.item.wanted}`;
    }
  }
  // The message is without the value: the caller adds it, in the same way for
  // all.
  return message.replace(/^[\w ]+: expected /, "expected ")
    .replace(/^Expected /, "expected ")
    .replace(/, received .*$/, "");
}

/** Whether the value that came should be shown: not if the message has it, or it is all of an option. */
function isToBeShown(
  { code }: Issue,
  expected: string,
  depth: number,
): boolean {
  return expected.startsWith("expected ") && !/\bgot\b/.test(expected) &&
    code !== "unrecognized_keys" && !(code === "custom" && depth === 0);
}

function cameFor(
  path: readonly PropertyKey[],
  { value, texts }: Reading,
  setting: Setting | undefined,
): string {
  if (setting?.secret || setting?.hidesWrong) return "";
  if (SECRET_FIELDS.has(path.at(-1))) return "";
  const [index] = path;
  const text = texts?.[typeof index === "number" ? index : 0];
  return `, got ${written(text ?? valueAt(value, path))}`;
}

/**
 * Explains a mistake in a setting: the place that it comes from, the values that
 * are accepted, and the value that came.
 *
 * @param found The issue of the options' schema.
 * @param readings The settings that were read, by name.
 * @param secrets The places that the secrets of items come from, by {@linkcode placeOfSecret}.
 */
export function problemOfIssue(
  found: Issue,
  readings: ReadonlyMap<string, Reading>,
  secrets: ReadonlyMap<string, Origin>,
): string {
  const issue = closestIssue(found);
  const names = settingsOfIssue(issue);
  const name = names.find((name) => readings.has(name)) ?? names[0] ?? "";
  const reading = readings.get(name);
  const setting = settingOf(name);
  // Below the setting that the issue is about, which need not be the named one.
  const below = issue.path.slice(settingOf(names[0] ?? "")?.path.length ?? 1);
  const [index, field] = below;
  const secret = SECRET_FIELDS.has(field) && typeof index === "number"
    ? secrets.get(placeOfSecret(name, index, String(field)))
    : undefined;
  const place = secret ?? reading?.origin;
  const within = reading && !reading.texts && below.length > 0 &&
      place === reading.origin
    ? pathOf(below)
    : "";
  const expected = expectedBy(issue, setting, below.length).replaceAll(
    NAMED,
    (all, other: string) => nameOf(other, name, readings) ?? all,
  );
  const came = reading && isToBeShown(issue, expected, below.length)
    ? cameFor(below, reading, setting)
    : "";
  return `${place ? describeOrigin(place) : name}${within}: ${expected}${came}`;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.map((part) =>
    typeof part === "number" ? `[${part}]` : `.${String(part)}`
  ).join("");
}

/** Names another setting by its flag, and by its place if it was not set by the flag. */
function nameOf(
  key: string,
  first: string,
  readings: ReadonlyMap<string, Reading>,
): string | undefined {
  const setting = settingOf(key);
  if (!setting) return undefined;
  const reading = readings.get(key);
  return reading && key !== first && reading.origin.kind !== "flag"
    ? `--${setting.flag} (${describeOrigin(reading.origin)})`
    : `--${setting.flag}`;
}
