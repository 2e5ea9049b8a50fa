import { upwardOf } from "../links/upward_link.ts";
import type { Draining } from "../doors/guests.ts";
import type { Doors } from "../doors/doors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { MemoryGuard } from "../limits/memory/memory_guard.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import type { SendBudget } from "../limits/memory/send_budget.ts";
import type { MeasuredMemory } from "../metrics/memory_metrics.ts";
import type { Metrics, MetricsReadings } from "../metrics/metrics.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";
import type { Problem } from "../problem.ts";
import type { Sources } from "../sources/sources.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import type { StatusReadings } from "../status/status_report.ts";
import {
  type CountedStore,
  parseStoreAddress,
} from "../stores/store_address.ts";
import type { Store } from "../topics/store.ts";
import type { TopicRegistry } from "../topics/registry.ts";
import type { Topic } from "../topics/topic.ts";

/** The parts of a relay that metrics and status read when somebody asks. */
export interface ReadParts {
  /** The topics. */
  readonly topics: TopicRegistry;
  /** The store. */
  readonly store: Store;
  /** The store as it was made, before it was shared: it may say what it holds. */
  readonly ownStore: CountedStore;
  /** The sources, which fill topics from outside. */
  readonly sources: Sources;
  /** Stands in front of the providers of models. */
  readonly gateway: Gateway;
  /** The ways in. */
  readonly doors: Doors;
  /** Whether the relay is drained or stops. */
  readonly draining: Draining;
  /** Refuses new work while there is little memory. */
  readonly memory: MemoryGuard;
  /** Counts the bytes that wait for clients. */
  readonly budget: SendBudget;
  /** Counts the bytes that clients have sent and that the relay holds. */
  readonly received: ReceiveBudget;
  /** Counts all that happens. */
  readonly metrics: Metrics;
  /** Returns why the relay is not ready, if it is not. */
  readiness(query: URLSearchParams): Problem | undefined;
}

function upstreamsOf({ topics, sources }: ReadParts): Topic[] {
  return [...topics].filter((topic) => sources.isUpstream(topic));
}

function memoryOf({ memory, budget, received }: ReadParts): MeasuredMemory {
  return {
    maxMemory: memory.maxMemory,
    isAtEdge: memory.isAtEdge,
    queued: budget.queued,
    received: received.received,
  };
}

/** Returns the readings of the metrics of a relay, whose parts are made later. */
export function metricsReadings(parts: () => ReadParts): MetricsReadings {
  return {
    connections: () => ({
      websocket: parts().doors.sockets.sessions,
      sse: parts().doors.streams.sessions,
    }),
    tcpConnections: () => parts().doors.tcpConnections,
    lists: () => parts().doors.counts.connections.lists,
    topics: () => parts().topics,
    upstreams: () => upstreamsOf(parts()),
    runs: () => parts().gateway.runs.size,
    memory: () => memoryOf(parts()),
    store: () => parts().ownStore.counts,
    isStoreFailing: () => parts().store.failure !== undefined,
    storeLag: () => upwardOf(parts().store)?.lag ?? 0,
  };
}

/** Says who may do what at a relay. */
export function accessOf(
  { jwtKey, jwks, insecureOpen }: CompleteRelayOptions["rights"],
): RelayStatus["access"] {
  if (jwtKey !== undefined || jwks !== undefined) return "tokens";
  return insecureOpen ? "everybody" : "localhost";
}

/** Says which store a relay has. */
function describeStore(
  option: CompleteRelayOptions["store"],
  { isLasting, isShared = false, failure }: Store,
): RelayStatus["store"] {
  return {
    kind: typeof option === "string" ? parseStoreAddress(option).kind : "own",
    isLasting,
    isShared,
    ...(failure && { failure: failure.failure }),
  };
}

/**
 * Returns what the status of a relay is read from.
 *
 * @param parts The parts.
 * @param store The option that says where topics live.
 * @param workers The number of processes that serve the relay's port.
 * @param startedAt Returns the time when the relay began to listen.
 */
export function statusReadings(
  parts: ReadParts,
  store: CompleteRelayOptions["store"],
  workers: number,
  startedAt: () => number | undefined,
): StatusReadings {
  const query = new URLSearchParams();
  return {
    metrics: parts.metrics,
    topics: () => parts.topics,
    startedAt,
    workers: () => workers,
    draining: () => {
      const { signal, left } = parts.draining;
      return signal.aborted ? left : undefined;
    },
    problem: () => {
      const problem = parts.readiness(query);
      return problem && { code: problem.code, detail: problem.message };
    },
    doors: () => parts.doors.counts,
    upstreams: () => ({
      runs: parts.gateway.runs.size,
      upstreams: upstreamsOf(parts).length,
    }),
    memory: () => {
      const { maxMemory, ...used } = memoryOf(parts);
      return { max: maxMemory, ...used };
    },
    store: () => describeStore(store, parts.store),
  };
}
