import type { Arrow, Tree } from "./tree.ts";

/**
 * Finds modules that import each other, whether by values or by types.
 *
 * @returns One shortest cycle of each group of such modules, as a failure that
 * names the file and line of each import.
 */
export function findCycles({ modules, arrows }: Tree): string[] {
  const failures: string[] = [];
  const done = new Set<string>();
  for (const start of modules.keys()) {
    if (done.has(start)) continue;
    const cycle = shortestCycle(arrows, start);
    if (!cycle) continue;
    // The others of the group would tell the same again.
    for (const { from } of cycle) done.add(from);
    const [first] = cycle;
    failures.push([
      `${first?.from}:${first?.line}: imports go round in a cycle`,
      ...cycle.map(({ from, line, to }) => `  ${from}:${line} imports ${to}`),
    ].join("\n"));
  }
  return failures;
}

/** Looks, breadth first, for a way from a module to itself. */
function shortestCycle(
  arrows: Tree["arrows"],
  start: string,
): Arrow[] | undefined {
  const arrivals = new Map<string, Arrow>();
  const queue = [start];
  for (const path of queue) {
    for (const arrow of arrows.get(path) ?? []) {
      if (arrivals.has(arrow.to)) continue;
      arrivals.set(arrow.to, arrow);
      if (arrow.to === start) return wayTo(start, arrivals);
      queue.push(arrow.to);
    }
  }
  return undefined;
}

function wayTo(start: string, arrivals: ReadonlyMap<string, Arrow>): Arrow[] {
  const way: Arrow[] = [];
  let at = start;
  do {
    const arrow = arrivals.get(at)!; // the search came here by one
    way.unshift(arrow);
    at = arrow.from;
  } while (at !== start);
  return way;
}
