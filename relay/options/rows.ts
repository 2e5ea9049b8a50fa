import { z } from "zod";
import { parseOriginPattern } from "../doors/http/origins/origin_pattern.ts";
import { knownProviders } from "../gateway/provider.ts";
import { BEARER_TOKEN_FORM, isBearerToken } from "../rights/bearer_token.ts";
import { parseKeys } from "../rights/keys/parse_keys.ts";
import {
  PROVIDER_PATTERN_FORM,
  providerPattern,
} from "../rights/provider_pattern.ts";
import { sourcePattern } from "../sources/guard/source_pattern.ts";
import {
  parseStoreAddress,
  STORE_ADDRESS_FORM,
} from "../stores/store_address.ts";
import {
  addressRange,
  bytes,
  choice,
  count,
  countOrAuto,
  duration,
  list,
  negatedToggle,
  port,
  rate,
  readable,
  text,
  toggle,
  url,
} from "./kinds.ts";
import { option, type OptionTree } from "./option.ts";
import { chat, fixture, provider, source } from "./upstream_kinds.ts";

/** The options of a relay, but its clock. */
export const relayRows = {
  host: option(text("ADDRESS", "an address or a name of this machine"), {
    default: "127.0.0.1",
    flag: "host",
    topic: "listening",
    help: [
      "the address to listen on; any other than loopback requires a key or --insecure-open",
    ],
  }),
  port: option(port, {
    default: 8_787,
    flag: "port",
    topic: "listening",
    help: ["the port to listen on; 0 takes any that is free"],
  }),
  trustedProxies: option(list(addressRange), {
    default: [],
    flag: "trusted-proxy",
    topic: "listening",
    help: [
      "takes the address of a client from the X-Forwarded-For of proxies at this address or in this range",
    ],
  }),
  page: option(negatedToggle, {
    default: true,
    flag: "no-page",
    topic: "listening",
    help: [
      "does not serve the page at GET /, which shows the relay in a browser",
    ],
  }),
  store: option(
    text("STORE", STORE_ADDRESS_FORM, readable(parseStoreAddress)),
    {
      default: "memory",
      flag: "store",
      topic: "retention",
      help: [
        "where topics live; STORE is one of:",
        "memory: in this process, until it ends.",
        "sqlite:PATH: in a file, which outlives the process. What was acknowledged is on the disk.",
        "sqlite:PATH?sync=normal: in a file. What was acknowledged outlives the process, but perhaps not a loss of power.",
        "nats://HOST[,HOST...]: in NATS JetStream, which several relays share. docs/cluster.md has its options.",
        "http(s)://HOST[:PORT]: in another relay, the parent, which has --links (docs/edges.md). unix:PATH is one on this machine",
      ],
    },
  ),
  storeToken: option(
    text(
      "TOKEN",
      BEARER_TOKEN_FORM,
      z.string().refine(isBearerToken, {
        message: `Expected ${BEARER_TOKEN_FORM}`,
      }),
    ),
    {
      flag: "store-token",
      topic: "retention",
      secret: true,
      help: [
        "the token for the relay of --store http://..., made by 'rivulet token --link'. Other users can see a command line: use RIVULET_STORE_TOKEN or a file",
      ],
    },
  ),
  linkName: option(text("NAME", "a name"), {
    flag: "link-name",
    topic: "retention",
    help: ["the name of this relay in the log of the relay of --store"],
    without: "relay",
  }),
  links: option(toggle, {
    default: false,
    flag: "links",
    topic: "listening",
    help: [
      "lets other relays keep their topics in this one. They need --store http://THIS-RELAY, and a token with the right to link if this relay requires tokens",
    ],
  }),
  sources: option(list(source), {
    default: [],
    flag: "source",
    topic: "sources",
    help: [
      "fills a topic from the SSE stream at URL. Options:",
      "from=now: subscriptions begin with new events;",
      "once: the topic ends with the first connection;",
      "drop-repeats: drops events whose ids came before, for a server that starts over with each connection",
    ],
  }),
  failFast: option(toggle, {
    default: false,
    flag: "fail-fast",
    topic: "sources",
    help: [
      "exits with status 3 if a source cannot be reached at the start, and answers GET /readyz with 503 while a source is away. Without it, the relay retries sources",
    ],
  }),
  sourceTimeout: option(duration({ never: true }), {
    default: 600_000,
    flag: "source-timeout",
    topic: "sources",
    help: [
      "connects again to a source that sends nothing for this long, not even a comment",
    ],
  }),
  fixtures: option(list(fixture), {
    default: [],
    flag: "fixture",
    topic: "sources",
    help: [
      "fills a topic from a recorded stream, at the pace of its comments such as ': +37ms'; 'loop' starts over at the end",
    ],
  }),
  chats: option(list(chat), {
    default: [],
    flag: "chat",
    topic: "chats",
    help: [
      "stands in front of the chat route of an application at URL: give /chat/NAME to useChat of the AI SDK in place of it. Each chat is a topic, each turn an epoch of it.",
      "shared: several users can be in one chat. Otherwise, a chat belongs to one user.",
      "If NAME_CHAT_SECRET is in the environment, the application gets it in Rivulet-Secret",
    ],
  }),
  origins: option(
    list(text("ORIGIN", "an origin", readable(parseOriginPattern))),
    {
      default: [],
      flag: "origin",
      topic: "rights",
      help: [
        "lets pages of this origin use the relay: https://app.example.com, 'https://*.example.com', null, or '*' for all",
      ],
    },
  ),
  gateway: {
    providers: option(list(provider), {
      default: [],
      flag: "provider",
      topic: "models",
      help: [
        "forwards /NAME/v1/ to a provider of language models, and /v1/ to the first provider: set an SDK's base URL to it. Each streamed answer fills a topic. The relay knows the URLs of",
        `${Object.keys(knownProviders).join(", ")}.`,
        "It sends the key in NAME_API_KEY of the environment; if that is not set, it forwards the caller's key. Options:",
        "on-disconnect=cancel: a run ends when its caller leaves, unless the caller says otherwise;",
        "websocket: asks the provider over a WebSocket where the caller came over one;",
        "idempotent: the provider does nothing twice for one Idempotency-Key, so that a run with a key can be repeated;",
        "topic=NAME*: the name of topics of runs that name none. The relay completes *; '{session}' is the agent's session",
      ],
    }),
    timeout: option(duration(), {
      default: 600_000,
      flag: "provider-timeout",
      file: "providerTimeout",
      topic: "models",
      help: ["treats a provider that sends nothing for this long as gone"],
    }),
    idleCancel: option(duration({ never: true, seconds: true }), {
      default: Infinity,
      flag: "idle-cancel",
      topic: "models",
      help: [
        "cancels a run whose caller has left and that nobody has followed for this long; a plain number is in seconds",
      ],
      without: "never",
    }),
    record: option(text("DIR", "a path"), {
      flag: "record",
      topic: "models",
      help: [
        "writes each run to a file in DIR, which --fixture and rivulet replay can play",
      ],
    }),
    recordMaxBytes: option(bytes, {
      default: 1_073_741_824,
      flag: "record-max-bytes",
      topic: "models",
      help: [
        "deletes the oldest recordings when all of them together are larger than this",
      ],
    }),
    recordMaxAge: option(duration({ never: true }), {
      default: 604_800_000,
      flag: "record-max-age",
      topic: "models",
      help: ["deletes recordings that are older than this"],
    }),
    maxUpload: option(bytes, {
      default: 512 * 1024 * 1024,
      flag: "max-upload",
      topic: "models",
      help: [
        "the largest request body for a provider that is not JSON (for JSON: --max-body)",
      ],
    }),
  },
  rights: {
    jwtKey: option(
      text(
        "KEY",
        "a secret of 32 bytes or more, or a public key",
        readable(parseKeys),
      ),
      {
        flag: "jwt-key",
        topic: "rights",
        secret: true,
        help: [
          "requires tokens, and verifies them with this key: a secret of 32 bytes or more, or a public key as PEM, JWK or JWK set. Other users can see a command line: use RIVULET_JWT_KEY or --jwt-key-file",
        ],
      },
    ),
    jwks: option(url, {
      flag: "jwks",
      topic: "rights",
      hidesWrong: true,
      help: ["requires tokens, and verifies them with the JWK set at URL"],
    }),
    jwtAudience: option(text("NAME", "a name"), {
      flag: "jwt-audience",
      topic: "rights",
      help: ["the 'aud' that a token must have"],
      without: "any",
    }),
    jwtIssuer: option(text("NAME", "a name"), {
      flag: "jwt-issuer",
      topic: "rights",
      help: ["the 'iss' that a token must have"],
      without: "any",
    }),
    allowQueryToken: option(toggle, {
      default: false,
      flag: "allow-query-token",
      topic: "rights",
      help: [
        "also accepts tokens in URLs (?access_token=), which proxies, logs and browser histories keep",
      ],
    }),
    insecureOpen: option(toggle, {
      default: false,
      flag: "insecure-open",
      topic: "rights",
      help: [
        "allows a --host that others can reach without a key: everybody can read and write every topic",
      ],
    }),
    publicMetrics: option(toggle, {
      default: false,
      flag: "public-metrics",
      topic: "rights",
      help: ["answers GET /metrics and GET /status without a token"],
    }),
    allowSources: option(
      list(text("PATTERN", "a pattern of URLs", sourcePattern)),
      {
        default: [],
        flag: "allow-source",
        topic: "sources",
        help: [
          "lets PUT /topics/NAME create topics from URLs that match: 'https://*.example.com/events/*'; default: none",
        ],
      },
    ),
    allowProviderPaths: option(
      list(text("PATTERN", PROVIDER_PATTERN_FORM, providerPattern)),
      {
        default: [],
        flag: "allow-provider-path",
        topic: "models",
        help: [
          "lets tokens without 'rivulet.provider' make these requests too, besides runs and lists of models: PROVIDER:METHOD PATH, such as 'openai:GET files/*'",
        ],
      },
    ),
    allowAddresses: option(list(addressRange), {
      default: [],
      flag: "allow-address",
      topic: "sources",
      help: [
        "lets such URLs lead to this address or range that is not public, such as 10.0.0.0/8; default: public addresses only",
      ],
    }),
  },
  limits: {
    maxConnections: option(count, {
      default: 16_384,
      flag: "max-connections",
      topic: "limits",
      help: ["connections at a time"],
    }),
    maxConnectionsPerAddress: option(count, {
      default: 1_024,
      flag: "max-connections-per-address",
      topic: "limits",
      help: ["connections of one address (of IPv6: one /64 network) at a time"],
    }),
    maxSubscriptions: option(count, {
      default: 100,
      flag: "max-subscriptions",
      topic: "limits",
      help: ["subscriptions of one WebSocket"],
    }),
    maxMessage: option(bytes, {
      default: 64 * 1024,
      flag: "max-message",
      topic: "limits",
      help: ["the largest message of a WebSocket client"],
    }),
    maxMessageRate: option(rate, {
      default: 1_000,
      flag: "max-message-rate",
      topic: "limits",
      help: ["messages of one WebSocket client per second"],
    }),
    maxMessageBytesRate: option(bytes, {
      default: 4 * 1024 * 1024,
      flag: "max-message-bytes-rate",
      topic: "limits",
      help: ["bytes of these messages per second"],
    }),
    maxHead: option(bytes, {
      default: 16 * 1024,
      flag: "max-head",
      topic: "limits",
      help: ["the largest head of a request: its first line and headers"],
    }),
    headTimeout: option(duration(), {
      default: 8_000,
      flag: "head-timeout",
      topic: "limits",
      help: ["the time that the head of a request may take"],
    }),
    maxBody: option(bytes, {
      default: 16 * 1024 * 1024,
      flag: "max-body",
      topic: "limits",
      help: [
        "the largest request body, other than --max-upload and published event streams",
      ],
    }),
    bodyTimeout: option(duration(), {
      default: 8_000,
      flag: "body-timeout",
      topic: "limits",
      help: ["the time that a request body may bring nothing"],
    }),
    maxBodyRate: option(bytes, {
      default: 64 * 1024 * 1024,
      flag: "max-body-rate",
      topic: "limits",
      help: [
        "bytes of request bodies that are read from one client per second; the rest waits",
      ],
    }),
    maxBodyChunkRate: option(rate, {
      default: 20_000,
      flag: "max-body-chunk-rate",
      topic: "limits",
      help: ["chunks of these bodies per second; the rest waits"],
    }),
    idleTimeout: option(duration(), {
      default: 5_000,
      flag: "idle-timeout",
      topic: "limits",
      help: ["the time after which a connection without a request is closed"],
    }),
    maxTopics: option(count, {
      default: 10_000,
      flag: "max-topics",
      topic: "limits",
      help: ["topics at a time"],
    }),
    maxTopicsPerToken: option(count, {
      default: 1_000,
      flag: "max-topics-per-token",
      topic: "limits",
      help: ["topics created with the tokens of one holder (sub)"],
    }),
    maxEvent: option(bytes, {
      default: 16 * 1024 * 1024,
      flag: "max-event",
      topic: "limits",
      help: ["the largest event"],
    }),
    maxPublishRate: option(rate, {
      default: 10_000,
      flag: "max-publish-rate",
      topic: "limits",
      help: ["events that one client publishes per second"],
    }),
    maxMemory: option(bytes, {
      flag: "max-memory",
      topic: "limits",
      help: [
        "memory of the process; when nine tenths of it are used, the relay refuses new work",
      ],
      without: "the container's limit, or else the machine's memory",
    }),
    maxQueued: option(bytes, {
      flag: "max-queued",
      topic: "limits",
      help: [
        "bytes that were sent to clients and not read yet, of all clients",
      ],
      without: "a quarter of --max-memory",
    }),
    maxQueuedPerClient: option(bytes, {
      flag: "max-queued-per-client",
      topic: "limits",
      help: ["bytes of these that one client was sent"],
      without: "half of --max-queued",
    }),
    maxReceived: option(bytes, {
      flag: "max-received",
      topic: "limits",
      help: [
        "bytes of requests, messages and unfinished events that the relay holds, of all clients",
      ],
      without: "a quarter of --max-memory",
    }),
    maxReceivedPerClient: option(bytes, {
      flag: "max-received-per-client",
      topic: "limits",
      help: ["bytes of these that one client has sent"],
      without: "half of --max-received",
    }),
    maxUpstreams: option(count, {
      default: 1_000,
      flag: "max-upstreams",
      topic: "limits",
      help: [
        "upstreams that requests asked for, at a time: runs, and sources of PUT",
      ],
    }),
    maxUpstreamsPerClient: option(count, {
      flag: "max-upstreams-per-client",
      topic: "limits",
      help: ["the same of one client: a token's holder (sub), or an address"],
      without: "half of --max-upstreams",
    }),
  },
  retention: {
    maxEvents: option(count, {
      default: 10_000,
      flag: "max-events",
      topic: "retention",
      help: ["the newest events that a topic keeps"],
    }),
    maxBytes: option(bytes, {
      default: 16 * 1024 * 1024,
      flag: "max-bytes",
      topic: "retention",
      help: ["the bytes of the newest events that a topic keeps"],
    }),
    maxAge: option(duration({ never: true }), {
      default: Infinity,
      flag: "max-age",
      topic: "retention",
      help: ["how long a topic keeps an event"],
      without: "as long as the topic exists",
    }),
    maxStore: option(bytes, {
      flag: "max-store",
      topic: "retention",
      help: [
        "the largest file of --store sqlite:PATH. When it is full, the topics that ended first are deleted; if that is not enough, events are refused",
      ],
      without: "no bound",
    }),
    endedTtl: option(duration(), {
      default: 600_000,
      flag: "ttl",
      topic: "retention",
      help: ["how long a topic can be read after its end"],
    }),
    awaitedTtl: option(duration(), {
      default: 60_000,
      flag: "awaited-ttl",
      topic: "retention",
      help: [
        "how long a topic is kept that nothing has filled and nobody follows any more",
      ],
    }),
  },
  delivery: {
    heartbeat: option(duration(), {
      default: 15_000,
      flag: "heartbeat",
      topic: "subscribers",
      help: [
        "sends a sign of life to a client that was sent nothing else for this long, and closes a WebSocket that misses two pings in a row",
      ],
    }),
    slowTimeout: option(duration({ never: true }), {
      default: 30_000,
      flag: "slow-timeout",
      topic: "subscribers",
      help: [
        "a subscriber is slow if it has unread events and reads none of them for this long. Any other response is cut if the client reads nothing of it for this long",
      ],
    }),
    ackTimeout: option(duration({ never: true }), {
      default: Infinity,
      flag: "ack-timeout",
      topic: "subscribers",
      help: [
        "a subscription with a window is slow if it has unread events and acknowledges none for this long",
      ],
      without: "never",
    }),
    onSlow: option(choice(["gap", "close"]), {
      default: "close",
      flag: "on-slow",
      topic: "subscribers",
      help: [
        "what a slow subscriber gets. close: its connection is closed, and it can resume; gap: it keeps the connection, and is told which events it missed",
      ],
    }),
    awaitTopics: option(negatedToggle, {
      default: true,
      flag: "known-topics-only",
      topic: "subscribers",
      help: [
        "refuses subscriptions to topics that do not exist. Without it, they wait for the topic",
      ],
    }),
  },
} as const satisfies OptionTree;

