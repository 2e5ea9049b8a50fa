import { abortable } from "../../src/fetch/abortable.ts";
import type { StoredEnd } from "../topics/end.ts";
import type { LogProgress, TopicFacts } from "../topics/log.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";

/** Wakes those who wait for a change: each change costs a look whether anybody does. */
export class Wakes {
  #next: PromiseWithResolvers<void> | undefined;

  /** Resolves with the next change. */
  get next(): Promise<void> {
    return (this.#next ??= Promise.withResolvers()).promise;
  }

  /** Something has changed. */
  wake(): void {
    if (!this.#next) return;
    this.#next.resolve();
    this.#next = undefined;
  }
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
    } else await abortable(log.wakes.next, signal);
  }
}
