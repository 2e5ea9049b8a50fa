import { redactUrls } from "../../src/fetch/secrets/urls.ts";
import { escapeInvisible } from "../logs/escape_invisible.ts";
import type { ListKind, ToggleKind, ValueKind } from "./kinds.ts";
import type { Setting } from "./option.ts";

/** The place that a setting comes from. */
export type Origin =
  | { readonly kind: "flag"; readonly flag: string }
  | { readonly kind: "environment"; readonly variable: string }
  | { readonly kind: "file"; readonly path: string; readonly key: string }
  | { readonly kind: "default" };

/** Names the place that a setting comes from: `environment RIVULET_PORT`. */
export function describeOrigin(origin: Origin): string {
  switch (origin.kind) {
    case "flag":
      return `flag --${origin.flag}`;
    case "environment":
      return `environment ${origin.variable}`;
    case "file":
      return `file ${origin.path}, key ${origin.key}`;
    case "default":
      return "default";
  }
}

/** The most characters of a value that are shown. */
const MOST = 100;

/** Writes a value for a message: short, on one line, without credentials. */
export function written(value: unknown): string {
  switch (typeof value) {
    case "string": {
      const text = redactUrls(value);
      return escapeInvisible(
        text.length > MOST ? `'${text.slice(0, MOST)}…'` : `'${text}'`,
      );
    }
    case "undefined":
      return "nothing";
    case "object":
      return value === null
        ? "null"
        : Array.isArray(value)
        ? "a list"
        : "an object";
    default:
      return String(value);
  }
}

/** The places that settings are looked for in. */
export interface Places {
  /** The values of flags, by the flags' names. */
  readonly flags: ReadonlyMap<string, readonly (string | boolean)[]>;
  /** Returns a variable of the environment, if it is set. */
  readonly environment: (variable: string) => string | undefined;
  /** The values of the file, by its keys. */
  readonly file: ReadonlyMap<string, unknown>;
  /** The file's name in messages. */
  readonly path: string;
}

/** A setting as it was read. */
export interface Reading {
  /** The value, for the options' schema to judge. */
  readonly value: unknown;
  /** The place that it comes from. */
  readonly origin: Origin;
  /** The text of each value, unless it was JSON. */
  readonly texts?: readonly string[];
}

/** The result of looking for a setting. */
export type Outcome =
  | { readonly kind: "unset" }
  | { readonly kind: "read"; readonly reading: Reading }
  | { readonly kind: "wrong"; readonly problem: string };

const TOGGLES: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** Begins a list that is written as JSON. */
const LIST = /^\s*\[/;

/** Looks for a setting: flags come before the environment, and that before the file. */
export function readSetting(
  setting: Setting,
  { flags, environment, file, path }: Places,
): Outcome {
  const { flag, variable, file: key, kind } = setting;
  const said = flags.get(flag);
  if (said) {
    const origin: Origin = { kind: "flag", flag };
    return kind.takes === "nothing"
      ? read((said.at(-1) === true) !== kind.negated, origin)
      : readTexts(kind, said.map(String), origin, setting);
  }
  // An empty one is how a unit or a compose file leaves a setting out.
  const text = environment(variable) || undefined;
  if (text !== undefined) {
    return readVariable(text, { kind: "environment", variable }, setting);
  }
  return file.has(key)
    ? readJson(kind, file.get(key), { kind: "file", path, key })
    : { kind: "unset" };
}

function read(
  value: unknown,
  origin: Origin,
  texts?: readonly string[],
): Outcome {
  return {
    kind: "read",
    reading: { value, origin, ...(texts && { texts }) },
  };
}

function wrong(
  origin: Origin,
  wanted: string,
  text: string,
  { secret }: Setting,
): Outcome {
  const got = secret ? "" : `, got ${written(text)}`;
  return {
    kind: "wrong",
    problem: `${describeOrigin(origin)}: expected ${wanted}${got}`,
  };
}

function readTexts(
  kind: ValueKind | ListKind,
  texts: readonly string[],
  origin: Origin,
  setting: Setting,
): Outcome {
  const used = kind.takes === "value" ? texts.slice(-1) : texts;
  const { wanted, ...item } = kind.takes === "value" ? kind : kind.item;
  const values = used.map((text) => item.fromText(text));
  const [text] = used.filter((_, index) => values[index] === undefined);
  return text === undefined
    ? read(kind.takes === "value" ? values[0] : values, origin, used)
    : wrong(origin, wanted, text, setting);
}

function readVariable(text: string, origin: Origin, setting: Setting): Outcome {
  const { kind } = setting;
  switch (kind.takes) {
    case "value":
      return readTexts(kind, [text], origin, setting);
    case "nothing": {
      const on = TOGGLES.get(text);
      return on === undefined
        ? wrong(origin, "true, false, 1 or 0", text, setting)
        : read(on !== kind.negated, origin, [text]);
    }
    case "values": {
      if (!LIST.test(text)) {
        return readTexts(kind, text.trim().split(/\s+/), origin, setting);
      }
      try {
        return readJson(kind, JSON.parse(text), origin);
      } catch {
        return wrong(
          origin,
          "values with spaces between them, or a list in JSON",
          text,
          setting,
        );
      }
    }
  }
}

function readJson(
  kind: ValueKind | ToggleKind | ListKind,
  value: unknown,
  origin: Origin,
): Outcome {
  if (kind.takes === "value") return read(kind.fromJson(value), origin);
  return read(
    kind.takes === "values" && Array.isArray(value)
      ? value.map((item) => kind.item.fromJson(item))
      : value,
    origin,
  );
}
