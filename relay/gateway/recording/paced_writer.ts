import { encodeEvent } from "../../../src/sse/encode.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";

/** The longest delay that a reader of the pace accepts, in milliseconds: 11 days. */
const MAX_DELAY = 999_999_999;

/**
 * Writes events as the text of a recorded stream, with their pace in comments: the
 * inverse of `parsePacedEvents`.
 *
 * Events of a parser come back as they were. A CR in data, which no parser gives,
 * comes back as LF.
 */
export class PacedWriter {
  #lastEventId = "";

  /**
   * Writes events that came at once.
   *
   * @param delay The time since the events before, in whole milliseconds.
   * @param events The events.
   * @returns Their text.
   * @throws {TypeError} If an event has a type or an id that no parser gives.
   */
  write(delay: number, events: readonly ServerSentEvent[]): string {
    let text = delay > 0 ? `: +${Math.min(delay, MAX_DELAY)}ms\n` : "";
    for (const event of events) text += this.#encode(event);
    return text;
  }

  #encode({ event, data, id }: ServerSentEvent): string {
    // An id stays in force, and most streams have none: it is written when it changes.
    const change = id === this.#lastEventId ? undefined : id;
    // A stream may name a type with a NUL in it, which `encodeEvent` does not write.
    const text = /^[^\r\n]*\0[^\r\n]*$/.test(event)
      ? `event: ${event}\n${encodeEvent({ data, id: change })}`
      : encodeEvent({ event, data, id: change });
    this.#lastEventId = id;
    return text;
  }
}
