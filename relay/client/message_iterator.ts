// This module is browser compatible.
import type { SubscriptionMessage } from "./message.ts";

/** The next thing for a consumer: a message, or the end. */
export type NextMessage =
  | { readonly message: SubscriptionMessage }
  | {
    /** Makes what the consumer gets thrown. Default: it ends normally. */
    readonly raise: (() => unknown) | undefined;
  };

/**
 * A subscription as its consumer iterates it: it begins when the first message is asked
 * for, and an aborted signal ends it.
 */
export abstract class MessageIterator
  implements AsyncIterableIterator<SubscriptionMessage>, AsyncDisposable {
  readonly #signal: AbortSignal | undefined;
  readonly #waiting: {
    resolve(result: IteratorResult<SubscriptionMessage, undefined>): void;
    reject(reason: unknown): void;
  }[] = [];
  #isStarted = false;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Asks for the messages, unless there will be none. */
  protected abstract connect(): void;

  /** Removes what comes next, and returns it; `undefined` if that has yet to come. */
  protected abstract take(): NextMessage | undefined;

  /** Drops what was not taken, and ends. */
  abstract abandon(raise?: () => unknown): Promise<void>;

  /** Whether anything was asked for. */
  protected get isStarted(): boolean {
    return this.#isStarted;
  }

  next(): Promise<IteratorResult<SubscriptionMessage, undefined>> {
    this.start();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.serve();
    });
  }

  async return(): Promise<IteratorResult<SubscriptionMessage, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  close(): Promise<void> {
    return this.abandon();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.abandon();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Begins, unless it has begun. */
  protected start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#signal?.addEventListener("abort", this.#onAbort);
    if (this.#signal?.aborted) this.#onAbort();
    else this.connect();
  }

  /** Gives those who wait what there is. */
  protected serve(): void {
    for (let waiting; (waiting = this.#waiting.shift());) {
      // Nobody is served twice if the taking brings the next message.
      const next = this.take();
      if (!next) return void this.#waiting.unshift(waiting);
      const { resolve, reject } = waiting;
      if ("message" in next) resolve({ done: false, value: next.message });
      else if (next.raise) reject(next.raise());
      else resolve({ done: true, value: undefined });
    }
  }

  /** Lets go of the signal: it can end nothing any more. */
  protected forgetSignal(): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => {
    void this.abandon(() => this.#signal?.reason);
  };
}
