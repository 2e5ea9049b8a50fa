import type { IncomingMessage } from "node:http";
import { PARSERS_PUSH } from "../runtime.ts";
import { takeParts } from "./body_chunks.ts";

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

/** The bytes of a body that may wait to be read: as many as a stream has room for. */
const MAX_UNREAD = 64 * 1024;

/**
 * Reads the body of a request from `node:http` itself, no faster than it is asked for.
 *
 * The body of the server's `Request` goes through three streams, and the `Request`
 * is made for it, with all its headers: a fifth of the processor time of a request
 * with a short body and a short answer.
 */
export class IncomingReader implements PartReader {
  readonly #incoming: IncomingMessage;
  #parts: Uint8Array[] = [];
  #unread = 0;
  /** Whether the parts are taken before they are in the stream. */
  #takesParts = false;
  /** Whether the connection waits for room. */
  #isFull = false;
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
    if (!this.#hasBegun) this.#begin();
    else if (!this.#takesParts) this.#incoming.resume();
    this.#give();
    return promise;
  }

  /** Takes no more parts: the rest is discarded, for as long as the server lets it come. */
  cancel(): Promise<void> {
    if (this.#takesParts) {
      takeParts(this.#incoming, () => true);
      this.#goOn();
    }
    this.#incoming.off("data", this.#onData);
    this.#incoming.resume();
    return Promise.resolve();
  }

  readonly #onData = (part: Uint8Array): void => {
    this.#incoming.pause();
    this.#take(part);
  };

  readonly #take = (part: Uint8Array): boolean => {
    // As in `AnswerBody`: most reads find one part.
    if (this.#parts.length === 0) this.#parts = [part];
    else this.#parts.push(part);
    this.#unread += part.length;
    this.#give();
    return !(this.#isFull = this.#unread >= MAX_UNREAD);
  };

  /** Has more read after there was no room. */
  #goOn(): void {
    this.#isFull = false;
    // So a stream has its connection read. That of a client that has left is none.
    if (!this.#hasEnded && !this.#incoming.destroyed) this.#incoming._read(0);
  }

  #begin(): void {
    this.#hasBegun = true;
    this.#takesParts = PARSERS_PUSH && takeParts(this.#incoming, this.#take);
    const fail = (error: unknown): void => {
      this.#failure ??= error;
      this.#give();
    };
    if (this.#takesParts) {
      // The stream has all that came before, and the end.
      for (let part; (part = this.#incoming.read());) this.#take(part);
      this.#incoming.resume();
    } else this.#incoming.on("data", this.#onData);
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
    if (value) {
      this.#unread -= value.length;
      if (this.#isFull && this.#unread < MAX_UNREAD) this.#goOn();
      waiting.resolve({ done: false, value });
    } else if (this.#hasEnded) waiting.resolve({ done: true });
    else if (this.#failure !== undefined) waiting.reject(this.#failure);
    else return;
    this.#waiting = undefined;
  }
}
