import { type Outlet, writeText } from "./outlet.ts";
import { TOPIC } from "../event.ts";

/** The requests for events, and their answers. */
export interface Requests {
  /** Makes the request for an event. */
  request(data: string): string;
  /** Text that occurs once in each answer to a request that was met. */
  readonly met: string;
  /** Text in the answer to a request that was not. */
  readonly failed: RegExp;
}

/** This many requests may wait for their answers. */
const PIPELINE = 64;

/** One connection, with a request for each event; none waits for the one before. */
export class PipelinedOutlet implements Outlet {
  readonly batch = PIPELINE / 2;
  readonly #connection: Deno.Conn;
  readonly #requests: Requests;
  #waiting = 0;
  #onRoom: (() => void) | undefined;

  private constructor(connection: Deno.Conn, requests: Requests) {
    this.#connection = connection;
    this.#requests = requests;
    void this.#readAnswers();
  }

  /** Connects to a server. */
  static async open(
    port: number,
    requests: Requests,
  ): Promise<PipelinedOutlet> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay();
    return new PipelinedOutlet(connection, requests);
  }

  /** Sends requests, as many as may wait at a time. */
  async send(events: readonly string[]): Promise<void> {
    for (let at = 0; at < events.length;) {
      while (this.#waiting >= PIPELINE) {
        await new Promise<void>((resolve) => this.#onRoom = resolve);
      }
      const some = events.slice(at, at + PIPELINE - this.#waiting);
      at += some.length;
      this.#waiting += some.length;
      const requests = some.map((data) => this.#requests.request(data));
      await writeText(this.#connection, requests.join(""));
    }
  }

  async #readAnswers(): Promise<void> {
    const { met, failed } = this.#requests;
    const decoder = new TextDecoder();
    let rest = "";
    for await (const bytes of this.#connection.readable) {
      const answers = (rest + decoder.decode(bytes)).split(met);
      rest = answers.at(-1) ?? ""; // the split made one at least
      const failure = answers.find((answer) => failed.test(answer));
      if (failure !== undefined) throw new Error(`Not published: ${failure}`);
      this.#waiting -= answers.length - 1;
      if (this.#waiting < PIPELINE) this.#onRoom?.();
    }
  }
}

/** A `POST` for each event, over one connection that is kept. */
export const POSTS: Requests = {
  request: (data) =>
    `POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n` +
    `Content-Length: ${data.length}\r\n\r\n${data}`,
  met: "HTTP/1.1 20",
  failed: /HTTP\/1\.1 [^2]/,
};

/** A `PUBLISH` for each event. */
export const PUBLISHES: Requests = {
  request: (data) =>
    `*3\r\n$7\r\nPUBLISH\r\n$${TOPIC.length}\r\n${TOPIC}\r\n` +
    `$${data.length}\r\n${data}\r\n`,
  met: "\n",
  failed: /^-/,
};
