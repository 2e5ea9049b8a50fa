import config from "../deno.json" with { type: "json" };
import { messageOf } from "../src/fetch/message_of.ts";
import { completeRetryPolicy } from "../src/fetch/retry.ts";
import { EventStreamDoor } from "./doors/sse/door.ts";
import { Pump } from "./delivery/pump.ts";
import type { SlowReaders } from "./delivery/subscriber.ts";
import { Watch } from "./delivery/watch.ts";
import { drain, type Guest } from "./doors/guests.ts";
import { Gateway } from "./gateway/gateway.ts";
import { Recorder } from "./gateway/recorder.ts";
import { Entrance } from "./doors/http/entrance.ts";
import { Origins } from "./doors/http/origins/origins.ts";
import { RefusedSockets } from "./doors/http/refused_sockets.ts";
import { createRequestHandler } from "./doors/http/routes.ts";
import { HttpServer } from "./doors/http/server.ts";
import { WebSocketDoor } from "./doors/websocket/door.ts";
import { ClientAddresses } from "./limits/client_addresses.ts";
import { UpstreamSlots } from "./limits/upstream_slots.ts";
import { Metrics } from "./metrics/metrics.ts";
import type { RelayOptions } from "./options/relay_options.ts";
import { type CompleteRelayOptions, relayOptions } from "./options/schema.ts";
import { draining, type Problem } from "./problem.ts";
import { createAuthority } from "./rights/create_authority.ts";
import { Expiries } from "./rights/expiries.ts";
import { OPEN_AUTHORITY } from "./rights/access.ts";
import { AddressPolicy } from "./sources/guard/address_policy.ts";
import { createGuardedFetch } from "./sources/guard/guarded_fetch.ts";
import { SourcePolicy } from "./sources/guard/source_policy.ts";
import { Publisher } from "./sources/publish.ts";
import { Sources } from "./sources/sources.ts";
import { MemoryLog } from "./stores/memory_log.ts";
import { TopicRegistry } from "./topics/registry.ts";

/**
 * Where a relay can be reached.
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
  readonly topics: TopicRegistry;
  /**
   * Opens the sources, and then the doors.
   *
   * @returns Where the relay can be reached. Rejects with a
   * {@linkcode RelayStartError} where a source or the address cannot be had;
   * the relay is closed then.
   */
  listen(): Promise<RelayAddress>;
  /**
   * Sends the subscribers away, one after the other over this time, and then
   * closes; with nobody connected, or when all have gone, at once. Until then
   * topics are filled as ever. New subscribers are refused, and `GET /readyz`
   * says so.
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
 * assertEquals(error.code, "source_failed");
 * ```
 */
export class RelayStartError extends Error {
  /** What cannot be had, for programs. */
  readonly code: "source_failed" | "listen_failed";

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

/** How long peers have to close in their turn, in milliseconds. */
const CLOSE_GRACE = 2_000;

/** When a provider is asked again whose answer died before its first event. */
const PROVIDER_RETRY = completeRetryPolicy({
  minTimeout: 200,
  maxTimeout: 5_000,
  jitter: 0.1,
  maxAttempts: 3,
  maxElapsed: 30_000,
}, "ask a provider again");

/**
 * Options that no relay can be made from.
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
  /** What happened, for programs. */
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
 * @param options How it is set up.
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
  const parsed = relayOptions.safeParse(options);
  if (!parsed.success) {
    throw new RelayOptionsError(
      parsed.error.issues
        .map(({ path, message }) => `${path.join(".")}: ${message}`)
        .join("; "),
    );
  }
  return new RelayServer(parsed.data);
}

