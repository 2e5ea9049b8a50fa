import { getLogger } from "@logtape/logtape";
import type { LogFormat } from "../logs/log_format.ts";
import { startLogging } from "../logs/logging.ts";
import { help } from "../options/help.ts";
import {
  ConfigurationError,
  readConfiguration,
} from "../options/read_configuration.ts";
import type { CommandOptions } from "../options/schema.ts";
import type { Relay } from "../relay.ts";
import type { TopicRegistry } from "../topics/surface.ts";
import { banner } from "./banner.ts";
import type { Command } from "./command.ts";
import { listen } from "./listen.ts";
import { relayOptionsOf } from "./relay_options_of.ts";
import type { System } from "./system.ts";
import { workerCount } from "./worker_count.ts";

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
  const { options } = command;
  const { logLevel, logFormat, workers } = options;
  const count = workerCount(workers);
  if (own && count > 1) {
    throw new ConfigurationError([
      `--workers: expected 1, got ${count}: what fills topic '${own.name}' is a part of the process. Start serve with --workers`,
    ]);
  }
  const format = formatOf(logFormat, system);
  await using logging = await startLogging({
    level: logLevel,
    format,
    write: system.writeError,
  });
  // Loaded here: the help needs none of the permissions that a relay needs.
  if (count > 1) {
    const { WorkersRelay } = await import("../workers/workers_relay.ts");
    const relay = new WorkersRelay({ options, count, logging, format });
    return await serveUntilStopped(relay, options, system);
  }
  const { createRelay } = await import("../relay.ts");
  const relay = createRelay(relayOptionsOf(options));
  await serveUntilStopped(
    relay,
    options,
    system,
    own && {
      ...own,
      fill: (signal) => own.fill(relay.topics, signal),
    },
  );
}

/** A relay that runs until it is stopped. */
type Served = Pick<Relay, "listen" | "drain" | "close">;

/** Fills a topic. */
interface Filler {
  readonly name: string;
  fill(signal: AbortSignal): Promise<void>;
}

async function serveUntilStopped(
  relay: Served,
  options: CommandOptions,
  system: System,
  filler?: Filler,
): Promise<void> {
  const { drain } = options;
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
  const filled = filler?.fill(filling.signal);
  system.say(banner(address, options, filler?.name));
  await stopped.promise;
  system.say("Stopping.");
  await relay.drain(drain);
  filling.abort();
  await filled;
}

function formatOf(
  format: CommandOptions["logFormat"],
  { isTerminal, hasColors }: System,
): LogFormat {
  return (format ?? (isTerminal ? "text" : "json")) === "json"
    ? { kind: "json" }
    : { kind: "text", colors: hasColors };
}
