/**
 * A person who follows a guide from an empty folder: saves its programs and runs them,
 * and types its commands.
 *
 * @module
 */
import { commands } from "../../../../relay/commands/commands.ts";
import { type Block, blocksOf } from "../markdown.ts";
import { wordsOf } from "../shell.ts";
import { PackedApp } from "../../packed_app.ts";
import { until, within } from "../../within.ts";

const ROOT = new URL("../../../../", import.meta.url);

/** The longest that a command may take, in milliseconds. */
const PATIENCE = 120_000;

/** The command line, as users write it. */
const CLI = "jsr:@rivulet/rivulet/cli";

/** The commands of the command line that stay until they are stopped, with their ports. */
const STAY: Readonly<Record<string, number>> = {
  serve: 8787,
  demo: 8787,
  hostile: 8788,
};

/** The beginning of what a stream prints: a field, a comment, or a message. */
const STREAM = /^(?:data|event|id|retry)?: ?|^[{[]/m;

/** A program that stays, such as a relay. */
export interface Running extends AsyncDisposable {
  /** Returns what it has printed so far, on both outputs. */
  output(): string;
  /** Waits until what it has printed matches. */
  said(pattern: RegExp): Promise<string>;
  /** Interrupts it, as Ctrl-C does, and waits for its end. */
  stop(): Promise<void>;
}

/** The environment and the input of a command. */
export interface RunOptions {
  /** Variables beside those of the reader. */
  readonly env?: Readonly<Record<string, string>>;
  /** The text on stdin. Default: none. */
  readonly stdin?: string;
}

/** A reader with an empty folder, where the package is what would be published. */
export class Reader implements AsyncDisposable {
  /** The variables that the reader has set. */
  readonly env: Record<string, string> = {};
  readonly #app: PackedApp;
  readonly #page: string;
  readonly #text: string;
  readonly #running: Running[] = [];
  /** The programs that have a port. */
  readonly #ports = new Map<number, Running>();

  private constructor(app: PackedApp, page: string, text: string) {
    this.#app = app;
    this.#page = page;
    this.#text = text;
  }

  /**
   * Opens a page.
   *
   * @param page Its path in the repository.
   */
  static async open(page: string): Promise<Reader> {
    const text = await Deno.readTextFile(new URL(page, ROOT));
    const reader = new Reader(await PackedApp.create(), page, text);
    await reader.#makePrograms();
    return reader;
  }

  /** The path of the page. */
  get page(): string {
    return this.#page;
  }

  /** The text of the page. */
  get text(): string {
    return this.#text;
  }

  /** The blocks of the page, in their order. */
  get blocks(): Block[] {
    return blocksOf(this.#text);
  }

  /** The folder. */
  get folder(): string {
    return this.#app.folder;
  }

  /** Writes a file. */
  async write(name: string, text: string): Promise<void> {
    await this.#app.write(name, text);
  }

  /**
   * Runs a command to its end; returns its stdout.
   *
   * @throws {Error} If its status is not 0.
   */
  async run(command: string, options: RunOptions = {}): Promise<string> {
    const { stdin } = options;
    await using process = this.#command(
      command,
      options.env,
      stdin === undefined ? "null" : "piped",
    ).spawn();
    if (stdin !== undefined) {
      const writer = process.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
    }
    const { code, stdout, stderr } = await within(
      process.output(),
      PATIENCE,
      `the end of ${command}`,
    );
    const decoder = new TextDecoder();
    const printed = decoder.decode(stdout);
    if (code === 0) return printed;
    throw new Error(
      `${command}\n  ended with ${code}: ${printed}${decoder.decode(stderr)}`,
    );
  }

  /**
   * Starts a program that stays; resolves when it has printed what is waited for.
   *
   * @throws {Error} If it ends before.
   */
  async start(command: string, pattern: RegExp): Promise<Running> {
    const running = new ReaderProgram(
      command,
      this.#command(command, {}, "null").spawn(),
    );
    this.#running.push(running);
    await running.said(pattern);
    return running;
  }

  /**
   * Types a command of a guide: waits for its end, or, if it stays, until it listens
   * or has printed the beginning of a stream. A server takes the place of one that has
   * its port.
   *
   * @returns What it has printed, unless it stays.
   */
  async type(command: string): Promise<string> {
    const [program, ...rest] = command.includes("|") ? [] : wordsOf(command);
    if (program === "curl" && !rest.includes("-d") || program === "npx") {
      await this.start(command, STREAM);
      return "";
    }
    const at = rest.indexOf(CLI);
    if (at < 0 && program !== "rivulet") return await this.run(command);
    const [name = ""] = rest.slice(at + 1);
    const port = STAY[name in commands ? name : "serve"];
    if (port === undefined) return await this.run(command);
    const given = Number(rest[rest.indexOf("--port") + 1]) || port;
    await this.#ports.get(given)?.stop();
    this.#ports.set(given, await this.start(command, / on http:/));
    return "";
  }

  /** Stops all that runs, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const running of this.#running.reverse()) await running.stop();
    await this.#app[Symbol.asyncDispose]();
  }

  #command(
    command: string,
    env: Readonly<Record<string, string>> | undefined,
    stdin: "null" | "piped",
  ): Deno.Command {
    return new Deno.Command("sh", {
      args: ["-c", stdin === "null" ? `exec ${command}` : command],
      cwd: this.folder,
      env: {
        NO_COLOR: "1",
        PATH: `${this.folder}/.bin:${Deno.env.get("PATH")}`,
        ...this.env,
        ...env,
      },
      stdin,
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Makes programs that a reader has, where there is no network to install them. */
  async #makePrograms(): Promise<void> {
    await Deno.mkdir(`${this.folder}/.bin`);
    const deno = Deno.execPath();
    const programs: Record<string, string> = {
      // All imports are in the cache already.
      deno: `command=$1; shift
case $command in
  run | test) exec "${deno}" "$command" --cached-only --no-prompt "$@" ;;
  # It asks for its bundler, wherever that is: what it makes of the page was made before.
  bundle) exec cp "$RIVULET_GUIDE_BUNDLE" page.js ;;
  *) exec "${deno}" "$command" "$@" ;;
esac`,
      // As `deno install -g -A -n rivulet jsr:@rivulet/rivulet/cli` makes it.
      rivulet:
        `exec "${deno}" run --cached-only --config "${this.folder}/deno.json" -A jsr:@rivulet/rivulet/cli "$@"`,
      // A WebSocket in a terminal: npx --yes wscat@6.1.0 -c URL.
      npx:
        `[ "$1 $2 $3" = "--yes wscat@6.1.0 -c" ] || { echo "no network for npx $*" >&2; exit 1; }
exec "${deno}" run -A "${this.folder}/.bin/wscat.js" "$4"`,
    };
    for (const [name, text] of Object.entries(programs)) {
      await Deno.writeTextFile(
        `${this.folder}/.bin/${name}`,
        `#!/bin/sh\n${text}\n`,
        { mode: 0o755 },
      );
    }
    await this.write(
      ".bin/wscat.js",
      `const socket = new WebSocket(Deno.args[0]);
socket.onmessage = ({ data }) => console.log(data);
socket.onerror = () => Deno.exit(1);
`,
    );
  }
}

class ReaderProgram implements Running {
  readonly #command: string;
  readonly #process: Deno.ChildProcess;
  readonly #reading: Promise<unknown>;
  #output = "";
  #hasEnded = false;

  constructor(command: string, process: Deno.ChildProcess) {
    this.#command = command;
    this.#process = process;
    const read = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
      for await (const text of stream.pipeThrough(new TextDecoderStream())) {
        this.#output += text;
      }
    };
    this.#reading = Promise.all([read(process.stdout), read(process.stderr)])
      .then(() => this.#hasEnded = true);
  }

  output(): string {
    return this.#output;
  }

  async said(pattern: RegExp): Promise<string> {
    await until(
      () => {
        if (pattern.test(this.#output)) return true;
        if (!this.#hasEnded) return undefined;
        throw new Error(`${this.#command}\n  ended with: ${this.#output}`);
      },
      PATIENCE,
      () => `${pattern} of ${this.#command}: it said ${this.#output}`,
    );
    return this.#output;
  }

  async stop(): Promise<void> {
    try {
      this.#process.kill("SIGINT");
    } catch {
      // It has ended.
    }
    await within(this.#process.status, PATIENCE, `the end: ${this.#command}`);
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
