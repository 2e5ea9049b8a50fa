import type { StoredEnd } from "../topics/end.ts";
import type { LogProgress, TopicFacts } from "../topics/log.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";

/** Wakes those who wait for a change: each change costs a look whether anybody does. */
export class Wakes {
  #next: PromiseWithResolvers<void> | undefined;
  #listeners: Set<() => void> | undefined;

  /** Resolves with the next change. */
  get next(): Promise<void> {
    return (this.#next ??= Promise.withResolvers()).promise;
  }

  /**
   * Calls a listener with each change.
   *
   * @returns Stops that.
   */
  listen(listener: () => void): () => void {
    const listeners = this.#listeners ??= new Set();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  /** Something has changed. */
  wake(): void {
    this.#next?.resolve();
    this.#next = undefined;
    if (!this.#listeners) return;
    for (const listener of this.#listeners) listener();
  }
}

/**
 * Waits for changes, one after another, until a signal is aborted. It listens once: to race
 * each change with the signal was a quarter of the memory that an event took an edge.
 */
class Waiter implements Disposable {
  readonly #signal: AbortSignal;
  readonly #stop: () => void;
  #go: (() => void) | undefined;

  constructor(wakes: Wakes, signal: AbortSignal) {
    this.#signal = signal;
    this.#stop = wakes.listen(this.#wake);
    signal.addEventListener("abort", this.#wake);
  }

  /** Resolves with the next change, or when the signal is aborted. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#go = resolve);
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.#signal.removeEventListener("abort", this.#wake);
  }

  readonly #wake = (): void => {
    this.#go?.();
    this.#go = undefined;
  };
}

/** A log of this process, as one who follows it needs it. */
export interface FollowedLog {
  readonly next: number;
  readonly facts: TopicFacts;
  readonly ended: StoredEnd | undefined;
  /** Whether the topic was deleted. */
  readonly isGone: boolean;
  /** Whether writes from before a deletion are under way: followers hear of them first. */
  readonly isBusy?: boolean;
  /** Whether it was not deleted, but lost. */
  readonly isLost?: boolean;
  /** The state of its filler's upstream, if the filler reports it. */
  readonly upstream?: UpstreamState | undefined;
  /** Wakes with each change of the others. */
  readonly wakes: Wakes;
}

/** Tells where a log of this process has got to. */
export async function* followLog(
  log: FollowedLog,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<LogProgress, void> {
  signal.throwIfAborted();
  using waiter = new Waiter(log.wakes, signal);
  let told = { next: from, facts: log.facts };
  let toldUpstream: UpstreamState | undefined;
  for (;;) {
    signal.throwIfAborted();
    const { next, facts, ended, isGone, upstream } = log;
    if (ended) return yield { kind: "ended", next, end: ended };
    if (isGone && !log.isBusy) {
      return yield { kind: log.isLost ? "lost" : "deleted" };
    }
    if (next > told.next || facts !== told.facts) {
      told = { next: Math.max(next, from), facts };
      yield { kind: "open", next, facts };
    } else if (upstream && upstream !== toldUpstream) {
      toldUpstream = upstream;
      yield { kind: "upstream", upstream };
    } else await waiter.next();
  }
}
