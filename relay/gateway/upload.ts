import { STATUS_CODE } from "@std/http/status";
import { Problem } from "../problem.ts";
import {
  BodyLimitError,
  type BodyLimits,
  boundedBody,
} from "../limits/bounded_body.ts";

/** A body that is passed on to a provider as it comes, and so can be sent only once. */
export class Upload {
  /** The number of bytes, if the caller has said it. */
  readonly length: number | undefined;
  readonly #body: ReadableStream<Uint8Array>;
  readonly #limits: BodyLimits;
  #failure: BodyLimitError | Problem | undefined;
  #isTaken = false;

  /**
   * Takes a body that nobody has read of.
   *
   * @param body The body.
   * @param limits The limits on its size and its pace.
   * @param length The number of bytes, if the caller has said it.
   */
  constructor(
    body: ReadableStream<Uint8Array>,
    limits: BodyLimits,
    length: number | undefined,
  ) {
    this.#body = body;
    this.#limits = limits;
    this.length = length;
  }

  /** Whether the body, or a part of it, has been read. */
  get isTaken(): boolean {
    return this.#isTaken;
  }

  /** The problem of a body that was too long, too slow, or refused: `fetch` says only that it has failed. */
  get problem(): Problem | undefined {
    if (!this.#failure || this.#failure instanceof Problem) {
      return this.#failure;
    }
    const { code, message } = this.#failure;
    const status = code === "body_timeout"
      ? STATUS_CODE.RequestTimeout
      : STATUS_CODE.ContentTooLarge;
    return new Problem(status, code, message);
  }

  /**
   * Returns the body, to be sent.
   *
   * @param onPart Called for each part: a sign of life.
   * @param signal Aborted when no more of the body is wanted.
   */
  stream(onPart: () => void, signal: AbortSignal): ReadableStream<Uint8Array> {
    return ReadableStream.from(this.#parts(onPart, signal));
  }

  async *#parts(
    onPart: () => void,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    this.#isTaken = true;
    // Nothing else takes back a read that waits for a part.
    const body = this.#body.pipeThrough(new TransformStream(), { signal });
    try {
      for await (const part of boundedBody(body, this.#limits)) {
        onPart();
        yield part;
        this.#limits.incoming?.passedOn();
      }
    } catch (error) {
      if (error instanceof BodyLimitError || error instanceof Problem) {
        this.#failure = error;
      }
      throw error;
    }
  }
}
