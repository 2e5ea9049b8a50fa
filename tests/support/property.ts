/**
 * Returns the seed of a property test: a random one that is printed, or
 * `RIVULET_SEED` to repeat a run.
 */
export function seedOf(name: string): number {
  const given = Deno.env.get("RIVULET_SEED");
  const seed = given === undefined
    ? crypto.getRandomValues(new Int32Array(1))[0]! // of length 1
    : Number(given);
  console.log(`${name}: RIVULET_SEED=${seed}`);
  return seed;
}

/**
 * Returns the number of runs of a property: as many as given, or
 * `RIVULET_RUNS`.
 */
export function runsOf(numRuns: number): number {
  return Number(Deno.env.get("RIVULET_RUNS") ?? numRuns);
}

/** Returns the number of runs of a property, and its seed. */
export function propertyParameters(
  numRuns: number,
): { numRuns: number; seed: number } {
  return { numRuns: runsOf(numRuns), seed: seedOf("property") };
}
