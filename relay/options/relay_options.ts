import type { Clock } from "../../src/fetch/clock.ts";
import type { SourceReconnect } from "../sources/source_reconnect.ts";
import type { Store } from "../topics/store.ts";

/**
 * Options of a relay; each may be left out.
 *
 * @example Keep few events, and ended topics for a minute
 * ```ts
 * import { createRelay, type RelayOptions } from "@rivulet/rivulet/relay";
 *
 * const options: RelayOptions = {
 *   port: 0,
 *   retention: { maxEvents: 100, endedTtl: 60_000 },
 * };
 * await using _relay = createRelay(options);
 * ```
 */
export interface RelayOptions {
  /**
   * The address to listen on. Any address other than loopback requires a key
   * (`rights.jwtKey`, `rights.jwks`) or `rights.insecureOpen`.
   *
   * @default {"127.0.0.1"}
   */
  host?: string | undefined;
  /**
   * The port to listen on; 0 takes any that is free.
   *
   * @default {8787}
   */
  port?: number | undefined;
  /**
   * Whether other processes of the same user may listen on the same port with this
   * option. On Linux, the kernel spreads connections evenly among them; other systems
   * refuse the port or give all connections to one process. Relays on one port need a
   * `store` that they share. A relay is one process, which uses one core: `--workers` of
   * the command line starts several.
   *
   * @default {false}
   */
  reusePort?: boolean | undefined;
  /**
   * Addresses of proxies whose `X-Forwarded-For` is trusted, and ranges of them
   * (`10.0.0.0/8`).
   *
   * @default {[]}
   */
  trustedProxies?: readonly string[] | undefined;
  /**
   * Whether `GET /` answers with a page to look at the relay with. There is no data in
   * it: it asks for all that it shows, with the token of its user.
   *
   * @default {true}
   */
  page?: boolean | undefined;
  /**
   * The place where topics live: `"memory"`, or `"sqlite:PATH"` for a file that
   * outlives the process. `"sqlite:PATH?sync=normal"` does not wait for the disk: what
   * was acknowledged outlives the process, but perhaps not a loss of power. A file is
   * opened by `listen()`: there are no topics before. `"nats://HOST[,HOST...]"` is for
   * NATS JetStream, which several relays share (docs/cluster.md), and
   * `"http(s)://HOST[:PORT]"` for another relay that has `links`, the parent
   * (docs/edges.md).
   *
   * A {@linkcode Store} of your own may be given in place of an address. The relay opens
   * it, is the only one to use it, and disposes of it. Its logs keep what they are made
   * to keep: of `retention`, only `endedTtl` and `awaitedTtl` hold.
   *
   * @default {"memory"}
   */
  store?: string | Store | undefined;
  /**
   * The token that the parent of `store` asks for, with the right to link.
   *
   * @default none
   */
  storeToken?: string | undefined;
  /**
   * The name of this relay in the log of `store`'s parent. Default: `relay`.
   */
  linkName?: string | undefined;
  /**
   * Whether other relays may have their topics in this one. With a key, their tokens
   * need the right to link.
   *
   * @default {false}
   */
  links?: boolean | undefined;
  /**
   * SSE upstreams: each fills the topic of its name. A subscription that names
   * no position begins at the first event that is kept, or with new events if
   * `from` is `"now"`.
   *
   * A source that cannot be reached is retried, also when the relay starts
   * (`failFast`). One that was connected is connected again (`reconnect`), after
   * the id of its last event, and its topic stays open meanwhile; `false` ends the
   * topic with the first connection. Events that a server repeats when it
   * resumes are dropped. A server that starts over sends other events under ids
   * that were there before: they are kept unless `repeats` is `"drop"`, which
   * drops events whose id is among the last 10,000. Use that only for upstreams
   * whose ids never name two events.
   *
   * @default {[]}
   */
  sources?:
    | readonly {
      readonly name: string;
      readonly url: string;
      readonly from?: "start" | "now";
      readonly reconnect?: boolean | SourceReconnect;
      readonly repeats?: "keep" | "drop";
    }[]
    | undefined;
  /**
   * Whether the relay refuses to start if a source cannot be reached, and
   * `GET /readyz` answers 503 while one is away. Otherwise sources are retried, and
   * `GET /readyz?sources` tells.
   *
   * @default {false}
   */
  failFast?: boolean | undefined;
  /**
   * The longest silence of a source, in milliseconds: without an event and without
   * a comment. The relay then connects again.
   *
   * @default {600_000}
   */
  sourceTimeout?: number | undefined;
  /**
   * Recorded streams: each fills the topic of its name, at the pace of its
   * comments. `loop` starts over at the end.
   *
   * @default {[]}
   */
  fixtures?:
    | readonly {
      readonly name: string;
      readonly path: string;
      readonly loop?: boolean;
    }[]
    | undefined;
  /**
   * Chat routes of applications: the relay answers `POST /chat/{name}` with what the
   * application answers at `url`, a stream of the AI SDK's UI messages, and the chat's
   * topic gets its events. A chat is its user's alone, whom the `sub` of the token names,
   * unless its route is `shared`. The application gets `secret` in the header
   * `Rivulet-Secret`, by which it knows the relay.
   *
   * @default {[]}
   */
  chats?:
    | readonly {
      readonly name: string;
      readonly url: string;
      readonly secret?: string | undefined;
      readonly shared?: boolean | undefined;
    }[]
    | undefined;
  /**
   * Origins of web pages that may use the relay besides its own:
   * `https://app.example.com`, `https://*.example.com`, `null`, or `*` for all.
   *
   * @default {[]}
   */
  origins?: readonly string[] | undefined;
  /** Tokens, and the rights of callers. */
  rights?: RelayRights | undefined;
  /** Providers of language models behind the relay. */
  gateway?: RelayGateway | undefined;
  /** Bounds of what clients may use. */
  limits?: RelayLimits | undefined;
  /** The events that topics keep, and how long topics are kept. */
  retention?: RelayRetention | undefined;
  /** The relay's conduct toward subscribers. */
  delivery?: RelayDelivery | undefined;
  /** The source of time. Default: the machine's clock. */
  clock?: Clock | undefined;
  /** The memory of the process, for tests. Default: that of this process. */
  memory?: RelayMemory | undefined;
}

