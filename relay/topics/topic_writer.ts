import type { Clock } from "../../src/fetch/clock.ts";
import { wait } from "../../src/fetch/retry.ts";
import { LeaseLostError } from "./lease.ts";
import type { Hold } from "./leases.ts";
import type { LogAppendOptions } from "./log.ts";
import { StoreError } from "./store.ts";
import type { EventInput, Topic } from "./topic.ts";

/**
 * The lease of a writer, and its action after the store could not keep
 * something.
 */
export interface TopicWriterOptions {
  /**
   * Writes again what the store could not keep, until it can or the signal is aborted.
   * Default: the writer is done.
   */
  readonly retry?: { readonly clock: Clock; readonly signal: AbortSignal };
  /** The lease that the topic is filled with, which is ready. Default: none is needed. */
  readonly hold?: Hold | undefined;
}

/** Events that the log does not keep yet. */
interface Batch {
  readonly events: readonly EventInput[];
  readonly onKept: ((first: number) => void) | undefined;
  readonly options: LogAppendOptions | undefined;
}

/** The time between two attempts to write what a store could not keep, in milliseconds. */
const RETRY_INTERVAL = 1_000;

/**
 * Adds events to a topic, many appends at a time: whoever reads an upstream need not
 * wait until the log keeps each.
 */
export class TopicWriter {
  readonly #topic: Topic;
  readonly #retry: TopicWriterOptions["retry"];
  readonly #hold: Hold | undefined;
  /** The options of an append that has no others. */
  #plain: LogAppendOptions | undefined;
  /** The batches that are written and not kept yet, the oldest first. */
  readonly #unkept: Batch[] = [];
  #failure: { readonly error: unknown } | undefined;
  #last: Promise<void> | undefined;
  /** Resolves once the store keeps again what it could not keep. */
  #recovery: Promise<void> | undefined;

  /** Makes a writer that has written nothing. */
  constructor(topic: Topic, { retry, hold }: TopicWriterOptions = {}) {
    this.#topic = topic;
    this.#retry = retry;
    this.#hold = hold;
  }

  /**
   * Adds events.
   *
   * @param events The events: one at least.
   * @param onKept Called with the offset of the first of them once the log keeps them.
   * @param given The options of the append.
   * @returns Resolves once more may be written; `undefined` if that is now.
   * @throws What {@linkcode Topic.append} throws, or what an earlier append was
   * refused with.
   */
  write(
    events: readonly EventInput[],
    onKept?: (first: number) => void,
    given?: LogAppendOptions,
  ): Promise<void> | undefined {
    this.#assertKept();
    const options = this.#hold ? this.#leased(given) : given;
    const batch = { events, onKept, options };
    if (this.#recovery) {
      this.#unkept.push(batch);
      return this.#recovery;
    }
    const appended = this.#append(events, options);
    if (appended instanceof Promise) {
      this.#unkept.push(batch);
      this.#last = appended.then(this.#kept, this.#refused);
    } else onKept?.(appended);
    return this.#topic.ready;
  }

  /** Whether all is kept that was written. */
  get isSettled(): boolean {
    return this.#unkept.length === 0 && !this.#failure;
  }

  /**
   * Resolves once all is kept that was written.
   *
   * @throws The error with which an append was refused.
   */
  async settled(): Promise<void> {
    await this.#last;
    await this.#recovery;
    this.#assertKept();
  }

  #leased(options: LogAppendOptions | undefined): LogAppendOptions {
    const lease = this.#hold?.lease;
    return options ? { ...options, lease } : this.#plain ??= { lease };
  }

  #append(
    events: readonly EventInput[],
    options: LogAppendOptions | undefined,
  ): number | Promise<number> {
    try {
      return this.#topic.append(events, options);
    } catch (error) {
      if (error instanceof LeaseLostError) this.#hold?.lose();
      throw error;
    }
  }

  readonly #kept = (first: number): void => {
    this.#unkept.shift()?.onKept?.(first);
  };

  readonly #refused = (error: unknown): Promise<void> | undefined => {
    if (this.#retry && error instanceof StoreError) {
      return this.#recovery ??= this.#recover(this.#retry);
    }
    if (error instanceof LeaseLostError) this.#hold?.lose();
    this.#failure ??= { error };
    return undefined;
  };

  async #recover(
    { clock, signal }: NonNullable<TopicWriterOptions["retry"]>,
  ): Promise<void> {
    try {
      while (this.#unkept.length > 0) {
        // By the time the wait is over, the log has refused whatever was under
        // way.
        await wait(RETRY_INTERVAL, clock, signal);
        await this.#writeAgain();
      }
    } catch (error) {
      if (error instanceof LeaseLostError) this.#hold?.lose();
      this.#failure ??= { error };
    } finally {
      this.#recovery = undefined;
    }
  }

  /** Writes what was not kept, as far as the store can keep it. */
  async #writeAgain(): Promise<void> {
    try {
      for (;;) {
        const [batch] = this.#unkept;
        if (!batch) return;
        this.#kept(await this.#topic.append(batch.events, batch.options));
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  #assertKept(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
