/**
 * Debian's `redis-server` in a process of its own, on a file.
 *
 * @module
 */
import { createClient } from "redis";
import { TemporaryFolder } from "../../tests/support/relay/sqlite_world.ts";
import { LIMIT, until } from "../../tests/support/within.ts";

/** A server that can be restarted under its port. */
export class RedisServer implements AsyncDisposable {
  /** The port. */
  readonly port: number;
  readonly #folder = new TemporaryFolder();
  #process!: Deno.ChildProcess; // it is started before anybody has this

  private constructor(port: number) {
    this.port = port;
  }

  /** Starts a server. */
  static async start(): Promise<RedisServer> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const server = new RedisServer(listener.addr.port);
    listener.close();
    await server.#start();
    return server;
  }

  /** The URL. */
  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Stops it, and starts another on its file: each write is there. */
  async restart(): Promise<void> {
    await this.#stop();
    await this.#start();
  }

  async #start(): Promise<void> {
    const { path } = this.#folder;
    const args = Object.entries({
      "--bind": "127.0.0.1",
      "--port": this.port,
      "--dir": path,
      "--appendonly": "yes",
    }).flat().map(String);
    this.#process = new Deno.Command("redis-server", {
      args,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(async () => await this.#answers() || undefined, LIMIT, "Redis");
  }

  async #answers(): Promise<boolean> {
    const client = createClient({
      url: this.url,
      socket: { reconnectStrategy: false },
    });
    client.on("error", () => {}); // it rejects, too
    try {
      await client.connect();
      await client.ping();
      await client.disconnect();
      return true;
    } catch {
      return false;
    }
  }

  async #stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    await this.#folder[Symbol.asyncDispose]();
  }
}
