/**
 * The upstreams of the relay: sources that go on after the id that they are
 * told, and a provider of models.
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
import {
  isForgotten,
  responseEvents,
  responseId,
  runEvents,
  sourceEvent,
} from "./contents.ts";
import type { Random } from "../support/random.ts";

/** The pauses between two writes, in milliseconds. */
const PAUSES = [0, 20, 60, 150];

/** A server of both. */
export class Upstreams implements AsyncDisposable {
  /** The number of requests that went on after an id. */
  resumed = 0;
  /** The number of requests for the rest of a response. */
  responsesResumed = 0;
  /** Resolves once runs may come to their ends: each has all but its last words before. */
  runsMayEnd: Promise<void> = Promise.resolve();
  /** The responses in the background, by their ids. */
  readonly #responses = new Map<
    string,
    { readonly name: string; readonly start: number; readonly pace: number }
  >();
  readonly #answers = new Set<Promise<void>>();
  readonly #server: Server;
  readonly #random: Random;

  private constructor(random: Random) {
    this.#random = random;
    this.#server = createServer((request, response) => {
      request.on("error", () => {});
      response.on("error", () => {});
      const answer = this.#answer(request, response).finally(() =>
        this.#answers.delete(answer)
      );
      this.#answers.add(answer);
    });
    // A relay that was held up still takes a connection for open that was closed as idle.
    this.#server.keepAliveTimeout = 600_000;
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
    if (request.method === "GET") {
      return await this.#goOn(request.url ?? "", response);
    }
    let body = "";
    try {
      for await (const chunk of request) body += chunk;
    } catch {
      return; // the relay was killed in the middle of its request
    }
    const { messages, input } = JSON.parse(body);
    if (input === undefined) {
      return await this.#run(response, messages[0].content);
    }
    // One that was asked for again is another run, and has the same events.
    this.#responses.set(responseId(input), {
      name: input,
      start: performance.now(),
      pace: this.#random.pick([5, 30, 80]),
    });
    await this.#tell(response, responseId(input), 0);
  }

  /** Answers `GET /v1/responses/{id}?stream=true&starting_after=N`. */
  async #goOn(target: string, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(target, this.origin);
    const id = pathname.split("/").at(-1) ?? "";
    const after = searchParams.get("starting_after");
    if (isForgotten(id.replace("resp_", ""))) {
      response.writeHead(404, { "Content-Type": "application/json" });
      response.end('{"error":{"message":"There is no such response"}}');
      return;
    }
    this.responsesResumed++;
    await this.#tell(response, id, after === null ? 0 : Number(after) + 1);
  }

  /** Tells a response from a number on, which it goes on with by itself. */
  async #tell(
    response: ServerResponse,
    id: string,
    from: number,
  ): Promise<void> {
    const { name, start, pace } = this.#responses.get(id) ?? {};
    if (name === undefined || start === undefined || pace === undefined) {
      response.writeHead(400).end();
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const [n, event] of responseEvents(name).entries()) {
      if (n < from) continue;
      const due = start + n * pace - performance.now();
      if (due > 0) await new Promise((resolve) => setTimeout(resolve, due));
      if (response.destroyed) return;
      response.write(encodeEvent(event));
      if (n > from && !isForgotten(name) && this.#random.chance(0.01)) {
        // The bytes written arrive: a relay asks three times for the next
        // event.
        break;
      }
    }
    response.end();
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
    const texts = runEvents(name).map(encodeEvent);
    // On a busy machine, the relay would not wait for what comes after the last word.
    const last = texts.splice(-2).join("");
    for (const text of texts) {
      if (response.destroyed) return;
      response.write(text);
      await this.#pause(1);
    }
    const left = new Promise<void>((resolve) =>
      response.once("close", resolve)
    );
    if (!response.destroyed) await Promise.race([this.runsMayEnd, left]);
    response.end(last);
  }

  #pause(times: number): Promise<void> {
    const long = times * this.#random.pick(PAUSES);
    return new Promise((resolve) => setTimeout(resolve, long));
  }
}
