import { getLogger } from "@logtape/logtape";
import { systemClock, wallTime } from "../src/fetch/clock.ts";
import { messageOf } from "../src/fetch/message_of.ts";
import { VERSION } from "../src/version.ts";
import { completeRetryPolicy, wait } from "../src/fetch/retry.ts";
import { Doors } from "./doors/doors.ts";
import { Draining } from "./doors/guests.ts";
import { sourcesAway, storeFailed } from "./doors/readiness.ts";
import { Gateway } from "./gateway/gateway.ts";
import { Recorder } from "./gateway/recording/recorder.ts";
import { upwardOf } from "./links/upward_link.ts";
import { type Elsewhere, NOWHERE } from "./limits/elsewhere.ts";
import { MemoryGuard } from "./limits/memory/memory_guard.ts";
import { findMemoryLimit } from "./limits/memory/memory_limit.ts";
import { processMemory } from "./limits/memory/memory_reading.ts";
import { ReceiveBudget } from "./limits/memory/receive_budget.ts";
import { SendBudget } from "./limits/memory/send_budget.ts";
import type { Problem } from "./problem.ts";
import { UpstreamSlots } from "./limits/upstream_slots.ts";
import type { MeasuredMemory } from "./metrics/memory_metrics.ts";
import type { Figure } from "./metrics/instruments.ts";
import { Metrics } from "./metrics/metrics.ts";
import { explainOptions } from "./options/explain_options.ts";
import type { RelayOptions } from "./options/relay_options.ts";
import { type CompleteRelayOptions, relayOptions } from "./options/schema.ts";
import type { Authority } from "./rights/access.ts";
import { createAuthority } from "./rights/create_authority.ts";
import { failureOf } from "./sources/failure.ts";
import { AddressPolicy } from "./sources/guard/address_policy.ts";
import { createGuardedFetch } from "./sources/guard/guarded_fetch.ts";
import { SourcePolicy } from "./sources/guard/source_policy.ts";
import { Publisher } from "./sources/publish.ts";
import { createSourceFetch } from "./sources/source_fetch.ts";
import { Sources } from "./sources/sources.ts";
import {
  type CountedStore,
  createStore,
  parseStoreAddress,
} from "./stores/store_address.ts";
import { shareStore } from "./stores/shared/share_store.ts";
import { endRestarted, readFilling } from "./topics/filling.ts";
import { LeaseHeldError } from "./topics/lease.ts";
import { type Store, StoreError } from "./topics/store.ts";
import { TopicRegistry } from "./topics/registry.ts";
import type { Topic } from "./topics/topic.ts";
import { traceSlowCommit } from "./traces/store_trace.ts";
import type { RelayStatus } from "./status/relay_status.ts";
import { StatusReport } from "./status/status_report.ts";
import { Upstreams } from "./upstream/upstreams.ts";
import type * as surface from "./topics/surface.ts";

/**
 * The address of a relay that listens.
 *
 * @example The address of a port that was free
 * ```ts
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { hostname, port, url } = await relay.listen();
 * assertEquals(url, `http://${hostname}:${port}`);
 * ```
 */
export interface RelayAddress {
  /** The address of the interface. */
  readonly hostname: string;
  /** The port. */
  readonly port: number;
  /** The beginning of every URL: `http://127.0.0.1:8787`. */
  readonly url: string;
}

/**
 * A relay: topics, what fills them, and the doors to them.
 *
 * @example Fill a topic from the program itself
 * ```ts
 * import { createRelay, type Relay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay: Relay = createRelay({ port: 0 });
 * await relay.listen();
 * const topic = relay.topics.create("t");
 * topic.append([{ event: "message", data: "a", id: "" }]);
 * assertEquals(topic.log.next, 2);
 * ```
 */
