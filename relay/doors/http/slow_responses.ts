import type { ServerResponse } from "node:http";
import { getLogger } from "@logtape/logtape";
import { dropAnswer } from "../../cut_answer.ts";
import type { Watch, Watched } from "../../delivery/watch.ts";

const WATCHED = Symbol("watched");

/** A response that is watched, or was. The symbol takes the place of a table. */
type MarkedResponse = ServerResponse & { [WATCHED]?: WatchedResponse };

const logger = getLogger(["rivulet", "relay", "http"]);

/** A response, and how much of it its client has taken. */
class WatchedResponse implements Watched {
  readonly #response: ServerResponse;
  readonly #onSlow: (response: ServerResponse) => void;
  /** The bytes that the kernel had taken for the client at the last look. */
  #taken = -1;

  constructor(
    response: ServerResponse,
    onSlow: (response: ServerResponse) => void,
  ) {
    this.#response = response;
    this.#onSlow = onSlow;
  }

  takeSign(): boolean {
    const { socket, writableLength } = this.#response;
    if (!socket || writableLength === 0) return true;
    const before = this.#taken;
    this.#taken = socket.bytesWritten - socket.writableLength;
    return this.#taken !== before;
  }

  onQuiet(): void {
    this.#onSlow(this.#response);
  }
}

/**
 * Cuts responses of which the client takes nothing. A response that waits for
 * something to send is not among them.
 *
 * Event streams are watched by their subscribers, which have more than one way to
 * treat a slow reader.
 */
export class SlowResponses {
  readonly #watch: Watch | undefined;
  readonly #addressOf: (response: ServerResponse) => string;
  readonly #onCut: () => void;

  /**
   * Makes it for no responses yet.
   *
   * @param watch Says how long a client may take nothing. Default: any time.
   * @param addressOf Returns the address of a response's client, for the log.
   * @param onCut Called for each response that is cut.
   */
  constructor(
    watch: Watch | undefined,
    addressOf: (response: ServerResponse) => string,
    onCut: () => void,
  ) {
    this.#onCut = onCut;
    this.#watch = watch;
    this.#addressOf = addressOf;
  }

  /** Looks after a response until it is closed. */
  add(response: MarkedResponse): void {
    if (!this.#watch) return;
    const watched = new WatchedResponse(
      response,
      (response) => this.#drop(response),
    );
    response[WATCHED] = watched;
    this.#watch.add(watched);
    response.on("close", () => this.delete(response));
  }

  /** Leaves a response to its subscriber. */
  delete(response: MarkedResponse): void {
    const watched = response[WATCHED];
    if (watched) this.#watch?.delete(watched);
  }

  #drop(response: ServerResponse): void {
    this.#onCut();
    logger.info(
      "Cut the response to {method} {path}: {address} read none of it for {seconds} s, and {bytes} bytes were left",
      {
        method: response.req.method,
        // Keys of providers are in queries.
        path: response.req.url?.replace(/[?#].*$/s, ""),
        address: this.#addressOf(response),
        seconds: (this.#watch?.interval ?? 0) / 1_000,
        bytes: response.writableLength,
      },
    );
    dropAnswer(response);
  }
}
