import { lines } from "./lines.ts";

/** The resources that a process has used. */
export interface Usage {
  /** Processor time of all its threads, user and system, in seconds. */
  readonly cpu: number;
  /**
   * The time in which its main thread was ready to run while its core did
   * something else, in seconds.
   */
  readonly waited: number;
  /** Resident memory, in bytes. */
  readonly rss: number;
  /** The most resident memory that it has had, in bytes. */
  readonly peak: number;
}

/** The settings with which a process starts. */
export interface StartOptions {
  /** The core that it is bound to; any, if it is left out. */
  readonly core?: number;
}

/** Ticks a second in `/proc`: Linux shows the same to every program. */
const TICKS = 100;

/** Ten thousand sockets, and what a process has open besides; as much as the system gives. */
const RAISE_LIMIT =
  'ulimit -n 20480 2>/dev/null || ulimit -n "$(ulimit -Hn)"; exec "$@"';

/** The time after which a line does not come any more, in milliseconds. */
const HEAR_LIMIT = 60_000;

/** The number of last lines quoted of a process that has ended. */
const LAST_WORDS = 5;

const running = new Set<Deno.ChildProcess>();

/** Kills every process that is left: for those who leave in a hurry. */
export function killAll(): void {
  for (const child of running) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }
}

/** Runs a bench, and kills every process at its end, also if a signal ends it. */
export async function runAndKill(run: () => Promise<void>): Promise<void> {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      killAll();
      Deno.exit(1);
    });
  }
  try {
    await run();
  } finally {
    killAll();
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

/** A program of the bench, spoken to by lines. */
export class BenchProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: AsyncGenerator<string>;
  readonly #words: string[] = [];
  readonly #errors: Promise<void>;

  /** Starts it, with as many file descriptors as it may have. */
  constructor(command: readonly string[], { core }: StartOptions = {}) {
    const words = [
      ...(core === undefined ? [] : ["taskset", "-c", `${core}`]),
      "sh",
      "-c",
      RAISE_LIMIT,
      "sh",
      ...command,
    ];
    this.#child = new Deno.Command(words[0]!, { // "sh" at least
      args: words.slice(1),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    running.add(this.#child);
    this.#input = this.#child.stdin.getWriter();
    this.#lines = lines(this.#child.stdout);
    this.#errors = this.#keepWords();
  }

  /** The number that the system has given it. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Says a line to it. */
  async say(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /**
   * Waits for a line of it that matches.
   *
   * @throws If it ends, or takes a minute more than it may.
   */
  async hear(pattern: RegExp, milliseconds = 0): Promise<RegExpExecArray> {
    const timer = setTimeout(() => this.#kill(), milliseconds + HEAR_LIMIT);
    try {
      for (;;) {
        const { done, value } = await this.#lines.next();
        if (done) {
          await this.#errors;
          throw new Error(
            `Expected ${pattern}: the process has ended\n${
              this.#words.join("\n")
            }`,
          );
        }
        const match = pattern.exec(value);
        if (match) return match;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The resources that it and its children have used so far; nothing where
   * there is no `/proc`.
   */
  usage(): Usage {
    return usageOf(this.#child.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill();
    await this.#child.status;
    running.delete(this.#child);
    await this.#input.abort().catch(() => {});
    await this.#lines.return(undefined);
    await this.#errors;
  }

  #kill(): void {
    for (const pid of childrenOf(this.#child.pid)) kill(pid);
    kill(this.#child.pid);
  }

  async #keepWords(): Promise<void> {
    for await (const line of lines(this.#child.stderr)) {
      this.#words.push(line);
      if (this.#words.length > LAST_WORDS) this.#words.shift();
    }
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended already.
  }
}

/** Lists the processes that a process has started. */
export function childrenOf(pid: number): number[] {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`)
      .split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Returns what a process and its children have used so far. */
export function usageOf(pid: number): Usage {
  const read = (file: string): string =>
    Deno.readTextFileSync(`/proc/${pid}/${file}`);
  try {
    // Fields 14 and 15, counted after the name, which may have spaces in it.
    const fields = read("stat").replace(/^.*\) /s, "").split(" ");
    const status = read("status");
    const bytesOf = (name: string): number => {
      const [, kilobytes] = new RegExp(`${name}:\\s+([0-9]+)`).exec(status) ??
        [];
      return Number(kilobytes) * 1024;
    };
    let cpu = (Number(fields[11]) + Number(fields[12])) / TICKS;
    let rss = bytesOf("VmRSS");
    let peak = bytesOf("VmHWM");
    // In nanoseconds: on the core, and waiting for it.
    let waited = Number(read("schedstat").split(" ")[1]) / 1e9;
    for (const child of childrenOf(pid)) {
      const usage = usageOf(child);
      cpu += usage.cpu;
      waited += usage.waited;
      rss += usage.rss;
      peak += usage.peak;
    }
    return { cpu, waited, rss, peak };
  } catch {
    return { cpu: NaN, waited: NaN, rss: NaN, peak: NaN };
  }
}
