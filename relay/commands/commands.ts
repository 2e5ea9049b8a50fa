import { WORKER_COMMAND } from "../workers/worker_command.ts";
import type { Command } from "./command.ts";

/** A command of the command line, before its module is loaded. */
export interface CommandEntry {
  /** The purpose, in a line of the help. */
  readonly summary: string;
  /** Loads the module; each command needs only the permissions of its own. */
  load(): Promise<Command>;
}

/** The command that runs when no other is named. */
export const DEFAULT_COMMAND = "serve";

/** The commands by their names, in the order of the help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  serve: {
    summary: "runs the relay (also without this word)",
    load: async () => (await import("./serve.ts")).serve,
  },
  demo: {
    summary: "runs the relay with a topic to look at",
    load: async () => (await import("./demo.ts")).demo,
  },
  token: {
    summary: "prints a token for a relay that requires tokens",
    load: async () => (await import("./token.ts")).tokenCommand,
  },
  replay: {
    summary: "prints a recorded stream at its pace",
    load: async () => (await import("./replay.ts")).replayCommand,
  },
  follow: {
    summary: "follows a topic to its end",
    load: async () => (await import("./remote/follow.ts")).followCommand,
  },
  publish: {
    summary: "publishes what comes on stdin to a topic",
    load: async () => (await import("./remote/publish.ts")).publishCommand,
  },
  cancel: {
    summary: "cancels a topic",
    load: async () => (await import("./remote/cancel.ts")).cancelCommand,
  },
  topics: {
    summary: "lists the topics of a relay",
    load: async () => (await import("./remote/topics.ts")).topicsCommand,
  },
  top: {
    summary: "shows what goes on in a relay",
    load: async () => (await import("./remote/top.ts")).topCommand,
  },
  backup: {
    summary: "copies the file of --store while the relay runs",
    load: async () => (await import("./backup.ts")).backupCommand,
  },
  hostile: {
    summary: "runs a provider of language models that fails as told",
    load: async () => (await import("./hostile.ts")).hostile,
  },
};

/** The command that a relay starts its workers with. */
const WORKER: CommandEntry = {
  summary: "is a worker of a relay",
  load: async () => (await import("./worker.ts")).workerCommand,
};

/** Finds a command by its name. */
export function findCommand(name: string): CommandEntry | undefined {
  if (name === WORKER_COMMAND) return WORKER;
  return Object.hasOwn(commands, name) ? commands[name] : undefined;
}
