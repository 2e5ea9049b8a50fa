import { z } from "zod";
import type { Clock } from "../src/fetch/clock.ts";
import { systemClock } from "../src/fetch/clock.ts";
import { messageOf } from "../src/fetch/message_of.ts";
import { providerOption } from "./gateway/provider.ts";
import { parseOriginPattern } from "./doors/http/origins/origin_pattern.ts";
import { parseKeys } from "./rights/keys/parse_keys.ts";
import { sourcePattern } from "./sources/guard/source_pattern.ts";
import {
  type SourceReconnect,
  sourceReconnect,
} from "./sources/source_reconnect.ts";
import { topicName } from "./topics/topic_name.ts";

const duration = z.number().positive();
const count = z.int().positive();
const rate = z.number().positive();

/** An address, or a range of them as CIDR has it. */
const addressRange = z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
  message: "Expected an address or a range of them, such as 10.0.0.0/8",
});

/** Of sources and of key sets. */
const url = z.url({
  protocol: /^https?$/,
  message: "Expected a URL of http or https",
});

const sourceOption = z.strictObject({
  name: topicName,
  url,
  from: z.enum(["start", "now"]).default("start"),
  reconnect: sourceReconnect,
  repeats: z.enum(["keep", "drop"]).default("keep"),
});

const fixtureOption = z.strictObject({
  name: topicName,
  path: z.string().min(1),
  loop: z.boolean().default(false),
});

/** Accepts a text that can be read, and says what is wrong with another. */
function readable(read: (text: string) => unknown): z.ZodString {
  return z.string().min(1).superRefine((text, context) => {
    try {
      read(text);
    } catch (error) {
      const message = messageOf(error);
      context.addIssue({ code: "custom", message });
    }
  });
}

const LOOPBACK = /^(localhost|127(\.[0-9]{1,3}){3}|::1)$/;

/** Has a rule on several options looked at where each of them is right by itself. */
function where(...options: readonly string[]): {
  when(payload: z.core.ParsePayload): boolean;
} {
  return {
    when: ({ value, issues }) =>
      typeof value === "object" && value !== null &&
      !issues.some(({ path }) => options.includes(String(path?.[0]))),
  };
}

function firstTwice(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

/** Accepts {@linkcode RelayOptions}, and fills in what is left out. */
export const relayOptions = z.strictObject({
  host: z.string().min(1).default("127.0.0.1"),
  port: z.int().min(0).max(65_535).default(8_787),
  insecureOpen: z.boolean().default(false),
  sources: z.array(sourceOption).default([]),
  fixtures: z.array(fixtureOption).default([]),
  providers: z.array(providerOption).default([]),
  providerTimeout: duration.default(600_000),
  idleCancel: z.union([duration, z.literal(Infinity)]).default(Infinity),
  record: z.string().min(1).optional(),
  maxUpload: count.default(512 * 1024 * 1024),
  allowSources: z.array(sourcePattern).default([]),
  allowAddresses: z.array(addressRange).default([]),
  jwtKey: readable(parseKeys).optional(),
  jwks: url.optional(),
  jwtAudience: z.string().min(1).optional(),
  jwtIssuer: z.string().min(1).optional(),
  allowQueryToken: z.boolean().default(false),
  publicMetrics: z.boolean().default(false),
  origins: z.array(readable(parseOriginPattern)).default([]),
  trustedProxies: z.array(addressRange).default([]),
  maxConnections: count.default(16_384),
  maxConnectionsPerAddress: count.default(1_024),
  maxMessageRate: rate.default(1_000),
  maxMessageBytesRate: rate.default(4 * 1024 * 1024),
  maxHead: count.default(16 * 1024),
  headTimeout: duration.default(8_000),
  idleTimeout: duration.default(5_000),
  maxTopics: count.default(10_000),
  maxTopicsPerToken: count.default(1_000),
  maxEvent: count.default(16 * 1024 * 1024),
  maxPublishRate: rate.default(10_000),
  maxUpstreams: count.default(1_000),
  maxEvents: count.default(10_000),
  maxBytes: count.default(16 * 1024 * 1024),
  maxAge: z.union([duration, z.literal(Infinity)]).default(Infinity),
  endedTtl: duration.default(600_000),
  awaitedTtl: duration.default(60_000),
  awaitTopics: z.boolean().default(true),
  heartbeat: duration.default(15_000),
  slowTimeout: z.union([duration, z.literal(Infinity)]).default(Infinity),
  onSlow: z.enum(["gap", "close"]).default("gap"),
  maxSubscriptions: count.default(100),
  maxMessage: count.default(64 * 1024),
  maxBody: count.default(16 * 1024 * 1024),
  bodyTimeout: duration.default(8_000),
  clock: z.custom<Clock>().default(systemClock),
}).superRefine(({ host, insecureOpen, jwtKey, jwks }, context) => {
  if (LOOPBACK.test(host) || insecureOpen || jwtKey || jwks) return;
  context.addIssue({
    code: "custom",
    path: ["host"],
    message:
      `Expected a loopback address, as anybody who reaches another could read and write: set \`jwtKey\` or \`jwks\` to ask for tokens, or \`insecureOpen\` to allow it; got '${host}'`,
  });
}, where("host", "insecureOpen", "jwtKey", "jwks")).superRefine(
  ({ jwtKey, jwks }, context) => {
    if (jwtKey === undefined || jwks === undefined) return;
    context.addIssue({
      code: "custom",
      path: ["jwks"],
      message: "Expected one of `jwtKey` and `jwks`, got both",
    });
  },
  where("jwtKey", "jwks"),
).superRefine(({ sources, fixtures }, context) => {
  const twice = firstTwice([...sources, ...fixtures].map(({ name }) => name));
  if (twice === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["sources"],
    message:
      `Expected one of \`sources\` and \`fixtures\` for each topic: '${twice}' has two`,
  });
}, where("sources", "fixtures")).superRefine(({ providers }, context) => {
  const twice = firstTwice(providers.map(({ name }) => name));
  if (twice === undefined) return;
  context.addIssue({
    code: "custom",
    path: ["providers"],
    message: `Expected one provider of each name: there are two '${twice}'`,
  });
}, where("providers"));

