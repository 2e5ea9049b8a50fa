import type { RelayStatus, RelayTotals } from "./relay_status.ts";

/** The facts of workers that only the process with their store knows. */
export type StatusOfStore = Pick<
  RelayStatus,
  "store" | "topics" | "log" | "ends"
>;

/** The counts of workers that have ended. */
export type StatusRemains = Pick<RelayStatus, "totals" | "refusals">;

/**
 * Returns the status of workers as that of one relay.
 *
 * @param statuses Those of the workers: one at least, the one that was asked first.
 * @param remains The counts of workers that have ended.
 * @param store The facts of their store.
 * @param memory The memory that the process of the store occupies, in bytes.
 */
export function sumStatuses(
  statuses: readonly [RelayStatus, ...RelayStatus[]],
  remains: StatusRemains | undefined,
  store: StatusOfStore,
  memory: Pick<RelayStatus["memory"], "rss" | "heap">,
): RelayStatus {
  const [own] = statuses;
  const sum = (read: (status: RelayStatus) => number): number =>
    statuses.reduce((sum, status) => sum + read(status), 0);
  const most = (read: (status: RelayStatus) => number): number =>
    Math.max(...statuses.map(read));
  const uptime = most(({ uptime }) => uptime);
  const left = most(({ draining }) => draining?.left ?? -1);
  const { draining: _draining, problem: _problem, ...plain } = own;
  const problem = statuses.find(({ problem }) => problem)?.problem;
  const slowest = statuses.reduce(
    (slowest, { lag }) => lag.max > slowest.max ? lag : slowest,
    own.lag,
  );
  return {
    ...plain,
    ...store,
    startedAt: own.time - uptime,
    uptime,
    ...(left >= 0 && { draining: { left } }),
    ready: problem === undefined,
    ...(problem && { problem }),
    connections: {
      tcp: sum(({ connections }) => connections.tcp),
      websocket: sum(({ connections }) => connections.websocket),
      sse: sum(({ connections }) => connections.sse),
      lists: sum(({ connections }) => connections.lists),
      // It holds for all workers together.
      max: own.connections.max,
    },
    subscriptions: {
      websocket: sum(({ subscriptions }) => subscriptions.websocket),
      sse: sum(({ subscriptions }) => subscriptions.sse),
    },
    runs: sum(({ runs }) => runs),
    upstreams: sum(({ upstreams }) => upstreams),
    lag: slowest,
    ...sumRemains([...statuses, remains]),
    rates: sumTotals(statuses.map(({ rates }) => rates)),
    memory: {
      rss: memory.rss + sum(({ memory }) => memory.rss),
      heap: memory.heap + sum(({ memory }) => memory.heap),
      max: own.memory.max,
      queued: sum(({ memory }) => memory.queued),
      received: sum(({ memory }) => memory.received),
      isAtEdge: statuses.some(({ memory }) => memory.isAtEdge),
    },
    loopDelay: {
      p50: most(({ loopDelay }) => loopDelay.p50),
      p99: most(({ loopDelay }) => loopDelay.p99),
      max: most(({ loopDelay }) => loopDelay.max),
    },
  };
}

/** Adds up the counts of workers. */
export function sumRemains(
  all: readonly (StatusRemains | undefined)[],
): StatusRemains {
  const told = all.filter((remains) => remains !== undefined);
  return {
    totals: sumTotals(told.map(({ totals }) => totals)),
    refusals: sumCounts(told.map(({ refusals }) => refusals)),
  };
}

function sumTotals(all: readonly RelayTotals[]): RelayTotals {
  const sum = (name: keyof RelayTotals): number =>
    // Rates have one decimal.
    Math.round(all.reduce((sum, totals) => sum + totals[name], 0) * 10) / 10;
  return {
    publishedEvents: sum("publishedEvents"),
    publishedBytes: sum("publishedBytes"),
    deliveredEvents: sum("deliveredEvents"),
    deliveredMessages: sum("deliveredMessages"),
    deliveredBytes: sum("deliveredBytes"),
    connections: sum("connections"),
    subscriptions: sum("subscriptions"),
    slowCloses: sum("slowCloses"),
    gaps: sum("gaps"),
    refusals: sum("refusals"),
  };
}

/** Adds up counts that have names. */
function sumCounts(
  all: readonly Readonly<Record<string, number>>[],
): Record<string, number> {
  const counts = new Map<string, number>();
  for (const [name, count] of all.flatMap(Object.entries<number>)) {
    counts.set(name, (counts.get(name) ?? 0) + count);
  }
  return Object.fromEntries(counts);
}
