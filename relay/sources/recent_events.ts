import type { ServerSentEvent } from "../../src/sse/event.ts";

/** The most events that are remembered: as many as a log retains unless it is told otherwise. */
export const MAX_RECENT = 10_000;

/** The most text of them, in UTF-16 code units; the newest event is remembered whatever its size. */
const MAX_SIZE = 4 * 1024 * 1024;

/** The smallest number of dropped events to be cut off at once. */
const COMPACT_AT = 1_024;

function sizeOf({ event, data, id }: ServerSentEvent): number {
  return event.length + data.length + id.length;
}

/**
 * The last events that were taken from an upstream, at places 0, 1, 2, ...
 *
 * It is not the topic's log, which others may publish to and whose retention
 * is the operator's: what may be sent again does not depend on either.
 */
export class RecentEvents {
  /** Events before `#head` are given up, and not yet cut off. */
  #events: ServerSentEvent[] = [];
  #head = 0;
  #first = 0;
  #size = 0;

  /** The place that the next event will have. */
  get next(): number {
    return this.#first + this.#events.length - this.#head;
  }

  /** The newest event. */
  get last(): ServerSentEvent | undefined {
    return this.get(this.next - 1);
  }

  /** The event at a place, as long as it is remembered. */
  get(place: number): ServerSentEvent | undefined {
    return place < this.#first
      ? undefined
      : this.#events[place - this.#first + this.#head];
  }

  /** Remembers an event. */
  push(event: ServerSentEvent): void {
    this.#events.push(event);
    this.#size += sizeOf(event);
    while (
      this.next - this.#first > 1 &&
      (this.next - this.#first > MAX_RECENT || this.#size > MAX_SIZE)
    ) {
      this.#size -= sizeOf(this.#events[this.#head++]!); // more than one is there
      this.#first++;
    }
    if (this.#head >= COMPACT_AT && this.#head * 2 >= this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** The places of all that is remembered, by id. */
  placesById(): Map<string, number[]> {
    const byId = new Map<string, number[]>();
    for (let place = this.#first; place < this.next; place++) {
      const { id } = this.get(place)!; // in range
      const places = byId.get(id);
      if (places) places.push(place);
      else byId.set(id, [place]);
    }
    return byId;
  }
}
