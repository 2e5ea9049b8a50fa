// This module is browser compatible.

/**
 * Answers overlapping calls one after the other, in the order in which they were
 * made: an async iterator's consumer may call `next` again before the last call
 * was answered.
 */
export class CallQueue {
  #last: Promise<void> = Promise.resolve();
  #unanswered = 0;

  /** Whether every call was answered, so that the next one need not wait. */
  get isIdle(): boolean {
    return this.#unanswered === 0;
  }

  /**
   * Makes a call once those before it were answered; at once if there are none.
   *
   * @param call Makes the call. It must not throw, but may reject.
   * @returns The answer.
   */
  run<T>(call: () => Promise<T>): Promise<T> {
    const answer = this.#unanswered++ === 0 ? call() : this.#last.then(call);
    const done = (): void => void this.#unanswered--;
    this.#last = answer.then(done, done);
    return answer;
  }
}
