import { getLogger } from "@logtape/logtape";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { LogFormat } from "../logs/log_format.ts";
import { startLogging } from "../logs/logging.ts";
import { help } from "../options/help.ts";
import {
  ConfigurationError,
  readConfiguration,
} from "../options/read_configuration.ts";
import type { CommandOptions } from "../options/schema.ts";
import type { Relay, RelayAddress } from "../relay.ts";
import { StoreError } from "../topics/store.ts";
import type { TopicRegistry } from "../topics/surface.ts";
import { banner } from "./banner.ts";
import { type Command, UnavailableError } from "./command.ts";
import type { System } from "./system.ts";

const logger = getLogger(["rivulet", "relay"]);

/** A topic that a command fills by itself. */
export interface OwnTopic {
  /** The topic's name. */
  readonly name: string;
  /** Fills the topic, until the signal aborts. */
  fill(topics: TopicRegistry, signal: AbortSignal): Promise<void>;
}

/** The command that runs the relay. */
export const serve: Command = {
  help: help(),
  run: (args, system) => runRelay(args, system),
};

/**
 * Runs a relay until the process is told to stop.
 *
 * @param args The flags.
 * @param own A topic that is filled besides those of the flags.
 * @throws {ConfigurationError} If the relay cannot start.
 */
export async function runRelay(
  args: readonly string[],
  system: System,
  own?: OwnTopic,
): Promise<void> {
  const command = await readConfiguration(args, system);
  if (command.kind === "print") return await system.write(`${command.text}\n`);
  const { drain, logLevel, logFormat, jwtKeyFile: _, ...options } =
    command.options;
  await using _logging = await startLogging({
    level: logLevel,
    format: formatOf(logFormat, system),
    write: system.writeError,
  });
  // Loaded here: the help needs none of the permissions that a relay needs.
  const { createRelay } = await import("../relay.ts");
  const relay = createRelay(options);
  const stopped = Promise.withResolvers<void>();
  let signals = 0;
  system.onStop((signal) => {
    logger.info("Stopping: {signal} came, and --drain is {drain} ms", {
      signal,
      drain: signals === 0 ? drain : 0,
    });
    stopped.resolve();
    if (++signals > 1) void relay.close();
  });
  const address = await listen(relay);
  const filling = new AbortController();
  const filled = own?.fill(relay.topics, filling.signal);
  system.say(banner(address, command.options, own?.name));
  await stopped.promise;
  system.say("Stopping.");
  await relay.drain(drain);
  filling.abort();
  await filled;
}

async function listen(relay: Relay): Promise<RelayAddress> {
  try {
    return await relay.listen();
  } catch (cause) {
    const message = messageOf(cause).replaceAll(/\s*\n\s*/g, " ");
    if (hasCode(cause, "source_failed")) {
      throw new UnavailableError(
        `--fail-fast: ${message}. Without --fail-fast, it is retried`,
        { cause },
      );
    }
    // Whatever has the address now may leave it: another relay that is drained.
    if (
      cause instanceof Error && hasCode(cause, "listen_failed") &&
      isTaken(cause)
    ) {
      throw new UnavailableError(
        `${message}. Stop what listens there, or give another --port`,
        { cause },
      );
    }
    // The file may be that of another relay that is drained, and a disk gets room.
    if (cause instanceof Error && isStoreAway(cause)) {
      throw new UnavailableError(message, { cause });
    }
    throw new ConfigurationError([message], { cause });
  }
}

/** Whether an address cannot be listened on that can be free, or there, later. */
function isTaken({ cause }: Error): boolean {
  return hasCode(cause, "EADDRINUSE") || hasCode(cause, "EADDRNOTAVAIL");
}

/** Whether the file of the store can be used later. */
function isStoreAway({ cause }: Error): boolean {
  return cause instanceof StoreError &&
    (cause.failure === "locked" || cause.failure === "full");
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

function formatOf(
  format: CommandOptions["logFormat"],
  { isTerminal, hasColors }: System,
): LogFormat {
  return (format ?? (isTerminal ? "text" : "json")) === "json"
    ? { kind: "json" }
    : { kind: "text", colors: hasColors };
}
