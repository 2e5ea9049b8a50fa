/**
 * What the relay reads from: sources that go on after the id that they are told, and a
 * provider of models.
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
import { encodeEvent } from "../../src/sse/encode.ts";
import { runEvents, sourceEvent } from "./contents.ts";
import type { Random } from "../support/random.ts";

/** The pauses between two writes, in milliseconds. */
const PAUSES = [0, 20, 60, 150];

/** A server of both. */
export class Upstreams implements AsyncDisposable {
  /** The number of requests that went on after an id. */
  resumed = 0;
  readonly #answers = new Set<Promise<void>>();
  readonly #server: Server;
  readonly #random: Random;

  private constructor(random: Random) {
    this.#random = random;
    this.#server = createServer((request, response) => {
      response.on("error", () => {});
      const answer = this.#answer(request, response).finally(() =>
        this.#answers.delete(answer)
      );
      this.#answers.add(answer);
    });
  }

  /** Starts a server. */
  static async start(random: Random): Promise<Upstreams> {
    const upstreams = new Upstreams(random);
    await new Promise<void>((resolve) =>
      upstreams.#server.listen(0, "127.0.0.1", resolve)
    );
    return upstreams;
  }

  /** The beginning of its URLs. */
  get origin(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  /** Returns the URL of a source with so many events. */
  source(name: string, length: number): string {
    return `${this.origin}/sources/${name}/${length}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    await Promise.all(this.#answers);
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", this.origin);
    const [, folder, name = "", length = ""] = pathname.split("/");
    if (folder === "sources") {
      const last = request.headers["last-event-id"];
      if (last !== undefined) this.resumed++;
      return await this.#play(
        response,
        name,
        Number(length),
        Number(last ?? 0),
      );
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    const { messages } = JSON.parse(body);
    await this.#run(response, messages[0].content);
  }

  /** Plays a source on from an id; the connection breaks off now and then. */
  async #play(
    response: ServerResponse,
    name: string,
    length: number,
    last: number,
  ): Promise<void> {
    if (last >= length) {
      response.writeHead(204).end();
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("retry: 10\n\n");
    for (let n = last; n < length && !response.destroyed;) {
      const until = Math.min(length, n + this.#random.integer(1, 4));
      let text = "";
      while (n < until) text += encodeEvent(sourceEvent(name, ++n));
      response.write(text);
      await this.#pause(2);
      if (this.#random.chance(0.005)) response.socket?.destroy();
    }
    response.end();
  }

  async #run(response: ServerResponse, name: string): Promise<void> {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const event of runEvents(name)) {
      if (response.destroyed) return;
      response.write(encodeEvent(event));
      await this.#pause(1);
    }
    response.end();
  }

  #pause(times: number): Promise<void> {
    const long = times * this.#random.pick(PAUSES);
    return new Promise((resolve) => setTimeout(resolve, long));
  }
}
