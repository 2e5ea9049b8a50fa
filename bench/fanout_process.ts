/** What a process has used. */
export interface Usage {
  /** Processor time of all its threads, user and system, in seconds. */
  readonly cpu: number;
  /** Resident memory, in bytes. */
  readonly rss: number;
}

/** Ticks a second in `/proc`: Linux shows the same to every program. */
const TICKS = 100;

/** Yields the lines of a stream. */
export async function* lines(
  bytes: ReadableStream<Uint8Array>,
): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of bytes) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

/** Whether processes can be bound to a core. */
export function canPin(): boolean {
  try {
    return new Deno.Command("taskset", { args: ["-V"] }).outputSync().success;
  } catch {
    return false;
  }
}

/** A module that runs in a Deno of its own, spoken to by lines. */
export class BenchProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;

  /**
   * Starts it.
   *
   * @param module The module, beside this one.
   * @param args Its arguments.
   * @param core The core that it is bound to; `undefined` for any.
   */
  constructor(module: string, args: readonly string[], core?: number) {
    const command = [
      ...(core === undefined ? [] : ["taskset", "-c", `${core}`]),
      Deno.execPath(),
      "run",
      "-A",
      new URL(module, import.meta.url).pathname,
      ...args,
    ];
    this.#child = new Deno.Command(command[0]!, { // there are two at least
      args: command.slice(1),
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.#lines = lines(this.#child.stdout);
  }

  /** Says a line to it. */
  async say(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Waits for a line of it that matches. */
  async hear(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const { done, value } = await this.#lines.next();
      if (done) throw new Error(`Expected ${pattern}: the process has ended`);
      const match = pattern.exec(value);
      if (match) return match;
    }
  }

  /** What it has used so far; `undefined` where there is no `/proc`. */
  usage(): Usage | undefined {
    const read = (file: string): string =>
      Deno.readTextFileSync(`/proc/${this.#child.pid}/${file}`);
    try {
      // Fields 14 and 15, counted after the name, which may have spaces in it.
      const fields = read("stat").replace(/^.*\) /s, "").split(" ");
      const [, kilobytes] = /VmRSS:\s+([0-9]+)/.exec(read("status")) ?? [];
      return {
        cpu: (Number(fields[11]) + Number(fields[12])) / TICKS,
        rss: Number(kilobytes) * 1024,
      };
    } catch {
      return undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#child.status;
    await this.#input.abort().catch(() => {});
    await this.#lines.return(undefined);
  }
}
