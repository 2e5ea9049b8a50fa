import { parseArgs } from "node:util";
import { keyEnvOf, knownProviders } from "./gateway/provider.ts";
import type { RelayOptions } from "./options.ts";

/** What the command line asks for. */
export type Command =
  | { readonly kind: "help"; readonly text: string }
  | {
    readonly kind: "run";
    readonly options: RelayOptions;
    readonly logLevel: LogLevel;
    /** Over how long subscribers are sent away when it stops, in milliseconds. */
    readonly drain: number;
  };

/** Returns a variable of the environment, if it is set. */
export type Environment = (name: string) => string | undefined;

/** From which weight on log lines are written. */
export type LogLevel = "debug" | "info" | "warning" | "error";

/** A command line that asks for nothing that there is. */
export class FlagError extends Error {
  /** What happened, for programs. */
  readonly code = "invalid_flag";

  /** Names the flag, and what was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FlagError";
  }
}

/** In lines of the help. */
function wrapNames(names: readonly string[]): string {
  const indent = " ".repeat(29);
  let lines = indent;
  for (const [index, name] of names.entries()) {
    const word = index === names.length - 1 ? `${name}.` : `${name}, `;
    const length = lines.length - lines.lastIndexOf("\n") - 1;
    lines += length + word.length > 79 ? `\n${indent}${word}` : word;
  }
  return lines.replace(/ +$/gm, "");
}

const HELP = `Rivulet: one event stream in, any number of subscribers out.

Usage: deno run -A jsr:@rivulet/rivulet/cli [FLAG ...]

What fills the topics (each may be given any number of times):
  --source NAME=URL[,OPTION ...]
                             the SSE stream at URL. Options:
                             from=now: subscriptions begin at what is new
                             once: is not connected to again; the topic ends
                             drop-repeats: drops events under ids that were
                             there before, as of a server that starts over
  --fixture NAME=PATH[,loop] a recorded stream, at the pace of its comments
                             such as ': +37ms', and again from its start
  --provider NAME[=URL]      a provider of language models behind /NAME/v1/, and
                             the first one behind /v1/ too: point an SDK's base
                             URL there, and its streams fill topics. Known:
${wrapNames(Object.keys(knownProviders))}
                             The key is NAME_API_KEY of the environment, and
                             else the caller's
  --allow-source URL         lets PUT /topics/NAME make a topic from any URL
                             that begins with this one
  (and everybody: POST /topics/NAME)

Runs behind --provider:
  --idle-cancel SECONDS      cancels a run that its caller has left, and nobody
                             has followed for so long; default: it goes on
  --provider-timeout DURATION
                             how long a provider may say nothing, default 10m
  --record DIR               writes each run to a file that --fixture plays
  --max-body BYTES           of JSON, and of what is published, default 16777216
  --max-upload BYTES         of other bodies for a provider, default 536870912

Where it listens:
  --host ADDRESS             default 127.0.0.1
  --port NUMBER              default 8787; 0 takes one that is free
  --insecure-open            allows an address that others can reach: whoever
                             does can read and write every topic

What is kept:
  --max-events NUMBER        of each topic, default 10000
  --max-bytes NUMBER         of each topic, default 16777216
  --max-age DURATION         default: as long as the topic
  --ttl DURATION             how long an ended topic can be read, default 10m

Subscribers:
  --heartbeat DURATION       a sign of life where nothing else was sent,
                             default 15s; a WebSocket is cut off that answers
                             no ping of two in a row
  --slow-timeout DURATION    who takes nothing of what there is for so long is
                             slow, default: nobody is
  --on-slow gap|close        a slow one loses what it has missed (default), or
                             its connection
  --drain DURATION           over how long they are sent away, one by one, when
                             the relay is stopped, default 10s; 0s for at once
  --max-subscriptions NUMBER of one WebSocket, default 100
  --known-topics-only        refuses subscriptions of topics that do not exist,
                             which otherwise wait for them

And:
  --log-level LEVEL          debug, info, warning (default) or error, on stderr
  --help                     this text

A DURATION is a number with ms, s, m or h: 500ms, 30s, 10m, 1h.
`;

const FLAGS = {
  source: { type: "string", multiple: true },
  fixture: { type: "string", multiple: true },
  provider: { type: "string", multiple: true },
  "idle-cancel": { type: "string" },
  "provider-timeout": { type: "string" },
  record: { type: "string" },
  "max-body": { type: "string" },
  "max-upload": { type: "string" },
  "allow-source": { type: "string", multiple: true },
  host: { type: "string" },
  port: { type: "string" },
  "insecure-open": { type: "boolean" },
  "max-events": { type: "string" },
  "max-bytes": { type: "string" },
  "max-age": { type: "string" },
  ttl: { type: "string" },
  heartbeat: { type: "string" },
  "slow-timeout": { type: "string" },
  "on-slow": { type: "string" },
  drain: { type: "string" },
  "max-subscriptions": { type: "string" },
  "known-topics-only": { type: "boolean" },
  "log-level": { type: "string" },
  help: { type: "boolean" },
} as const;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** In milliseconds. */
const DRAIN = 10_000;

const LEVELS: readonly LogLevel[] = ["debug", "info", "warning", "error"];

function fail(flag: string, expected: string, value: string): never {
  throw new FlagError(`--${flag}: expected ${expected}, got '${value}'`);
}

function number(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  return /^[0-9]{1,15}$/.test(value)
    ? Number(value)
    : fail(flag, "a whole number", value);
}

function duration(
  flag: string,
  value: string | undefined,
  minimum = 1,
): number | undefined {
  if (value === undefined) return undefined;
  const [, digits, unit] = /^([0-9]{1,9})(ms|s|m|h)$/.exec(value) ?? [];
  return digits === undefined || Number(digits) < minimum
    ? fail(flag, "a duration such as 500ms, 30s, 10m or 1h", value)
    : Number(digits) * UNITS[unit as keyof typeof UNITS]; // one of them matched
}

/** Takes a plain number for seconds. */
function seconds(flag: string, value: string | undefined): number | undefined {
  return duration(
    flag,
    value !== undefined && /^[0-9]+$/.test(value) ? `${value}s` : value,
  );
}

/** Reads `openai`, or `NAME=URL`, and finds its key. */
function provider(
  value: string,
  environment: Environment,
): NonNullable<RelayOptions["providers"]>[number] {
  const equals = value.indexOf("=");
  const name = equals < 0 ? value : value.slice(0, equals);
  const known = Object.hasOwn(knownProviders, name)
    ? knownProviders[name]
    : undefined;
  const url = equals < 0 ? known?.url : value.slice(equals + 1);
  if (url === undefined || !URL.canParse(url)) {
    return fail(
      "provider",
      `NAME=URL, or one of ${Object.keys(knownProviders).join(", ")}`,
      value,
    );
  }
  return {
    name,
    url,
    key: environment(known?.keyEnv ?? keyEnvOf(name)) || undefined,
    ...(known && { keyHeader: known.keyHeader }),
  };
}

function onSlow(value: string | undefined): RelayOptions["onSlow"] {
  return value === undefined || value === "gap" || value === "close"
    ? value
    : fail("on-slow", "gap or close", value);
}

/** Cuts `NAME=VALUE` at the first equals sign. */
function pair(flag: string, hint: string, value: string): [string, string] {
  const equals = value.indexOf("=");
  return equals > 0 && equals < value.length - 1
    ? [value.slice(0, equals), value.slice(equals + 1)]
    : fail(flag, hint, value);
}

/** Takes the options off the end of `URL,from=now,once`; a URL may have commas of its own. */
function sourceOptions(
  text: string,
): Omit<NonNullable<RelayOptions["sources"]>[number], "name"> {
  const [, url, option] =
    /^(.*),(from=start|from=now|once|drop-repeats)$/.exec(text) ?? [];
  if (url === undefined) return { url: text, from: "start" };
  const others = sourceOptions(url);
  switch (option) {
    case "once":
      return { ...others, reconnect: false };
    case "drop-repeats":
      return { ...others, repeats: "drop" };
    default:
      return { ...others, from: option === "from=now" ? "now" : "start" };
  }
}

/**
 * Reads the command line.
 *
 * @param args What comes after the program.
 * @param environment Where keys are looked up. Default: nowhere.
 * @throws {FlagError} If it asks for nothing that there is.
 */
export function parseFlags(
  args: readonly string[],
  environment: Environment = () => undefined,
): Command {
  let flags;
  try {
    flags = parseArgs({ args: [...args], options: FLAGS }).values;
  } catch (cause) {
    // The first sentence says what is wrong, the others how to quote arguments.
    const [message] = String(cause instanceof Error ? cause.message : cause)
      .split(". ");
    throw new FlagError(`${message}: --help lists the flags`, { cause });
  }
  if (flags.help) return { kind: "help", text: HELP };
  const { "log-level": logLevel = "warning" } = flags;
  const level = LEVELS.find((level) => level === logLevel) ??
    fail("log-level", `one of ${LEVELS.join(", ")}`, logLevel);
  return {
    kind: "run",
    logLevel: level,
    drain: duration("drain", flags.drain, 0) ?? DRAIN,
    options: {
      sources: flags.source?.map((value) => {
        const [name, rest] = pair("source", "NAME=URL", value);
        const { url, ...options } = sourceOptions(rest);
        if (!URL.canParse(url)) fail("source", "NAME=URL", value);
        return { name, url, ...options };
      }),
      fixtures: flags.fixture?.map((value) => {
        const [name, rest] = pair("fixture", "NAME=PATH[,loop]", value);
        const loop = rest.endsWith(",loop");
        return { name, path: loop ? rest.slice(0, -5) : rest, loop };
      }),
      providers: flags.provider?.map((value) => provider(value, environment)),
      idleCancel: seconds("idle-cancel", flags["idle-cancel"]),
      providerTimeout: duration("provider-timeout", flags["provider-timeout"]),
      record: flags.record,
      maxBody: number("max-body", flags["max-body"]),
      maxUpload: number("max-upload", flags["max-upload"]),
      allowSources: flags["allow-source"],
      host: flags.host,
      port: number("port", flags.port),
      insecureOpen: flags["insecure-open"],
      maxEvents: number("max-events", flags["max-events"]),
      maxBytes: number("max-bytes", flags["max-bytes"]),
      maxAge: duration("max-age", flags["max-age"]),
      endedTtl: duration("ttl", flags.ttl),
      heartbeat: duration("heartbeat", flags.heartbeat),
      slowTimeout: duration("slow-timeout", flags["slow-timeout"]),
      onSlow: onSlow(flags["on-slow"]),
      maxSubscriptions: number("max-subscriptions", flags["max-subscriptions"]),
      awaitTopics: !flags["known-topics-only"],
    },
  };
}
