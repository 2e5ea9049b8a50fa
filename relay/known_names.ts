/** The most names of headers that are remembered by each test, and the longest of them. */
const MAX_NAMES = 512;
const MAX_LENGTH = 64;

/**
 * Remembers what a test says of the names of headers: the same ones come with each request.
 * With the 17 headers of an SDK and the 25 of its provider's answer, the patterns that
 * decide which of them are passed on took 75 µs of each request.
 *
 * @typeParam T The result of the test.
 * @param test The test, which depends on nothing but the name.
 * @returns The same test. It forgets all names when there are too many, as a client that
 * makes them up would have it hold any number.
 */
export function rememberNames<T extends boolean | string>(
  test: (name: string) => T,
): (name: string) => T {
  const known = new Map<string, T>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const result = test(name);
    if (name.length > MAX_LENGTH) return result;
    if (known.size >= MAX_NAMES) known.clear();
    known.set(name, result);
    return result;
  };
}
