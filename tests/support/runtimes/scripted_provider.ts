/**
 * A provider and an upstream for tests that run on Deno, Node and Bun.
 *
 * @module
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Server } from "node:net";

/** A request that waits for its answer. */
export interface Asked {
  /** The path and the query. */
  readonly target: string;
  /** The body. */
  readonly body: string;
  /** The answer. */
  readonly answer: ServerResponse;
  /** Resolves when the connection is closed. */
  readonly closed: Promise<void>;
}

/** A server whose requests are answered by a test. */
export class ScriptedProvider implements AsyncDisposable {
  readonly #server: Server;
  readonly #waiting: Asked[] = [];
  readonly #askers: ((asked: Asked) => void)[] = [];
  readonly #answers = new Set<ServerResponse>();

  private constructor(create: (listener: RequestListener) => Server) {
    this.#server = create((request, answer) => {
      this.#answers.add(answer);
      answer.on("close", () => this.#answers.delete(answer));
      void this.#read(request, answer);
    });
  }

  /**
   * Starts one on a free port.
   *
   * @param create Makes the server. Default: one of HTTP without TLS.
   */
  static async start(
    create: (listener: RequestListener) => Server = createServer,
  ): Promise<ScriptedProvider> {
    const provider = new ScriptedProvider(create);
    await new Promise<void>((resolve) => {
      provider.#server.listen(0, "127.0.0.1", resolve);
    });
    return provider;
  }

  /** The port. */
  get port(): number {
    // It listens on TCP.
    return (this.#server.address() as AddressInfo).port;
  }

  /** `http://127.0.0.1:PORT` */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Waits for the next request. */
  next(): Promise<Asked> {
    const asked = this.#waiting.shift();
    if (asked) return Promise.resolve(asked);
    return new Promise((resolve) => this.#askers.push(resolve));
  }

  /** Closes the server, and what is still open. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const answer of this.#answers) answer.socket?.destroy();
    await closed;
  }

  async #read(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const closed = new Promise<void>((resolve) => answer.on("close", resolve));
    const parts: Uint8Array[] = [];
    try {
      for await (const part of request) parts.push(part);
    } catch {
      return; // the relay has hung up
    }
    const body = parts.map((part) => new TextDecoder().decode(part)).join("");
    const asked = { target: request.url ?? "", body, answer, closed };
    const asker = this.#askers.shift();
    if (asker) asker(asked);
    else this.#waiting.push(asked);
  }
}

/** Returns an event of a chat completion. */
export function chatEvent(content: string | undefined): string {
  const choice = content === undefined
    ? { index: 0, delta: {}, finish_reason: "stop" }
    : { index: 0, delta: { content }, finish_reason: null };
  const object = "chat.completion.chunk";
  return `data: ${JSON.stringify({ id: "c", object, choices: [choice] })}\n\n`;
}

/** The end of a chat completion. */
export const CHAT_END: string = `${chatEvent(undefined)}data: [DONE]\n\n`;

/** Begins an event stream. */
export function beginStream({ answer }: Asked): void {
  answer.writeHead(200, { "Content-Type": "text/event-stream" });
  answer.flushHeaders();
}
