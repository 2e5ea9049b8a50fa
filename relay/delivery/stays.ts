import { clearImmediate, setImmediate } from "node:timers";
import type { Successor, TopicRegistry } from "../topics/registry.ts";
import type { NextStart } from "../topics/start.ts";
import type { Topic } from "../topics/topic.ts";
import { SLICE } from "./pump.ts";

interface Stay {
  readonly ended: Topic;
  /** Whether a topic has come while this was waiting: what was made before it is known. */
  isAwake: boolean;
  readonly goOn: (start: NextStart) => void;
}

function startOf({ topic, isNext }: Successor, { log }: Topic): NextStart {
  const after = isNext
    // Not `start`, which leaves out in silence what retention has passed.
    ? { epoch: topic.log.epoch, offset: 0 }
    : { epoch: log.epoch, offset: log.next };
  return { topic, after };
}

/**
 * Readers that have read a topic to its end, and stay for the next epoch of its name.
 *
 * However many there are, some go on in each round of the loop, as in the
 * {@linkcode Pump}.
 */
export class Stays implements Disposable {
  readonly #topics: Pick<TopicRegistry, "after" | "expect">;
  readonly #unobserve: () => void;
  /** By the name of the topic. */
  readonly #waiting = new Map<string, Set<Stay>>();
  /** Looks no more for what other relays make under the names that are waited for. */
  readonly #expected = new Map<string, () => void>();
  /** Those that look for the next epoch in the next rounds. */
  readonly #due = new Set<Stay>();
  #round: NodeJS.Immediate | undefined;

  /** Makes it without readers. */
  constructor(
    topics: Pick<TopicRegistry, "after" | "expect" | "onNew">,
  ) {
    this.#topics = topics;
    this.#unobserve = topics.onNew((topic) => {
      const { name } = topic;
      for (const stay of this.#waiting.get(name) ?? []) {
        stay.isAwake = true;
        this.#due.add(stay);
      }
      this.#forget(name);
      this.#schedule();
    });
  }

  /** The number of readers. */
  get size(): number {
    let size = this.#due.size;
    for (const stays of this.#waiting.values()) size += stays.size;
    return size;
  }

  /**
   * Waits for the epoch after another one.
   *
   * @param ended The topic that was read to its end.
   * @param goOn Called once, in a round of its own; must not throw.
   * @returns Waits no more.
   */
  wait(ended: Topic, goOn: (start: NextStart) => void): () => void {
    const stay: Stay = { ended, goOn, isAwake: false };
    this.#due.add(stay);
    this.#schedule();
    return () => {
      this.#due.delete(stay);
      const stays = this.#waiting.get(ended.name);
      if (stays?.delete(stay) && stays.size === 0) this.#forget(ended.name);
    };
  }

  /** Waits for nothing any more. */
  [Symbol.dispose](): void {
    this.#unobserve();
    this.#due.clear();
    for (const name of this.#waiting.keys()) this.#forget(name);
    if (this.#round) clearImmediate(this.#round);
  }

  #schedule(): void {
    if (this.#due.size > 0) this.#round ??= setImmediate(this.#onRound);
  }

  readonly #onRound = (): void => {
    this.#round = undefined;
    let left = SLICE;
    for (const stay of this.#due) {
      if (left-- === 0) break;
      this.#due.delete(stay);
      const next = this.#find(stay);
      if (next) stay.goOn(startOf(next, stay.ended));
      else this.#await(stay);
    }
    this.#schedule();
  };

  #find({ ended, isAwake }: Stay): Successor | undefined {
    const found = this.#topics.after(ended);
    if (!found || found.isNext) return found;
    // The name was made anew. Of several epochs that another relay has made, this one may
    // have been told of the last alone, and the oldest that is left may follow another one.
    return { ...found, isNext: isAwake && found.topic.follows === undefined };
  }

  #await(stay: Stay): void {
    stay.isAwake = false;
    const { name } = stay.ended;
    let stays = this.#waiting.get(name);
    if (!stays) {
      this.#waiting.set(name, stays = new Set());
      this.#expected.set(name, this.#topics.expect(name));
    }
    stays.add(stay);
  }

  #forget(name: string): void {
    this.#waiting.delete(name);
    this.#expected.get(name)?.();
    this.#expected.delete(name);
  }
}