/**
 * The memory of a process, as a relay reads it.
 *
 * @example A process that has no memory left
 * ```ts
 * import { createRelay, type RelayMemory } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * const memory: RelayMemory = {
 *   read: () => ({ resident: 2 ** 30, heap: 0, heapLimit: 2 ** 32 }),
 *   collect() {},
 * };
 * const limits = { maxMemory: 2 ** 30 };
 * await using relay = createRelay({ port: 0, limits, memory });
 * const { url } = await relay.listen();
 * const response = await fetch(`${url}/readyz`);
 * const { code } = await response.json();
 * assertEquals([response.status, code], [503, "out_of_memory"]);
 * ```
 */
export interface RelayMemory {
  /**
   * Reads it: `resident` is the memory of the machine that the process occupies,
   * `heap` that of the program's objects, and `heapLimit` the most of that. All are
   * in bytes.
   */
  read(): {
    readonly resident: number;
    readonly heap: number;
    readonly heapLimit: number;
  };
  /** Collects garbage. */
  collect(): void;
}

/**
 * Options for tokens and the rights of callers.
 *
 * @example Require tokens
 * ```ts
 * import { createRelay, type RelayRights } from "@rivulet/rivulet/relay";
 *
 * const rights: RelayRights = { jwtKey: crypto.randomUUID(), jwtAudience: "relay" };
 * await using _relay = createRelay({ port: 0, rights });
 * ```
 */