export interface Relay extends AsyncDisposable {
  /** The topics, to be read and filled by the program that embeds the relay. */
  readonly topics: surface.TopicRegistry;
  /**
   * Opens the sources, and then the doors.
   *
   * @returns The address of the relay. Rejects with a {@linkcode RelayStartError} if the
   * store, a fixture, the folder of recordings or the address cannot be used, or, with
   * `failFast`, a source; the relay is closed then. Without `failFast`, a source that is
   * away is retried.
   */
  listen(): Promise<RelayAddress>;
  /**
   * Takes no more publications, runs and subscribers, delivers what was acknowledged,
   * sends the subscribers away one after the other over this time, and then closes;
   * with nobody connected, or when all have gone, at once. Runs that are going on,
   * their callers and their subscribers have this time to end. `GET /readyz` says
   * that the relay is being drained.
   *
   * @param duration In milliseconds; 0 sends all away at once.
   * @returns Resolves when the relay is closed; {@linkcode Relay.close} cuts it short.
   * @throws {RangeError} If the duration is negative or not finite.
   *
   * @example Stop without a crowd at the next relay
   * ```ts
   * import { createRelay } from "@rivulet/rivulet/relay";
   *
   * const relay = createRelay({ port: 0 });
   * await relay.listen();
   * await relay.drain(10_000);
   * ```
   */
  drain(duration: number): Promise<void>;
  /**
   * Says goodbye to every subscriber, and closes: within 3 s, or else by force.
   * The topics do not end by this: subscribers are told to come back.
   */
  close(): Promise<void>;
}

/**
 * A relay cannot start.
 *
 * @example A file that is not there
 * ```ts
 * import { createRelay, RelayStartError } from "@rivulet/rivulet/relay";
 * import { assertEquals, assertRejects } from "@std/assert";
 *
 * const relay = createRelay({
 *   port: 0,
 *   fixtures: [{ name: "t", path: "nowhere.sse" }],
 * });
 * const error = await assertRejects(() => relay.listen(), RelayStartError);
 * assertEquals(error.code, "fixture_failed");
 * ```
 */
export class RelayStartError extends Error {
  /** The code of the error, for programs. */
  readonly code:
    | "source_failed"
    | "fixture_failed"
    | "record_failed"
    | "store_failed"
    | "listen_failed";

  /** Says what cannot be had, and why. */
  constructor(
    code: RelayStartError["code"],
    message: string,
    options: ErrorOptions,
  ) {
    super(message, options);
    this.name = "RelayStartError";
    this.code = code;
  }
}

const logger = getLogger(["rivulet", "relay"]);

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

/**
 * The options of a relay are invalid.
 *
 * @example A port that there is not
 * ```ts
 * import { createRelay, RelayOptionsError } from "@rivulet/rivulet/relay";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => createRelay({ port: -1 }), RelayOptionsError, "port");
 * ```
 */
export class RelayOptionsError extends TypeError {
  /** The code of the error, for programs. */
  readonly code = "invalid_options";

  /** Names each option that is wrong, and what was expected. */
  constructor(message: string) {
    super(`Cannot make a relay of these options: ${message}`);
    this.name = "RelayOptionsError";
  }
}

/**
 * Makes a relay.
 *
 * @param options The settings.
 * @returns A relay that does not listen yet.
 * @throws {RelayOptionsError} If an option is not what it has to be.
 *
 * @example Embed a relay, and publish to it
 * ```ts
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 *
 * relay.topics.create("news").append([
 *   { event: "message", data: "hello", id: "" },
 * ]);
 * const response = await fetch(`${url}/topics/news`, {
 *   headers: { Accept: "application/json" },
 * });
 * const { events, next } = await response.json();
 * assertEquals(events, [{ data: "hello" }]);
 * assertEquals(next, 2);
 * ```
 */
export function createRelay(options: RelayOptions = {}): Relay {
  return new RelayServer(complete(options));
}

function complete(options: RelayOptions): CompleteRelayOptions {
  const parsed = relayOptions.safeParse(options);
  if (!parsed.success) {
    throw new RelayOptionsError(explainOptions(parsed.error));
  }
  return parsed.data;
}

