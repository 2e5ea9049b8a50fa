/**
 * The table of faults that a run prints, and that docs/cluster.md has.
 *
 * @module
 */
import type { FaultRow } from "./cluster.ts";

/** The first two lines. */
export const HEADING: string = [
  "| fault | times | s without an acknowledgement | s without an event | refused | subscribers that came back |",
  "| --- | --- | --- | --- | --- | --- |",
].join("\n");

/** Writes what one kind of fault has done, as the least and the most of several times. */
export function rowOf(fault: string, rows: readonly FaultRow[]): string {
  const seconds = (values: readonly number[]): string =>
    range(values.map((value) => (value / 1_000).toFixed(1)));
  const cells = [
    fault,
    rows.length,
    seconds(rows.map(({ publishing }) => publishing)),
    seconds(rows.map(({ delivery }) => delivery)),
    rows.reduce((sum, { refused }) => sum + refused, 0),
    range(rows.map(({ resumed }) => String(resumed))),
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Writes the whole table, a line for each kind of fault. */
export function faultTable(rows: readonly FaultRow[]): string {
  const kinds = new Set(rows.map(({ fault }) => fault));
  const lines = [...kinds].sort().map((kind) =>
    rowOf(kind, rows.filter(({ fault }) => fault === kind))
  );
  return [HEADING, ...lines].join("\n");
}

/** Writes the least and the most, or one if they are the same. */
function range(values: readonly string[]): string {
  const sorted = values.toSorted((one, other) => Number(one) - Number(other));
  const [least, most] = [sorted[0], sorted.at(-1)];
  return least === most ? `${least}` : `${least} to ${most}`;
}
