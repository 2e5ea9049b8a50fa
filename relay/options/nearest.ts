/** Returns the number of letters to insert, remove or replace. */
function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [i, letter] of [...left].entries()) {
    const next = [i + 1];
    for (let j = 0; j < right.length; j++) {
      // All three are there: the rows are one longer than the word.
      next.push(Math.min(
        row[j + 1]! + 1,
        next[j]! + 1,
        row[j]! + (letter === right[j] ? 0 : 1),
      ));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

/** Finds the name that was probably meant, if there is one that is alike. */
export function nearest(
  written: string,
  names: Iterable<string>,
): string | undefined {
  const word = written.slice(0, 64).toLowerCase();
  let best: string | undefined;
  let least = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const edits = distance(word, name.toLowerCase());
    if (edits < least) [best, least] = [name, edits];
  }
  return best;
}