/** The other workers of a relay, as one of them sees them. */
export interface Colleagues {
  /** The number of workers. */
  readonly count: number;
  /** Whether this worker takes the place of one that has ended. */
  readonly isAgain: boolean;
  /** Whether relays that are not drained with this one have the topics too. */
  readonly hasOthers: boolean;
  /** Whether this worker is the one to start a source or a fixture of the operator's, by its place. */
  starts(index: number): boolean;
  /** Their counts, for limits in all. */
  readonly elsewhere: Elsewhere;
  /** Returns for how long nobody has followed a topic at any of them, in milliseconds. */
  idleFor(topic: string): Promise<number>;
  /** Writes the figures of all workers, as Prometheus reads them. */
  metricsText(): Promise<string>;
  /** Returns why one of the workers is not ready, if one is not. */
  readiness(query: URLSearchParams): Promise<Problem | undefined>;
  /** Returns why the workers do not work, if they do not. */
  health(): Promise<Problem | undefined>;
}

/** A relay that is one of several workers. */
export interface WorkerRelay extends Relay {
  /** Returns the figures of this worker. */
  figures(): Promise<readonly Figure[]>;
  /** Returns for how long nobody has followed a topic here, in milliseconds. */
  idleFor(topic: string): number;
  /** Returns why this worker is not ready, if it is not. */
  readiness(query: URLSearchParams): Problem | undefined;
}

/**
 * Makes a relay that is one of several workers.
 *
 * @throws {RelayOptionsError} If an option is not what it has to be.
 */
