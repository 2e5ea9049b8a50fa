import { chunk, endOfRequest, LAST_CHUNK } from "../../net/http_request.ts";
import { COMPLETED, CREATED } from "./events.ts";
import type { Loop } from "../../net/loop.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const HEAD = encoder.encode(
  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" +
    `Transfer-Encoding: chunked\r\n\r\n${chunk(CREATED)}`,
);

const LAST = encoder.encode(chunk(COMPLETED) + LAST_CHUNK);

/**
 * Returns the input of a caller's request, by which the provider knows the run.
 */
export function inputOf(run: number): string {
  return `run ${run}.`;
}

/** A provider of language models: begins an answer at once, and goes on when it is told. */
export class Provider {
  /** The port that it listens on. */
  readonly port: number;
  /** The connection of each run that was asked for. */
  readonly connections: number[] = [];
  /** The number of runs asked for. */
  begun = 0;
  readonly #loop: Loop;

  /** Makes one that listens. */
  constructor(loop: Loop) {
    this.#loop = loop;
    this.port = loop.listen((fd) => {
      let request = "";
      return {
        read: (bytes, end) => {
          request += decoder.decode(bytes.subarray(0, end));
          if (endOfRequest(request) > request.length) return;
          this.#answer(fd, request);
          request = "";
        },
        closed: () => {},
      };
    });
  }

  /** Ends the answer of a run. */
  end(run: number): void {
    this.#loop.send(this.connections[run] ?? -1, LAST);
  }

  #answer(fd: number, request: string): void {
    const [, run] = /"input":"run ([0-9]+)\."/.exec(request) ?? [];
    if (run === undefined) throw new Error(`Expected a run: got ${request}`);
    this.connections[Number(run)] = fd;
    this.begun++;
    this.#loop.send(fd, HEAD);
  }
}
