/**
 * The proxies of docs/, as they are configured there, on ports of a test.
 *
 * @module
 */
import { freePort } from "./free_port.ts";
import { untilListening } from "./until_listening.ts";

/** The name that the configurations are for. */
export const PROXY_HOST = "rivulet.example.com";

/** A proxy that can be started. */
export interface ProxyKind {
  readonly name: "nginx" | "caddy";
  /** The argument that prints its version. */
  readonly version: string;
  /** Its configuration, in docs/. */
  readonly file: string;
}

/** The proxies. */
export const PROXIES: readonly ProxyKind[] = [
  { name: "nginx", version: "-v", file: "nginx.conf" },
  { name: "caddy", version: "version", file: "Caddyfile" },
];

const docs = new URL("../../../docs/", import.meta.url);

/** Replaces what has to be there, once. */
function replace(text: string, from: string, to: string): string {
  const parts = text.split(from);
  if (parts.length !== 2) {
    throw new Error(
      `Expected '${from}' once, and it is there ${parts.length - 1} times`,
    );
  }
  return parts.join(to);
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args })
    .output();
  if (!success) {
    throw new Error(`${command}: ${new TextDecoder().decode(stderr)}`);
  }
}

interface Setup {
  readonly folder: string;
  readonly port: number;
  readonly plainPort: number;
  readonly upstream: number;
}

/** The configuration that a test needs, and a machine that serves does not. */
const SETUPS = {
  nginx(
    text: string,
    { folder, port, plainPort, upstream }: Setup,
  ): { text: string; command: string[] } {
    const changes: [string, string][] = [
      ["127.0.0.1:8787;", `127.0.0.1:${upstream};`],
      ["listen 80;", `listen 127.0.0.1:${plainPort};`],
      ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
      ["/etc/nginx/rivulet.crt", `${folder}/crt`],
      ["/etc/nginx/rivulet.key", `${folder}/key`],
      ["/var/log/nginx/rivulet.access.log", `${folder}/log`],
      ["worker_rlimit_nofile 65536;", ""],
      ["worker_connections 32768;", "worker_connections 256;"],
      ["worker_processes auto;", "worker_processes 1;"],
      [
        "http {",
        `http { ${
          ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")
        }`,
      ],
    ];
    const all = `daemon off; pid ${folder}/pid; ${
      Deno.uid() === 0 ? "user root;" : ""
    }`;
    return {
      text: changes.reduce((text, [from, to]) => replace(text, from, to), text),
      command: [
        ...["nginx", "-c", `${folder}/nginx.conf`, "-p", folder],
        ...["-e", "stderr", "-g", all],
      ],
    };
  },
  caddy(
    text: string,
    { folder, port, upstream }: Setup,
  ): { text: string; command: string[] } {
    const changes: [string, string][] = [
      ["reverse_proxy 127.0.0.1:8787", `reverse_proxy 127.0.0.1:${upstream}`],
      [
        `${PROXY_HOST} {`,
        `{
	admin off
	auto_https disable_redirects
	storage file_system ${folder}/storage
}
https://${PROXY_HOST}:${port} {
	bind 127.0.0.1
	tls ${folder}/crt ${folder}/key`,
      ],
      ["\tlog {", `\tlog {\n\t\toutput file ${folder}/log`],
    ];
    return {
      text: changes.reduce((text, [from, to]) => replace(text, from, to), text),
      command: [
        ...["caddy", "run", "--adapter", "caddyfile"],
        ...["--config", `${folder}/Caddyfile`],
      ],
    };
  },
} as const;

/** A proxy that runs, with a certificate of its own. */
export class Proxy implements AsyncDisposable {
  /** The beginning of its URLs, of a host that has to be resolved by who asks. */
  readonly url: string;
  /** Its port. */
  readonly port: number;
  /** The file of the certificate. */
  readonly certificate: string;
  readonly #folder: string;
  readonly #process: Deno.ChildProcess;
  readonly #stderr: Promise<string>;

  private constructor(
    folder: string,
    port: number,
    process: Deno.ChildProcess,
  ) {
    this.#folder = folder;
    this.port = port;
    this.url = `https://${PROXY_HOST}:${port}`;
    this.certificate = `${folder}/crt`;
    this.#process = process;
    this.#stderr = new Response(process.stderr).text();
  }

  /** Starts one in front of a port; resolves when it answers. */
  static async start(
    { name, file }: ProxyKind,
    upstream: number,
  ): Promise<Proxy> {
    const folder = await Deno.makeTempDir({ prefix: "rivulet-proxy-" });
    await run(
      ...["openssl", "req", "-x509", "-nodes", "-days", "2"] as const,
      ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
      ...["-subj", `/CN=${PROXY_HOST}`],
      ...["-addext", `subjectAltName=DNS:${PROXY_HOST}`],
      ...["-keyout", `${folder}/key`, "-out", `${folder}/crt`],
    );
    // Only now: another program could take them meanwhile.
    const [port, plainPort] = [freePort(), freePort()];
    const { text, command: [command, ...args] } = SETUPS[name](
      await Deno.readTextFile(new URL(file, docs)),
      { folder, port, plainPort, upstream },
    );
    await Deno.writeTextFile(`${folder}/${file}`, text);
    const process = new Deno.Command(command!, { // SETUPS names it
      args,
      env: { HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const proxy = new Proxy(folder, port, process);
    await untilListening(port, process, proxy.#stderr, name);
    return proxy;
  }

  /** Stops it; returns what it has logged of requests, and said otherwise. */
  async stop(): Promise<string> {
    try {
      this.#process.kill("SIGTERM");
    } catch {
      // it has ended by itself
    }
    await this.#process.status;
    return await this.#stderr + await this.#log();
  }

  async #log(): Promise<string> {
    try {
      return await Deno.readTextFile(`${this.#folder}/log`);
    } catch (error) {
      // There is none where there was no answer to be logged.
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  /** Stops it, and leaves nothing. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.stop();
    } finally {
      await Deno.remove(this.#folder, { recursive: true });
    }
  }
}
