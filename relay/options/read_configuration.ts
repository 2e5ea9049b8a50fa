import { messageOf } from "../../src/fetch/message_of.ts";
import { secretEnvOf } from "../gateway/chat/chat_route.ts";
import { keyEnvOf, knownProviders } from "../gateway/provider.ts";
import { printConfiguration } from "./print_configuration.ts";
import {
  placeOfSecret,
  problemOfIssue,
  settingsOfIssue,
} from "./problem_of_issue.ts";
import { type ConfigurationFile, readFile } from "./read_file.ts";
import { readFlags } from "./read_flags.ts";
import {
  describeOrigin,
  type Origin,
  type Reading,
  readSetting,
  written,
} from "./reading.ts";
import { type CommandOptions, commandOptions, settings } from "./schema.ts";

/** The relay cannot start with its settings. */
export class ConfigurationError extends Error {
  /** The code for programs. */
  readonly code = "invalid_configuration";
  /** The mistakes: each names a setting, its place, the value, and what was expected. */
  readonly problems: readonly string[];

  /** Takes every mistake. */
  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join("\n"), options);
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}

/** The request of a command line. */
export type Command =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "run"; readonly options: CommandOptions };

/** The surroundings of a command line. */
export interface Surroundings {
  /** Returns a variable of the environment, if it is set. */
  environment(name: string): string | undefined;
  /** Reads a file; rejects if it cannot. */
  readText(path: string): Promise<string>;
}

const CONFIG_VARIABLE = "RIVULET_CONFIG";

/** The settings that may be in a file of their own, by the setting that names the file. */
const FILES = [
  { named: "jwtKeyFile", setting: "rights.jwtKey", what: "a key" },
  { named: "storeTokenFile", setting: "storeToken", what: "a token" },
] as const;

/**
 * Reads options from flags, from the environment, and from the configuration file
 * that one of these names. The first place in this order that has an option
 * decides.
 *
 * @param args The arguments after the program's name.
 * @returns The request. Rejects with a {@linkcode ConfigurationError} that lists
 * every mistake.
 */
export async function readConfiguration(
  args: readonly string[],
  { environment, readText }: Surroundings,
): Promise<Command> {
  const flags = readFlags(args);
  const problems = [...flags.problems];
  const [path, file] = await findFile(flags.given.get("config"), {
    environment,
    readText,
  });
  problems.push(...file.problems);

  const places = { flags: flags.given, environment, file: file.given, path };
  const readings = new Map<string, Reading>();
  const wrong = new Set<string>();
  for (const setting of settings) {
    const { name } = setting;
    const outcome = readSetting(setting, places);
    if (outcome.kind === "read") readings.set(name, outcome.reading);
    if (outcome.kind !== "wrong") continue;
    problems.push(outcome.problem);
    wrong.add(name);
  }
  for (const own of FILES) {
    const problem = await readSecretFile(own, readings, readText);
    if (problem === undefined) continue;
    problems.push(problem);
    wrong.add(own.setting).add(own.named);
  }
  const secrets = findSecrets(readings, environment);

  const parsed = commandOptions.safeParse(optionsOf(readings));
  for (const issue of parsed.error?.issues ?? []) {
    // Nobody knows whether it remains when the others are mended.
    if (settingsOfIssue(issue).some((key) => wrong.has(key))) continue;
    problems.push(problemOfIssue(issue, readings, secrets));
  }
  if (!parsed.success || problems.length > 0) {
    throw new ConfigurationError(problems);
  }
  return isOn(flags.given.get("print-config"))
    ? {
      kind: "print",
      text: printConfiguration(parsed.data, readings, secrets),
    }
    : { kind: "run", options: parsed.data };
}

function isOn(said: readonly (string | boolean)[] | undefined): boolean {
  return said?.at(-1) === true;
}