/**
 * How a relay is set up; everything may be left out.
 *
 * @example Keep little, and not for long
 * ```ts
 * import { createRelay, type RelayOptions } from "@rivulet/rivulet/relay";
 *
 * const options: RelayOptions = { port: 0, maxEvents: 100, endedTtl: 60_000 };
 * await using _relay = createRelay(options);
 * ```
 */
export interface RelayOptions {
  /**
   * The interface to listen on. Others than loopback need a key (`jwtKey`,
   * `jwks`), or `insecureOpen`.
   *
   * @default {"127.0.0.1"}
   */
  host?: string | undefined;
  /**
   * The port; 0 takes one that is free.
   *
   * @default {8787}
   */
  port?: number | undefined;
  /**
   * Whether to listen, without a key, where others can reach it: whoever does
   * may read and write every topic.
   *
   * @default {false}
   */
  insecureOpen?: boolean | undefined;
  /**
   * SSE upstreams, by the topic that each fills, and where subscriptions of
   * that topic begin that name no position.
   *
   * A source that was connected once is connected again (`reconnect`), after the
   * id of its last event, and its topic stays open meanwhile; `false` ends the
   * topic with the first connection. What a server sends again when it resumes
   * is dropped. What comes under an id that was there before because the server
   * has started over is kept, unless `repeats` is `"drop"`: then events are
   * dropped whose id is among the last 10,000 ids. That is only for upstreams
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
   * Files that are played, by the topic that each fills.
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
   * Providers of language models that the relay stands in front of: each under
   * `/{name}/v1/`, and the first one under `/v1/` too. `url` stands in place of
   * `/v1`. With a `key`, that is what the provider is told, by `keyHeader`
   * (default: `authorization`), whatever the caller says; without one, what the
   * caller says is passed on.
   *
   * @default {[]}
   */
  providers?:
    | readonly {
      readonly name: string;
      readonly url: string;
      readonly key?: string | undefined;
      readonly keyHeader?: "authorization" | "x-api-key" | "api-key";
    }[]
    | undefined;
  /**
   * How long a provider may say nothing before its answer counts as broken off,
   * in milliseconds.
   *
   * @default {600_000}
   */
  providerTimeout?: number | undefined;
  /**
   * After how long without its caller and without a subscriber a run is
   * cancelled, in milliseconds.
   *
   * @default {Infinity}
   */
  idleCancel?: number | undefined;
  /** The folder into which runs are recorded. Default: they are not. */
  record?: string | undefined;
  /**
   * The largest body that is passed on to a provider and is no JSON, in bytes;
   * JSON may have `maxBody`.
   *
   * @default {536_870_912}
   */
  maxUpload?: number | undefined;
  /**
   * Patterns of the URLs that `PUT /topics/{topic}` may name as a source, as
   * `URLPattern` has them: `https://*.example.com/events/*`. Without a path
   * every path of the host is allowed, and every query always; `*` alone is
   * every URL.
   *
   * @default {[]}
   */
  allowSources?: readonly string[] | undefined;
  /**
   * Addresses, and ranges of them (`10.0.0.0/8`), at which such a source may be
   * although they are loopback, link-local, private, or otherwise not public.
   *
   * @default {[]}
   */
  allowAddresses?: readonly string[] | undefined;
  /**
   * What tokens are verified with: a secret of 32 bytes or more (HS256), or a
   * public key as PEM, JWK or JWK set. Default: with `jwks`, and without that
   * nobody needs a token. Not both.
   */
  jwtKey?: string | undefined;
  /** The URL of a JWK set that tokens are verified with. */
  jwks?: string | undefined;
  /** What the `aud` of a token has to name. Default: it may be anything. */
  jwtAudience?: string | undefined;
  /** What the `iss` of a token has to be. Default: it may be anything. */
  jwtIssuer?: string | undefined;
  /**
   * Whether a token may come in a URL (`?access_token=`), where proxies, logs
   * and histories see it.
   *
   * @default {false}
   */
  allowQueryToken?: boolean | undefined;
  /**
   * Whether `GET /metrics` needs no token where all else does.
   *
   * @default {false}
   */
  publicMetrics?: boolean | undefined;
  /**
   * Origins of web pages that may use the relay besides its own:
   * `https://app.example.com`, `https://*.example.com`, `null`, or `*` for all.
   *
   * @default {[]}
   */
  origins?: readonly string[] | undefined;
  /**
   * Addresses, and ranges of them, of proxies whose `X-Forwarded-For` is believed.
   *
   * @default {[]}
   */
  trustedProxies?: readonly string[] | undefined;
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
   * The most messages that a WebSocket client may send in a second, on average.
   *
   * @default {1_000}
   */
  maxMessageRate?: number | undefined;
  /**
   * The most bytes of messages that a WebSocket client may send in a second, on
   * average.
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
   * How long the head of a request may take, in milliseconds; up to a second more.
   *
   * @default {8_000}
   */
  headTimeout?: number | undefined;
  /**
   * How long a connection is kept on which nothing is asked, in milliseconds.
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
   * The most events that one client may publish in a second, on average; streams
   * are read no faster than that.
   *
   * @default {10_000}
   */
  maxPublishRate?: number | undefined;
  /**
   * The most upstreams that were asked for by requests: sources made by `PUT`,
   * and what is asked of providers.
   *
   * @default {1_000}
   */
  maxUpstreams?: number | undefined;
  /**
   * The most events that a topic keeps.
   *
   * @default {10_000}
   */
  maxEvents?: number | undefined;
  /**
   * The most bytes of encoded events that a topic keeps.
   *
   * @default {16_777_216}
   */
  maxBytes?: number | undefined;
  /**
   * How long a topic keeps an event, in milliseconds.
   *
   * @default {Infinity}
   */
  maxAge?: number | undefined;
  /**
   * How long an ended topic can be read, in milliseconds.
   *
   * @default {600_000}
   */
  endedTtl?: number | undefined;
  /**
   * How long a topic that was only asked for is kept while nobody follows it,
   * in milliseconds.
   *
   * @default {60_000}
   */
  awaitedTtl?: number | undefined;
  /**
   * Whether a topic can be followed before there is one.
   *
   * @default {true}
   */
  awaitTopics?: boolean | undefined;
  /**
   * After how long without anything else a subscriber is sent a sign of life,
   * in milliseconds; and how often a WebSocket is asked for one. A peer that
   * gives none after two pings is cut off.
   *
   * @default {15_000}
   */
  heartbeat?: number | undefined;
  /**
   * After how long a subscriber counts as slow that has something to read and
   * takes nothing of it, in milliseconds; it may be up to a quarter more.
   *
   * @default {Infinity}
   */
  slowTimeout?: number | undefined;
  /**
   * What becomes of a slow subscriber. With `"gap"` it is told, when it reads
   * again, what it has missed, and goes on with what is new; with `"close"` its
   * connection is closed (4408), and it may come back and resume.
   *
   * @default {"gap"}
   */
  onSlow?: "gap" | "close" | undefined;
  /**
   * The most subscriptions of one WebSocket.
   *
   * @default {100}
   */
  maxSubscriptions?: number | undefined;
  /**
   * The largest message that a WebSocket client may send, in bytes.
   *
   * @default {65_536}
   */
  maxMessage?: number | undefined;
  /**
   * The largest body of a request, in bytes; a published event stream may be
   * longer.
   *
   * @default {16_777_216}
   */
  maxBody?: number | undefined;
  /**
   * How long the body of a request may bring nothing, in milliseconds;
   * published event streams may pause for as long as they like.
   *
   * @default {8_000}
   */
  bodyTimeout?: number | undefined;
  /** Where time comes from. Default: the machine's clock. */
  clock?: Clock | undefined;
}
