/**
 * The relay's command line in a process of its own, on the runtime of the test.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { LIMIT, within } from "../within.ts";

/** The variable with the path of `relay/main.ts` as the runtime can run it. Default: the file, on Deno. */
const MAIN = "RIVULET_TEST_MAIN";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** A relay that runs in a process of its own. */
export class RelayProgram implements AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The status of the process, and its signal, once it has ended. */
  readonly ended: Promise<[code: number | null, signal: string | null]>;
  readonly #process: ChildProcess;
  readonly #stderr: string[];

  private constructor(
    child: ChildProcess,
    url: string,
    ended: RelayProgram["ended"],
    stderr: string[],
  ) {
    this.#process = child;
    this.url = url;
    this.ended = ended;
    this.#stderr = stderr;
  }

  /**
   * Starts one; resolves when it listens.
   *
   * @param args The flags, besides the port.
   * @param env The environment, besides that of the test.
   */
  static async start(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<RelayProgram> {
    const child = runRelay(["--port", "0", ...args], env);
    const ended: RelayProgram["ended"] = new Promise((resolve) => {
      child.on("close", (...end) => resolve(end));
    });
    const stderr: string[] = [];
    child.stderr?.on("data", (part) => stderr.push(String(part)));
    const { stdout } = child;
    if (!stdout) throw new Error("stdout is no pipe");
    const url = new Promise<string | undefined>((resolve) => {
      const lines = createInterface({ input: stdout });
      lines.on("line", (line) => {
        const [, url] = /^Rivulet relay on (\S+)$/.exec(line) ?? [];
        if (url !== undefined) resolve(url);
      });
      lines.on("close", () => resolve(undefined));
    });
    const found = await within(url, LIMIT, "the relay's address");
    if (found === undefined) {
      await ended;
      throw new Error(`The relay did not start: ${stderr.join("")}`);
    }
    return new RelayProgram(child, found, ended, stderr);
  }

  /** The text of stderr so far. */
  get stderr(): string {
    return this.#stderr.join("");
  }

  /** Sends a signal. */
  signal(signal: "SIGTERM" | "SIGINT"): void {
    const { pid } = this.#process;
    // Deno 2.9.6 takes the signal of its own `ChildProcess.kill` for the end.
    if (pid !== undefined) process.kill(pid, signal);
  }

  /** Stops it at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null) this.#process.kill("SIGKILL");
    await this.ended;
  }
}

function runRelay(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ChildProcess {
  const main = process.env[MAIN];
  const command = main === undefined
    ? ["run", "-A", "--no-prompt", "--no-check", "relay/main.ts"]
    : [main];
  return spawn(process.execPath, [...command, ...args], {
    cwd: ROOT,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs the command line to its end; returns what it has written to stdout. */
export async function runToEnd(args: readonly string[]): Promise<string> {
  const child = runRelay(args, {});
  const parts: string[] = [];
  child.stdout?.on("data", (part) => parts.push(String(part)));
  await within(
    new Promise<void>((resolve) => child.on("close", () => resolve())),
    LIMIT,
    "the end of the command",
  );
  return parts.join("");
}