export interface RelayRights {
  /**
   * The key that verifies tokens: a secret of 32 bytes or more (HS256), or a
   * public key as PEM, JWK or JWK set. Default: no tokens are required unless
   * there is `jwks`. Not to be combined with `jwks`.
   */
  jwtKey?: string | undefined;
  /** The URL of a JWK set that verifies tokens. */
  jwks?: string | undefined;
  /** The audience that the `aud` of a token must contain. Default: any. */
  jwtAudience?: string | undefined;
  /** The issuer that the `iss` of a token must name. Default: any. */
  jwtIssuer?: string | undefined;
  /**
   * Whether a token may come in a URL (`?access_token=`), where proxies, logs
   * and histories see it.
   *
   * @default {false}
   */
  allowQueryToken?: boolean | undefined;
  /**
   * Whether to listen, without a key, on an address that others can reach.
   * Everybody who reaches it can read and write every topic.
   *
   * @default {false}
   */
  insecureOpen?: boolean | undefined;
  /**
   * Whether `GET /metrics` is answered without a token.
   *
   * @default {false}
   */
  publicMetrics?: boolean | undefined;
  /**
   * Patterns of the URLs that `PUT /topics/{topic}` may name as a source, as
   * `URLPattern` has them: `https://*.example.com/events/*`. A pattern without a
   * path allows every path of the host. Every query is allowed. `*` alone allows
   * every URL.
   *
   * @default {[]}
   */
  allowSources?: readonly string[] | undefined;
  /**
   * Patterns of the requests that tokens without `rivulet.provider` may make to
   * providers with the relay's keys, besides making runs, listing models and
   * reading the caller's own responses: `PROVIDER:METHOD PATH`, with `*` for any
   * characters and the path below `/v1/`, such as `openai:GET files/*`.
   *
   * @default {[]}
   */
  allowProviderPaths?: readonly string[] | undefined;
  /**
   * Addresses, and ranges of them (`10.0.0.0/8`), that such a source may have
   * although they are loopback, link-local, private, or otherwise not public.
   *
   * @default {[]}
   */
  allowAddresses?: readonly string[] | undefined;
}

/**
 * Options for providers of language models behind the relay.
 *
 * @example Stand in front of a provider, with the callers' keys
 * ```ts
 * import { createRelay, type RelayGateway } from "@rivulet/rivulet/relay";
 *
 * const gateway: RelayGateway = {
 *   providers: [{ name: "openai", url: "https://api.openai.com/v1" }],
 *   timeout: 60_000,
 * };
 * await using _relay = createRelay({ port: 0, gateway });
 * ```
 */
export interface RelayGateway {
  /**
   * Providers: each is reached under `/{name}/v1/`, and the first one under
   * `/v1/` too. `url` takes the place of `/v1`. The relay sends a provider its
   * `key` in the header `keyHeader` (default: `authorization`), whatever the
   * caller sends. Without a `key` it passes on the caller's. If a connection breaks,
   * the relay sends a `POST` with an `Idempotency-Key` again only to a provider that
   * is `idempotent`: one that does nothing twice for the same key (default: `false`).
   * `onDisconnect` says what becomes of a run whose caller leaves, unless the caller
   * does (default: `"continue"`), and `topic` names the topics of runs whose caller names
   * none: it ends with `*`, for which the relay puts what makes the name unique, and
   * `{session}` in it is the session that an agent names. With `websocket`, the relay
   * asks the provider over a WebSocket where its caller has come over one.
   *
   * @default {[]}
   */
  providers?:
    | readonly {
      readonly name: string;
      readonly url: string;
      readonly key?: string | undefined;
      readonly keyHeader?:
        | "authorization"
        | "x-api-key"
        | "api-key"
        | "x-goog-api-key";
      readonly idempotent?: boolean | undefined;
      readonly websocket?: boolean | undefined;
      readonly onDisconnect?: "continue" | "cancel" | undefined;
      readonly topic?: string | undefined;
    }[]
    | undefined;
  /**
   * The longest silence of a provider, in milliseconds. Its response is truncated
   * after that.
   *
   * @default {600_000}
   */
  timeout?: number | undefined;
  /**
   * The time after which a run is cancelled that has neither its caller nor a
   * subscriber, in milliseconds.
   *
   * @default {Infinity}
   */
  idleCancel?: number | undefined;
  /** The folder that runs are recorded in. Default: runs are not recorded. */
  record?: string | undefined;
  /**
   * The most bytes of recordings in that folder. The oldest are deleted.
   *
   * @default {1_073_741_824}
   */
  recordMaxBytes?: number | undefined;
  /**
   * The age from which a recording is deleted, in milliseconds.
   *
   * @default {604_800_000}
   */
  recordMaxAge?: number | undefined;
  /**
   * The largest request body for a provider that is not JSON, in bytes. The limit
   * of JSON is `limits.maxBody`.
   *
   * @default {536_870_912}
   */
  maxUpload?: number | undefined;
}

