import { knownProviders } from "../gateway/provider.ts";
import { logFormats, logLevels } from "./command_options.ts";
import type { CommandOptions } from "./command_options.ts";
import { bytes } from "./kinds/bytes.ts";
import { choice } from "./kinds/choice.ts";
import { duration } from "./kinds/duration.ts";
import { fixture } from "./kinds/fixture.ts";
import type { ListKind, ToggleKind, ValueKind } from "./kinds/kind.ts";
import { rate, wholeNumber } from "./kinds/number.ts";
import { provider } from "./kinds/provider.ts";
import { source } from "./kinds/source.ts";
import { text } from "./kinds/text.ts";
import type { Setting } from "./setting.ts";

/** What a setting is called in the file, and among the options. */
export type SettingName = keyof CommandOptions | "jwtKeyFile";

const toggle: ToggleKind = { takes: "nothing", negated: false };

const count = wholeNumber("a whole number, 1 at least");

const file = text("FILE", "a path");

const url = text("URL", "a URL of http or https");

const address = text(
  "ADDRESS",
  "an address or a range of them, such as 10.0.0.0/8",
);

function list(item: ValueKind): ListKind {
  return { takes: "values", item };
}

/** All that can be set, in the order of the help. The clock is for tests. */
export const settings: Readonly<
  Record<Exclude<SettingName, "clock">, Setting>
