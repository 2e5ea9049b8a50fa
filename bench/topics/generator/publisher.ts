import { chunk, LAST_CHUNK } from "../../net/http_request.ts";
import { COMPLETED, CREATED } from "./events.ts";
import type { Loop } from "../../net/loop.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const LAST = encoder.encode(chunk(COMPLETED) + LAST_CHUNK);

/** Publishes event streams to topics, over a connection for each. */
export class Publishers {
  /** The connection of each topic. */
  readonly connections: number[] = [];
  /** The number of streams that the relay has acknowledged. */
  acknowledged = 0;
  readonly #loop: Loop;
  readonly #port: number;

  /** Makes none yet. */
  constructor(loop: Loop, port: number) {
    this.#loop = loop;
    this.#port = port;
  }

  /** Begins the stream of a topic. */
  begin(index: number, topic: string): void {
    const fd = this.#loop.connect(this.#port, {
      read: (bytes, end) => {
        const answer = decoder.decode(bytes.subarray(0, end));
        if (!answer.startsWith("HTTP/1.1 200 ")) {
          throw new Error(`Expected to publish: got ${answer}`);
        }
        this.acknowledged++;
        this.#end(topic);
      },
      closed: () => {},
    });
    this.connections[index] = fd;
    this.#loop.send(
      fd,
      encoder.encode(
        `POST /topics/${topic} HTTP/1.1\r\nHost: localhost\r\n` +
          "Content-Type: text/event-stream\r\n" +
          `Transfer-Encoding: chunked\r\n\r\n${chunk(CREATED)}`,
      ),
    );
  }

  /** Ends the stream of a topic; the topic itself, once the relay has it all. */
  end(index: number): void {
    this.#loop.send(this.connections[index] ?? -1, LAST);
  }

  #end(topic: string): void {
    const fd = this.#loop.connect(this.#port, {
      read: () => this.#loop.close(fd),
      closed: () => {},
    });
    this.#loop.send(
      fd,
      encoder.encode(
        `POST /topics/${topic}/end HTTP/1.1\r\nHost: localhost\r\n` +
          "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
      ),
    );
  }
}