/**
 * Bounds of what clients may use.
 *
 * @example A relay for a few clients
 * ```ts
 * import { createRelay, type RelayLimits } from "@rivulet/rivulet/relay";
 *
 * const limits: RelayLimits = { maxConnections: 100, maxTopics: 10 };
 * await using _relay = createRelay({ port: 0, limits });
 * ```
 */
export interface RelayLimits {
  /**
   * The most connections.
   *
   * @default {16_384}
   */
  maxConnections?: number | undefined;
  /**
   * The most connections of one address.
   *
   * @default {1_024}
   */
  maxConnectionsPerAddress?: number | undefined;
  /**
   * The most subscriptions of one WebSocket.
   *
   * @default {100}
   */
  maxSubscriptions?: number | undefined;
  /**
   * The largest message of a WebSocket client, in bytes.
   *
   * @default {65_536}
   */
  maxMessage?: number | undefined;
  /**
   * The most messages of a WebSocket client in a second, on average.
   *
   * @default {1_000}
   */
  maxMessageRate?: number | undefined;
  /**
   * The most bytes of messages of a WebSocket client in a second, on average.
   *
   * @default {4_194_304}
   */
  maxMessageBytesRate?: number | undefined;
  /**
   * The largest head of a request, in bytes: its URL, names and values count.
   *
   * @default {16_384}
   */
  maxHead?: number | undefined;
  /**
   * The longest time for the head of a request, in milliseconds; up to a second
   * more.
   *
   * @default {8_000}
   */
  headTimeout?: number | undefined;
  /**
   * The largest body of a request, in bytes. A published event stream may be
   * longer.
   *
   * @default {16_777_216}
   */
  maxBody?: number | undefined;
  /**
   * The longest silence within the body of a request, in milliseconds. A
   * published event stream may pause for any time.
   *
   * @default {8_000}
   */
  bodyTimeout?: number | undefined;
  /**
   * The most bytes of bodies that are read of one client in a second, on average. What
   * comes faster waits.
   *
   * @default {67_108_864}
   */
  maxBodyRate?: number | undefined;
  /**
   * The most chunks of such bodies in a second, on average: chunks of
   * `Transfer-Encoding: chunked`, or what comes at a time.
   *
   * @default {20_000}
   */
  maxBodyChunkRate?: number | undefined;
  /**
   * The time that a connection is kept without a request, in milliseconds.
   *
   * @default {5_000}
   */
  idleTimeout?: number | undefined;
  /**
   * The most topics.
   *
   * @default {10_000}
   */
  maxTopics?: number | undefined;
  /**
   * The most topics that were made with tokens of one subject.
   *
   * @default {1_000}
   */
  maxTopicsPerToken?: number | undefined;
  /**
   * The largest event, in bytes; of upstreams, in UTF-16 code units.
   *
   * @default {16_777_216}
   */
  maxEvent?: number | undefined;
  /**
   * The most events that one client may publish in a second, on average. Streams
   * are read no faster than that.
   *
   * @default {10_000}
   */
  maxPublishRate?: number | undefined;
  /**
   * The memory that the process may use, in bytes. Where nine tenths of it are used,
   * new subscriptions, publications and runs are refused with 503
   * `out_of_memory`, and connections are cut that hold much and read nothing.
   *
   * Default: the limit of the container, or else the memory of the machine; 2 GiB
   * if neither can be read (`--allow-read=/proc/self/cgroup,/sys/fs/cgroup`,
   * `--allow-sys=systemMemoryInfo`).
   */
  maxMemory?: number | undefined;
  /**
   * The most bytes that clients were sent and have not read, in all: encoded, and
   * those once that several clients share. Default: a quarter of `maxMemory`.
   */
  maxQueued?: number | undefined;
  /**
   * The most of these bytes for one client: the subject of a token, or an address.
   * Default: half of `maxQueued`.
   */
  maxQueuedPerClient?: number | undefined;
  /**
   * The most bytes that clients and upstreams have sent and that the relay holds, in
   * all: of bodies, messages and events that are not whole yet, and of the bodies of
   * runs that are going on. Default: a quarter of `maxMemory`.
   */
  maxReceived?: number | undefined;
  /**
   * The most of these bytes of one client: the subject of a token, or an address; of
   * the operator's sources, each is one. Default: half of `maxReceived`.
   */
  maxReceivedPerClient?: number | undefined;
  /**
   * The most upstreams that requests have asked for: sources made by `PUT`, and
   * requests to providers.
   *
   * @default {1_000}
   */
  maxUpstreams?: number | undefined;
  /**
   * The most of these upstreams that one client has asked for: with tokens of one
   * subject, or, on a relay without a key, from one address. Default: half of
   * `maxUpstreams`, rounded up.
   */
  maxUpstreamsPerClient?: number | undefined;
}

