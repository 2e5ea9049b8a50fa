/** The keys of a map in order, sorted again only when they have changed. */
export class SortedNames {
  readonly #map: ReadonlyMap<string, unknown>;
  #names: string[] | undefined;

  /** Makes a view of a map. */
  constructor(map: ReadonlyMap<string, unknown>) {
    this.#map = map;
  }

  /** Takes note that a key was added or deleted. */
  changed(): void {
    this.#names = undefined;
  }

  /**
   * Iterates over keys in order; the map must not change meanwhile.
   *
   * @param after The key after which it begins.
   * @param prefix The beginning of all keys.
   */
  *inOrder(after: string, prefix: string): Generator<string, void> {
    // To sort 10,000 names takes some milliseconds; most lists come between changes.
    const names = this.#names ??= [...this.#map.keys()].sort();
    let [low, high] = [0, names.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const name = names[middle]!; // within the list
      if (name > after && name >= prefix) high = middle;
      else low = middle + 1;
    }
    for (; low < names.length; low++) {
      const name = names[low]!; // within the list
      if (!name.startsWith(prefix)) return;
      yield name;
    }
  }
}
