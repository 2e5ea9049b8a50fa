import { escapeInvisible } from "../../logs/escape_invisible.ts";

/** A column of a table. */
export interface Column {
  /** The heading of the column. */
  readonly title: string;
  /** Whether its cells stand on the right, as numbers do. */
  readonly isNumber?: boolean;
}

/**
 * Writes a table, its columns as wide as their widest cells. Cells are what a relay
 * has said: characters that a terminal obeys are escaped.
 *
 * @param columns The columns.
 * @param rows The cells, a row each.
 * @returns The lines, that of the titles first.
 */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): string[] {
  const all = [
    columns.map(({ title }) => title),
    ...rows.map((row) => row.map(escapeInvisible)),
  ];
  const widths = columns.map((_, index) =>
    Math.max(...all.map((row) => row[index]?.length ?? 0))
  );
  return all.map((row) =>
    columns.map(({ isNumber }, index) => {
      const cell = row[index] ?? "";
      const width = widths[index] ?? 0;
      return isNumber ? cell.padStart(width) : cell.padEnd(width);
    }).join("  ").trimEnd()
  );
}