/**
 * The events that topics keep, and how long topics are kept.
 *
 * @example Half an hour
 * ```ts
 * import { createRelay, type RelayRetention } from "@rivulet/rivulet/relay";
 *
 * const retention: RelayRetention = { maxAge: 1_800_000 };
 * await using _relay = createRelay({ port: 0, retention });
 * ```
 */
export interface RelayRetention {
  /**
   * The most events that a topic keeps.
   *
   * @default {10_000}
   */
  maxEvents?: number | undefined;
  /**
   * The most bytes of events that a topic keeps: of their names, data and ids
   * as UTF-8.
   *
   * @default {16_777_216}
   */
  maxBytes?: number | undefined;
  /**
   * The time that a topic keeps an event, in milliseconds.
   *
   * @default {Infinity}
   */
  maxAge?: number | undefined;
  /**
   * The most bytes of the file of `store`. At this bound, the topics that ended first
   * are deleted, and events are refused if that is not enough. A store that is neither a
   * file nor memory is refused beside it.
   * Default: no bound.
   */
  maxStore?: number | undefined;
  /**
   * The time that an ended topic can be read, in milliseconds.
   *
   * @default {600_000}
   */
  endedTtl?: number | undefined;
  /**
   * The time that a topic is kept that was only asked for and has no subscriber,
   * in milliseconds.
   *
   * @default {60_000}
   */
  awaitedTtl?: number | undefined;
}

/**
 * The relay's conduct toward subscribers.
 *
 * @example Disconnect subscribers that read nothing for half a minute
 * ```ts
 * import { createRelay, type RelayDelivery } from "@rivulet/rivulet/relay";
 *
 * const delivery: RelayDelivery = { slowTimeout: 30_000, onSlow: "close" };
 * await using _relay = createRelay({ port: 0, delivery });
 * ```
 */
export interface RelayDelivery {
  /**
   * The time without anything else after which a subscriber is sent a sign of
   * life, in milliseconds, and the interval of a WebSocket's pings. A WebSocket
   * that answers none of two pings is closed.
   *
   * @default {15_000}
   */
  heartbeat?: number | undefined;
  /**
   * The time after which a subscriber is slow that has unread events and reads
   * none of them, in milliseconds; up to a quarter more. A response of another kind
   * (a page, the answer of a provider) is cut if none of it is read for this long.
   *
   * @default {30_000}
   */
  slowTimeout?: number | undefined;
  /**
   * The time after which a subscription with a `window` is slow that has unread
   * events and acknowledges none, in milliseconds; up to a quarter more. Until then
   * it costs the relay nothing.
   *
   * @default {Infinity}
   */
  ackTimeout?: number | undefined;
  /**
   * The treatment of a slow subscriber. `"close"`: its connection is closed (4408),
   * and it may come back and resume. `"gap"`: when it reads again, it is told how
   * many events it missed, and continues with new ones.
   *
   * @default {"close"}
   */
  onSlow?: "gap" | "close" | undefined;
  /**
   * Whether a topic can be subscribed to before it exists.
   *
   * @default {true}
   */
  awaitTopics?: boolean | undefined;
}
