/**
 * Answers that are made up, for tests of code that takes a `fetch`.
 *
 * @module
 */

/** A body that a test writes to, and what became of it. */
export class ScriptedBody {
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** The bytes. */
  readonly stream: ReadableStream<Uint8Array>;
  /** Whether the reader has cancelled it. */
  cancelled = false;
  /** The reason with which the reader cancelled it. */
  reason: unknown;

  constructor() {
    this.stream = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: (reason) => {
        this.cancelled = true;
        this.reason = reason;
      },
    });
  }

  /** A chunk comes. */
  write(chunk: string | Uint8Array): void {
    this.#controller.enqueue(
      typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk,
    );
  }

  /** The body ends. */
  close(): void {
    this.#controller.close();
  }

  /** The body breaks off. */
  error(error: unknown): void {
    this.#controller.error(error);
  }
}

/** An answer that is an event stream. */
export function streamResponse(body: BodyInit | null): Response {
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream" },
  });
}

/** A `fetch` that gives this answer to everyone. */
export function answer(response: Response): () => Promise<Response> {
  return () => Promise.resolve(response);
}
