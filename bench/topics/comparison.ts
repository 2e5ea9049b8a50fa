import type { Missing } from "../fanout/servers/server.ts";
import type { Candidate } from "../proxies/candidates.ts";
import { measureInTurn, type Row } from "../proxies/rounds.ts";
import { type Load, loadText } from "./load.ts";
import { measure, type Measurement } from "./measure.ts";
import type { Options } from "./options.ts";

/** A plain proxy has no followers and takes no publications. */
function takes(candidate: Candidate | Missing, load: Load): boolean {
  const kind = "kind" in candidate ? candidate.kind : undefined;
  return kind === "relay" || kind === "floor" ||
    load.kind === "runs" && load.followers === 0;
}

/** Measures all candidates in turn, with each load, round after round. */
export function compare(
  candidates: readonly (Candidate | Missing)[],
  { loads, rounds, warmUp, seconds }: Options,
  onProgress: (what: string) => void,
): Promise<Row<Load, Measurement>[]> {
  const pairings = loads.flatMap((load) =>
    candidates.filter((candidate) => takes(candidate, load))
      .map((candidate) => ({ load, candidate }))
  );
  return measureInTurn(
    pairings,
    rounds,
    (candidate, load) => measure(candidate, load, { warmUp, seconds }),
    loadText,
    onProgress,
  );
}
