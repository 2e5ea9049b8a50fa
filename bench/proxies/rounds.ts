import { messageOf } from "../../src/fetch/message_of.ts";
import { median } from "../fanout/median.ts";
import type { Missing } from "../fanout/servers/server.ts";
import type { Candidate } from "./candidates.ts";

/** A candidate, and what it is measured with. */
export interface Pairing<Load> {
  readonly load: Load;
  readonly candidate: Candidate | Missing;
}

/** The results of one candidate with one load. */
export interface Row<Load, Measurement> extends Pairing<Load> {
  /** One for each round that went well. */
  readonly measurements: readonly Measurement[];
  /** The fault of the last round that did not go well. */
  readonly failure: string | undefined;
}

/** The median of a number in all rounds. */
export function medianOf<Name extends string>(
  { measurements }: Row<unknown, Readonly<Record<Name, number>>>,
  name: Name,
): number {
  return median(measurements.map((measurement) => measurement[name]));
}

/** The sum of a number in all rounds. */
export function sumOf<Name extends string>(
  { measurements }: Row<unknown, Readonly<Record<Name, number>>>,
  name: Name,
): number {
  return measurements.reduce((sum, measurement) => sum + measurement[name], 0);
}

/**
 * Measures all pairings in turn, round after round.
 *
 * @param measure Measures one, once.
 * @param describe Says what a load is.
 */
export async function measureInTurn<Load, Measurement>(
  pairings: readonly Pairing<Load>[],
  rounds: number,
  measure: (candidate: Candidate, load: Load) => Promise<Measurement>,
  describe: (load: Load) => string,
  onProgress: (what: string) => void,
): Promise<Row<Load, Measurement>[]> {
  const rows = pairings.map((pairing) => ({
    ...pairing,
    measurements: [] as Measurement[], // filled below
    failure: undefined as string | undefined, // set below
  }));
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows) {
      const { candidate, load } = row;
      if ("why" in candidate) {
        row.failure = candidate.why;
        continue;
      }
      const what = `${candidate.name}, ${describe(load)}`;
      onProgress(`round ${round} of ${rounds}: ${what}`);
      try {
        row.measurements.push(await measure(candidate, load));
      } catch (error) {
        row.failure = messageOf(error);
        onProgress(row.failure);
      }
    }
  }
  return rows;
}
