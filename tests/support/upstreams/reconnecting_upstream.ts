/**
 * An SSE upstream that answers each connection in its own way.
 *
 * @module
 */
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

/** One connection, for the upstream to answer. */
export interface UpstreamConnection {
  /** The `Last-Event-ID`; `undefined` where there is none. */
  readonly lastEventId: string | undefined;
  /** Sends the beginning of an event stream. */
  write(text: string): Promise<void>;
  /** Cuts the connection. */
  drop(): void;
  /** Ends the stream well. */
  end(): void;
  /** Answers with a status instead. */
  refuse(status: number): void;
  /** Answers with a page instead. */
  page(): void;
}

/** The answer on one connection. */
export type Answer = (connection: UpstreamConnection) => void | Promise<void>;

/** A server whose connections are answered in turn. */
export class ReconnectingUpstream implements AsyncDisposable {
  /** The `Last-Event-ID` of every connection. */
  readonly given: (string | undefined)[] = [];
  readonly #server: Server;
  readonly #answers: Answer[];

  private constructor(answers: readonly Answer[]) {
    this.#answers = [...answers];
    this.#server = createServer((request, response) =>
      this.#answer(request, response)
    );
  }

  /**
   * Starts one.
   *
   * @param answers For the first connection, the second and so on; the last one
   * is for all that follow.
   */
  static async start(...answers: Answer[]): Promise<ReconnectingUpstream> {
    const upstream = new ReconnectingUpstream(answers);
    await new Promise<void>((resolve) =>
      upstream.#server.listen(0, "127.0.0.1", resolve)
    );
    return upstream;
  }

  /** The URL of the upstream. */
  get url(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}/feed`;
  }

  /** Closes it, and what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const header = request.headers["last-event-id"];
    const lastEventId = Array.isArray(header) ? header[0] : header;
    this.given.push(lastEventId);
    response.on("error", () => {});
    const answer = this.#answers.length > 1
      ? this.#answers.shift()
      : this.#answers[0];
    void answer?.({
      lastEventId,
      async write(text) {
        if (!response.headersSent) {
          response.writeHead(200, { "Content-Type": "text/event-stream" });
        }
        await new Promise<void>((resolve) =>
          response.write(text, () => resolve())
        );
        // Bytes that are cut with the connection must have left before it.
        await new Promise((resolve) => setTimeout(resolve, 5));
      },
      drop: () => void response.socket?.destroy(),
      end: () => void response.end(),
      refuse: (status) => void response.writeHead(status).end(),
      page: () =>
        void response.writeHead(200, { "Content-Type": "text/html" }).end("no"),
    });
  }
}

/** An event stream of these ids, with the data `a`, `b`, `c`, ... for 1, 2, 3, ... */
export function numbered(from: number, to: number): string {
  let text = "";
  for (let id = from; id <= to; id++) {
    text += `id: ${id}\ndata: ${letter(id)}\n\n`;
  }
  return text;
}

/** The data of an event in {@linkcode numbered}. */
export function letter(id: number): string {
  return String.fromCharCode(96 + id);
}
