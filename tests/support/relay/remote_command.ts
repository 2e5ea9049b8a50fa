import { runCommandLine } from "../../../relay/commands/command_line.ts";
import { systemClock } from "../../../src/fetch/clock.ts";
import { LIMIT, within } from "../within.ts";
import { FakeSystem, type FakeSystemOptions } from "./fake_system.ts";

/** A command that talks to a relay, under way. */
export interface RemoteCommand {
  /** Its surroundings. */
  readonly system: FakeSystem;
  /** The status of the process, once it has ended. */
  readonly status: Promise<number>;
}

/**
 * Starts a command against a relay.
 *
 * @param url The relay.
 * @param args The command line.
 * @param options The surroundings.
 */
export function startRemote(
  url: string,
  args: readonly string[],
  { environment, ...options }: FakeSystemOptions = {},
): RemoteCommand {
  const system = new FakeSystem({
    clock: systemClock,
    environment: { RIVULET_URL: url, ...environment },
    ...options,
  });
  return { system, status: runCommandLine(args, system) };
}

/** The output of a command. */
export interface RemoteResult {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

/** Runs a command against a relay to its end. */
export async function runRemote(
  url: string,
  args: readonly string[],
  options: FakeSystemOptions = {},
): Promise<RemoteResult> {
  const { system, status } = startRemote(url, args, options);
  return {
    status: await within(status, LIMIT, `the end of ${args.join(" ")}`),
    output: system.output,
    errors: system.errors,
  };
}
