import type { Arrow, Tree } from "./tree.ts";

/**
 * Finds modules that import each other, whether by values or by types.
 *
 * @returns A failure for each group of such modules: the shortest cycle in it, with
 * the file and line of each import.
 */
export function findCycles({ modules, arrows }: Tree): string[] {
  const failures: string[] = [];
  const done = new Set<string>();
  for (const start of modules.keys()) {
    if (done.has(start)) continue;
    let cycle = shortestCycle(arrows, start);
    if (!cycle) continue;
    for (const path of modules.keys()) {
      if (!canReach(arrows, start, path) || !canReach(arrows, path, start)) {
        continue;
      }
      done.add(path);
      const other = shortestCycle(arrows, path);
      if (other && other.length < cycle.length) cycle = other;
    }
    const [first] = cycle;
    failures.push([
      `${first?.from}:${first?.line}: imports go round in a cycle`,
      ...cycle.map(({ from, line, to }) => `  ${from}:${line} imports ${to}`),
    ].join("\n"));
  }
  return failures;
}

function canReach(arrows: Tree["arrows"], from: string, to: string): boolean {
  const seen = new Set([from]);
  for (const path of seen) {
    if (path === to) return true;
    for (const arrow of arrows.get(path) ?? []) seen.add(arrow.to);
  }
  return false;
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
