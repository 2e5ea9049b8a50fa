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
interface FoundEvent {
  readonly offset: number;
  /** The event; `undefined` if retention has passed it since. */
  readonly event: ServerSentEvent | undefined;
}

/** The events and holes that were found of a log, in order. */
interface Found {
  readonly events: FoundEvent[];
  /** The offsets that were left out: retention may pass them while the rest is read. */
  readonly holes: Hole[];
}

/** The most events that are read to find out what has become of those that were sent. */
const MAX_SOUGHT = 10_000;

/** The bytes of one read for that. */
const SEEK_BYTES = 512 * 1024;

/**
 * The events that a log has got since it stood at an offset, gone through in the order in
 * which they were sent: from the beginning, the parent has kept all up to some work.
 */
export class SoughtEvents {
  readonly #log: SoughtLog;
  readonly #events: readonly FoundEvent[];
  readonly #holes: readonly Hole[];
  readonly #isAlone: boolean;
  /** The place behind what was taken, among the events that were found. */
  #place = 0;
  /** The offset behind what was taken. */
  #from: number;

  private constructor(
    log: SoughtLog,
    from: number,
    { events, holes }: Found,
    isAlone: boolean,
  ) {
    this.#log = log;
    this.#from = from;
    this.#events = events;
    this.#holes = holes;
    this.#isAlone = isAlone;
  }

  /**
   * Reads what a log has got.
   *
   * @param from The offset at which it stood.
   * @param isAlone Whether nobody else has written it since. Then an event that retention
   * has passed is the one that was sent for its place.
   */
  static async read(
    log: SoughtLog,
    from: number,
    channel: Channel,
    isAlone: () => boolean,
  ): Promise<SoughtEvents> {
    const found = await readSince(log, from, channel);
    return new SoughtEvents(log, from, found, isAlone());
  }

  /** The offset behind what was taken: what follows it is still to be found. */
  get from(): number {
    return this.#from;
  }

  /**
   * Takes events.
   *
   * @returns The offset of the first; `undefined` if the parent does not have them.
   */
  takeEvents(events: readonly ServerSentEvent[]): number | undefined {
    const found = this.#events;
    for (
      let place = this.#place;
      place + events.length <= found.length;
      place++
    ) {
      if (!events.every((event, index) => this.#isAt(place + index, event))) {
        continue;
      }
      const { offset } = found[place]!; // there are as many from there
      this.#place = place + events.length;
      this.#from = offset + events.length;
      return offset;
    }
    return undefined;
  }

  /**
   * Takes offsets that were left out.
   *
   * @returns Whether the parent has left them out.
   */
  takeHole(count: number): boolean {
    const next = this.#events[this.#place]?.offset ?? this.#log.next;
    const hole = this.#holes.find(({ to }) => to >= this.#from);
    if (hole && hole.to < next) {
      const from = Math.max(this.#from, hole.from);
      // Holes that follow each other may be one.
      if (hole.to + 1 - from < count) return false;
      this.#from = from + count;
      return true;
    }
    if (!this.#isAlone || !this.#arePassed(count)) return false;
    this.#place += count;
    this.#from = next + count;
    return true;
  }

  #isAt(place: number, { data, event, id }: ServerSentEvent): boolean {
    const found = this.#events[place]?.event;
    if (!found) return this.#isAlone;
    return found.data === data && found.event === event && found.id === id;
  }

  /** Whether retention has passed so many offsets. */
  #arePassed(count: number): boolean {
    const passed = this.#events.slice(this.#place, this.#place + count);
    return passed.length === count && passed.every(({ event }) => !event);
  }
}

/** Reads the events that a log has got since it stood at an offset. */
async function readSince(
  log: SoughtLog,
  from: number,
  channel: Channel,
): Promise<Found> {
  const events: FoundEvent[] = [];
  const holes: Hole[] = [];
  let offset = from;
  const passHole = (): boolean => {
    const hole = log.holeAt(offset);
    if (!hole) return false;
    holes.push(hole);
    offset = hole.to + 1;
    return true;
  };
  /** Whatever is not in a hole before an offset was an event. */
  const passTo = (to: number): void => {
    while (offset < to && events.length < MAX_SOUGHT) {
      if (!passHole()) events.push({ offset: offset++, event: undefined });
    }
  };
  for (;;) {
    passTo(log.first);
    if (offset >= log.next || events.length >= MAX_SOUGHT) {
      return { events, holes };
    }
    if (passHole()) continue;
    const [segment] = await log.loadOver(channel, offset, SEEK_BYTES);
    if (!segment) {
      if (log.first <= offset) return { events, holes };
      continue;
    }
    passTo(segment.first);
    for (const { event } of segment.entries) {
      events.push({ offset: offset++, event });
    }
  }
}
