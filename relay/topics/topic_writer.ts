import type { EventInput, Topic } from "./topic.ts";
import type { LogAppendOptions } from "./log.ts";

/**
 * Adds events to a topic, many appends at a time: whoever reads an upstream need not
 * wait until the log keeps each.
 */
export class TopicWriter {
  readonly #topic: Topic;
  #failure: { readonly error: unknown } | undefined;
  #last: Promise<void> | undefined;

  /** Makes a writer that has written nothing. */
  constructor(topic: Topic) {
    this.#topic = topic;
  }

  /**
   * Adds events.
   *
   * @param events The events: one at least.
   * @param onKept Called with the offset of the first of them once the log keeps them.
   * @param options How they are appended.
   * @returns Resolves once more may be written; `undefined` if that is now.
   * @throws What {@linkcode Topic.append} throws, or what an earlier append was
   * refused with.
   */
  write(
    events: readonly EventInput[],
    onKept?: (first: number) => void,
    options?: LogAppendOptions,
  ): Promise<void> | undefined {
    this.#assertKept();
    const appended = this.#topic.append(events, options);
    if (appended instanceof Promise) {
      this.#last = appended.then(onKept, (error) => {
        this.#failure ??= { error };
      });
    } else onKept?.(appended);
    return this.#topic.ready;
  }

  /**
   * Resolves once all is kept that was written.
   *
   * @throws What an append was refused with.
   */
  async settled(): Promise<void> {
    await this.#last;
    this.#assertKept();
  }

  #assertKept(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
