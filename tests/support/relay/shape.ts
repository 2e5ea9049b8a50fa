/**
 * The shape of the relay that tests get: one switch for every suite.
 *
 * `RIVULET_TEST_RELAY=workers deno task test tests/relay/gateway` has each relay of
 * `startRelay` consist of two workers, in processes of their own. `tree` makes it the
 * third level of a tree, in this process. A test that has to look into the relay, or to
 * move its clock, throws an {@linkcode InProcessOnlyError} where it cannot do that;
 * `tests/shapes/in_process.txt` lists those tests.
 *
 * @module
 */

/** The shapes that a relay can have. */
export const RELAY_SHAPES = ["process", "workers", "tree"] as const;

/** The shape of a relay. */
export type RelayShape = typeof RELAY_SHAPES[number];

/** The variable that chooses the shape. */
export const SHAPE_VARIABLE = "RIVULET_TEST_RELAY";

function readShape(): RelayShape {
  const text = Deno.env.get(SHAPE_VARIABLE) || "process";
  const shape = RELAY_SHAPES.find((one) => one === text);
  if (shape !== undefined) return shape;
  throw new TypeError(
    `Expected ${SHAPE_VARIABLE} to be one of ${RELAY_SHAPES}: got '${text}'`,
  );
}

/** The shape of the relays of this run of the tests. */
export const RELAY_SHAPE: RelayShape = readShape();

/** A test looks into its relay, which has another shape than the test needs. */
export class InProcessOnlyError extends Error {
  /** Names what the test needs. */
  constructor(what: string) {
    super(`Only for a relay of this process: the test needs ${what}`);
    this.name = "InProcessOnlyError";
  }
}

/** Has a test say that it needs something which only a relay of one process has. */
export function needsOneProcess(what: string): void {
  if (RELAY_SHAPE !== "process") throw new InProcessOnlyError(what);
}
