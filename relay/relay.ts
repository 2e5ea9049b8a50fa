import { getLogger } from "@logtape/logtape";
import { messageOf } from "../src/fetch/message_of.ts";
import { VERSION } from "../src/version.ts";
import type { Figure } from "./metrics/instruments.ts";
import { explainOptions } from "./options/explain_options.ts";
import type { RelayOptions } from "./options/relay_options.ts";
import { type CompleteRelayOptions, relayOptions } from "./options/schema.ts";
import type { RelayStatus } from "./status/relay_status.ts";
import type { Problem } from "./problem.ts";
import type { TopicRegistry } from "./topics/registry.ts";
import type * as surface from "./topics/surface.ts";
import type { Colleagues } from "./wiring/colleagues.ts";
import { OwnTopics } from "./wiring/own_topics.ts";
import { createParts, type RelayParts } from "./wiring/parts.ts";
import { accessOf } from "./wiring/readings.ts";
import { Recovery } from "./wiring/recovery.ts";
import { RelayOptionsError, RelayStartError } from "./wiring/relay_errors.ts";

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

/** A relay that is one of several workers. */
export interface WorkerRelay extends Relay {
  /** Returns the figures of this worker. */
  figures(): Promise<readonly Figure[]>;
  /** Returns for how long nobody has followed a topic here, in milliseconds. */
  idleFor(topic: string): number;
  /** Returns how this worker is. */
  status(): RelayStatus;
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

const logger = getLogger(["rivulet", "relay"]);

class RelayServer implements WorkerRelay {
  readonly #options: CompleteRelayOptions;
  readonly #parts: RelayParts;
  readonly #own: OwnTopics;
  readonly #recovery: Recovery;
  readonly #closing = new AbortController();
  /** The time when it began to listen, in milliseconds since the epoch. */
  #listening: number | undefined;
  /** The number of subscribers when the relay began to be drained. */
  #sentAway: number | undefined;
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: CompleteRelayOptions, colleagues?: Colleagues) {
    const { signal: closing } = this.#closing;
    const parts = createParts({
      options,
      colleagues,
      closing,
      startedAt: () => this.#listening,
    });
    this.#options = options;
    this.#parts = parts;
    this.#own = new OwnTopics({ options, parts, colleagues, closing });
    const { clock } = options;
    this.#recovery = new Recovery(parts, this.#own, clock, closing);
  }

  get topics(): TopicRegistry {
    return this.#parts.topics;
  }

  figures(): Promise<readonly Figure[]> {
    return this.#parts.metrics.figures();
  }

  status(): RelayStatus {
    return this.#parts.status();
  }

  idleFor(name: string): number {
    const topic = this.topics.get(name);
    if (!topic) return Infinity;
    const { idleSince } = topic;
    return idleSince === undefined ? 0 : this.#options.clock.now() - idleSince;
  }

  readiness(query: URLSearchParams): Problem | undefined {
    return this.#parts.readiness(query);
  }

  async listen(): Promise<RelayAddress> {
    this.#parts.authority.prepare?.();
    try {
      await this.#openStore();
      await this.#recovery.start();
      await this.#prepareRecorder();
      await this.#own.start();
      const address = await this.#openDoors();
      this.#tellListening(address.url);
      return address;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #openStore(): Promise<void> {
    const { store, retention } = this.#options;
    if (store === "memory" && retention.maxStore !== undefined) {
      logger.warn(
        "--max-store does nothing: it bounds the file of --store, and topics are in memory. --max-events and --max-bytes bound those",
      );
    }
    try {
      await this.#parts.store.open();
    } catch (cause) {
      throw new RelayStartError(
        "store_failed",
        `--store: ${messageOf(cause)}`,
        { cause },
      );
    }
  }

  async #prepareRecorder(): Promise<void> {
    try {
      await this.#parts.recorder?.prepare();
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

  async #openDoors(): Promise<RelayAddress> {
    const { host, port } = this.#options;
    try {
      const address = await this.#parts.doors.listen(host, port);
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
    const { sockets, streams } = this.#parts.doors;
    return sockets.sessions.size + streams.sessions.size;
  }

  async #drain(duration: number): Promise<void> {
    const { doors, gateway } = this.#parts;
    this.#sentAway = this.#subscribers;
    await doors.drain(duration, this.#closing.signal, gateway.runs.going);
    await this.close();
  }

  async #close(): Promise<void> {
    const reason = this.#sentAway === undefined ? "closed" : "drained";
    const subscribers = this.#sentAway ?? this.#subscribers;
    this.#closing.abort();
    await this.#parts[Symbol.asyncDispose]();
    this.#tellStopped(reason, subscribers);
  }
}
