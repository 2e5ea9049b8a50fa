/**
 * A place in a {@linkcode Line}, for one that stands in one line at most. It is made once,
 * and used again and again.
 */
export class Place<T> {
  /** The one whose place it is. */
  readonly holder: T;
  /** Whether it is in a line. */
  isTaken = false;
  /** The place before it. */
  before: Place<T> | undefined;
  /** The place behind it. */
  behind: Place<T> | undefined;

  /** Makes a place that is in no line. */
  constructor(holder: T) {
    this.holder = holder;
  }
}

/**
 * Members that wait in order, and are added and taken out with each event.
 *
 * It takes the place of a `Set` for them. A `Set` makes a new table after a few changes:
 * with 400 publishers and a subscriber each, these tables were a quarter of the memory that
 * outlived a collection of young objects.
 */
export class Line<T> implements Iterable<T> {
  #first: Place<T> | undefined;
  #last: Place<T> | undefined;
  #size = 0;

  /** The number of those in it. */
  get size(): number {
    return this.#size;
  }

  /** The first place, from which one gets to the others; `undefined` if there is nobody. */
  get head(): Place<T> | undefined {
    return this.#first;
  }

  /** The first one; `undefined` if there is nobody. */
  get first(): T | undefined {
    return this.#first?.holder;
  }

  /** Puts a place that is in no line at the end; one that is in this line stays. */
  push(place: Place<T>): void {
    if (place.isTaken) return;
    place.isTaken = true;
    place.before = this.#last;
    if (this.#last) this.#last.behind = place;
    else this.#first = place;
    this.#last = place;
    this.#size++;
  }

  /** Takes a place out that is in this line, or in none. */
  delete(place: Place<T>): void {
    if (!place.isTaken) return;
    place.isTaken = false;
    const { before, behind } = place;
    if (before) before.behind = behind;
    else this.#first = behind;
    if (behind) behind.before = before;
    else this.#last = before;
    place.before = place.behind = undefined;
    this.#size--;
  }

  /** Takes the first one out, and returns it; `undefined` if there is nobody. */
  shift(): T | undefined {
    const place = this.#first;
    if (!place) return undefined;
    this.delete(place);
    return place.holder;
  }

  /** Takes all out. */
  clear(): void {
    while (this.#first) this.delete(this.#first);
  }

  /** Returns all, in order. One may be taken out when it was given. */
  *[Symbol.iterator](): IterableIterator<T> {
    for (let place = this.#first; place;) {
      const { behind } = place;
      yield place.holder;
      place = behind;
    }
  }
}
