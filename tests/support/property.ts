/**
 * Where a property test begins: at a seed that is printed, or given as
 * `RIVULET_SEED` to repeat what was found.
 */
export function seedOf(name: string): number {
  const given = Deno.env.get("RIVULET_SEED");
  const seed = given === undefined
    ? crypto.getRandomValues(new Int32Array(1))[0]! // of length 1
    : Number(given);
  console.log(`${name}: RIVULET_SEED=${seed}`);
  return seed;
}

/** How often a property is tried: as often as it says, or `RIVULET_RUNS` times. */
export function runsOf(numRuns: number): number {
  return Number(Deno.env.get("RIVULET_RUNS") ?? numRuns);
}

/** How many runs a property gets, and from which seed. */
export function propertyParameters(
  numRuns: number,
): { numRuns: number; seed: number } {
  return { numRuns: runsOf(numRuns), seed: seedOf("property") };
}
