import { wallTime } from "../../src/fetch/clock.ts";
import { completeRetryPolicy } from "../../src/fetch/retry.ts";
import { VERSION } from "../../src/version.ts";
import { Doors } from "../doors/doors.ts";
import { Draining } from "../doors/guests.ts";
import { sourcesAway, storeFailed } from "../doors/readiness.ts";
import { Gateway } from "../gateway/gateway.ts";
import { Recorder } from "../gateway/recording/recorder.ts";
import { NOWHERE } from "../limits/elsewhere.ts";
import type { ReceiveBudget } from "../limits/memory/receive_budget.ts";
import { UpstreamSlots } from "../limits/upstream_slots.ts";
import { Metrics } from "../metrics/metrics.ts";
import type { CompleteRelayOptions } from "../options/schema.ts";
import type { Problem } from "../problem.ts";
import type { Authority } from "../rights/access.ts";
import { createAuthority } from "../rights/create_authority.ts";
import { AddressPolicy } from "../sources/guard/address_policy.ts";
import { createGuardedFetch } from "../sources/guard/guarded_fetch.ts";
import { SourcePolicy } from "../sources/guard/source_policy.ts";
import { Publisher } from "../sources/publish.ts";
import { createSourceFetch } from "../sources/source_fetch.ts";
import { Sources } from "../sources/sources.ts";
import type { RelayStatus } from "../status/relay_status.ts";
import { StatusReport } from "../status/status_report.ts";
import { shareStore } from "../stores/shared/share_store.ts";
import {
  type CountedStore,
  createStore,
  parseStoreAddress,
} from "../stores/store_address.ts";
import { TopicRegistry } from "../topics/registry.ts";
import { traceSlowCommit } from "../traces/store_trace.ts";
import { Upstreams } from "../upstream/upstreams.ts";
import type { Colleagues } from "./colleagues.ts";
import { createMemory } from "./memory.ts";
import {
  accessOf,
  metricsReadings,
  type ReadParts,
  statusReadings,
} from "./readings.ts";

/** The parts of a relay. */
export interface RelayParts extends ReadParts, AsyncDisposable {
  /** Adds what clients publish. */
  readonly publisher: Publisher;
  /** Says what the holder of a token may do. */
  readonly authority: Authority;
  /** Writes runs to files; `undefined` if none are written. */
  readonly recorder: Recorder | undefined;
  /** Returns how this process is. */
  status(): RelayStatus;
}

/** The situation of a relay that is being made. */
export interface PartsContext {
  /** The options of the relay. */
  readonly options: CompleteRelayOptions;
  /** The other workers; `undefined` if it is the only process. */
  readonly colleagues: Colleagues | undefined;
  /** Aborted when the relay closes. */
  readonly closing: AbortSignal;
  /** Returns the time when the relay began to listen, in milliseconds since the epoch. */
  startedAt(): number | undefined;
}

/**
 * The delays before a provider is asked again whose answer died before its
 * first event.
 */
const PROVIDER_RETRY = completeRetryPolicy({
  minTimeout: 200,
  maxTimeout: 5_000,
  jitter: 0.1,
  maxAttempts: 3,
  maxElapsed: 30_000,
}, "ask a provider again");

/** The store that the options name, or are given. */
function createOwnStore(
  options: CompleteRelayOptions,
  metrics: Metrics,
  onEvicted: (names: readonly string[]) => void,
): CountedStore {
  const { store, retention, storeToken, linkName, clock } = options;
  return typeof store === "string"
    ? createStore(parseStoreAddress(store), {
      retention,
      maxStore: retention.maxStore,
      token: storeToken,
      linkName,
      clock,
      onCommit: (report) => {
        metrics.committed(report);
        if (report.isSlow) traceSlowCommit(report, wallTime(clock));
      },
      onEvicted,
    })
    : store;
}

/** The sources of a relay, and what decides which ones requests may make. */
function createSources(
  { rights, limits, sourceTimeout, clock }: CompleteRelayOptions,
  { leases }: TopicRegistry,
  slots: UpstreamSlots,
  upstreams: Upstreams,
  received: ReceiveBudget,
  metrics: Metrics,
): { sources: Sources; sourcePolicy: SourcePolicy } {
  const sourcePolicy = new SourcePolicy(rights.allowSources);
  const sources = new Sources({
    clock,
    maxEvent: limits.maxEvent,
    idleTimeout: sourceTimeout,
    fetch: createSourceFetch(upstreams),
    guardedFetch: createGuardedFetch({
      sources: sourcePolicy,
      addresses: new AddressPolicy(rights.allowAddresses),
      upstreams,
    }),
    policy: sourcePolicy,
    leases,
    slots,
    received,
    counts: {
      attempted: metrics.upstreamAttempted,
      refused: metrics.refused,
    },
  });
  return { sources, sourcePolicy };
}