export function createWorkerRelay(
  options: RelayOptions,
  colleagues: Colleagues,
): WorkerRelay {
  return new RelayServer(complete(options), colleagues);
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

/** The budgets of memory, and their guard. */
function createMemory(
  { limits, memory, clock }: CompleteRelayOptions,
  metrics: Metrics,
): { memory: MemoryGuard; budget: SendBudget; received: ReceiveBudget } {
  const maxMemory = limits.maxMemory ?? findMemoryLimit().bytes;
  const maxQueued = limits.maxQueued ?? Math.ceil(maxMemory / 4);
  const budget = new SendBudget({
    maxQueued,
    maxQueuedPerClient: limits.maxQueuedPerClient ?? Math.ceil(maxQueued / 2),
    clock,
    onDrop: metrics.connectionCut,
  });
  const maxReceived = limits.maxReceived ?? Math.ceil(maxMemory / 4);
  const received = new ReceiveBudget({
    maxReceived,
    maxReceivedPerClient: limits.maxReceivedPerClient ??
      Math.ceil(maxReceived / 2),
  });
  const guard = new MemoryGuard({
    maxMemory,
    memory: memory ?? processMemory,
    // The memory of the process changes in real time, whatever the relay is told.
    clock: memory ? clock : systemClock,
    dropHeaviest: () => budget.dropHeaviest() ?? received.dropHeaviest(),
  });
  return { memory: guard, budget, received };
}

/** Says who may do what at a relay. */
function accessOf(
  { jwtKey, jwks, insecureOpen }: CompleteRelayOptions["rights"],
): RelayStatus["access"] {
  if (jwtKey !== undefined || jwks !== undefined) return "tokens";
  return insecureOpen ? "everybody" : "localhost";
}

/** Says which store a relay has. */
function describeStore(
  option: CompleteRelayOptions["store"],
  { isLasting, isShared = false, failure }: CountedStore,
): RelayStatus["store"] {
  return {
    kind: typeof option === "string" ? parseStoreAddress(option).kind : "own",
    isLasting,
    isShared,
    ...(failure && { failure: failure.failure }),
  };
}

/**
 * The time between two attempts to reach a store that is away, in milliseconds.
 */
const STORE_INTERVAL = 1_000;

function isStoreAway(error: unknown): boolean {
  return error instanceof StoreError && error.failure === "away";
}

class RelayServer implements WorkerRelay {
  readonly topics: TopicRegistry;
  readonly #options: CompleteRelayOptions;
  readonly #colleagues: Colleagues | undefined;
  readonly #readiness: readonly ((
    query: URLSearchParams,
  ) => Problem | undefined)[];
  readonly #store: Store;
  /** The store as it was made, which may say what it holds. */
  readonly #counted: CountedStore;
  readonly #sources: Sources;
  readonly #upstreams: Upstreams;
  readonly #gateway: Gateway;
  readonly #publisher: Publisher;
  readonly #doors: Doors;
  readonly #metrics: Metrics;
  readonly #status: StatusReport;
  readonly #recorder: Recorder | undefined;
  readonly #authority: Authority;
  readonly #memory: MemoryGuard;
  readonly #held: () => Pick<MeasuredMemory, "queued" | "received">;
  readonly #closing = new AbortController();
  /** The time when it began to listen, in milliseconds since the epoch. */
  #listening: number | undefined;
  /** The number of subscribers when the relay began to be drained. */
  #sentAway: number | undefined;
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: CompleteRelayOptions, colleagues?: Colleagues) {
    this.#options = options;
    this.#colleagues = colleagues;
    const elsewhere = colleagues?.elsewhere ?? NOWHERE;
    const { clock, rights, gateway, limits, retention } = options;
    const { signal } = this.#closing;
    const metrics = this.#metrics = new Metrics({
      connections: () => ({
        websocket: this.#doors.sockets.sessions,
        sse: this.#doors.streams.sessions,
      }),
      tcpConnections: () => this.#doors.tcpConnections,
      lists: () => this.#doors.counts.connections.lists,
      topics: () => this.topics,
      upstreams: () =>
        [...this.topics].filter((topic) => this.#sources.isUpstream(topic)),
      runs: () => this.#gateway.size,
      memory: () => {
        const { maxMemory, isAtEdge } = this.#memory;
        return { maxMemory, isAtEdge, ...this.#held() };
      },
      store: () => this.#counted.counts,
      isStoreFailing: () => this.#store.failure !== undefined,
      storeLag: () => upwardOf(this.#store)?.lag ?? 0,
    }, { clock, version: VERSION });
    const own: CountedStore = typeof options.store === "string"
      ? createStore(parseStoreAddress(options.store), {
        retention,
        maxStore: retention.maxStore,
        token: options.storeToken,
        linkName: options.linkName,
        clock,
        onCommit: (report) => {
          metrics.committed(report);
          if (report.isSlow) traceSlowCommit(report, wallTime(clock));
        },
        onEvicted: (names) => this.topics.evicted(names),
      })
      : options.store;
    this.#counted = own;
    const store = this.#store = options.links
      ? shareStore(own, { clock, limits })
      : own;
    this.topics = new TopicRegistry({
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
    const upstreams = this.#upstreams = new Upstreams(clock);
    const { memory, budget, received } = createMemory(options, metrics);
    const { sources, sourcePolicy } = createSources(
      options,
      this.topics,
      slots,
      upstreams,
      received,
      metrics,
    );
    this.#sources = sources;
    const bodyLimits = {
      maxBytes: limits.maxBody,
      idleTimeout: limits.bodyTimeout,
      clock,
    };
    const draining = new Draining(
      clock,
      colleagues ? colleagues.hasOthers : store.isShared,
    );
    this.#memory = memory;
    this.#held = () => ({
      queued: budget.queued,
      received: received.received,
    });
    const authority = this.#authority = createAuthority({
      ...rights,
      clock,
      signal,
    });
    this.#recorder = gateway.record === undefined
      ? undefined
      : new Recorder(gateway.record, clock, {
        maxBytes: gateway.recordMaxBytes,
        maxAge: gateway.recordMaxAge,
      });
    this.#gateway = new Gateway({
      ...gateway,
      chats: options.chats,
      upstreams,
      allowedPaths: rights.allowProviderPaths,
      clock,
      topics: this.topics,
      store,
      bodyLimits,
      retry: PROVIDER_RETRY,
      idleTimeout: gateway.timeout,
      elsewhere,
      idleElsewhere: colleagues && (({ name }) => colleagues.idleFor(name)),
      recorder: this.#recorder,
      draining,
      memory,
      budget,
      received,
      slots,
      runEnded: metrics.runEnded,
      eventRefused: metrics.refused,
      providerAsked: metrics.providerAsked,
      refused: (...refusal) => this.#doors.refused(...refusal),
      stream: (replay) => this.#doors.stream(replay),
    });
    this.#publisher = new Publisher({
      ...bodyLimits,
      maxEvent: limits.maxEvent,
      maxRate: limits.maxPublishRate,
      elsewhere,
      leases: this.topics.leases,
      draining,
      assertRoom: () => memory.assertRoom(),
      counts: {
        http: metrics.published("http"),
        websocket: metrics.published("websocket"),
      },
    });
    this.#readiness = [
      () => draining.refusal(),
      () => memory.refusal(),
      () => authority.unready?.(),
      () => storeFailed(store),
      (query) =>
        options.failFast || query.has("sources")
          ? sourcesAway(sources)
          : undefined,
    ];
    const query = new URLSearchParams();
    this.#status = new StatusReport(
      {
        metrics,
        topics: () => this.topics,
        startedAt: () => this.#listening,
        workers: () => colleagues?.count ?? 1,
        draining: () => draining.signal.aborted ? draining.left : undefined,
        problem: () => {
          const problem = this.readiness(query);
          return problem && { code: problem.code, detail: problem.message };
        },
        doors: () => this.#doors.counts,
        upstreams: () => ({
          runs: this.#gateway.size,
          upstreams:
            [...this.topics].filter((topic) => sources.isUpstream(topic))
              .length,
        }),
        memory: () => {
          const { maxMemory, isAtEdge } = memory;
          return { max: maxMemory, isAtEdge, ...this.#held() };
        },
        store: () => describeStore(options.store, store),
      },
      accessOf(rights),
      clock,
    );
    this.#doors = new Doors({
      topics: this.topics,
      sources,
      sourcePolicy,
      publisher: this.#publisher,
      bodyLimits,
      authority,
      gateway: this.#gateway,
      draining,
      memory,
      budget,
      received,
      links: options.links ? { store } : undefined,
      status: () => this.#status.read(),
      elsewhere,
      readiness: (query) =>
        colleagues ? colleagues.readiness(query) : this.readiness(query),
      health: () => colleagues?.health(),
      metrics: {
        contentType: metrics.contentType,
        text: () => colleagues ? colleagues.metricsText() : metrics.text(),
        delivery: (door) => metrics.delivery(door),
        connectionCut: metrics.connectionCut,
        refused: metrics.refused,
      },
    }, options);
  }

  figures(): Promise<readonly Figure[]> {
    return this.#metrics.figures();
  }

  idleFor(name: string): number {
    const topic = this.topics.get(name);
    if (!topic) return Infinity;
    const { idleSince } = topic;
    return idleSince === undefined ? 0 : this.#options.clock.now() - idleSince;
  }

  readiness(query: URLSearchParams): Problem | undefined {
    for (const check of this.#readiness) {
      const problem = check(query);
      if (problem) return problem;
    }
    return undefined;
  }

  async listen(): Promise<RelayAddress> {
    const { host, port } = this.#options;
    this.#authority.prepare?.();
    try {
      await this.#openStore();
      await this.#prepareRecorder();
      await Promise.all([...this.#startSources(), ...this.#startFixtures()]);
      try {
        const address = await this.#doors.listen(host, port);
        const { hostname } = address;
        const named = hostname.includes(":") ? `[${hostname}]` : hostname;
        const url = `http://${named}:${address.port}`;
        this.#tellListening(url);
        return { ...address, url };
      } catch (cause) {
        throw new RelayStartError(
          "listen_failed",
          `Cannot listen on ${host}:${port}: ${messageOf(cause)}`,
          { cause },
        );
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Opens the store, and goes on with what a relay before has left. */
  async #openStore(): Promise<void> {
    const { store, retention } = this.#options;
    if (store === "memory" && retention.maxStore !== undefined) {
      logger.warn(
        "--max-store does nothing: it bounds the file of --store, and topics are in memory. --max-events and --max-bytes bound those",
      );
    }
    try {
      await this.#store.open();
    } catch (cause) {
      throw new RelayStartError(
        "store_failed",
        `--store: ${messageOf(cause)}`,
        { cause },
      );
    }
    const { sources, fixtures } = this.#options;
    const filled = new Set([...sources, ...fixtures].map(({ name }) => name));
    const restored = await this.topics.restore();
    for (const topic of restored) {
      if (!filled.has(topic.name)) this.#goOn(topic);
    }
    void this.#followOrphans(filled);
    if (restored.length === 0) return;
    logger.info("The store has {count} topics that have not ended", {
      count: restored.length,
    });
  }

  /** Goes on with what other relays have left without a word. */
  async #followOrphans(filled: ReadonlySet<string>): Promise<void> {
    const { signal } = this.#closing;
    const orphans = this.#store.orphans?.(signal);
    if (!orphans) return;
    try {
      for await (const { name, epoch } of orphans) {
        void this.#adopt(name, epoch, filled.has(name));
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.error("What other relays leave is not gone on with: {reason}", {
        reason: messageOf(error),
      });
    }
  }

  /** Goes on with a topic that another relay has left, if this one is the first to do so. */
  async #adopt(name: string, epoch: string, isOwn: boolean): Promise<void> {
    try {
      // Its relay may have said what fills it just before it was gone.
      await this.topics.prepare(name, { isFresh: true });
      const topic = this.topics.get(name, epoch);
      if (!topic || topic.verdict) return;
      logger.info("The relay that has filled topic {topic} is gone", {
        topic: name,
      });
      const own = isOwn
        ? this.#options.sources.find((source) => source.name === name)
        : undefined;
      if (own) await this.#startSource(own);
      else this.#goOn(topic);
    } catch (error) {
      logger.warn("Topic {topic} is not gone on with: {reason}", {
        topic: name,
        reason: messageOf(error),
      });
    }
  }

  /**
   * Goes on with filling a topic that the store has kept, or ends it if that cannot be.
   * A topic that is published to stays as it is.
   */
  #goOn(topic: Topic): void {
    if (topic.filling === undefined) return;
    const filling = readFilling(topic.filling);
    switch (filling?.kind) {
      case "source":
        return void this.#sources.resume(topic, filling);
      case "response":
        return this.#gateway.resume(topic, filling);
      case "publisher":
        // Another relay of a shared store may have the publisher.
        if (this.#store.isShared) return;
        return this.#publisher.expect(topic, filling.within);
      default:
        return void this.#endLost(topic);
    }
  }

  /** Ends a topic that nobody can go on with, unless another relay is filling it. */
  async #endLost(topic: Topic): Promise<void> {
    try {
      using hold = this.topics.leases.hold(topic, { onLost: () => {} });
      if (hold.ready) await hold.ready;
      endRestarted(topic);
    } catch (error) {
      if (error instanceof LeaseHeldError) return;
      logger.warn("Topic {topic} is not ended: {reason}", {
        topic: topic.name,
        reason: messageOf(error),
      });
    }
  }

  async #prepareRecorder(): Promise<void> {
    try {
      await this.#recorder?.prepare();
    } catch (cause) {
      throw new RelayStartError(
        "record_failed",
        `--record: expected a folder that the relay can write to, got '${this.#options.gateway.record}': ${
          messageOf(cause)
        }. Give another folder, or the right to write there`,
        { cause },
      );
    }
  }

  /** Returns those that this relay starts, if it is one of several workers. */
  #own<Item>(items: readonly Item[]): readonly Item[] {
    const colleagues = this.#colleagues;
    return items.filter((_, index) => colleagues?.starts(index) ?? true);
  }

  /** Starts the sources; rejects only for those that the relay cannot be without. */
  #startSources(): Promise<void>[] {
    return this.#own(this.#options.sources).map(async (source) => {
      try {
        await this.#startSource(source);
      } catch (error) {
        if (!isStoreAway(error)) throw error;
        void this.#startSourceLater(source);
      }
    });
  }

  /** Starts a source, once the store is there if it is away. */
  async #startSourceLater(
    source: CompleteRelayOptions["sources"][number],
  ): Promise<void> {
    const { clock } = this.#options;
    while (!this.#closing.signal.aborted) {
      try {
        await wait(STORE_INTERVAL, clock, this.#closing.signal);
        return await this.#startSource(source);
      } catch (error) {
        if (!isStoreAway(error)) return;
      }
    }
  }

  async #startSource(
    { name, from, ...source }: CompleteRelayOptions["sources"][number],
  ): Promise<void> {
    const { failFast } = this.#options;
    if (await this.#isDone(name)) return;
    const topic = await this.#topicToFill(name);
    let opened: Promise<void>;
    try {
      ({ opened } = await this.#sources.startHeld(topic, {
        kind: "sse",
        required: failFast,
        ...source,
      }));
    } catch (error) {
      if (!(error instanceof LeaseHeldError)) throw error;
      return logger.info("Another relay has the source of {name}", { name });
    }
    topic.from = from;
    if (!failFast) return;
    await opened.catch((cause) => {
      throw new RelayStartError(
        "source_failed",
        `The source of topic '${name}' cannot be read: ${failureOf(cause)}`,
        { cause },
      );
    });
  }

  /**
   * Whether a worker that has ended has brought a topic to its end before: the relay has
   * not been restarted by that, and the topic stays as it is.
   */
  async #isDone(name: string): Promise<boolean> {
    if (!this.#colleagues?.isAgain) return false;
    await this.topics.prepare(name);
    return this.topics.get(name)?.state.kind === "ended";
  }

  /** A topic that has ended is not filled any more: a source begins another one. */
  async #topicToFill(name: string): Promise<Topic> {
    if (this.topics.areFetched) {
      await this.topics.prepare(name, { makes: true });
    }
    if (this.topics.get(name)?.state.kind === "ended") {
      this.topics.delete(name);
    }
    return this.topics.create(name);
  }

  #startFixtures(): Promise<void>[] {
    return this.#own(this.#options.fixtures).map(async (fixture) => {
      const { name, path, loop } = fixture;
      if (await this.#isDone(name)) return;
      await this.topics.prepare(name);
      // It is played from its first event: after others, they would be there twice.
      this.topics.delete(name);
      const topic = this.topics.create(name);
      const spec = { kind: "fixture", path, loop } as const;
      await this.#sources.start(topic, spec).opened.catch((cause) => {
        throw new RelayStartError(
          "fixture_failed",
          `${
            messageOf(cause)
          }. Give --fixture a file of events that the relay can read, such as --record writes`,
          { cause },
        );
      });
    });
  }

  drain(duration: number): Promise<void> {
    if (!(duration >= 0 && duration < Infinity)) {
      throw new RangeError(
        `Cannot drain the relay as 'duration' must be a number of milliseconds, 0 or more: current value is ${duration}`,
      );
    }
    return this.#drained ??= this.#drain(duration);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Tells the main settings, none of which is a secret. */
  #tellListening(url: string): void {
    const { rights, sources, fixtures, gateway, origins, limits } =
      this.#options;
    this.#listening = this.#options.clock.now();
    logger.info("Listening on {url}: version {version}, access: {access}", {
      url,
      version: VERSION,
      access: accessOf(rights),
      sources: sources.map(({ name }) => name),
      fixtures: fixtures.map(({ name }) => name),
      providers: gateway.providers.map(({ name }) => name),
      origins,
      record: gateway.record,
      maxConnections: limits.maxConnections,
    });
  }

  #tellStopped(reason: string, subscribers: number): void {
    if (this.#listening === undefined) return;
    logger.info(
      "Stopped after {seconds} s: {reason}, {subscribers} subscribers were sent away",
      {
        seconds: Math.round(this.#options.clock.now() - this.#listening) /
          1_000,
        reason,
        subscribers,
      },
    );
    this.#listening = undefined;
  }

  get #subscribers(): number {
    return this.#doors.sockets.sessions.size +
      this.#doors.streams.sessions.size;
  }

  async #drain(duration: number): Promise<void> {
    this.#sentAway = this.#subscribers;
    await this.#doors.drain(
      duration,
      this.#closing.signal,
      this.#gateway.going,
    );
    await this.close();
  }

  async #close(): Promise<void> {
    const reason = this.#sentAway === undefined ? "closed" : "drained";
    const subscribers = this.#sentAway ?? this.#subscribers;
    this.#closing.abort();
    await Promise.all([
      this.#doors.close(),
      this.#sources[Symbol.asyncDispose](),
      this.#gateway[Symbol.asyncDispose](),
    ]);
    this.#upstreams[Symbol.dispose]();
    this.#doors[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
    this.#metrics[Symbol.dispose]();
    this.#status[Symbol.dispose]();
    this.topics[Symbol.dispose]();
    await this.#store[Symbol.asyncDispose]();
    this.#tellStopped(reason, subscribers);
  }
}
