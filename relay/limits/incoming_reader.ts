import type { IncomingMessage } from "node:http";

/** The result of a read: a part, or the end. */
export type Part =
  | { readonly done: false; readonly value: Uint8Array }
  | { readonly done: true; readonly value?: Uint8Array | undefined };

/** Reads a body part by part, as a reader of a stream does. */
export interface PartReader {
  /** Returns the next part. */
  read(): Promise<Part>;
  /** Stops reading. */
  cancel(): Promise<void>;
}

/** A client has left within its body. */
class BodyCutError extends Error {
  override readonly name = "BodyCutError";
  /** As Node has it. */
  readonly code = "ERR_STREAM_PREMATURE_CLOSE";
}

/**
 * Reads the body of a request from `node:http` itself, no faster than it is asked for.
 *
 * The body of the server's `Request` goes through three streams, and the `Request`
 * is made for it, with all its headers: a fifth of the processor time of a request
 * with a short body and a short answer.
 */
export class IncomingReader implements PartReader {
  readonly #incoming: IncomingMessage;
  readonly #parts: Uint8Array[] = [];
  #waiting: PromiseWithResolvers<Part> | undefined;
  #hasBegun = false;
  #hasEnded = false;
  #failure: unknown;

  /**
   * Takes over a body.
   *
   * @param incoming A request of whose body nothing was read, and that is not destroyed.
   */
  constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
  }

  /**
   * Returns all of a body that has come whole, in one piece, if nothing was read
   * before; `undefined` of any other.
   */
  takeWhole(): Uint8Array | undefined {
    const incoming = this.#incoming;
    if (this.#hasBegun || !incoming.complete || incoming.readableFlowing) {
      return undefined;
    }
    const bytes: Uint8Array | null = incoming.read();
    return bytes ?? undefined;
  }

  /** Returns the next part, as a reader of a stream does; one at a time. */
  read(): Promise<Part> {
    this.#waiting = Promise.withResolvers<Part>();
    const { promise } = this.#waiting;
    if (this.#hasBegun) this.#incoming.resume();
    else this.#begin();
    this.#give();
    return promise;
  }

  /** Takes no more parts: the rest is discarded, for as long as the server lets it come. */
  cancel(): Promise<void> {
    this.#incoming.off("data", this.#onData);
    this.#incoming.resume();
    return Promise.resolve();
  }

  readonly #onData = (part: Uint8Array): void => {
    this.#incoming.pause();
    this.#parts.push(part);
    this.#give();
  };

  #begin(): void {
    this.#hasBegun = true;
    const fail = (error: unknown): void => {
      this.#failure ??= error;
      this.#give();
    };
    this.#incoming.on("data", this.#onData);
    this.#incoming.on("end", () => {
      this.#hasEnded = true;
      this.#give();
    });
    this.#incoming.on("error", fail);
    this.#incoming.on(
      "close",
      () => {
        if (!this.#hasEnded) fail(new BodyCutError("the client has left"));
      },
    );
  }

  #give(): void {
    const waiting = this.#waiting;
    if (!waiting) return;
    const value = this.#parts.shift();
    if (value) waiting.resolve({ done: false, value });
    else if (this.#hasEnded) waiting.resolve({ done: true });
    else if (this.#failure !== undefined) waiting.reject(this.#failure);
    else return;
    this.#waiting = undefined;
  }
}