/** Makes the parts of a relay, and gives each the others that it needs. */
export function createParts(
  { options, colleagues, closing, startedAt }: PartsContext,
): RelayParts {
  const { clock, rights, limits, retention } = options;
  const elsewhere = colleagues?.elsewhere ?? NOWHERE;
  const metrics = new Metrics(metricsReadings(() => parts), {
    clock,
    version: VERSION,
  });
  const ownStore = createOwnStore(
    options,
    metrics,
    (names) => topics.evicted(names),
  );
  const store = options.links
    ? shareStore(ownStore, { clock, limits })
    : ownStore;
  const topics = new TopicRegistry({
    ...limits,
    ...retention,
    store,
    clock,
    onEnd: metrics.topicEnded,
  });
  const slots = new UpstreamSlots(
    limits.maxUpstreams,
    limits.maxUpstreamsPerClient,
    elsewhere,
  );
  const upstreams = new Upstreams(clock);
  const { memory, budget, received } = createMemory(options, metrics);
  const { sources, sourcePolicy } = createSources(
    options,
    topics,
    slots,
    upstreams,
    received,
    metrics,
  );
  const bodyLimits = {
    maxBytes: limits.maxBody,
    idleTimeout: limits.bodyTimeout,
    clock,
  };
  const draining = new Draining(
    clock,
    colleagues ? colleagues.hasOthers : store.isShared,
  );
  const authority = createAuthority({ ...rights, clock, signal: closing });
  const { record, recordMaxBytes, recordMaxAge } = options.gateway;
  const recorder = record === undefined
    ? undefined
    : new Recorder(record, clock, {
      maxBytes: recordMaxBytes,
      maxAge: recordMaxAge,
    });
  const gateway: Gateway = new Gateway({
    ...options.gateway,
    chats: options.chats,
    upstreams,
    allowedPaths: rights.allowProviderPaths,
    clock,
    topics,
    store,
    bodyLimits,
    retry: PROVIDER_RETRY,
    idleTimeout: options.gateway.timeout,
    elsewhere,
    idleElsewhere: colleagues && (({ name }) => colleagues.idleFor(name)),
    recorder,
    draining,
    memory,
    budget,
    received,
    slots,
    runEnded: metrics.runEnded,
    eventRefused: metrics.refused,
    providerAsked: metrics.providerAsked,
    refused: (...refusal) => doors.refused(...refusal),
    stream: (replay) => doors.stream(replay),
  });
  const publisher = new Publisher({
    ...bodyLimits,
    maxEvent: limits.maxEvent,
    maxRate: limits.maxPublishRate,
    elsewhere,
    leases: topics.leases,
    areShared: topics.areShared,
    draining,
    assertRoom: () => memory.assertRoom(),
    counts: {
      http: metrics.published("http"),
      websocket: metrics.published("websocket"),
    },
  });
  const readiness = (query: URLSearchParams): Problem | undefined =>
    draining.refusal() ?? memory.refusal() ?? authority.unready?.() ??
      storeFailed(store) ??
      (options.failFast || query.has("sources")
        ? sourcesAway(sources)
        : undefined);
  const doors: Doors = new Doors({
    topics,
    sources,
    sourcePolicy,
    publisher,
    bodyLimits,
    authority,
    gateway,
    draining,
    memory,
    budget,
    received,
    links: options.links ? { store, maxEvent: limits.maxEvent } : undefined,
    status: () => colleagues ? colleagues.status() : status.read(),
    elsewhere,
    readiness: (query) =>
      colleagues ? colleagues.readiness(query) : readiness(query),
    health: () => colleagues?.health(),
    metrics: {
      contentType: metrics.contentType,
      text: () => colleagues ? colleagues.metricsText() : metrics.text(),
      delivery: (door) => metrics.delivery(door),
      connectionCut: metrics.connectionCut,
      refused: metrics.refused,
    },
  }, options);
  const parts: ReadParts = {
    topics,
    store,
    ownStore,
    sources,
    gateway,
    doors,
    draining,
    memory,
    budget,
    received,
    metrics,
    readiness,
  };
  const status = new StatusReport(
    statusReadings(parts, options.store, colleagues?.count ?? 1, startedAt),
    accessOf(rights),
    clock,
  );
  return {
    ...parts,
    status: () => status.read(),
    publisher,
    authority,
    recorder,
    async [Symbol.asyncDispose]() {
      await Promise.all([
        doors.close(),
        sources[Symbol.asyncDispose](),
        gateway.runs[Symbol.asyncDispose](),
      ]);
      upstreams[Symbol.dispose]();
      doors[Symbol.dispose]();
      memory[Symbol.dispose]();
      metrics[Symbol.dispose]();
      status[Symbol.dispose]();
      topics[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
