import type { Topic } from "./topic.ts";

/** A topic that a publication is to fill. One of the two has to be called. */
export interface Filling {
  /** The topic. */
  readonly topic: Topic;
  /** Keeps the topic: the publication was accepted. */
  keep(): void;
  /** Forgets the topic, unless it is there for another reason: the publication was refused. */
  refuse(): void;
}

/** Returns the filling of a topic that is there anyway, whatever becomes of the publication. */
export function fillingOf(topic: Topic): Filling {
  return { topic, keep: () => {}, refuse: () => {} };
}

/** The topics that exist because of publications that nothing has come of yet. */
export class Fillings {
  /** The number of publications of each topic. */
  readonly #counts = new Map<Topic, number>();
  readonly #onRefused: (topic: Topic) => void;

  /**
   * Begins with none.
   *
   * @param onRefused Called with a topic whose publications were all refused.
   */
  constructor(onRefused: (topic: Topic) => void) {
    this.#onRefused = onRefused;
  }

  /** Whether a topic is there because of publications. */
  has(topic: Topic): boolean {
    return this.#counts.has(topic);
  }

  /** Takes one more publication to a topic. */
  begin(topic: Topic): Filling {
    const counts = this.#counts;
    counts.set(topic, (counts.get(topic) ?? 0) + 1);
    return {
      topic,
      keep: () => this.delete(topic),
      refuse: () => {
        const left = (counts.get(topic) ?? 0) - 1;
        if (left > 0) counts.set(topic, left);
        else if (counts.delete(topic)) this.#onRefused(topic);
      },
    };
  }

  /** Takes note that a topic is there for another reason, or is gone. */
  delete(topic: Topic): void {
    this.#counts.delete(topic);
  }
}
