import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { RecentEvents } from "./recent_events.ts";

/** Whether two events say the same, whatever their ids. */
export function saysTheSame(
  a: ServerSentEvent,
  b: ServerSentEvent | undefined,
): boolean {
  return b !== undefined && a.data === b.data && a.event === b.event;
}

/**
 * Returns the start of the last run of events with an id, among all the places
 * that have it.
 */
export function startOfLastRun(places: readonly number[]): number | undefined {
  let index = places.length - 1;
  while (index > 0 && places[index - 1] === places[index]! - 1) index--; // in range
  return places[index];
}

/**
 * Tells which events of one connection an upstream sends again.
 *
 * The connection was made with an id to go on after, the *given* id. A server
 * may go on from there, or from an older event to be on the safe side, or
 * because it does not give every event an id. So, from its first event on:
 *
 * - An event is sent again if it is the same as one that was taken, by id, type
 *   and data, and comes in the same order: after the one before it that was
 *   sent again. The same id with other data is another event.
 * - Until the connection brings another id than the given one, its events may
 *   have that id only because they have none of their own. So they are compared
 *   with the events that were taken under it alone, one after the other: from
 *   the first, by a server that sends it again, or else from the second.
 * - That is over at the first event whose id is not known, or when the last
 *   event that was taken has been sent again: what follows is new.
 * - If the first other id is the one that the source ever began with, the server
 *   starts over. It does not go on from anything that it was given, and nothing
 *   that follows counts as sent again. (What it sends of the given id before is
 *   compared all the same; where the given id is the first id itself, the two
 *   cannot be told apart, and it counts as sent again.)
 *
 * Nobody can tell this of events without any id: they are not to be asked about.
 */
export class Replay {
  readonly #recent: RecentEvents;
  readonly #given: string;
  readonly #firstId: string | undefined;
  readonly #places: ReadonlyMap<string, readonly number[]>;
  /** The place after the last event that had been taken. */
  readonly #end: number;
  /** The place after the last event that was sent again. */
  #next = 0;
  /** The number of events compared. */
  #count = 0;
  /** Whether no other id than the given one has come. */
  #isLeading = true;
  #isOver: boolean;

  /**
   * Expects the events of a connection.
   *
   * @param recent The events taken.
   * @param given The id that the connection was made with; `""` for none.
   * @param firstId The id of the first event with an id that was ever taken.
   */
  constructor(
    recent: RecentEvents,
    given: string,
    firstId: string | undefined,
  ) {
    this.#recent = recent;
    this.#given = given;
    this.#firstId = firstId;
    this.#places = recent.placesById();
    this.#end = recent.next;
    this.#isOver = given === "" || this.#places.size === 0;
  }

  /** Whether the next event of the connection, one with an id, was taken before. */
  isSentAgain(event: ServerSentEvent): boolean {
    const { id } = event;
    if (this.#isOver) return false;
    if (this.#isLeading && id !== this.#given) {
      this.#isLeading = false;
      if (id === this.#firstId) this.#isOver = true;
    }
    // No more is sent again than there was: ids that go round in circles end here too.
    if (this.#count++ >= this.#end) this.#isOver = true;
    if (this.#isOver) return false;
    const place = this.#isLeading
      ? this.#placeUnderGiven(event)
      : this.#places.get(id)?.find((place) =>
        place >= this.#next && saysTheSame(event, this.#recent.get(place))
      );
    if (place === undefined) {
      if (!this.#places.has(id)) this.#isOver = true;
      return false;
    }
    this.#next = place + 1;
    if (this.#next === this.#end) this.#isOver = true;
    return true;
  }

  #placeUnderGiven(event: ServerSentEvent): number | undefined {
    const start = startOfLastRun(this.#places.get(this.#given) ?? []);
    if (start === undefined) return undefined;
    let places: number[] = [];
    if (this.#count === 1) places = [start, start + 1];
    else if (this.#next > 0) places = [this.#next];
    return places.find((place) => {
      const taken = this.#recent.get(place);
      return taken?.id === this.#given && saysTheSame(event, taken);
    });
  }
}
