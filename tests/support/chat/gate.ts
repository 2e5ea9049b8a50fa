/**
 * A gate for the answers of a provider.
 *
 * @module
 */

/** Holds answers of the provider up, so that no machine is too slow for what is in between. */
export class Gate {
  #left = Infinity;
  #opened = Promise.withResolvers<void>();

  /** Lets so many more chunks through, until it is opened. */
  close(chunks: number): void {
    this.#left = chunks;
    this.#opened = Promise.withResolvers<void>();
  }

  /** Lets everything through. */
  open(): void {
    this.#left = Infinity;
    this.#opened.resolve();
  }

  /** Has an answer pass it. */
  guard(response: Response): Response {
    const body = response.body?.pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform: async (chunk, controller) => {
          if (this.#left-- <= 0) await this.#opened.promise;
          controller.enqueue(chunk);
        },
      }),
    );
    return new Response(body, response);
  }
}
