import { encodeEvent } from "../../../src/sse/encode.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";

/** The longest delay that a reader of the pace accepts, in milliseconds: 11 days. */
const MAX_DELAY = 999_999_999;

/** Longer data is written in pieces of about this length, in UTF-16 code units. */
const PIECE = 32 * 1024;

const CR = 13;
const LF = 10;

const LINE_END = /\r\n?|\n/g;

/** The end of an event without data, behind which its data is written. */
const BLANK_LINE = "\n\n";

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
    return [...this.pieces(delay, events)].join("");
  }

  /** Writes the same in pieces, none of which takes long to be made. */
  *pieces(
    delay: number,
    events: Iterable<ServerSentEvent>,
  ): Generator<string, void> {
    if (delay > 0) yield `: +${Math.min(delay, MAX_DELAY)}ms\n`;
    for (const event of events) {
      const { data } = event;
      if (data.length <= PIECE) {
        yield this.#encode(event);
        continue;
      }
      yield this.#encode({ ...event, data: "" }).slice(0, -BLANK_LINE.length);
      for (let at = 0; at < data.length;) {
        let end = at + PIECE;
        if (data.charCodeAt(end - 1) === CR && data.charCodeAt(end) === LF) {
          end++;
        }
        yield data.slice(at, end).replace(LINE_END, "\ndata: ");
        at = end;
      }
      yield BLANK_LINE;
    }
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
