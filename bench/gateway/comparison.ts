import { median } from "../fanout/median.ts";
import { type Load, measure, type Measurement } from "./measure.ts";
import type { Options } from "./options.ts";
import type { Setup } from "./setup.ts";

/** The two ways in one round. */
interface Pair {
  readonly direct: Measurement;
  readonly relay: Measurement;
}

/** The result of all rounds with a load. */
export interface Comparison {
  readonly load: Load;
  /** The median of a number in all rounds. */
  of(number: (pair: Pair) => number): number;
  /**
   * Returns how much the relay adds to a number, in the middle one of the
   * rounds.
   */
  added(name: keyof Measurement): number;
  /** The errors of all rounds. */
  readonly errors: number;
}

function compared(load: Load, pairs: readonly Pair[]): Comparison {
  const of: Comparison["of"] = (number) => median(pairs.map(number));
  return {
    load,
    of,
    added: (name) => of(({ direct, relay }) => relay[name] - direct[name]),
    errors: pairs.reduce(
      (sum, { direct, relay }) => sum + direct.errors + relay.errors,
      0,
    ),
  };
}

/** The load under which the compiler finds what is hot, before anything counts. */
const WARM_UP = { runs: 20, followers: 3, seconds: 3 };

/** Measures both ways in turn, with each load, round after round. */
export async function compare(
  setup: Setup,
  { runs, followers, rate, rounds, seconds }: Options,
  onProgress: (what: string) => void,
): Promise<Comparison[]> {
  const loads = runs.flatMap((runs) =>
    followers.map((followers) => ({
      load: { runs, followers, rate },
      pairs: [] as Pair[], // filled below
    }))
  );
  onProgress("warming up");
  for (const way of ["direct", "relay"] as const) {
    await measure(setup, way, { ...WARM_UP, rate }, WARM_UP.seconds);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { load, pairs } of loads) {
      onProgress(
        `round ${round} of ${rounds}: runs ${load.runs}, followers ${load.followers}`,
      );
      // Not always in the same order: what comes second finds the caches warm.
      const isTurned = round % 2 === 0;
      const first = await measure(
        setup,
        isTurned ? "relay" : "direct",
        load,
        seconds,
      );
      const second = await measure(
        setup,
        isTurned ? "direct" : "relay",
        load,
        seconds,
      );
      pairs.push(
        isTurned
          ? { direct: second, relay: first }
          : { direct: first, relay: second },
      );
    }
  }
  return loads.map(({ load, pairs }) => compared(load, pairs));
}
