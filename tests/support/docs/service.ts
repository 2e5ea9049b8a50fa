/**
 * The service of docs/rivulet.service without systemd: what it starts, as another user,
 * with folders of a test in place of those of a machine.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { within } from "../within.ts";
import { copyDeno, fillCache, NO_NETWORK, npmCache } from "./locked_tree.ts";
import { freePort } from "../http/free_port.ts";

const ROOT = new URL("../../../", import.meta.url);

/** The longest that a start and a stop are waited for, in milliseconds. */
const LIMIT = 60_000;

/** The user that the service is given: of no account. */
const USER = 65_532;

/** The settings of a unit, continued lines joined. */
export function settingsOf(unit: string): Map<string, string> {
  return new Map(
    unit.replaceAll(/\\\n\s*/g, " ").split("\n")
      .filter((line) => /^[A-Z]\w+=/.test(line))
      .map((line) => {
        const equals = line.indexOf("=");
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
  );
}

/** Reads docs/rivulet.service. */
export function readUnit(): Promise<string> {
  return Deno.readTextFile(new URL("docs/rivulet.service", ROOT));
}

/** A machine that has the service. */
export class ServiceMachine implements AsyncDisposable {
  readonly #folder: string;
  readonly #unit: ReadonlyMap<string, string>;
  /** The port of each start, so that subscribers find the relay again. */
  readonly #port = freePort();

  private constructor(folder: string, unit: ReadonlyMap<string, string>) {
    this.#folder = folder;
    this.#unit = unit;
  }

  /** Makes one, with this key for tokens, and nothing installed. */
  static async create(key: string): Promise<ServiceMachine> {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-service-" });
    await Deno.chmod(folder, 0o755);
    for (const name of ["opt", "credentials", "state/rivulet", "cache"]) {
      await Deno.mkdir(`${folder}/${name}`, { recursive: true });
    }
    await Deno.writeTextFile(`${folder}/credentials/jwt.key`, key);
    if (Deno.uid() === 0) {
      await Deno.chown(`${folder}/state/rivulet`, USER, USER);
    }
    await Deno.symlink(await npmCache(), `${folder}/cache/npm`);
    await copyDeno(`${folder}/bin/deno`);
    return new ServiceMachine(folder, settingsOf(await readUnit()));
  }

  /** Installs the relay of a checkout as a version, beside the others. */
  async install(
    version: string,
    checkout: string = fileURLToPath(ROOT),
  ): Promise<void> {
    const tree = `${this.#folder}/opt/${version}`;
    await fillCache(`${tree}/.deno`);
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", ".ci/make_tree.ts", tree, checkout],
      cwd: fileURLToPath(ROOT),
      env: { ...NO_NETWORK, DENO_DIR: `${this.#folder}/cache` },
      stdout: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  /** Lets the service run a version from its next start on. */
  async use(version: string): Promise<void> {
    const link = `${this.#folder}/opt/next`;
    await Deno.symlink(version, link);
    await Deno.rename(link, `${this.#folder}/opt/current`);
  }

  /** Starts the service, which drains faster than on a machine with many subscribers. */
  start(): Promise<Service> {
    const start = this.#inFolder(this.#unit.get("ExecStart") ?? "")
      .replace(/--drain \d+s/, "--drain 100ms");
    const port = this.#port;
    const [, ...args] = start.replaceAll(":8787", `:${port}`).split(/\s+/);
    const settings = this.#inFolder(this.#unit.get("Environment") ?? "")
      .split(" ").map((setting) => {
        const equals = setting.indexOf("=");
        return [setting.slice(0, equals), setting.slice(equals + 1)] as const;
      });
    return Service.start(
      new Deno.Command(`${this.#folder}/bin/deno`, {
        args: [...args, "--port", String(port)],
        cwd: this.#inFolder(this.#unit.get("WorkingDirectory") ?? ""),
        clearEnv: true,
        env: { ...NO_NETWORK, ...Object.fromEntries(settings) },
        // Only root may become another user.
        ...Deno.uid() === 0 && { uid: USER, gid: USER },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
      port,
    );
  }

  /** Copies the store, with the relay that the service runs now. */
  async backUp(): Promise<void> {
    const { store, copy } = this.#files;
    await Deno.remove(copy).catch(() => {}); // there is none the first time
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--cached-only", "--no-check", "relay/main.ts"],
        ...["backup", store, copy],
      ],
      cwd: `${this.#folder}/opt/current`,
      env: { ...NO_NETWORK, DENO_DIR: `${this.#folder}/opt/current/.deno` },
      stdout: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  /** Puts the last copy in the place of the store, while no relay runs. */
  async restore(): Promise<void> {
    const { store, copy } = this.#files;
    for (const suffix of ["-wal", "-shm"]) {
      await Deno.remove(store + suffix).catch(() => {}); // a stopped relay has none
    }
    await Deno.copyFile(copy, store);
    if (Deno.uid() === 0) await Deno.chown(store, USER, USER);
  }

  get #files(): { store: string; copy: string } {
    return {
      store: `${this.#folder}/state/rivulet/store.db`,
      copy: `${this.#folder}/copy.db`,
    };
  }

  /** Removes all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }

  #inFolder(text: string): string {
    return text.replaceAll("/opt/rivulet", `${this.#folder}/opt`)
      .replaceAll("%S", `${this.#folder}/state`)
      .replaceAll("%d", `${this.#folder}/credentials`)
      .replaceAll("${CREDENTIALS_DIRECTORY}", `${this.#folder}/credentials`);
  }
}

/** A relay that runs as a service. */
export class Service implements AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly #process: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  readonly #output: ReadableStreamDefaultReader<string>;

  private constructor(
    process: Deno.ChildProcess,
    stderr: Promise<string>,
    output: ReadableStreamDefaultReader<string>,
    url: string,
  ) {
    this.#process = process;
    this.#stderr = stderr;
    this.#output = output;
    this.url = url;
  }

  /** Starts one; resolves when it listens. */
  static async start(command: Deno.Command, port: number): Promise<Service> {
    const process = command.spawn();
    const stderr = new Response(process.stderr).text();
    const output = process.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    let banner = "";
    while (!banner.includes("Tokens are required.")) {
      const { done, value = "" } = await within(
        output.read(),
        LIMIT,
        () => `the relay's start, after ${banner}`,
      );
      if (done) throw new Error(await stderr);
      banner += value;
    }
    return new Service(process, stderr, output, `http://127.0.0.1:${port}`);
  }

  /** Stops it as systemd does; resolves with its status, and what it wrote to stderr. */
  async stop(): Promise<{ code: number; stderr: string }> {
    this.#process.kill("SIGTERM");
    while (!(await within(this.#output.read(), LIMIT, "its end")).done);
    const { code } = await this.#process.status;
    return { code, stderr: await this.#stderr };
  }

  /** Ends it, if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      return; // it has ended
    }
    while (!(await this.#output.read()).done);
    await this.#process.status;
    await this.#stderr;
  }
}
