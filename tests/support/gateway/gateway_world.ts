/**
 * A relay in front of a provider that does what a test tells it to.
 *
 * @module
 */
import type { RelayOptions } from "../../../relay/options/relay_options.ts";
import type { TopicEnd } from "../../../relay/topics/end.ts";
import type { Topic } from "../../../relay/topics/topic.ts";
import type { ServerSentEvent } from "../../../src/sse/event.ts";
import { CallerStream } from "./caller_stream.ts";
import { type ProviderExchange, RawProvider } from "./raw_provider.ts";
import { type OpenRelay, startRelay, type TestRelay } from "../relay/relay.ts";
import {
  describeRemoteTopic,
  readRemoteTopic,
  type RemoteDescription,
  remoteEnd,
  remoteFollowers,
  remoteNames,
} from "../relay/remote_topic.ts";
import { RELAY_SHAPE } from "../relay/shape.ts";
import { LIMIT, until, within } from "../within.ts";

export { LIMIT } from "../within.ts";

/** The ways in which a request differs from the usual one. */
export interface Asked {
  /** Below `/v1/`. Default: `chat/completions`. */
  readonly path?: string;
  /** Besides `stream: true`. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Besides its type. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Takes it back. */
  readonly signal?: AbortSignal;
}

/** A relay, and the one provider behind it, which is called `raw`. */
export interface GatewayWorld extends AsyncDisposable, TestRelay {
  /** The provider. */
  readonly provider: RawProvider;
  /** Asks for a stream. */
  ask(asked?: Asked): Promise<CallerStream>;
  /** Asks for a stream, and waits until the provider was asked; the answer is waited for later. */
  begin(asked?: Asked): Promise<Begun>;
  /** The topic of this name, in the process of the test. */
  topic(name: string): Topic;
  /** Describes a topic: `undefined` if there is none. */
  describe(name: string): Promise<RemoteDescription | undefined>;
  /** Waits until so many follow a topic, which is the only one that is followed. */
  followed(name: string, count: number): Promise<void>;
  /** The names of all topics. */
  names(): Promise<string[]>;
  /** Creates a topic that nothing fills. */
  create(name: string): Promise<void>;
  /** Cancels what fills a topic, as a client does. */
  cancel(name: string, reason?: string): Promise<void>;
  /** Deletes a topic, as a client does. */
  remove(name: string): Promise<void>;
  /** Waits for a topic's end. */
  ended(name: string): Promise<TopicEnd>;
  /** The events of a topic so far. */
  events(name: string): Promise<ServerSentEvent[]>;
}

/** A request that has reached the provider. */
export interface Begun {
  /** The provider's side. */
  readonly exchange: ProviderExchange;
  /** The caller's. */
  readonly answer: Promise<CallerStream>;
}

/**
 * Starts both. The provider stands for an application with a chat, too, whose route is
 * called `raw`.
 */
export async function startGateway(
  options: RelayOptions = {},
  keys: {
    key?: string;
    keyHeader?: "authorization" | "x-api-key" | "api-key" | "x-goog-api-key";
    idempotent?: boolean;
    websocket?: boolean;
    onDisconnect?: "continue" | "cancel";
    topic?: string;
  } = {},
  chat: { secret?: string; shared?: boolean } = {},
): Promise<GatewayWorld> {
  const provider = await RawProvider.start();
  const relay = await startRelay({
    chats: [{ name: "raw", url: `${provider.url}/chat`, ...chat }],
    ...options,
    gateway: {
      providers: [{ name: "raw", url: provider.url, ...keys }],
      ...options.gateway,
    },
  });
  const topic = (name: string): Topic => {
    const found = relay.relay.topics.get(name);
    if (!found) throw new Error(`There is no topic '${name}'`);
    return found;
  };
  const ask = async (
    { path = "chat/completions", body = {}, headers = {}, signal }: Asked = {},
  ): Promise<CallerStream> =>
    new CallerStream(
      await within(
        relay.request(`/v1/${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ stream: true, ...body }),
          ...(signal && { signal }),
        }),
        LIMIT,
        "the relay's answer",
      ),
    );
  const { url, port } = relay;
  const tell = async (path: string, init: RequestInit): Promise<void> => {
    const response = await relay.request(`/topics/${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status}: ${text}`);
  };
  return {
    // It may not be there: not before a test asks for it.
    get relay() {
      return relay.relay;
    },
    url,
    port,
    request: (path, init) => relay.request(path, init),
    provider,
    ask,
    async begin(asked) {
      const answer = ask(asked);
      answer.catch(() => {}); // waited for where it is of interest
      const exchange = await provider.next();
      await exchange.body();
      return { exchange, answer };
    },
    topic,
    describe: (name) => describeRemoteTopic(url, name),
    async followed(name, count) {
      let counted = 0;
      await until(
        async () => {
          counted = await remoteFollowers(url, name);
          return counted === count || undefined;
        },
        LIMIT,
        () => `${count} followers of ${name}, not ${counted}`,
      );
    },
    names: () => remoteNames(url),
    create: (name) => tell(name, { method: "PUT" }),
    cancel: (name, reason) =>
      tell(`${name}/cancel`, {
        method: "POST",
        body: JSON.stringify({ reason }),
      }),
    remove: (name) => tell(name, { method: "DELETE" }),
    ended: (name) =>
      RELAY_SHAPE === "workers" ? remoteEnd(url, name) : within(
        until(() => atHand(relay.relay, name), LIMIT, `topic ${name}`)
          .then((topic) => topic.ended),
        LIMIT,
        `the end of topic ${name}`,
      ),
    async events(name) {
      if (RELAY_SHAPE === "workers") {
        return [...(await readRemoteTopic(url, name))?.events ?? []];
      }
      const { log } = topic(name);
      const { first, next } = log;
      if (first === next) return [];
      const { entries } = await log.read(first, {
        events: Infinity,
        bytes: Infinity,
      });
      return entries.map(({ event }) => event);
    },
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}

/** Finds a topic, which may live in another relay. */
async function atHand(
  relay: OpenRelay,
  name: string,
): Promise<Topic | undefined> {
  await relay.topics.prepare(name);
  return relay.topics.get(name);
}
