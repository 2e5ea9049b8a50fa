// This module is browser compatible.
import type { ResponseItem } from "../../item.ts";
import { textOf } from "../event_data.ts";
import type { ToldItems } from "./told_items.ts";

/** The parts of an event that say where its item is. */
export interface PlacedEvent {
  /** The item's place in the output. */
  readonly output_index?: unknown;
}

/**
 * Gives every item of a response a place of its own in the output.
 *
 * The place on the wire tells items apart, as ids change on the way (Copilot).
 * Where it is left out, the ids do, or the order. Where it is the same for items
 * that follow each other, or run at the same time, all but the first get the next
 * free place, and their ids tell them apart.
 */
export class Places {
  readonly #told: ToldItems;
  /** The item that has begun last and is not done, for a wire without places. */
  #openIndex: number | undefined;
  /** The places of the items that have begun and are not done, by their ids. */
  readonly #byId = new Map<unknown, number>();
  /** The places of the last items whose places on the wire were taken. */
  readonly #moved = new Map<number, number>();

  /**
   * Makes places for the items of a response.
   *
   * @param told The items.
   */
  constructor(told: ToldItems) {
    this.#told = told;
  }

  /**
   * Returns the place of an event's item.
   *
   * @param event The event.
   * @param itemId The item's id, if it is known.
   * @returns The place.
   */
  of(event: PlacedEvent, itemId: unknown): number {
    const given = toPlace(event.output_index);
    if (given === undefined) {
      return this.#byId.get(itemId) ??
        (this.#openIndex ??= this.#told.nextIndex);
    }
    const moved = this.#moved.get(given);
    if (moved !== undefined) return this.#byId.get(itemId) ?? moved;
    return given;
  }

  /**
   * Gives an item that begins its place.
   *
   * @param event The event that tells it.
   * @param item The item.
   * @returns The place; `undefined` if the item was told before.
   */
  begin(event: PlacedEvent, item: ResponseItem): number | undefined {
    const told = this.#told;
    const given = toPlace(event.output_index);
    let place = given === undefined
      ? told.nextIndex
      : this.#moved.get(given) ?? given;
    if (given !== undefined && told.has(place)) {
      if (isSame(told.itemAt(place), item)) return undefined;
      place = this.#move(given);
    }
    this.#openIndex = place;
    if (typeof item["id"] === "string") this.#byId.set(item["id"], place);
    return place;
  }

  /**
   * Returns the place of an item that is done.
   *
   * @param event The event that tells it.
   * @param item The item.
   * @returns The place; `undefined` if the item was told before.
   */
  end(event: PlacedEvent, item: ResponseItem): number | undefined {
    const told = this.#told;
    const id = item["id"];
    const given = toPlace(event.output_index);
    let place = this.of(event, id);
    if (told.has(place)) {
      const known = told.itemAt(place);
      const isOther = known?.type !== item.type;
      if (!told.isOpen(place)) {
        if (isSame(known, item)) return undefined;
        place = this.#move(given);
      } else if (isOther) place = this.#move(given);
    }
    if (place === this.#openIndex) this.#openIndex = undefined;
    this.#byId.delete(id);
    return place;
  }

  #move(given: number | undefined): number {
    const place = this.#told.nextIndex;
    if (given !== undefined) this.#moved.set(given, place);
    return place;
  }
}

/**
 * Returns the place that a field says.
 *
 * @param index The value of the field.
 * @returns The place; `undefined` if it is none.
 */
export function toPlace(index: unknown): number | undefined {
  const place = typeof index === "string" && index.trim() !== ""
    ? Number(index)
    : index;
  return typeof place === "number" && place >= 0 ? place : undefined;
}

/** Whether two items of one place are the same, told twice. */
function isSame(known: ResponseItem | undefined, item: ResponseItem): boolean {
  if (known?.type !== item.type) return false;
  for (const field of ["call_id", "id"]) {
    const [a, b] = [textOf(known[field]), textOf(item[field])];
    if (a !== "" && b !== "") return a === b;
  }
  return JSON.stringify(known) === JSON.stringify(item);
}
