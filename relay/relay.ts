import type { ServerResponse } from "node:http";
import type { z } from "zod";
import { completeRetryPolicy } from "../src/fetch/retry.ts";
import { EventStreamConnection, isAtEnd } from "./delivery/event_stream.ts";
import { FrameCache } from "./delivery/frames.ts";
import { Pump } from "./delivery/pump.ts";
import { rawSseFormat, sseFormat } from "./delivery/sse_format.ts";
import type { SlowReaders } from "./delivery/subscriber.ts";
import { Watch } from "./delivery/watch.ts";
import {
  mergedWebsocketFormat,
  websocketFormat,
} from "./delivery/websocket_format.ts";
import { drain } from "./drain.ts";
import { Gateway } from "./gateway/gateway.ts";
import { Recorder } from "./gateway/recorder.ts";
import { publishFrame } from "./http/publish_frame.ts";
import { createRequestHandler } from "./http/routes.ts";
import { HttpServer } from "./http/server.ts";
import { UpgradeHandler } from "./http/upgrade.ts";
import { type RelayOptions, relayOptions } from "./options.ts";
import { draining, type Problem } from "./problem.ts";
import { Publisher } from "./sources/publish.ts";
import { Sources } from "./sources/sources.ts";
import type { After } from "./topics/position.ts";
import { TopicRegistry } from "./topics/registry.ts";
import type { Topic } from "./topics/topic.ts";

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

/** When those who are sent away should come back, in milliseconds. */
const RECONNECT_IN = [100, 5_000] as const;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

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
  readonly #options: z.output<typeof relayOptions>;
  readonly #pump = new Pump();
  readonly #heartbeat: Watch;
  readonly #slow: SlowReaders | undefined;
  readonly #sources: Sources;
  readonly #upgrades: UpgradeHandler;
  readonly #streams = new Set<EventStreamConnection>();
  readonly #sseFrames = new FrameCache(sseFormat);
  readonly #rawFrames = new FrameCache(rawSseFormat);
  readonly #gateway: Gateway;
  readonly #server: HttpServer;
  readonly #closing = new AbortController();
  /** Until when subscribers are sent away, in milliseconds since the epoch. */
  #drainEnd: number | undefined;
  #drained: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: z.output<typeof relayOptions>) {
    this.#options = options;
    const { clock, awaitTopics } = options;
    this.topics = new TopicRegistry({ ...options, retention: options });
    this.#heartbeat = new Watch(options.heartbeat, clock);
    this.#slow = options.slowTimeout === Infinity ? undefined : {
      watch: new Watch(options.slowTimeout, clock),
      then: options.onSlow,
    };
    const refusal = (): Problem | undefined => this.#refusal();
    this.#sources = new Sources(clock);
    const bodyLimits = {
      maxBytes: options.maxBody,
      idleTimeout: options.bodyTimeout,
      clock,
    };
    const publisher = new Publisher(bodyLimits);
    this.#upgrades = new UpgradeHandler({
      ...options,
      topics: this.topics,
      pump: this.#pump,
      frames: new FrameCache(websocketFormat),
      mergedFrames: new FrameCache(mergedWebsocketFormat),
      heartbeat: this.#heartbeat,
      slow: this.#slow,
      refusal,
      publish: (request) => publishFrame(request, this.topics, publisher),
    });
    this.#gateway = new Gateway({
      ...options,
      topics: this.topics,
      bodyLimits,
      retry: PROVIDER_RETRY,
      idleTimeout: options.providerTimeout,
      recorder: options.record === undefined
        ? undefined
        : new Recorder(options.record, clock),
      refusal,
      stream: (...request) => this.#stream(...request),
    });
    this.#server = new HttpServer({
      request: createRequestHandler({
        topics: this.topics,
        sources: this.#sources,
        publisher,
        bodyLimits,
        awaitTopics,
        allowSources: options.allowSources,
        gateway: this.#gateway,
        refusal,
        stream: (...request) => this.#stream(...request),
      }),
      upgrade: (...upgrade) => this.#upgrades.handle(...upgrade),
    });
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

  async #drain(duration: number): Promise<void> {
    const { clock } = this.#options;
    const start = clock.now();
    const end = start + duration;
    this.#drainEnd = end;
    const connections = [...this.#upgrades.connections].map((connection) => ({
      leave: (): void => {
        const left = Math.max(0, Math.ceil(end - clock.now()));
        connection.goodbye("drain", [left, left + Math.ceil(duration)]);
        connection.close(1012, "The relay is being drained");
      },
      closed: () => connection.closed(),
    }));
    const streams = [...this.#streams].map((stream) => ({
      leave: (): void => {
        // They left over as long: they come back one by one, when all have gone.
        stream.goodbye(duration);
        stream.close();
      },
      closed: () => stream.closed(),
    }));
    const { signal } = this.#closing;
    await drain([...connections, ...streams], { duration, clock, signal });
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    const { clock } = this.#options;
    const closed = this.#server.close();
    for (const connection of this.#upgrades.connections) {
      connection.goodbye("The relay is shutting down", RECONNECT_IN);
      connection.close(1012, "The relay is shutting down");
    }
    for (const stream of this.#streams) stream.close();
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
    this.topics[Symbol.dispose]();
  }

  #stream(
    response: ServerResponse,
    topic: Topic,
    after: After,
    raw: boolean,
  ): "streaming" | "at end" {
    if (isAtEnd(topic, after, raw)) return "at end";
    const stream = new EventStreamConnection(response, topic, after, raw, {
      ...this.#options,
      pump: this.#pump,
      frames: raw ? this.#rawFrames : this.#sseFrames,
      heartbeat: this.#heartbeat,
      slow: this.#slow,
    });
    this.#streams.add(stream);
    response.on("close", () => this.#streams.delete(stream));
    return "streaming";
  }
}
