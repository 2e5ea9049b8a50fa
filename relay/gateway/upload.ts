import {
  BodyLimitError,
  type BodyLimits,
  boundedBody,
} from "../sources/bounded_body.ts";

/** A body that is passed on to a provider as it comes, and so can be sent only once. */
export class Upload {
  readonly #body: ReadableStream<Uint8Array>;
  readonly #limits: BodyLimits;
  #failure: BodyLimitError | undefined;

  /** Takes a body that nobody has read of. */
  constructor(body: ReadableStream<Uint8Array>, limits: BodyLimits) {
    this.#body = body;
    this.#limits = limits;
  }

  /** The limit that it has met: `fetch` says only that it has failed. */
  get failure(): BodyLimitError | undefined {
    return this.#failure;
  }

  /**
   * Returns it, to be sent.
   *
   * @param onPart Called for each part of it: a sign of life.
   * @param signal Says that no more of it is wanted.
   */
  stream(onPart: () => void, signal: AbortSignal): ReadableStream<Uint8Array> {
    return ReadableStream.from(this.#parts(onPart, signal));
  }

  async *#parts(
    onPart: () => void,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void> {
    // A part that is being waited for cannot be taken back otherwise.
    const body = this.#body.pipeThrough(new TransformStream(), { signal });
    try {
      for await (const part of boundedBody(body, this.#limits)) {
        onPart();
        yield part;
      }
    } catch (error) {
      if (error instanceof BodyLimitError) this.#failure = error;
      throw error;
    }
  }
}
