/**
 * Servers that are not ours, each a process of its own.
 *
 * @module
 */
import { TextLineStream } from "@std/streams/text-line-stream";
import { freePort } from "../../http/free_port.ts";
import { LIMIT, until, within } from "../../within.ts";

const FOLDER = new URL("./", import.meta.url).pathname;

/** Runs a program to its end. */
export async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args })
    .output();
  if (!success) {
    throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
  }
}

/** A server that runs. */
export class ForeignServer implements AsyncDisposable {
  /** Its port on the loopback interface. */
  readonly port: number;
  readonly #process: Deno.ChildProcess;
  readonly #output: Promise<unknown>;

  private constructor(
    port: number,
    process: Deno.ChildProcess,
    output: Promise<unknown>,
  ) {
    this.port = port;
    this.#process = process;
    this.#output = output;
  }

  /** Starts a program that says its port on its first line. */
  static async start(
    command: string,
    ...args: string[]
  ): Promise<ForeignServer> {
    const process = new Deno.Command(command, {
      args,
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const lines = process.stdout.pipeThrough(new TextDecoderStream())
      .pipeThrough(new TextLineStream()).getReader();
    const { value = "" } = await within(lines.read(), LIMIT, command);
    return new ForeignServer(Number(value), process, lines.cancel());
  }

  /** Starts Python's `http.server`. */
  static python(): Promise<ForeignServer> {
    return ForeignServer.start("python3", `${FOLDER}server.py`);
  }

  /** Starts a server of Node's `http` with a strict reader of bodies. */
  static node(): Promise<ForeignServer> {
    return ForeignServer.start("node", `${FOLDER}server.mjs`, "http");
  }

  /** Starts a server of Node's `http2`, which speaks nothing else. */
  static http2(key: string, certificate: string): Promise<ForeignServer> {
    const args = [`${FOLDER}server.mjs`, "http2", key, certificate];
    return ForeignServer.start("node", ...args);
  }

  /** Starts nginx, which answers as the lines of a `server` say. */
  static async nginx(folder: string, lines: string): Promise<ForeignServer> {
    const port = freePort();
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
    await Deno.writeTextFile(
      `${folder}/nginx.conf`,
      `daemon off; worker_processes 1; pid ${folder}/pid;
${Deno.uid() === 0 ? "user root;" : ""}
events { worker_connections 64; }
http {
${temporary}
access_log off;
server { listen 127.0.0.1:${port}; ${lines} }
}`,
    );
    const process = new Deno.Command("nginx", {
      args: ["-c", `${folder}/nginx.conf`, "-p", folder, "-e", "stderr"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(
      async () => {
        try {
          (await Deno.connect({ hostname: "127.0.0.1", port })).close();
          return true;
        } catch {
          return undefined;
        }
      },
      LIMIT,
      "nginx",
    );
    return new ForeignServer(port, process, Promise.resolve());
  }

  /** Stops it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
    await this.#output;
  }
}
