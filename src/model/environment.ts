// This module is browser compatible.
import {
  EnvironmentError,
  MissingKeyError,
} from "./errors/environment_errors.ts";

/**
 * The parts of Deno's, Node's and Bun's globals that give environment
 * variables.
 */
interface Runtime {
  Deno?: {
    env?: { get(name: string): string | undefined };
    permissions?: {
      querySync?(
        query: { name: "env"; variable: string },
      ): { state: string };
    };
  };
  process?: { env?: Record<string, string | undefined> };
}

/** No runtime's types know of the others. */
const runtime = globalThis as Runtime;

/**
 * Reads a setting from the environment.
 *
 * Where Deno has not been allowed to read it, there is none: a setting is not
 * worth asking the user for.
 *
 * @param name The variable's name.
 * @returns Its value; `undefined` if it is not set, or blank.
 */
export function readSetting(name: string): string | undefined {
  const { state } = runtime.Deno?.permissions?.querySync?.({
    name: "env",
    variable: name,
  }) ?? { state: "granted" };
  return state === "granted" ? read(name) : undefined;
}

/**
 * Reads a number from the environment.
 *
 * @param name The variable's name.
 * @returns Its value; `undefined` if it is not set, or blank.
 * @throws {EnvironmentError} If it is set, and not a whole number.
 */
export function readCount(name: string): number | undefined {
  const text = readSetting(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) {
    throw new EnvironmentError(name, "a whole number, 0 or more", text);
  }
  return Number(text);
}

/**
 * Reads a key from the environment.
 *
 * @param name The variable's name.
 * @param instructions The way to get a key, for the error.
 * @returns The key.
 * @throws {MissingKeyError} If it is not set, blank, or not to be read.
 */
export function readKey(
  name: string,
  instructions: string | undefined,
): string {
  let value: string | undefined;
  try {
    value = read(name);
  } catch (cause) {
    throw new MissingKeyError(name, instructions, { cause });
  }
  if (value === undefined) throw new MissingKeyError(name, instructions);
  return value;
}

function read(name: string): string | undefined {
  const { Deno, process } = runtime;
  const value = Deno?.env ? Deno.env.get(name) : process?.env?.[name];
  return value?.trim() || undefined;
}
