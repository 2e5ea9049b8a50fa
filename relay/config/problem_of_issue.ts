import type { z } from "zod";
import { describeOrigin, type Origin } from "./reading/origin.ts";
import type { Reading } from "./reading/read_setting.ts";
import type { Setting } from "./setting.ts";
import { settings } from "./settings.ts";
import { written } from "./written.ts";

type Issue = z.core.$ZodIssue;

/** Named in messages of the options' schema. */
const NAMED = /`(\w+)`/g;

function settingOf(key: string): Setting | undefined {
  return Object.entries(settings).find(([name]) => name === key)?.[1];
}

/** The settings that an issue is about, the first one first. */
export function settingsOfIssue({ path, message }: Issue): readonly string[] {
  return [
    String(path[0] ?? ""),
    ...Array.from(message.matchAll(NAMED), ([, name = ""]) => name),
  ];
}

/** Of what may be several things, what it comes closest to being. */
function closest(issue: Issue): Issue {
  if (issue.code !== "invalid_union") return issue;
  const [best] = issue.errors.flat()
    .sort((left, right) => right.path.length - left.path.length);
  return best
    ? closest({ ...best, path: [...issue.path, ...best.path] })
    : issue;
}

/** What is expected, in words. */
function expectedBy(issue: Issue, setting: Setting | undefined): string {
  const { code, message, path } = issue;
  if (code === "unrecognized_keys") {
    return `expected no key '${issue.keys.join("', '")}'`;
  }
  const kind = setting?.kind;
  if (code !== "custom" && kind) {
    if (path.length === 1) {
      return `expected ${
        kind.takes === "value"
          ? kind.wanted
          : kind.takes === "nothing"
          ? "true or false"
          : "a list"
      }`;
    }
    if (path.length === 2 && kind.takes === "values") {
      return `expected ${kind.item.wanted}`;
    }
  }
  // What came is said after it, in the same way for all.
  return message.replace(/^[\w ]+: expected /, "expected ")
    .replace(/^Expected /, "expected ")
    .replace(/, received .*$/, "");
}

/** Whether it is not said already what came, or is too much to be said. */
function isToBeShown({ code, path }: Issue, expected: string): boolean {
  return expected.startsWith("expected ") && !/\bgot\b/.test(expected) &&
    code !== "unrecognized_keys" && !(code === "custom" && path.length === 1);
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null && Object.hasOwn(inner, key)
        ? Object.getOwnPropertyDescriptor(inner, key)?.value
        : undefined,
    value,
  );
}

function cameFor(
  { path }: Issue,
  { value, texts }: Reading,
  setting: Setting | undefined,
): string {
  if (setting?.secret || path.at(-1) === "key") return "";
  const [, index] = path;
  const text = texts?.[typeof index === "number" ? index : 0];
  return `, got ${written(text ?? at(value, path.slice(1)))}`;
}

/**
 * Says what is wrong with a setting, where it comes from, what came and what is
 * wanted.
 *
 * @param found What the options' schema has found.
 * @param readings What was said of each setting.
 * @param keys Where the keys of providers came from, by their place.
 */
export function problemOfIssue(
  found: Issue,
  readings: ReadonlyMap<string, Reading>,
  keys: ReadonlyMap<number, Origin>,
): string {
  const issue = closest(found);
  const names = settingsOfIssue(issue);
  const name = names.find((name) => readings.has(name)) ?? names[0] ?? "";
  const reading = readings.get(name);
  const setting = settingOf(name);
  const [, index, field] = issue.path;
  const key = name === "providers" && field === "key" &&
      typeof index === "number"
    ? keys.get(index)
    : undefined;
  const place = key ?? reading?.origin;
  const within = reading && !reading.texts && issue.path.length > 1 &&
      place === reading.origin
    ? pathOf(issue.path.slice(1))
    : "";
  const expected = expectedBy(issue, setting).replaceAll(
    NAMED,
    (all, other: string) => nameOf(other, name, readings) ?? all,
  );
  const came = reading && isToBeShown(issue, expected)
    ? cameFor(issue, reading, setting)
    : "";
  return `${place ? describeOrigin(place) : name}${within}: ${expected}${came}`;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.map((part) =>
    typeof part === "number" ? `[${part}]` : `.${String(part)}`
  ).join("");
}

/** Names another setting: its flag, and where it was set if that was not by the flag. */
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
