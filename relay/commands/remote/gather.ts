/**
 * Reads ahead, and gives in one piece what has come while the last piece was dealt with.
 *
 * @param items The items.
 * @param sizeOf Returns the size of an item.
 * @param limit The number of items, and their size in all, that are read ahead
 * and given at once; a single item may be larger.
 */
export async function* gather<T>(
  items: AsyncIterable<T>,
  sizeOf: (item: T) => number,
  limit: { readonly items: number; readonly size: number },
): AsyncGenerator<readonly T[]> {
  let gathered: T[] = [];
  let size = 0;
  let isOver = false;
  let isGivenUp = false;
  /** Each resolves the wait of the other side. */
  let wakeTaker = (): void => {};
  let wakeReader = (): void => {};
  const iterator = items[Symbol.asyncIterator]();
  const reading = (async () => {
    try {
      while (!isGivenUp) {
        const { done, value } = await iterator.next();
        if (done) return;
        const itemSize = sizeOf(value);
        while (
          !isGivenUp && gathered.length > 0 &&
          (gathered.length >= limit.items || size + itemSize > limit.size)
        ) {
          await new Promise<void>((resolve) => wakeReader = resolve);
        }
        gathered.push(value);
        size += itemSize;
        wakeTaker();
      }
    } finally {
      isOver = true;
      wakeTaker();
    }
  })();
  // Its failure is thrown below, after what came before it.
  reading.catch(() => {});
  try {
    for (;;) {
      if (gathered.length > 0) {
        const piece = gathered;
        gathered = [];
        size = 0;
        wakeReader();
        yield piece;
      } else if (isOver) break;
      else await new Promise<void>((resolve) => wakeTaker = resolve);
    }
    await reading;
  } finally {
    isGivenUp = true;
    wakeReader();
    // Not waited for: what it waits for may never come.
    void iterator.return?.()?.catch(() => {});
  }
}
