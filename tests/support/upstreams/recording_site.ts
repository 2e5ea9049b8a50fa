/**
 * A web site that remembers what it is asked, on an address of its own.
 *
 * @module
 */
import {
  createServer,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** A request that it received. */
export interface SiteRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

/** Answers a path. */
export type SiteAnswer = (response: ServerResponse) => void;

/** An answer that is an event stream, and ends. */
export function events(text: string): SiteAnswer {
  return (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(text);
  };
}

/** An answer that leads elsewhere. */
export function redirect(location: string, status = 302): SiteAnswer {
  return (response) => {
    response.writeHead(status, { Location: location });
    response.end("moved");
  };
}

/** One site. */
export class RecordingSite implements AsyncDisposable {
  /** The requests so far. */
  readonly requests: SiteRequest[] = [];
  /** The number of connections. */
  connections = 0;
  readonly #server: Server;
  readonly #hostname: string;
  readonly #answers: Record<string, SiteAnswer>;

  private constructor(hostname: string, answers: Record<string, SiteAnswer>) {
    this.#hostname = hostname;
    this.#answers = answers;
    this.#server = createServer(({ url = "", headers }, response) => {
      this.requests.push({ path: url, headers });
      const answer = this.#answers[url] ?? this.#answers["*"];
      if (answer) return answer(response);
      response.writeHead(404);
      response.end();
    });
    this.#server.on("connection", () => this.connections++);
  }

  /**
   * Starts one.
   *
   * @param answers By path; `*` for all others.
   * @param hostname An address of this machine.
   */
  static async start(
    answers: Record<string, SiteAnswer>,
    hostname = "127.0.0.1",
  ): Promise<RecordingSite> {
    const site = new RecordingSite(hostname, answers);
    await new Promise<void>((resolve) =>
      site.#server.listen(0, hostname, resolve)
    );
    return site;
  }

  /** Its port. */
  get port(): number {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return port;
  }

  /** The beginning of its URLs. */
  get origin(): string {
    return `http://${this.#hostname}:${this.port}`;
  }

  /** The paths that it was asked for. */
  get paths(): string[] {
    return this.requests.map(({ path }) => path);
  }

  /** Answers a path from now on. */
  on(path: string, answer: SiteAnswer): void {
    this.#answers[path] = answer;
  }

  /** Closes it, and what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
