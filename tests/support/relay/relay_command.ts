/**
 * The relay's command line, run in a process of its own.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { LIMIT, within } from "../within.ts";

/** The settings with which it runs. */
export interface RelayCommandOptions {
  /** Besides `--port 0`. */
  readonly args?: readonly string[];
  /** The time that a stop may take. Default: `0s`. */
  readonly drain?: string;
  /** Besides the environment of the test. */
  readonly env?: Readonly<Record<string, string>>;
  /** The permissions. Default: all. */
  readonly permissions?: readonly string[];
  /** The most file descriptors that it may have. Default: as many as the test. */
  readonly descriptors?: number;
  /** The text of a module that is run before it. Default: none. */
  readonly preload?: string;
}

/** A relay that runs elsewhere. */
export class RelayCommand implements AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** Its stderr, once it has ended. */
  readonly stderr: Promise<string>;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;

  private constructor(
    process: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    stderr: Promise<string>,
    url: string,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.stderr = stderr;
    this.url = url;
  }

  /** Starts one; resolves when it listens. */
  static async start(
    {
      args = [],
      drain = "0s",
      env = {},
      permissions = ["-A"],
      descriptors,
      preload,
    }: RelayCommandOptions = {},
  ): Promise<RelayCommand> {
    const command = [
      ...[Deno.execPath(), "run", ...permissions, "--no-prompt"],
      ...preload === undefined ? [] : [
        "--preload",
        `data:application/typescript,${encodeURIComponent(preload)}`,
      ],
      ...["relay/main.ts", "--port", "0", "--drain", drain, ...args],
    ];
    const [program = "", ...rest] = descriptors === undefined
      ? command
      : ["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...command];
    const process = new Deno.Command(program, {
      args: rest,
      cwd: new URL("../../../", import.meta.url),
      env: { NO_COLOR: "1", ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stderr = new Response(process.stderr).text();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    for (;;) {
      const { done, value = "" } = await within(
        lines.read(),
        LIMIT,
        "the relay's address",
      );
      const [, url] = /^Rivulet relay on (\S+)$/.exec(value) ?? [];
      if (url !== undefined) {
        return new RelayCommand(process, lines, stderr, url);
      }
      if (done) {
        throw new Error(`The relay did not start: ${await stderr}`);
      }
    }
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Stops it as the system does. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // it has ended by itself
    }
    while (!(await this.#lines.read()).done);
    await this.stderr;
    await this.#process.status;
  }
}
