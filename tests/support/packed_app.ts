import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { TextLineStream } from "@std/streams/text-line-stream";
import { within } from "./within.ts";

const ROOT = new URL("../../", import.meta.url);

/** The longest that a program is waited for, in milliseconds: most of it is compiling. */
const LIMIT = 120_000;

/** The output of a program that has ended. */
export interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Configuration {
  readonly version: string;
  readonly imports: Readonly<Record<string, string>>;
  readonly links: readonly string[];
  readonly workspace: readonly string[];
}

async function output(
  args: readonly string[],
  options: Deno.CommandOptions,
): Promise<Output> {
  await using process = new Deno.Command(Deno.execPath(), {
    ...options,
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { code, stdout, stderr } = await within(
    process.output(),
    LIMIT,
    `the end of ${args.join(" ")}`,
  );
  const decoder = new TextDecoder();
  return {
    code,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Lists the files that would be published, by their paths in the package. */
async function publishedFiles(): Promise<string[]> {
  const { code, stdout, stderr } = await output(
    ["publish", "--dry-run", "--allow-dirty", "--no-check"],
    { cwd: ROOT, env: { NO_COLOR: "1" } },
  );
  const files = [...`${stdout}${stderr}`.matchAll(/^ +(file:\S+) \(/gm)]
    .map(([, url = ""]) => url)
    .filter((url) => url.startsWith(ROOT.href))
    .map((url) => decodeURIComponent(url.slice(ROOT.href.length)));
  if (code !== 0 || files.length === 0) throw new Error(stderr);
  return files;
}

/** A program of a packed application that runs until it is told to stop. */
class PackedProgram implements AsyncDisposable {
  /** The URL that it says it is on. */
  readonly url: string;
  readonly #process: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #stderr: Promise<string>;

  private constructor(
    process: Deno.ChildProcess,
    lines: ReadableStreamDefaultReader<string>,
    stderr: Promise<string>,
    url: string,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.#stderr = stderr;
    this.url = url;
  }

  /** Starts one; resolves when it listens. */
  static async start(command: Deno.Command): Promise<PackedProgram> {
    const process = command.spawn();
    const stderr = new Response(process.stderr).text();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    let url: string | undefined;
    while (url === undefined) {
      const { value, done } = await within(lines.read(), LIMIT, "a line");
      if (done) {
        await process[Symbol.asyncDispose]();
        throw new Error(`It does not listen: ${await stderr}`);
      }
      [, url] = / on (http:\S+)/.exec(value) ?? [];
    }
    return new PackedProgram(process, lines, stderr, url);
  }

  /** Interrupts it; resolves with its status, and its output on stderr. */
  async stop(): Promise<{ code: number; stderr: string }> {
    this.#process.kill("SIGINT");
    while (!(await within(this.#lines.read(), LIMIT, "its end")).done);
    const { code } = await this.#process.status;
    return { code, stderr: await this.#stderr };
  }

  /** Stops it, if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } catch {
      // It has ended.
    }
  }
}

/**
 * A folder with nothing in it but an application that uses the package as JSR
 * would have it: the files that would be published, and the stand-ins for `@std`.
 */
export class PackedApp implements AsyncDisposable {
  /** The files of the package. */
  readonly files: readonly string[];
  /** The application's folder. */
  readonly folder: string;
  readonly #parent: string;

  private constructor(parent: string, files: readonly string[]) {
    this.#parent = parent;
    this.folder = `${parent}/app`;
    this.files = files;
  }

  /** Packs the package. */
  static async create(): Promise<PackedApp> {
    const files = await publishedFiles();
    const app = new PackedApp(await Deno.makeTempDir(), files);
    const packed = `${app.#parent}/package`;
    for (const file of files) {
      await Deno.mkdir(dirname(`${packed}/${file}`), { recursive: true });
      await Deno.copyFile(new URL(file, ROOT), `${packed}/${file}`);
    }
    const { links, workspace: _, ...config }: Configuration = JSON.parse(
      await Deno.readTextFile(`${packed}/deno.json`),
    );
    await Deno.writeTextFile(`${packed}/deno.json`, JSON.stringify(config));
    await Deno.mkdir(app.folder);
    await Deno.writeTextFile(
      `${app.folder}/deno.json`,
      JSON.stringify({
        imports: {
          ...config.imports,
          "@rivulet/rivulet": `jsr:@rivulet/rivulet@${config.version}`,
        },
        links: [
          packed,
          ...links.map((link) => fileURLToPath(new URL(link, ROOT))),
        ],
        nodeModulesDir: "none",
      }),
    );
    // Without it the registry would be asked for the versions.
    await Deno.copyFile(
      new URL("deno.lock", ROOT),
      `${app.folder}/deno.lock`,
    );
    return app;
  }

  /** Writes a file into the application's folder. */
  async write(name: string, text: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/${name}`, text);
  }

  /** Runs a command of Deno in the application's folder to its end, without a network. */
  run(
    [command = "", ...args]: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Output> {
    return output([command, "--cached-only", "--no-prompt", ...args], {
      cwd: this.folder,
      env: { NO_COLOR: "1", ...env },
    });
  }

  /** Starts a program that listens, in the application's folder. */
  start(args: readonly string[]): Promise<PackedProgram> {
    return PackedProgram.start(
      new Deno.Command(Deno.execPath(), {
        args: ["run", "--cached-only", "--no-prompt", ...args],
        cwd: this.folder,
        env: { NO_COLOR: "1", RIVULET_LOG_LEVEL: "warning" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
    );
  }

  /** Removes all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#parent, { recursive: true });
  }
}
