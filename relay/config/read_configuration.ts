import { messageOf } from "../../src/fetch/message_of.ts";
import { keyEnvOf, knownProviders } from "../gateway/provider.ts";
import { type CommandOptions, commandOptions } from "./command_options.ts";
import { ConfigurationError } from "./configuration_error.ts";
import { help } from "./help.ts";
import { describeOrigin, type Origin } from "./reading/origin.ts";
import { printConfiguration } from "./print_configuration.ts";
import { problemOfIssue, settingsOfIssue } from "./problem_of_issue.ts";
import { type ConfigurationFile, readFile } from "./reading/read_file.ts";
import { readFlags } from "./reading/read_flags.ts";
import { type Reading, readSetting } from "./reading/read_setting.ts";
import { settings } from "./settings.ts";
import { written } from "./written.ts";

/** What the command line asks for. */
export type Command =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "run"; readonly options: CommandOptions };

/** What surrounds a command line. */
export interface Surroundings {
  /** Returns a variable of the environment, if it is set. */
  environment(name: string): string | undefined;
  /** Reads a file; rejects where it cannot. */
  readText(path: string): Promise<string>;
}

const CONFIG_VARIABLE = "RIVULET_CONFIG";

/**
 * Reads flags, the environment and the file that one of these names; what comes
 * first in this order holds.
 *
 * @param args What comes after the program.
 * @returns What there is to do. Rejects with a {@linkcode ConfigurationError}
 * that tells all that is wrong.
 */
export async function readConfiguration(
  args: readonly string[],
  { environment, readText }: Surroundings,
): Promise<Command> {
  const flags = readFlags(args);
  if (isOn(flags.given.get("help"))) return { kind: "print", text: help() };
  const problems = [...flags.problems];
  const [path, file] = await findFile(flags.given.get("config"), {
    environment,
    readText,
  });
  problems.push(...file.problems);

  const places = { flags: flags.given, environment, file: file.given, path };
  const readings = new Map<string, Reading>();
  const wrong = new Set<string>();
  for (const [key, setting] of Object.entries(settings)) {
    const outcome = readSetting(key, setting, places);
    if (outcome.kind === "read") readings.set(key, outcome.reading);
    if (outcome.kind !== "wrong") continue;
    problems.push(outcome.problem);
    wrong.add(key);
  }
  const keyProblem = await readKeyFile(readings, readText);
  if (keyProblem !== undefined) {
    problems.push(keyProblem);
    wrong.add("jwtKey");
  }
  const keys = findKeys(readings, environment);

  const values = Object.fromEntries(
    Array.from(readings, ([key, { value }]) => [key, value]),
  );
  delete values["jwtKeyFile"]; // it is `jwtKey` by now
  const parsed = commandOptions.safeParse(values);
  for (const issue of parsed.error?.issues ?? []) {
    // Whether it would be wrong without what is wrong elsewhere is not known.
    if (settingsOfIssue(issue).some((key) => wrong.has(key))) continue;
    problems.push(problemOfIssue(issue, readings, keys));
  }
  if (!parsed.success || problems.length > 0) {
    throw new ConfigurationError(problems);
  }
  return isOn(flags.given.get("print-config"))
    ? {
      kind: "print",
      text: printConfiguration(parsed.data, readings, keys),
    }
    : { kind: "run", options: parsed.data };
}

function isOn(said: readonly (string | boolean)[] | undefined): boolean {
  return said?.at(-1) === true;
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

/** Puts the key that is in a file where the options have it. */
async function readKeyFile(
  readings: Map<string, Reading>,
  readText: Surroundings["readText"],
): Promise<string | undefined> {
  const file = readings.get("jwtKeyFile");
  if (!file) return undefined;
  const { value, origin } = file;
  const place = describeOrigin(origin);
  const direct = readings.get("jwtKey");
  if (direct) {
    return `${place}: expected a key or a file with one, got both: there is ${
      describeOrigin(direct.origin)
    } too`;
  }
  if (typeof value !== "string") {
    return `${place}: expected a path, got ${written(value)}`;
  }
  try {
    const key = await readText(value);
    if (key.trim() === "") {
      return `${place}: expected a file with a key, got ${
        written(value)
      }, which is empty`;
    }
    readings.set("jwtKey", { value: key, origin });
    return undefined;
  } catch (error) {
    return `${place}: expected a file that can be read, got ${
      written(value)
    }: ${messageOf(error)}`;
  }
}

/** Gives providers their keys from the environment, and says where each came from. */
function findKeys(
  readings: Map<string, Reading>,
  environment: Surroundings["environment"],
): ReadonlyMap<number, Origin> {
  const keys = new Map<number, Origin>();
  const providers = readings.get("providers");
  if (!providers || !Array.isArray(providers.value)) return keys;
  const value = providers.value.map((provider: unknown, index) => {
    if (typeof provider !== "object" || provider === null) return provider;
    if (!("name" in provider) || typeof provider.name !== "string") {
      return provider;
    }
    if ("key" in provider) {
      keys.set(index, providers.origin);
      return provider;
    }
    const { name } = provider;
    const known = Object.hasOwn(knownProviders, name)
      ? knownProviders[name]
      : undefined;
    const variable = known?.keyEnv ?? keyEnvOf(name);
    const key = environment(variable) || undefined;
    if (key === undefined) return provider;
    keys.set(index, { kind: "environment", variable });
    return { ...provider, key };
  });
  readings.set("providers", { ...providers, value });
  return keys;
}