class RelayServer implements Relay {
  readonly topics: TopicRegistry;
  readonly #options: CompleteRelayOptions;
  readonly #pump = new Pump();
  readonly #heartbeat: Watch;
  readonly #slow: SlowReaders | undefined;
  readonly #sources: Sources;
  readonly #sockets: WebSocketDoor;
  readonly #streams: EventStreamDoor;
  readonly #gateway: Gateway;
  readonly #server: HttpServer;
  readonly #metrics: Metrics;
  readonly #expiries: Expiries;
  readonly #closing = new AbortController();
  /** Until when subscribers are sent away, in milliseconds since the epoch. */
  #drainEnd: number | undefined;
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: CompleteRelayOptions) {
    this.#options = options;
    const { clock, rights, gateway, limits, retention, delivery } = options;
    const { awaitTopics } = delivery;
    this.#heartbeat = new Watch(delivery.heartbeat, clock);
    this.#slow = delivery.slowTimeout === Infinity ? undefined : {
      watch: new Watch(delivery.slowTimeout, clock),
      then: delivery.onSlow,
    };
    const refusal = (): Problem | undefined => this.#refusal();
    const { signal } = this.#closing;
    const authority = createAuthority({ ...rights, clock, signal });
    this.#expiries = new Expiries(clock);
    const addresses = new ClientAddresses(options.trustedProxies);
    const metrics = this.#metrics = new Metrics({
      connections: () => ({
        websocket: this.#sockets.sessions,
        sse: this.#streams.sessions,
      }),
      tcpConnections: () => this.#server.connections,
      topics: () => this.topics,
      upstreams: () =>
        [...this.topics].filter((topic) => this.#sources.isUpstream(topic)),
      runs: () => this.#gateway.size,
    }, { clock, version: config.version });
    this.topics = new TopicRegistry({
      ...limits,
      ...retention,
      createLog: () => new MemoryLog(retention, clock),
      clock,
      onEnd: metrics.topicEnded,
    });
    const entrance = new Entrance({
      authority,
      allowQueryToken: rights.allowQueryToken,
      origins: new Origins(options.origins, {
        isLocal: authority === OPEN_AUTHORITY && !rights.insecureOpen,
      }),
      addresses,
      refused: metrics.refused,
    });
    this.#streams = new EventStreamDoor({
      counts: metrics.delivery("sse"),
      expiries: this.#expiries,
      pump: this.#pump,
      heartbeat: this.#heartbeat,
      slow: this.#slow,
      clock,
    });
    const slots = new UpstreamSlots(limits.maxUpstreams);
    const sourcePolicy = new SourcePolicy(rights.allowSources);
    this.#sources = new Sources({
      clock,
      maxEvent: limits.maxEvent,
      guardedFetch: createGuardedFetch({
        sources: sourcePolicy,
        addresses: new AddressPolicy(rights.allowAddresses),
        clock,
      }),
      slots,
      counts: {
        attempted: metrics.upstreamAttempted,
        refused: metrics.refused,
      },
    });
    const bodyLimits = {
      maxBytes: limits.maxBody,
      idleTimeout: limits.bodyTimeout,
      clock,
    };
    const publisher = new Publisher({
      ...bodyLimits,
      maxEvent: limits.maxEvent,
      maxRate: limits.maxPublishRate,
      counts: {
        http: metrics.published("http"),
        websocket: metrics.published("websocket"),
      },
    });
    const refused = new RefusedSockets(clock);
    this.#sockets = new WebSocketDoor({
      ...limits,
      awaitTopics,
      clock,
      topics: this.topics,
      pump: this.#pump,
      counts: metrics.delivery("websocket"),
      refused: metrics.refused,
      refusedSockets: refused,
      expiries: this.#expiries,
      heartbeat: this.#heartbeat,
      slow: this.#slow,
      refusal,
      entrance,
      authority,
      publisher,
    });
    this.#gateway = new Gateway({
      ...gateway,
      clock,
      topics: this.topics,
      bodyLimits,
      retry: PROVIDER_RETRY,
      idleTimeout: gateway.timeout,
      recorder: gateway.record === undefined
        ? undefined
        : new Recorder(gateway.record, clock),
      refusal,
      slots,
      runEnded: metrics.runEnded,
      providerAsked: metrics.providerAsked,
      refused: (...refusal) => entrance.refused(...refusal),
      stream: (request) => this.#streams.open(request),
    });
    this.#server = new HttpServer({
      request: createRequestHandler({
        topics: this.topics,
        sources: this.#sources,
        publisher,
        bodyLimits,
        awaitTopics,
        sourcePolicy,
        entrance,
        publicMetrics: rights.publicMetrics,
        metrics: async () =>
          new Response(await metrics.text(), {
            headers: {
              "Content-Type": metrics.contentType,
              "Cache-Control": "no-store",
            },
          }),
        gateway: this.#gateway,
        refusal,
        stream: (request) => this.#streams.open(request),
      }),
      upgrade: (...upgrade) => void this.#sockets.handle(...upgrade),
      refused: (...refusal) => entrance.refusedUnread(...refusal),
    }, { ...limits, addresses, refused });
  }

  async listen(): Promise<RelayAddress> {
    const { host, port, sources, fixtures } = this.#options;
    try {
      const opened = [
        ...sources.map(({ name, from, ...source }) => {
          const topic = this.topics.create(name);
          topic.from = from;
          return this.#sources.start(topic, { kind: "sse", ...source }).opened;
        }),
        ...fixtures.map(({ name, path, loop }) =>
          this.#sources.start(this.topics.create(name), {
            kind: "fixture",
            path,
            loop,
          }).opened
        ),
      ];
      try {
        await Promise.all(opened);
      } catch (cause) {
        throw new RelayStartError("source_failed", messageOf(cause), { cause });
      }
      try {
        const address = await this.#server.listen(host, port);
        const { hostname } = address;
        const named = hostname.includes(":") ? `[${hostname}]` : hostname;
        return { ...address, url: `http://${named}:${address.port}` };
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

  /** What a new subscriber is told instead of events. */
  #refusal(): Problem | undefined {
    return this.#drainEnd === undefined
      ? undefined
      : draining(this.#drainEnd - this.#options.clock.now());
  }

  get #guests(): Guest[] {
    return [...this.#sockets.sessions, ...this.#streams.sessions];
  }

  async #drain(duration: number): Promise<void> {
    const { clock } = this.#options;
    this.#drainEnd = clock.now() + duration;
    const { signal } = this.#closing;
    await drain(this.#guests, { duration, clock, signal });
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const { clock } = this.#options;
    const closed = this.#server.close();
    for (const guest of this.#guests) guest.stop();
    const cancel = clock.setTimeout(
      () => this.#server.terminate(),
      CLOSE_GRACE,
    );
    await Promise.all([
      closed,
      this.#sources[Symbol.asyncDispose](),
      this.#gateway[Symbol.asyncDispose](),
    ]);
    cancel();
    this.#pump[Symbol.dispose]();
    this.#heartbeat[Symbol.dispose]();
    this.#slow?.watch[Symbol.dispose]();
    this.#metrics[Symbol.dispose]();
    this.#expiries[Symbol.dispose]();
    this.topics[Symbol.dispose]();
  }
}
