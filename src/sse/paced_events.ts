// This module is browser compatible.
import type { ServerSentEvent } from "./event.ts";
import { SseParser } from "./parser.ts";

/** Events that belong to one moment. */
export interface PacedEvents {
  /** The time between the events before and these, in milliseconds. */
  readonly delay: number;
  /** The events, one at least. */
  readonly events: ServerSentEvent[];
}

/** `: +37ms`: the event that follows came 37 ms after the one before. */
const PACE = /^\s*\+([0-9]{1,9})ms\s*$/;

/**
 * Reads a recorded stream, whose pace is kept in comments.
 *
 * @param text The text of the stream, without a BOM.
 * @returns Its events, those that come at once together.
 */
export function parsePacedEvents(text: string): PacedEvents[] {
  const moments: PacedEvents[] = [];
  let delay = 0;
  const parser = new SseParser({
    onComment(comment) {
      delay += Number(PACE.exec(comment)?.[1] ?? 0);
    },
    onEvent(event) {
      const last = moments.at(-1);
      if (last && delay === 0) last.events.push(event);
      else moments.push({ delay, events: [event] });
      delay = 0;
    },
  });
  parser.push(text);
  parser.end();
  return moments;
}