/** Puts the settings that were read where the options have them. */
function optionsOf(readings: ReadonlyMap<string, Reading>): object {
  const options: Record<string, unknown> = {};
  const groups: Record<string, Record<string, unknown>> = {};
  for (const { name, path: [first = "", second] } of settings) {
    const reading = readings.get(name);
    if (!reading) continue;
    if (second === undefined) options[first] = reading.value;
    else (groups[first] ??= {})[second] = reading.value;
  }
  return { ...options, ...groups };
}

async function findFile(
  said: readonly (string | boolean)[] | undefined,
  { environment, readText }: Surroundings,
): Promise<[path: string, file: ConfigurationFile]> {
  const flag = said?.at(-1);
  const path = typeof flag === "string"
    ? flag
    : environment(CONFIG_VARIABLE) || undefined;
  if (path === undefined) return ["", { given: new Map(), problems: [] }];
  const origin = describeOrigin(
    flag === undefined
      ? { kind: "environment", variable: CONFIG_VARIABLE }
      : { kind: "flag", flag: "config" },
  );
  try {
    return [path, readFile(path, await readText(path))];
  } catch (error) {
    const problem = `${origin}: expected a file that can be read, got ${
      written(path)
    }: ${messageOf(error)}`;
    return [path, { given: new Map(), problems: [problem] }];
  }
}

/** Reads the secret of a flag such as `--jwt-key-file` as if it were that of `--jwt-key`. */
async function readSecretFile(
  { named, setting, what }: typeof FILES[number],
  readings: Map<string, Reading>,
  readText: Surroundings["readText"],
): Promise<string | undefined> {
  const file = readings.get(named);
  if (!file) return undefined;
  const { value, origin } = file;
  const place = describeOrigin(origin);
  const direct = readings.get(setting);
  if (direct) {
    return `${place}: expected ${what} or a file with one, got both: there is ${
      describeOrigin(direct.origin)
    } too`;
  }
  if (typeof value !== "string") {
    return `${place}: expected a path, got ${written(value)}`;
  }
  try {
    const text = await readText(value);
    if (text.trim() === "") {
      return `${place}: expected a file with ${what}, got ${
        written(value)
      }, which is empty`;
    }
    const isKey = setting === "rights.jwtKey";
    readings.set(setting, { value: isKey ? text : text.trim(), origin });
    return undefined;
  } catch (error) {
    return `${place}: expected a file that can be read, got ${
      written(value)
    }: ${messageOf(error)}`;
  }
}

/** Returns the name of the variable that a provider's key may come from. */
function keyVariable(name: string): string {
  const known = Object.hasOwn(knownProviders, name)
    ? knownProviders[name]
    : undefined;
  return known?.keyEnv ?? keyEnvOf(name);
}

/** The secrets in lists of options: the setting, the field, and its variable. */
const SECRETS = [
  { setting: "gateway.providers", field: "key", variableOf: keyVariable },
  { setting: "chats", field: "secret", variableOf: secretEnvOf },
] as const;

/**
 * Gives providers their keys, and chats their secrets, from the environment.
 *
 * @returns The place of each, by the place in the configuration file where it might stand.
 */
function findSecrets(
  readings: Map<string, Reading>,
  environment: Surroundings["environment"],
): ReadonlyMap<string, Origin> {
  const places = new Map<string, Origin>();
  for (const { setting, field, variableOf } of SECRETS) {
    const reading = readings.get(setting);
    if (!reading || !Array.isArray(reading.value)) continue;
    const value = reading.value.map((item: unknown, index) => {
      if (typeof item !== "object" || item === null) return item;
      if (!("name" in item) || typeof item.name !== "string") return item;
      const place = placeOfSecret(setting, index, field);
      if (field in item) {
        places.set(place, reading.origin);
        return item;
      }
      const variable = variableOf(item.name);
      const secret = environment(variable) || undefined;
      if (secret === undefined) return item;
      places.set(place, { kind: "environment", variable });
      return { ...item, [field]: secret };
    });
    readings.set(setting, { ...reading, value });
  }
  return places;
}
