import { parseArgs, type ParseArgsConfig } from "node:util";
import { nearest } from "./nearest.ts";
import { settings } from "./schema.ts";

/** The flags of a command line. */
export interface Flags {
  /** The values of each flag, in order. */
  readonly given: ReadonlyMap<string, readonly (string | boolean)[]>;
  /** The mistakes in it. */
  readonly problems: readonly string[];
}

type Options = NonNullable<ParseArgsConfig["options"]>;

/** The flags that set no option. */
const COMMANDS: Options = {
  config: { type: "string" },
  "print-config": { type: "boolean" },
};

const OPTIONS: Options = Object.fromEntries([
  ...Object.entries(COMMANDS),
  ...settings.map(({ flag, kind }) => [
    flag,
    { type: kind.takes === "nothing" ? "boolean" : "string" },
  ]),
]);

/** The meaning of a word of the command line that begins with a dash. */
type Meaning =
  | { readonly kind: "value"; readonly flag: string }
  | { readonly kind: "toggle"; readonly flag: string; readonly on: boolean }
  | { readonly kind: "unknown" };

function typeOf(flag: string): "string" | "boolean" | undefined {
  return Object.hasOwn(OPTIONS, flag) ? OPTIONS[flag]?.type : undefined;
}

function meaningOf(word: string): Meaning {
  const [, name = ""] = /^--(.+)$/.exec(word) ?? [];
  const type = typeOf(name);
  if (type === "string") return { kind: "value", flag: name };
  if (type === "boolean") return { kind: "toggle", flag: name, on: true };
  const [, negated = ""] = /^no-(.+)$/.exec(name) ?? [];
  return typeOf(negated) === "boolean"
    ? { kind: "toggle", flag: negated, on: false }
    : { kind: "unknown" };
}

function complainOfUnknown(word: string): string {
  const meant = nearest(word.replace(/^-+(no-)?/, ""), Object.keys(OPTIONS));
  return `flag ${word}: there is no such flag; ${
    meant === undefined ? "" : `did you mean --${meant}? `
  }--help all lists them`;
}

/** Reads a command line. */
export function readFlags(args: readonly string[]): Flags {
  const given = new Map<string, (string | boolean)[]>();
  const problems: string[] = [];
  const say = (flag: string, value: string | boolean): void => {
    const values = given.get(flag);
    if (values) values.push(value);
    else given.set(flag, [value]);
  };
  // Not strict: that would tell of the first mistake only.
  const { tokens } = parseArgs({
    args: [...args],
    options: OPTIONS,
    strict: false,
    tokens: true,
  });
  let isAfterUnknown = false;
  for (const token of tokens) {
    if (token.kind === "option-terminator") continue;
    if (token.kind === "positional") {
      // Neither is it told: it may be a secret whose flag was misspelt.
      if (!isAfterUnknown) {
        problems.push(
          `argument ${token.index + 1}: expected a flag such as --port 8787`,
        );
      }
      isAfterUnknown = false;
      continue;
    }
    const { rawName, value, inlineValue } = token;
    const meaning = meaningOf(rawName);
    isAfterUnknown = meaning.kind === "unknown";
    switch (meaning.kind) {
      case "unknown":
        problems.push(complainOfUnknown(rawName));
        break;
      case "toggle":
        if (value === undefined) say(meaning.flag, meaning.on);
        else {
          problems.push(
            `flag ${rawName}: expected no value; --no-${meaning.flag} turns it off`,
          );
        }
        break;
      case "value":
        if (value === undefined) {
          problems.push(`flag ${rawName}: expected a value, got nothing`);
        } else if (!inlineValue && value.startsWith("--")) {
          problems.push(
            `flag ${rawName}: expected a value, got another flag; a value that begins so is written ${rawName}=VALUE`,
          );
        } else say(meaning.flag, value);
    }
  }
  return { given, problems };
}
