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

/** An event that the parent has, with its offset. */
export interface FoundEvent {
  readonly offset: number;
  readonly event: ServerSentEvent;
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
  for (
    let offset = Math.max(from, log.first);
    offset < log.next && found.length < MAX_SOUGHT;
  ) {
    const hole = log.holeAt(offset);
    if (hole) {
      offset = hole.to + 1;
      continue;
    }
    const [segment] = await log.loadOver(channel, offset, SEEK_BYTES);
    if (!segment) {
      if (log.first <= offset) break;
      offset = log.first;
      continue;
    }
    offset = segment.first;
    for (const { event } of segment.entries) {
      found.push({ offset: offset++, event });
    }
  }
  return found;
}

/** Returns the place at which events are, of those that were found from a place on. */
export function placeOf(
  events: readonly ServerSentEvent[],
  found: readonly FoundEvent[],
  from: number,
): number | undefined {
  for (let place = from; place + events.length <= found.length; place++) {
    const isThere = events.every(({ data, event, id }, index) => {
      const other = found[place + index]!.event; // within the array
      return other.data === data && other.event === event && other.id === id;
    });
    if (isThere) return place;
  }
  return undefined;
}
