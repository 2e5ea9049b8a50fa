/**
 * nginx as docs/nginx.conf has it, with what docs/cluster.md changes for several relays,
 * without TLS.
 *
 * @module
 */
import { freePort } from "../support/http/free_port.ts";
import { untilListening } from "../support/http/until_listening.ts";

const docs = new URL("../../docs/", import.meta.url);

/** Reads the block `upstream` for several relays from the guide. */
async function upstreamOf(ports: readonly number[]): Promise<string> {
  const guide = await Deno.readTextFile(new URL("cluster.md", docs));
  const [block] = /upstream rivulet \{[^}]*\}\n/.exec(guide) ?? [];
  if (!block) {
    throw new Error("docs/cluster.md has no block 'upstream rivulet'");
  }
  let index = 0;
  const text = block.replaceAll(
    /server relay-\d:8787 /g,
    () => `server 127.0.0.1:${ports[index++]} `,
  );
  if (index !== ports.length) {
    throw new Error(
      `docs/cluster.md has ${index} relays: expected ${ports.length}`,
    );
  }
  return text;
}

/** Reads the lines that are added to the location from the guide. */
async function locationOf(): Promise<string> {
  const guide = await Deno.readTextFile(new URL("cluster.md", docs));
  const lines = guide.match(/^\s*proxy_next_upstream\w* [^;]*;$/gm);
  if (!lines) throw new Error("docs/cluster.md has no 'proxy_next_upstream'");
  return lines.join("\n");
}

/** nginx, which runs. */
export class Nginx implements AsyncDisposable {
  /** The beginning of its URLs. */
  readonly url: string;
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #stderr: Promise<string>;

  private constructor(
    folder: string,
    port: number,
    process: Deno.ChildProcess,
  ) {
    this.#folder = folder;
    this.url = `http://127.0.0.1:${port}`;
    this.#process = process;
    this.#stderr = new Response(process.stderr).text();
  }

  /** Starts it in front of relays; resolves when it answers. */
  static async start(relays: readonly number[]): Promise<Nginx> {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-nginx-" });
    const port = freePort();
    let text = await Deno.readTextFile(new URL("nginx.conf", docs));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/${name};`).join(" ");
    for (
      const [from, to] of [
        [/upstream rivulet \{[^}]*\}\n/, await upstreamOf(relays)],
        [/server \{\s*listen 80;[^}]*\}\n/, ""],
        ["listen 443 ssl http2;", `listen 127.0.0.1:${port};`],
        [/ssl_certificate\w* [^;]*;/g, ""],
        ["location / {", `location / {\n${await locationOf()}`],
        ["/var/log/nginx/rivulet.access.log", "off"],
        [" pathonly;", ";"],
        ["worker_rlimit_nofile 65536;", ""],
        ["worker_connections 32768;", "worker_connections 1024;"],
        ["worker_processes auto;", "worker_processes 1;"],
        ["http {", `http { ${temporary}`],
      ] as const
    ) {
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`docs/nginx.conf has no ${from}`);
      text = changed;
    }
    await Deno.writeTextFile(`${folder}/nginx.conf`, text);
    const user = Deno.uid() === 0 ? "user root;" : "";
    const process = new Deno.Command("nginx", {
      args: [
        ...["-c", `${folder}/nginx.conf`, "-p", folder, "-e", "stderr"],
        ...["-g", `daemon off; pid ${folder}/pid; ${user}`],
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const nginx = new Nginx(folder, port, process);
    await untilListening(port, process, nginx.#stderr, "nginx");
    return nginx;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
    await this.#process.status;
    await this.#stderr;
    await Deno.remove(this.#folder, { recursive: true });
  }
}
