import type { ServerSentEvent } from "../../src/sse/event.ts";

/** The number of events at the end: usage, finish and the mark of the end, and one more. */
const TAIL = 4;

/**
 * The first event of a stream and the last few, which tell what the stream says of
 * itself: to remember them costs some nanoseconds a batch, and to look into all of
 * them would cost as many an event as to parse it.
 */
export class StreamSample {
  #first: ServerSentEvent | undefined;
  readonly #tail: ServerSentEvent[] = [];
  #count = 0;

  /** Takes the next events in. */
  take(events: readonly ServerSentEvent[]): void {
    this.#first ??= events[0];
    for (let at = Math.max(0, events.length - TAIL); at < events.length; at++) {
      this.#tail[this.#count++ % TAIL] = events[at]!; // within the array
    }
  }

  /** The first event and the last few, in order; the first may be there twice. */
  get events(): readonly ServerSentEvent[] {
    if (!this.#first) return [];
    const start = this.#count % TAIL;
    const tail = this.#count < TAIL
      ? this.#tail
      : [...this.#tail.slice(start), ...this.#tail.slice(0, start)];
    return [this.#first, ...tail];
  }
}
