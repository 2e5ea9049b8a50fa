/**
 * An answer of a model that a test writes word by word.
 *
 * @module
 */
import type { ChatChunk } from "../../../relay/chat/mod.ts";

/** An answer, as `toUIMessageStream` of the AI SDK gives it. */
export class ManualAnswer {
  /** The signal that the answer was begun with. */
  signal: AbortSignal | undefined;
  /** The number of times that it was begun. */
  begun = 0;
  /** Whether its stream was cancelled. */
  isCancelled = false;
  readonly #chunks: ChatChunk[];
  #controller!: ReadableStreamDefaultController<ChatChunk>;
  readonly #stream: ReadableStream<ChatChunk>;

  constructor(id = "a1") {
    this.#chunks = [
      { type: "start", messageId: id },
      { type: "text-start", id: "t" },
    ];
    this.#stream = new ReadableStream<ChatChunk>({
      start: (controller) => {
        this.#controller = controller;
        for (const chunk of this.#chunks) controller.enqueue(chunk);
      },
      cancel: () => {
        this.isCancelled = true;
      },
    });
  }

  /** The stream that `publishChat` is given. */
  readonly stream = (signal: AbortSignal): ReadableStream<ChatChunk> => {
    this.signal = signal;
    this.begun += 1;
    return this.#stream;
  };

  /** Says words. */
  say(...words: string[]): void {
    for (const delta of words) {
      this.#controller.enqueue({ type: "text-delta", id: "t", delta });
    }
  }

  /** Says a chunk. */
  chunk(chunk: ChatChunk): void {
    this.#controller.enqueue(chunk);
  }

  /** Ends as a model does that is done. */
  finish(): void {
    this.#controller.enqueue({ type: "text-end", id: "t" });
    this.#controller.enqueue({ type: "finish", finishReason: "stop" });
    this.#controller.close();
  }

  /** Ends without a last word. */
  close(): void {
    this.#controller.close();
  }

  /** Breaks. */
  fail(error: unknown): void {
    this.#controller.error(error);
  }
}

/** The text of the chunks that a stream gives, and the types of all others but the framing. */
export function textOf(chunks: readonly { type: string }[]): string {
  return chunks.map((chunk) =>
    chunk.type === "text-delta" && "delta" in chunk ? chunk.delta : ""
  ).join("");
}
