import type { ServerSentEvent } from "../../src/sse/event.ts";

const MASK = "[redacted]";

/** Local servers take any word for a key, and words are in what a model says. */
const MIN_LENGTH = 16;

/**
 * Takes the keys of a request out of the events of its answer, for those who
 * follow it: providers quote the key they refuse, and theirs is another, or none.
 */
export class EventScrubber {
  readonly #keys: readonly string[];

  /** Learns the keys; those that may be a word by chance are passed over. */
  constructor(keys: readonly string[]) {
    this.#keys = keys.filter(({ length }) => length >= MIN_LENGTH);
  }

  /** Returns the events without the keys: nearly always these. */
  scrub(events: ServerSentEvent[]): ServerSentEvent[] {
    return events.some(({ data }) => this.#isFound(data))
      ? events.map((event) => ({ ...event, data: this.#clean(event.data) }))
      : events;
  }

  #isFound(data: string): boolean {
    return this.#keys.some((key) => data.includes(key));
  }

  #clean(data: string): string {
    return this.#keys.reduce((text, key) => text.replaceAll(key, MASK), data);
  }
}
