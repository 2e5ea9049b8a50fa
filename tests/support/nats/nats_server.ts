/**
 * nats-server in a process of its own, with JetStream in a folder of its own.
 *
 * @module
 */
import { isMissing } from "../tools.ts";
import { LIMIT, until, within } from "../within.ts";

/** Whether tests that need nats-server have to be ignored. */
export function lacksNats(): boolean {
  return isMissing("nats-server", "On Debian: apt-get install nats-server");
}

/** The settings with which a server starts. */
export interface NatsServerOptions {
  /** The port. Default: a free one. */
  readonly port?: number;
  /** The folder of its streams. Default: one that is removed at the end. */
  readonly folder?: string;
  /** More lines of its configuration. */
  readonly config?: string;
  /** More lines in `jetstream`. */
  readonly jetstream?: string;
}

/** A server that runs. */
export class NatsServer implements AsyncDisposable {
  /** Its port. */
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #folder: string;
  readonly #isOwn: boolean;
  readonly #write: (config: string) => Promise<void>;

  private constructor(
    port: number,
    process: Deno.ChildProcess,
    { folder, isOwn, write }: {
      readonly folder: string;
      readonly isOwn: boolean;
      readonly write: (config: string) => Promise<void>;
    },
  ) {
    this.port = port;
    this.#process = process;
    this.#folder = folder;
    this.#isOwn = isOwn;
    this.#write = write;
  }

  /** Starts a server, and waits until it listens. */
  static async start(
    { port = -1, folder, config = "", jetstream = "" }: NatsServerOptions = {},
  ): Promise<NatsServer> {
    const own = folder ?? await Deno.makeTempDir({ prefix: "rivulet-nats-" });
    const path = `${own}/nats.conf`;
    const write = (config: string): Promise<void> =>
      Deno.writeTextFile(
        path,
        `host: 127.0.0.1\nport: ${port}\nports_file_dir: "${own}"\n` +
          `jetstream { store_dir: "${own}"\n${jetstream} }\n${config}\n`,
      );
    await write(config);
    const process = new Deno.Command("nats-server", {
      args: ["-c", path],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const file = `${own}/nats-server_${process.pid}.ports`;
    const listening = await until(() => portIn(file), LIMIT, "nats-server");
    return new NatsServer(listening, process, {
      folder: own,
      isOwn: folder === undefined,
      write,
    });
  }

  /** Its number in the system. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Its address. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Has it take other lines for those of {@linkcode NatsServerOptions.config}. */
  async reload(config: string): Promise<void> {
    await this.#write(config);
    this.signal("SIGHUP");
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#process.kill(signal);
  }

  /** Kills it, and waits for its end; its folder stays. */
  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended by itself.
    }
    await within(this.#process.status, LIMIT, "nats-server to end");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#isOwn) await Deno.remove(this.#folder, { recursive: true });
  }
}

function portIn(path: string): number | undefined {
  try {
    const { nats } = JSON.parse(Deno.readTextFileSync(path));
    return Number(new URL(nats[0]).port);
  } catch {
    return undefined; // not written yet
  }
}
