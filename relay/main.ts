/**
 * The relay's command line: `deno run -A jsr:@rivulet/rivulet/cli --help`.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import process from "node:process";
import { messageOf } from "../src/fetch/message_of.ts";
import { redactText } from "../src/fetch/secrets/redactor.ts";
import { banner } from "./banner.ts";
import { escapeInvisible } from "./logs/escape_invisible.ts";
import type { LogFormat } from "./logs/log_format.ts";
import { startLogging } from "./logs/logging.ts";
import { ConfigurationError } from "./options/configuration_error.ts";
import { readConfiguration } from "./options/read_configuration.ts";
import type { CommandOptions } from "./options/schema.ts";
import { createRelay } from "./relay.ts";

/** The status for settings, or a surrounding, that it cannot start with. */
const CANNOT_START = 2;

/** Not by `process.stderr`: that waits, and all with it, for whoever reads a pipe. */
async function writeToStderr(bytes: Uint8Array): Promise<void> {
  for (let rest = bytes; rest.length > 0;) {
    rest = rest.subarray(await Deno.stderr.write(rest));
  }
}

function formatOf(logFormat: CommandOptions["logFormat"]): LogFormat {
  const isTerminal = Deno.stderr.isTerminal();
  return (logFormat ?? (isTerminal ? "text" : "json")) === "json"
    ? { kind: "json" }
    : { kind: "text", colors: isTerminal && !Deno.noColor };
}

async function run(all: CommandOptions): Promise<void> {
  const { drain, logLevel, logFormat, jwtKeyFile: _, ...options } = all;
  await using _logging = await startLogging({
    level: logLevel,
    format: formatOf(logFormat),
    write: writeToStderr,
  });
  const relay = createRelay(options);
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      stopped.resolve();
      if (++signals > 1) void relay.close();
    });
  }
  console.log(banner(await relay.listen(), all));
  await stopped.promise;
  console.log("Stopping.");
  await relay.drain(drain);
}

async function main(args: readonly string[]): Promise<void> {
  const command = await readConfiguration(args, {
    environment: (name) => process.env[name],
    readText: (path) => readFile(path, "utf8"),
  });
  if (command.kind === "print") console.log(command.text);
  else await run(command.options);
}

function complaintsOf(error: unknown): readonly string[] {
  if (error instanceof ConfigurationError) return error.problems;
  const message = messageOf(error);
  return [message.replaceAll(/\s*\n\s*/g, " ")];
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
    process.exit(0);
  } catch (error) {
    for (const complaint of complaintsOf(error)) {
      console.error(`rivulet: ${escapeInvisible(redactText(complaint))}`);
    }
    process.exit(CANNOT_START);
  }
}
