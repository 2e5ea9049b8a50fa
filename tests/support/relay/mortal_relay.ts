/**
 * A relay in a process of its own that can be killed at any moment, before it
 * listens too.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { LIMIT, within } from "../within.ts";

/** The line that a relay prints once it listens. */
const LISTENING = /^Rivulet relay on (\S+)$/;

/** A process that is, or was, a relay. */
export class MortalRelay {
  /** Resolves with its URL once it listens; with `undefined` if it ends before that. */
  readonly listening: Promise<string | undefined>;
  readonly #process: Deno.ChildProcess;
  readonly #errors: Promise<string>;
  #said = "";
  readonly #output: Promise<void>;

  /**
   * Starts a process.
   *
   * @param args The arguments of the command line.
   * @param env Its environment, besides that of the tests. Default: nothing.
   * @param preload A module that is run before the relay's. Default: none.
   * @param checkout The folder of the program. Default: this checkout.
   */
  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    preload?: string,
    checkout: string | URL = new URL("../../../", import.meta.url),
  ) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--no-check"],
        ...preload === undefined ? [] : ["--preload", preload],
        ...["relay/main.ts", ...args],
      ],
      cwd: checkout,
      env: { ...env, NO_COLOR: "1" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#errors = this.#hear();
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.listening = promise;
    this.#output = this.#read(resolve);
  }

  /**
   * Sends a signal, and waits for the end of the process.
   *
   * @returns What it has said on stderr.
   */
  async kill(signal: "SIGKILL" | "SIGTERM"): Promise<string> {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended by itself.
    }
    return await within(this.ended(), LIMIT, `a relay to end by ${signal}`);
  }

  /** Its number in the system. */
  get pid(): number {
    return this.#process.pid;
  }

  /** The text on stderr until now. */
  get said(): string {
    return this.#said;
  }

  /** The numbers of its workers in the system, if it has some. */
  get workers(): readonly number[] {
    const { pid } = this.#process;
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`)
      .split(" ").filter((word) => word !== "").map(Number);
  }

  async #hear(): Promise<string> {
    const texts = this.#process.stderr.pipeThrough(new TextDecoderStream());
    for await (const text of texts) this.#said += text;
    return this.#said;
  }

  /** Sends a signal, which may stop it or have it go on. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Waits for the end of the process; returns what it has said on stderr. */
  async ended(): Promise<string> {
    await this.#process.status;
    await this.#output;
    return await this.#errors;
  }

  async #read(resolve: (url: string | undefined) => void): Promise<void> {
    const lines = this.#process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    for await (const line of lines) {
      const [, url] = LISTENING.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    }
    resolve(undefined);
  }
}
