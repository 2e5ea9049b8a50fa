import { z } from "zod";
import { chatRoute } from "../gateway/chat/chat_route.ts";
import { knownProviders, providerOption } from "../gateway/provider.ts";
import { sourceReconnect } from "../sources/source_reconnect.ts";
import { topicName } from "../topics/topic_name.ts";
import { url, type ValueKind } from "./kinds.ts";

const sourceOption = z.strictObject({
  name: topicName,
  url: url.schema,
  from: z.enum(["start", "now"]).default("start"),
  reconnect: sourceReconnect,
  repeats: z.enum(["keep", "drop"]).default("keep"),
});

const fixtureOption = z.strictObject({
  name: topicName,
  path: z.string().min(1),
  loop: z.boolean().default(false),
});

type Source = z.input<typeof sourceOption>;

type Fixture = z.input<typeof fixtureOption>;

/** Takes the options off the end of `URL,from=now,once`; a URL may have commas of its own. */
function readSourceOptions(text: string): Omit<Source, "name"> {
  const [, url, option] =
    /^(.*),(from=start|from=now|once|drop-repeats)$/.exec(text) ?? [];
  if (url === undefined) return { url: text };
  const others = readSourceOptions(url);
  switch (option) {
    case "once":
      return { ...others, reconnect: false };
    case "drop-repeats":
      return { ...others, repeats: "drop" };
    default:
      return { ...others, from: option === "from=now" ? "now" : "start" };
  }
}

function sourceFromText(text: string): Source | undefined {
  const equals = text.indexOf("=");
  const { url, ...options } = readSourceOptions(text.slice(equals + 1));
  return equals > 0 && URL.canParse(url)
    ? { name: text.slice(0, equals), url, ...options }
    : undefined;
}

/** SSE streams: `news=https://example.com/events,from=now`. */
export const source: ValueKind<typeof sourceOption> = {
  takes: "value",
  schema: sourceOption,
  hint: "NAME=URL[,OPTION ...]",
  wanted: "NAME=URL, and options after commas",
  fromText: sourceFromText,
  fromJson: (value) =>
    typeof value === "string" ? sourceFromText(value) ?? value : value,
  toJson: (value) => value,
};

const LOOP = ",loop";

function fixtureFromText(text: string): Fixture | undefined {
  const equals = text.indexOf("=");
  if (equals < 1) return undefined;
  const loop = text.endsWith(LOOP);
  const path = text.slice(equals + 1, loop ? -LOOP.length : undefined);
  return path === "" ? undefined : { name: text.slice(0, equals), path, loop };
}

/** Recorded streams: `demo=fixtures/demo.sse,loop`. */
export const fixture: ValueKind<typeof fixtureOption> = {
  takes: "value",
  schema: fixtureOption,
  hint: "NAME=PATH[,loop]",
  wanted: "NAME=PATH[,loop]",
  fromText: fixtureFromText,
  fromJson: (value) =>
    typeof value === "string" ? fixtureFromText(value) ?? value : value,
  toJson: (value) => value,
};

const names = Object.keys(knownProviders);

/** Adds the URL of a provider that is known by its name. */
function completeProvider(provider: object): object {
  const { name } = "name" in provider ? provider : { name: undefined };
  const known = typeof name === "string" && Object.hasOwn(knownProviders, name)
    ? knownProviders[name]
    : undefined;
  return known
    ? { url: known.url, keyHeader: known.keyHeader, ...provider }
    : provider;
}

/** The option at the end of `URL,idempotent,topic=codex:*`; a URL may have commas of its own. */
const PROVIDER_OPTION =
  /^(.*),(idempotent|websocket|on-disconnect=(?:cancel|continue)|topic=[^,]+)$/;

function providerFromText(text: string): object | undefined {
  const [, rest, option = ""] = PROVIDER_OPTION.exec(text) ?? [];
  if (rest !== undefined) {
    const provider = providerFromText(rest);
    return provider && { ...provider, ...providerOptionFromText(option) };
  }
  const equals = text.indexOf("=");
  if (equals < 0) {
    return names.includes(text) ? completeProvider({ name: text }) : undefined;
  }
  const url = text.slice(equals + 1);
  return equals > 0 && URL.canParse(url)
    ? completeProvider({ name: text.slice(0, equals), url })
    : undefined;
}

function providerOptionFromText(option: string): object {
  const [name, value = ""] = option.split("=");
  switch (name) {
    case "topic":
      return { topic: value };
    case "on-disconnect":
      return { onDisconnect: value };
    default:
      return { [option]: true };
  }
}

/** Providers of language models: `openai`, or `local=http://localhost:8788/v1,idempotent`. */
export const provider: ValueKind<typeof providerOption> = {
  takes: "value",
  schema: providerOption,
  hint: "NAME[=URL][,OPTION ...]",
  wanted: `NAME=URL, or one of ${names.join(", ")}`,
  fromText: providerFromText,
  fromJson(value) {
    if (typeof value === "string") return providerFromText(value) ?? value;
    return typeof value === "object" && value !== null
      ? completeProvider(value)
      : value;
  },
  toJson: (value) => value,
};

const SHARED = ",shared";

function chatFromText(text: string): object | undefined {
  const isShared = text.endsWith(SHARED);
  const route = isShared ? text.slice(0, -SHARED.length) : text;
  const equals = route.indexOf("=");
  const url = route.slice(equals + 1);
  if (equals < 1 || !URL.canParse(url)) return undefined;
  // A mistyped option would be a part of the URL.
  if (url.includes(",")) return undefined;
  const name = route.slice(0, equals);
  return isShared ? { name, url, shared: true } : { name, url };
}

/** Chat routes of applications: `app=http://localhost:3000/api/chat,shared`. */
export const chat: ValueKind<typeof chatRoute> = {
  takes: "value",
  schema: chatRoute,
  hint: "NAME=URL[,shared]",
  wanted: "NAME=URL[,shared]",
  fromText: chatFromText,
  fromJson: (value) =>
    typeof value === "string" ? chatFromText(value) ?? value : value,
  toJson: (value) => value,
};
