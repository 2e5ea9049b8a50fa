import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { Channel } from "../../links/channel.ts";
import type { Hole } from "../../topics/log.ts";
import type { Segment } from "../segment.ts";

/** A log in which it is looked for events. */
export interface SoughtLog {
  readonly first: number;
  readonly next: number;
  readonly holes: readonly Hole[];
  /** Returns the hole that an offset is in. */
  holeAt(offset: number): Hole | undefined;
  /** Reads events over a link. */
  loadOver(
    channel: Channel,
    from: number,
    bytes: number,
  ): Promise<readonly Segment[]>;
}

/** An event that the parent has kept, with its offset. */
export interface FoundEvent {
  readonly offset: number;
  /** The event; `undefined` if retention has passed it since. */
  readonly event: ServerSentEvent | undefined;
}

/** The most events that are read to find out what has become of those that were sent. */
const MAX_SOUGHT = 10_000;

/** The bytes of one read for that. */
const SEEK_BYTES = 512 * 1024;

/** Reads the events that a log has got since it stood at an offset. */
export async function readSince(
  log: SoughtLog,
  from: number,
  channel: Channel,
): Promise<readonly FoundEvent[]> {
  const found: FoundEvent[] = [];
  let offset = from;
  /** Whatever is not in a hole before an offset was an event. */
  const passTo = (to: number): void => {
    while (offset < to && found.length < MAX_SOUGHT) {
      const hole = log.holeAt(offset);
      if (hole) offset = hole.to + 1;
      else found.push({ offset: offset++, event: undefined });
    }
  };
  for (;;) {
    passTo(log.first);
    if (offset >= log.next || found.length >= MAX_SOUGHT) return found;
    const hole = log.holeAt(offset);
    if (hole) {
      offset = hole.to + 1;
      continue;
    }
    const [segment] = await log.loadOver(channel, offset, SEEK_BYTES);
    if (!segment) {
      if (log.first <= offset) return found;
      continue;
    }
    passTo(segment.first);
    for (const { event } of segment.entries) {
      found.push({ offset: offset++, event });
    }
  }
}

/**
 * Returns the place at which events are, of those that were found from a place on.
 *
 * @param isAlone Whether nobody else has written the log meanwhile. Then an event that
 * retention has passed is the one that was sent for its place.
 */
export function placeOf(
  events: readonly ServerSentEvent[],
  found: readonly FoundEvent[],
  from: number,
  isAlone: boolean,
): number | undefined {
  for (let place = from; place + events.length <= found.length; place++) {
    const isThere = events.every(({ data, event, id }, index) => {
      const { event: other } = found[place + index]!; // within the array
      if (!other) return isAlone;
      return other.data === data && other.event === event && other.id === id;
    });
    if (isThere) return place;
  }
  return undefined;
}

/** Whether retention has passed so many offsets from a place on. */
export function arePassed(
  found: readonly FoundEvent[],
  place: number,
  count: number,
): boolean {
  const passed = found.slice(place, place + count);
  return passed.length === count && passed.every(({ event }) => !event);
}
