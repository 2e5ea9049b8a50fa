/** The fewest places that are given back when the last member has gone. */
const MANY = 1_024;

/**
 * The members of something that come and go often, such as the runs that are under
 * way: in no order, each at a place of its own.
 *
 * It takes the place of a `Set` or a `Map` for them. A table of these that is full has
 * a link to the next one, and still has what it held. If one is old, V8 takes all that
 * follows for used, and moves it to the old objects with everything that it refers to:
 * all of each short request.
 */
export class Members<T extends object> implements Iterable<T> {
  #places: (T | undefined)[] = [];
  /** The places that are empty. */
  #empty: number[] = [];

  /** The number of members. */
  get size(): number {
    return this.#places.length - this.#empty.length;
  }

  /**
   * Adds a member.
   *
   * @returns Its place, until it is deleted.
   */
  add(member: T): number {
    const place = this.#empty.pop() ?? this.#places.length;
    this.#places[place] = member;
    return place;
  }

  /** Takes out the member at a place; to be called once. */
  delete(place: number): void {
    this.#places[place] = undefined;
    this.#empty.push(place);
    if (this.size > 0 || this.#places.length < MANY) return;
    this.#places = [];
    this.#empty = [];
  }

  /** Returns the members. Others may be added and taken out meanwhile. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (const member of this.#places) if (member) yield member;
  }
}
