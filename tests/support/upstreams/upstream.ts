/**
 * SSE upstreams that send what a test tells them to, when it tells them to.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers";
import type { Random } from "../random.ts";

/** An answer that is being written. */
class UpstreamAnswer {
  readonly #response: ServerResponse;
  /** Resolves when the connection is gone, whoever closed it. */
  readonly closed: Promise<void>;

  constructor(response: ServerResponse) {
    this.#response = response;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.on("error", () => {});
    response.on("close", resolve);
    this.closed = promise;
  }

  /** Sends bytes as a chunk of its own, as far as anybody can say. */
  async write(bytes: Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#response.write(Buffer.from(bytes), () => resolve());
    await Promise.race([promise, this.closed]);
    // A turn of the event loop: the reader may take it before the next one comes.
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }

  /** The body ends as it should. */
  end(): void {
    this.#response.end();
  }

  /** The connection ends within the body. */
  destroy(): void {
    this.#response.socket?.destroy();
  }

  /** The connection is reset within the body. */
  reset(): void {
    this.#response.socket?.resetAndDestroy();
  }
}

/** The answer of an upstream. */
export interface UpstreamAnswerOptions {
  /** Default: 200. */
  readonly status?: number;
  /** Default: `text/event-stream`. */
  readonly contentType?: string;
  /** A whole body; without it, the test writes. */
  readonly body?: string;
}

/** A server with an upstream at each path. */
export class Upstream implements AsyncDisposable {
  readonly #server: Server;
  readonly #answers = new Map<string, PromiseWithResolvers<UpstreamAnswer>>();
  readonly #options = new Map<string, UpstreamAnswerOptions>();

  private constructor() {
    this.#server = createServer((request, response) =>
      this.#answer(request, response)
    );
  }

  /** Starts one on a port of its own. */
  static async start(): Promise<Upstream> {
    const upstream = new Upstream();
    await new Promise<void>((resolve) =>
      upstream.#server.listen(0, "127.0.0.1", resolve)
    );
    return upstream;
  }

  /** The beginning of its URLs. */
  get origin(): string {
    const { port } = this.#server.address() as AddressInfo; // it listens on TCP
    return `http://127.0.0.1:${port}`;
  }

  /** Adds an upstream, and returns its URL. */
  add(name: string, options: UpstreamAnswerOptions = {}): string {
    this.#answers.set(name, Promise.withResolvers());
    this.#options.set(name, options);
    return `${this.origin}/${name}`;
  }

  /** Resolves once somebody has asked for this upstream. */
  answer(name: string): Promise<UpstreamAnswer> {
    const answer = this.#answers.get(name);
    if (!answer) throw new Error(`There is no upstream '${name}'`);
    return answer.promise;
  }

  /** Closes it, and what is open. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const name = (request.url ?? "/").slice(1);
    const { status = 200, contentType = "text/event-stream", body } =
      this.#options.get(name) ?? { status: 404, body: "" };
    response.writeHead(status, { "Content-Type": contentType });
    if (body !== undefined) {
      response.end(body);
    } else {
      response.flushHeaders();
      this.#answers.get(name)?.resolve(new UpstreamAnswer(response));
    }
  }
}

const CR = 0x0D;
const LF = 0x0A;

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xC0) === 0x80;
}

/**
 * Cuts a body into chunks: inside characters, between CR and LF, after an
 * event, in single bytes, in blocks, and anywhere.
 */
export function cutAnywhere(bytes: Uint8Array, random: Random): Uint8Array[] {
  const cuts = new Set<number>();
  for (let at = 1; at < bytes.length; at++) {
    const within = isContinuation(bytes[at]) ||
      (bytes[at - 1] === CR && bytes[at] === LF);
    const afterEvent = bytes[at - 1] === LF && bytes[at - 2] === LF;
    if (within ? random.chance(0.5) : afterEvent && random.chance(0.4)) {
      cuts.add(at);
    }
  }
  for (let at = 0; at < bytes.length;) {
    switch (random.integer(0, 9)) {
      case 0: { // byte by byte for a while
        const end = Math.min(bytes.length, at + random.integer(2, 60));
        while (at < end) cuts.add(++at);
        break;
      }
      case 1: // nothing else, for a long block
        for (const end = at + random.integer(4_096, 65_536); at < end; at++) {
          cuts.delete(at);
        }
        break;
      default:
        cuts.add(at += random.integer(1, 3_000));
    }
  }
  const chunks: Uint8Array[] = [];
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= from || cut >= bytes.length) continue;
    chunks.push(bytes.subarray(from, cut));
    from = cut;
  }
  chunks.push(bytes.subarray(from));
  return chunks;
}
