import { TextLineStream } from "@std/streams/text-line-stream";

/** The clock ticks of a second, in which Linux counts processor time. */
const TICKS = 100;

/** A relay in a process of its own, whose processor time can be read. */
export class RelayProcess {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly #process: Deno.ChildProcess;
  readonly #output: Promise<void>;

  private constructor(
    url: string,
    process: Deno.ChildProcess,
    output: Promise<void>,
  ) {
    this.url = url;
    this.#process = process;
    this.#output = output;
  }

  /** Starts one, with the arguments of its command line. */
  static async start(args: readonly string[]): Promise<RelayProcess> {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        // As `deno task relay` is started.
        ...["run", "-A", "--no-check", "--v8-flags=--max-semi-space-size=8"],
        ...["relay/main.ts", "--port", "0", "--log-level", "error", ...args],
      ],
      cwd: new URL("../../", import.meta.url),
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream());
    const url = Promise.withResolvers<string>();
    const output = (async () => {
      for await (const line of lines) {
        const [, found] = /^Rivulet relay on (\S+)$/.exec(line) ?? [];
        if (found !== undefined) url.resolve(found);
      }
      url.reject(new Error("A relay has ended before it listened"));
    })();
    return new RelayProcess(await url.promise, process, output);
  }

  /** The processor time that it has used, in seconds. */
  cpu(): number {
    const stat = Deno.readTextFileSync(`/proc/${this.#process.pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }

  /** Ends it. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended by itself.
    }
    await this.#process.status;
    await this.#output;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
