import { messageOf } from "../../src/fetch/message_of.ts";
import { median } from "../fanout/median.ts";
import type { Missing } from "../fanout/servers/server.ts";
import type { Candidate } from "./candidates.ts";
import { type Load, loadText } from "./load.ts";
import { measure, type Measurement } from "./measure.ts";
import type { Options } from "./options.ts";

/** What came of one candidate with one load. */
export interface Row {
  readonly load: Load;
  readonly candidate: Candidate | Missing;
  /** One for each round that went well. */
  readonly measurements: readonly Measurement[];
  /** What went wrong in the last round that did not go well. */
  readonly failure: string | undefined;
}

/** The median of a number in all rounds. */
export function medianOf(
  { measurements }: Row,
  name: keyof Measurement,
): number {
  return median(measurements.map((measurement) => measurement[name]));
}

/** A proxy has no followers and takes no publications. */
function takes(candidate: Candidate | Missing, load: Load): boolean {
  return "kind" in candidate && candidate.kind === "relay" ||
    load.kind === "runs" && load.followers === 0;
}

/** Measures all candidates in turn, with each load, round after round. */
export async function compare(
  candidates: readonly (Candidate | Missing)[],
  { loads, rounds, warmUp, seconds }: Options,
  onProgress: (what: string) => void,
): Promise<Row[]> {
  const rows = loads.flatMap((load) =>
    candidates.filter((candidate) => takes(candidate, load)).map((
      candidate,
    ) => ({
      load,
      candidate,
      measurements: [] as Measurement[], // filled below
      failure: undefined as string | undefined, // set below
    }))
  );
  for (let round = 1; round <= rounds; round++) {
    for (const row of rows) {
      const { candidate, load } = row;
      if ("why" in candidate) {
        row.failure = candidate.why;
        continue;
      }
      onProgress(
        `round ${round} of ${rounds}: ${candidate.name}, ${loadText(load)}`,
      );
      try {
        row.measurements.push(
          await measure(candidate, load, { warmUp, seconds }),
        );
      } catch (error) {
        row.failure = messageOf(error);
        onProgress(row.failure);
      }
    }
  }
  return rows;
}