/** The weights from which on log lines are written. */
const logLevels = ["debug", "info", "warning", "error"] as const;

/** The formats of log lines. */
const logFormats = ["text", "json"] as const;

/** The options that only the command line has. */
export const commandRows = {
  jwtKeyFile: option(text("FILE", "a path"), {
    flag: "jwt-key-file",
    topic: "rights",
    help: ["reads the key of --jwt-key from a file"],
  }),
  storeTokenFile: option(text("FILE", "a path"), {
    flag: "store-token-file",
    topic: "retention",
    help: ["reads the token of --store-token from a file"],
  }),
  drain: option(duration({ zero: true }), {
    default: 10_000,
    flag: "drain",
    topic: "subscribers",
    help: [
      "how long a relay that is stopped takes to send its subscribers away, one by one; 0s does so at once",
    ],
  }),
  workers: option(countOrAuto, {
    default: 1,
    flag: "workers",
    topic: "listening",
    help: [
      "processes that share the port, on Linux; the process that you start keeps the topics. auto: one for each core. See docs/workers.md",
    ],
  }),
  logLevel: option(choice(logLevels, "LEVEL"), {
    default: "info",
    flag: "log-level",
    topic: "logs",
    help: [
      "logs to stderr what is of this level or worse: debug, info, warning or error",
    ],
  }),
  logFormat: option(choice(logFormats), {
    flag: "log-format",
    topic: "logs",
    help: ["the format of log lines"],
    without: "text on a terminal, otherwise json",
  }),
} as const satisfies OptionTree;
