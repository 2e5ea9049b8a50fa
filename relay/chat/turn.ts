// This module is browser compatible.
import { isTurnPart } from "../../src/model/wires/ui/turn.ts";
import type { TopicEnd } from "../client/topic_end.ts";
import type { ChatChunk } from "./chunk.ts";
import { ChatError } from "./error.ts";

/**
 * The end of a turn: the end of its topic, or an error if the rest of it will
 * not come.
 */
type Over = { readonly end: TopicEnd } | { readonly error: unknown };

/** The message that a user sees if the maker of an answer is gone. */
const BROKEN = "The answer broke off before its end.";

/** The message that a user sees if an answer failed without saying why. */
const FAILED = "An error occurred.";

/** One turn of a chat: an epoch of its topic, as far as it has come. */
export class Turn {
  /** The log of the topic that the turn is. */
  readonly epoch: string;
  readonly #chunks: ChatChunk[] = [];
  readonly #waiting = new Set<() => void>();
  #isOld: boolean;
  #over: Over | undefined;
  /**
   * The number of readers that know of the turn and have not begun to read it.
   */
  #unread = 0;
  /** The number of readers. */
  #readers = 0;

  constructor(epoch: string, isOld: boolean) {
    this.epoch = epoch;
    this.#isOld = isOld;
  }

  /** Whether it had ended before anybody here asked for it. */
  get isOld(): boolean {
    return this.#isOld;
  }

  /** Says that it answers a message from here: it was over before this page looked. */
  claim(): void {
    this.#isOld = false;
  }

  /** The message that it answers, once it has begun, if it says so. */
  get message(): unknown {
    const [first] = this.#chunks;
    return first && isTurnPart(first) ? first.data.message : undefined;
  }

  /** The id of the answer, if it has said so. */
  get answerId(): string | undefined {
    for (const chunk of this.#chunks) {
      if (chunk.type === "start") return chunk.messageId;
    }
    return undefined;
  }

  /** The end of its topic, if it has ended. */
  get ending(): TopicEnd | undefined {
    return this.#over && "end" in this.#over ? this.#over.end : undefined;
  }

  /** Whether somebody has been told of it who has not read it yet. */
  get isUnread(): boolean {
    return this.#unread > 0;
  }

  /** Whether something has come of it. */
  get hasBegun(): boolean {
    return this.#chunks.length > 0;
  }

  /** Whether nothing more will come of it. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  /** Takes the next chunk. */
  add(chunk: ChatChunk): void {
    this.#chunks.push(chunk);
    this.#wake();
  }

  /** Ends it. Whatever comes after that is of no interest. */
  end(over: Over): void {
    this.#over ??= over;
    this.#wake();
  }

  /** Says that somebody is told of it. */
  tell(): void {
    this.#unread += 1;
  }

  /** Resolves when all who have been told of it, or read it, have read it to its end. */
  async read(): Promise<void> {
    while (this.#unread > 0 || this.#readers > 0) await this.#change();
  }

  /** Resolves when it is over. */
  async over(): Promise<void> {
    while (!this.#over) await this.#change();
  }

  /**
   * Gives all chunks, those that are there at once.
   *
   * @param onClose Called once, when nobody reads the stream any more.
   */
  stream(onClose: () => void): ReadableStream<ChatChunk> {
    let next = 0;
    let isClosed = false;
    let wake = (): void => {};
    if (this.#unread > 0) this.#unread -= 1;
    this.#readers += 1;
    const close = (): void => {
      if (isClosed) return;
      isClosed = true;
      this.#readers -= 1;
      this.#wake();
      wake();
      onClose();
    };
    return new ReadableStream<ChatChunk>({
      pull: async (controller) => {
        for (;;) {
          const chunk = this.#chunks[next];
          if (chunk) {
            next += 1;
            return controller.enqueue(chunk);
          }
          if (this.#over) {
            this.#finish(controller, this.#over);
            return close();
          }
          await new Promise<void>((resolve) => {
            wake = resolve;
            this.#waiting.add(resolve);
          });
          this.#waiting.delete(wake);
          if (isClosed) return;
        }
      },
      cancel: close,
    }, { highWaterMark: 0 });
  }

  /** Says how it has ended, unless the stream has said it itself. */
  #finish(
    controller: ReadableStreamDefaultController<ChatChunk>,
    over: Over,
  ): void {
    if ("error" in over) return controller.error(over.error);
    const { status, reason } = over.end;
    if (status === "cancelled") {
      if (!this.#says("abort")) {
        controller.enqueue({ type: "abort", ...(reason && { reason }) });
      }
    } else if (status !== "complete" && !this.#says("error")) {
      controller.enqueue({
        type: "error",
        errorText: status === "failed" ? reason || FAILED : BROKEN,
      });
    }
    controller.close();
  }

  #says(wanted: ChatChunk["type"]): boolean {
    return this.#chunks.some(({ type }) => type === wanted);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** An error for a turn of which a part will not come. */
export function lostPart(cause?: unknown): ChatError {
  return new ChatError(
    "lost",
    "A part of the answer is missing: reload the page to see what there is",
    { cause },
  );
}
