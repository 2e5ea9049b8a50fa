import { BenchProcess } from "../process.ts";
import type { Launch, RunningServer } from "./server.ts";
import { sleep } from "../../sleep.ts";

/** The time between two attempts to reach a server, in milliseconds. */
const RETRY = 20;
const ATTEMPTS = 250;

/** Starts a program that says its port: the pattern's first group. */
export async function startAndHear(
  command: readonly string[],
  { core }: Pick<Launch, "core">,
  pattern: RegExp,
): Promise<RunningServer> {
  const process = new BenchProcess(command, core === undefined ? {} : { core });
  try {
    const [, port] = await process.hear(pattern);
    return running(process, Number(port));
  } catch (error) {
    await process[Symbol.asyncDispose]();
    throw error;
  }
}

/** Starts a program that listens on the port that it is told. */
export async function startAndWait(
  command: readonly string[],
  { core }: Pick<Launch, "core">,
  port: number,
): Promise<RunningServer> {
  const process = new BenchProcess(command, core === undefined ? {} : { core });
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return running(process, port);
    } catch {
      await sleep(RETRY);
    }
  }
  await process[Symbol.asyncDispose]();
  throw new Error(`${command[0]} does not listen on port ${port}`);
}

function running(process: BenchProcess, port: number): RunningServer {
  return {
    process,
    port,
    [Symbol.asyncDispose]: () => process[Symbol.asyncDispose](),
  };
}

/** A port that is free now, for a server that cannot find one by itself. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Returns a program's version; `undefined` if the program is not there. */
export async function versionOf(
  command: string,
  args: readonly string[],
  pattern: RegExp,
): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await new Deno.Command(command, {
      args: [...args],
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    return pattern.exec(decoder.decode(stdout) + decoder.decode(stderr))?.[1];
  } catch {
    return undefined;
  }
}
