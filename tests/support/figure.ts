/** Reads a number of a table that people read: with commas, from a thousand on. */
export function figure(cell: string | undefined): number {
  return Number(cell?.replaceAll(",", ""));
}