> = {
  sources: {
    flag: "source",
    kind: list(source),
    group: "topics",
    help: [
      "the SSE stream at URL. Options:",
      "from=now: subscriptions begin at what is new",
      "once: is not connected to again; the topic ends",
      "drop-repeats: drops events under ids that were there before, as of a server that starts over",
    ],
  },
  fixtures: {
    flag: "fixture",
    kind: list(fixture),
    group: "topics",
    help: [
      "a recorded stream, at the pace of its comments such as ': +37ms', and again from its start",
    ],
  },
  allowSources: {
    flag: "allow-source",
    kind: list(text("PATTERN", "a pattern of URLs")),
    group: "topics",
    help: [
      "lets PUT /topics/NAME make a topic from such URLs: 'https://*.example.com/events/*'",
    ],
  },
  allowAddresses: {
    flag: "allow-address",
    kind: list(address),
    group: "topics",
    help: [
      "lets them be at an address, or in a range such as 10.0.0.0/8, that is not public",
    ],
  },
  jwtKey: {
    flag: "jwt-key",
    kind: text("KEY", "a secret of 32 bytes or more, or a public key"),
    group: "rights",
    secret: true,
    help: [
      "asks for tokens, and verifies them with this: a secret of 32 bytes or more, or a public key as PEM, JWK or JWK set. A command line is visible to others: use RIVULET_JWT_KEY, or",
    ],
  },
  jwtKeyFile: {
    flag: "jwt-key-file",
    kind: file,
    group: "rights",
    help: ["a file with that key"],
  },
  jwks: {
    flag: "jwks",
    kind: url,
    group: "rights",
    help: ["where the keys are, as a JWK set"],
  },
  jwtAudience: {
    flag: "jwt-audience",
    kind: text("NAME", "a name"),
    group: "rights",
    help: ["what a token's 'aud' has to name"],
    without: "anything",
  },
  jwtIssuer: {
    flag: "jwt-issuer",
    kind: text("NAME", "a name"),
    group: "rights",
    help: ["what a token's 'iss' has to be"],
    without: "anything",
  },
  allowQueryToken: {
    flag: "allow-query-token",
    kind: toggle,
    group: "rights",
    help: [
      "takes tokens from URLs too (?access_token=), where proxies, logs and histories see them",
    ],
  },
  origins: {
    flag: "origin",
    kind: list(text("ORIGIN", "an origin")),
    group: "rights",
    help: [
      "pages that may use the relay besides its own: https://app.example.com, 'https://*.example.com', null, or '*' for all",
    ],
  },
  host: {
    flag: "host",
    kind: text("ADDRESS", "an address or a name of this machine"),
    group: "listening",
    help: ["others than loopback need a key, or --insecure-open"],
  },
  port: {
    flag: "port",
    kind: wholeNumber("a whole number from 0 to 65535"),
    group: "listening",
    help: ["0 takes one that is free"],
  },
  insecureOpen: {
    flag: "insecure-open",
    kind: toggle,
    group: "listening",
    help: [
      "allows an address that others can reach, without a key: whoever does can read and write every topic",
    ],
  },
  trustedProxies: {
    flag: "trusted-proxy",
    kind: list(address),
    group: "listening",
    help: [
      "believes the X-Forwarded-For of a proxy at this address, or in this range",
    ],
  },
  maxConnections: {
    flag: "max-connections",
    kind: count,
    group: "limits",
    help: ["in all"],
  },
  maxConnectionsPerAddress: {
    flag: "max-connections-per-address",
    kind: count,
    group: "limits",
    help: [],
  },
  maxSubscriptions: {
    flag: "max-subscriptions",
    kind: count,
    group: "limits",
    help: ["of one WebSocket"],
  },
  maxMessage: {
    flag: "max-message",
    kind: bytes,
    group: "limits",
    help: ["that a WebSocket client sends"],
  },
  maxMessageRate: {
    flag: "max-message-rate",
    kind: rate,
    group: "limits",
    help: ["of such messages in a second"],
  },
  maxMessageBytesRate: {
    flag: "max-message-bytes-rate",
    kind: bytes,
    group: "limits",
    help: ["of such messages in a second"],
  },
  maxHead: {
    flag: "max-head",
    kind: bytes,
    group: "limits",
    help: ["of a request"],
  },
  headTimeout: {
    flag: "head-timeout",
    kind: duration(),
    group: "limits",
    help: ["for the head of a request"],
  },
  maxBody: {
    flag: "max-body",
    kind: bytes,
    group: "limits",
    help: ["of JSON, and of what is published"],
  },
  maxUpload: {
    flag: "max-upload",
    kind: bytes,
    group: "limits",
    help: ["of other bodies for a provider"],
  },
  bodyTimeout: {
    flag: "body-timeout",
    kind: duration(),
    group: "limits",
    help: ["how long a body may bring nothing"],
  },
  idleTimeout: {
    flag: "idle-timeout",
    kind: duration(),
    group: "limits",
    help: ["how long a connection is kept on which nothing is asked"],
  },
  maxTopics: {
    flag: "max-topics",
    kind: count,
    group: "limits",
    help: ["in all"],
  },
  maxTopicsPerToken: {
    flag: "max-topics-per-token",
    kind: count,
    group: "limits",
    help: ["made with tokens of one subject"],
  },
  maxEvent: {
    flag: "max-event",
    kind: bytes,
    group: "limits",
    help: ["of one event"],
  },
  maxPublishRate: {
    flag: "max-publish-rate",
    kind: rate,
    group: "limits",
    help: ["of events that one client publishes in a second"],
  },
  maxUpstreams: {
    flag: "max-upstreams",
    kind: count,
    group: "limits",
    help: ["that were asked for by requests: of providers, and of PUT"],
  },
  maxEvents: {
    flag: "max-events",
    kind: count,
    group: "retention",
    help: ["of each topic"],
  },
  maxBytes: {
    flag: "max-bytes",
    kind: bytes,
    group: "retention",
    help: ["of each topic"],
  },
  maxAge: {
    flag: "max-age",
    kind: duration({ never: true }),
    group: "retention",
    help: ["how old an event gets"],
    without: "as old as its topic",
  },
  endedTtl: {
    flag: "ttl",
    kind: duration(),
    group: "retention",
    help: ["how long an ended topic can be read"],
  },
  awaitedTtl: {
    flag: "awaited-ttl",
    kind: duration(),
    group: "retention",
    help: [
      "how long a topic that was only asked for is kept while nobody follows it",
    ],
  },
  heartbeat: {
    flag: "heartbeat",
    kind: duration(),
    group: "subscribers",
    help: [
      "a sign of life where nothing else was sent; a WebSocket is cut off that answers no ping of two in a row",
    ],
  },
  slowTimeout: {
    flag: "slow-timeout",
    kind: duration({ never: true }),
    group: "subscribers",
    help: ["who takes nothing of what there is for so long is slow"],
    without: "nobody is",
  },
  onSlow: {
    flag: "on-slow",
    kind: choice(["gap", "close"]),
    group: "subscribers",
    help: ["a slow one loses what it has missed (gap), or its connection"],
  },
  drain: {
    flag: "drain",
    kind: duration({ zero: true }),
    group: "subscribers",
    help: [
      "over how long they are sent away, one by one, when the relay is stopped; 0s for at once",
    ],
  },
  awaitTopics: {
    flag: "known-topics-only",
    kind: { takes: "nothing", negated: true },
    group: "subscribers",
    help: [
      "refuses subscriptions of topics that do not exist, which otherwise wait for them",
    ],
  },
  providers: {
    flag: "provider",
    kind: list(provider),
    group: "models",
    help: [
      "a provider of language models behind /NAME/v1/, and the first one behind /v1/ too: point an SDK's base URL there, and its streams fill topics. Known:",
      `${Object.keys(knownProviders).join(", ")}.`,
      "The key is NAME_API_KEY of the environment, and else the caller's",
    ],
  },
  providerTimeout: {
    flag: "provider-timeout",
    kind: duration(),
    group: "models",
    help: ["how long a provider may say nothing"],
  },
  idleCancel: {
    flag: "idle-cancel",
    kind: duration({ never: true, seconds: true }),
    group: "models",
    help: [
      "cancels a run that its caller has left, and nobody has followed for so long; a plain number is of seconds",
    ],
    without: "it goes on",
  },
  record: {
    flag: "record",
    kind: text("DIR", "a path"),
    group: "models",
    help: ["writes each run to a file that --fixture plays"],
  },
  logLevel: {
    flag: "log-level",
    kind: choice(logLevels, "LEVEL"),
    group: "telling",
    help: [
      "what is logged, on stderr: debug, info, warning or error, and what is worse",
    ],
  },
  logFormat: {
    flag: "log-format",
    kind: choice(logFormats),
    group: "telling",
    help: ["lines of text, or of JSON"],
    without: "text on a terminal, and else json",
  },
  publicMetrics: {
    flag: "public-metrics",
    kind: toggle,
    group: "telling",
    help: ["lets GET /metrics do without a token, where tokens are asked for"],
  },
};
