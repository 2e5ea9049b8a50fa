// This module is browser compatible.
import type { Clock } from "../../src/fetch/clock.ts";
import type { SubscriptionErrorCode, SubscriptionErrorFacts } from "./error.ts";
import type { Carried, Carrier, TopicMessage } from "./feed.ts";
import type {
  ConnectOptions,
  ReconnectPolicy,
  WebSocketLike,
} from "./options.ts";
import type { SubscriptionState } from "./subscription.ts";

/** The number of heartbeats that may be missing: some arrive late. */
const HEARTBEATS = 2.5;

/** The time that the relay's welcome may take, in milliseconds. */
const WELCOME_TIMEOUT = 20_000;

/**
 * The time to wait for the close handshake, which the peer may never answer, in
 * milliseconds.
 */
const CLOSE_TIMEOUT = 1_000;

/** A longer delay makes every runtime's timer fire at once (a 32-bit overflow). */
const MAX_DELAY = 2 ** 31 - 1;

/** After these codes the same would happen again (PROTOCOL.md, section 2). */
const FINAL = /^(1008|1009|45\d\d)$/;

const TOKEN_EXPIRED = 4401;

/** The reason given if no connection has opened. */
const UNREACHED =
  "Not connected: the relay is away, or refuses this page (--origin) or token";

/** No `WebSocket.OPEN`: there may be no `WebSocket`. */
const OPEN = 1;

const clock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, delay) {
    const timer = setTimeout(callback, Math.min(delay, MAX_DELAY));
    return () => clearTimeout(timer);
  },
};

/**
 * The use of a link: any number of topics; one, by name; or one, which its URL
 * names.
 */
export type LinkKind = "many" | "one" | "door";

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly topic?: string;
  readonly retryable: boolean;
}

/** A message of the relay about the connection or about a topic (PROTOCOL.md, section 2). */
type Message =
  | { readonly type: "welcome"; readonly heartbeat: number }
  | { readonly type: "heartbeat" }
  | { readonly type: "goodbye"; readonly reconnectIn: [number, number] }
  | (Refusal & { readonly type: "error" })
  | (TopicMessage & { readonly topic: string });

/** One connection after the other, for any number of topics. */
export class Link implements Carrier {
  readonly clock: Clock;
  #state: SubscriptionState = "idle";
  readonly #url: URL;
  readonly #options: ConnectOptions;
  readonly #WebSocket: NonNullable<ConnectOptions["WebSocket"]>;
  readonly #kind: LinkKind;
  readonly #feeds = new Map<string, Carried>();
  /** Topics that were asked for on this connection and not answered yet. */
  readonly #asked = new Set<string>();
  #socket: WebSocketLike | undefined;
  /** Resolves when the last socket has closed. */
  #gone = Promise.resolve();
  /** Cancels the one timer: of the wait before an attempt, or of the watch over a socket. */
  #cancel: (() => void) | undefined;
  /** Counts attempts: what is under way for an earlier one is of no interest. */
  #attempt = 0;
  #lastHeard = 0;
  /** Attempts in a row that no subscription got further by. */
  #failures = 0;
  #failingSince = 0;
  #advice: readonly [number, number] | undefined;
  /** The error for subscriptions that come too late. */
  #raise: (() => unknown) | undefined;

  constructor(url: URL, options: ConnectOptions, kind: LinkKind) {
    // A runtime may have none, whatever the types say.
    const Socket: ConnectOptions["WebSocket"] = options.WebSocket ??
      globalThis.WebSocket;
    if (!Socket) throw new TypeError("Cannot connect without a 'WebSocket'");
    this.#WebSocket = Socket;
    this.#url = url;
    this.#options = options;
    this.#kind = kind;
    this.clock = options.clock ?? clock;
    // The signal of a single topic is its own.
    const { signal } = options;
    if (kind !== "many" || !signal) return;
    signal.addEventListener("abort", this.#onAbort);
    if (signal.aborted) this.#onAbort();
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  #become(
    state: SubscriptionState,
    facts?: SubscriptionErrorFacts & { readonly retryIn?: number },
  ): void {
    this.#state = state;
    const failures = this.#failures;
    this.#options.onStateChange?.({ ...facts, state, failures });
  }

  close(raise?: () => unknown): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#raise = raise;
    const feeds = [...this.#feeds.values()];
    this.#feeds.clear();
    this.#drop("closed");
    this.#become("closed");
    for (const feed of feeds) void feed.abandon(raise);
    return new Promise((resolve) => {
      const cancel = this.clock.setTimeout(resolve, CLOSE_TIMEOUT);
      void this.#gone.then(cancel).then(resolve);
    });
  }

  add(feed: Carried): void {
    const { topic } = feed;
    // The relay has subscribed to it.
    if (this.#feeds.get(topic) === feed) return;
    if (this.state === "closed") return void feed.abandon(this.#raise);
    if (this.#feeds.has(topic)) {
      return void feed.abandon(() =>
        new TypeError(`Cannot subscribe to '${topic}' twice`)
      );
    }
    this.#feeds.set(topic, feed);
    if (this.state === "idle") void this.#connect();
    else if (this.state === "open") this.#ask(feed);
  }

  remove(feed: Carried, isOver: boolean): Promise<void> {
    const { topic } = feed;
    if (this.#feeds.get(topic) === feed) {
      this.#feeds.delete(topic);
      const { endPosition } = feed;
      if (endPosition) {
        for (const prefix of this.#prefixesOf(topic)) {
          prefix.onEnd?.(topic, endPosition);
        }
      }
      if (!isOver) this.send({ type: "unsubscribe", topic });
      if (this.#feeds.size === 0 && this.state === "waiting") {
        this.#drop("idle");
      }
    }
    // A prefix may go on when one of its topics has ended.
    const isNeeded = this.#kind === "many" || this.#feeds.size > 0;
    return isNeeded ? Promise.resolve() : this.close();
  }

  send(message: Readonly<Record<string, unknown>>): void {
    if (this.#socket?.readyState === OPEN) {
      this.#socket.send(JSON.stringify(message));
    }
  }

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt;
    const { token } = this.#options;
    this.#become("connecting");
    this.#advice = undefined;
    let secret;
    try {
      secret = typeof token === "function" ? await token() : token;
    } catch (cause) {
      if (attempt === this.#attempt) this.#lose("disconnected", { cause });
      return;
    }
    if (attempt !== this.#attempt) return;
    const url = new URL(this.#url);
    if (this.#kind === "door") {
      for (const feed of this.#feeds.values()) {
        for (const [name, value] of Object.entries(feed.request() ?? {})) {
          if (value !== undefined) url.searchParams.set(name, `${value}`);
        }
      }
    }
    let socket: WebSocketLike;
    try {
      const protocols = ["rivulet.v1"];
      if (secret) protocols.push(`bearer.${toBase64Url(secret)}`);
      socket = new this.#WebSocket(url.href, protocols);
    } catch (cause) {
      return this.#fail("refused", { cause });
    }
    this.#socket = socket;
    this.#asked.clear();
    this.#lastHeard = this.clock.now();
    this.#watch(WELCOME_TIMEOUT);
    const ifCurrent = (action: () => void): void => {
      if (this.#socket === socket) action();
    };
    socket.onopen = () =>
      ifCurrent(() => {
        this.#become("open");
        if (this.#kind === "door") return;
        // The relay leaves out of a prefix what there is a subscription to.
        for (const isPrefix of [false, true]) {
          for (const feed of [...this.#feeds.values()]) {
            if (!!feed.adopt === isPrefix) this.#ask(feed);
          }
        }
      });
    socket.onmessage = ({ data }) => ifCurrent(() => this.#onMessage(data));
    this.#gone = new Promise((resolve) => {
      socket.onclose = ({ code, reason }) => {
        resolve();
        ifCurrent(() => this.#onClosed(code, reason));
      };
    });
    // Not every runtime closes what it could not open.
    socket.onerror = () => ifCurrent(() => this.#lose("disconnected", {}));
  }

  /** Subscribes to a topic on the connection that there is. */
  #ask(feed: Carried): void {
    const { topic } = feed;
    if (this.#asked.has(topic)) {
      // The answer could be to the first of two subscriptions: a new connection has one.
      this.#drop("idle");
      return void this.#connect();
    }
    const request = feed.request();
    if (!request) return;
    this.#asked.add(topic);
    this.send({ type: "subscribe", topic, ...request });
  }

  #onMessage(data: unknown): void {
    this.#lastHeard = this.clock.now();
    try {
      // A binary message is not JSON either: `parse` throws.
      const text = data as string;
      const message: Message = JSON.parse(text);
      switch (message.type) {
        case "welcome": {
          const { heartbeat } = message;
          return this.#watch(heartbeat > 0 ? heartbeat * HEARTBEATS : Infinity);
        }
        case "heartbeat":
          this.#failures = 0;
          return;
        case "goodbye": {
          // Missing numbers are `NaN`, which the comparison below rejects.
          const [min, max] = message.reconnectIn.map(Number) as [
            number,
            number,
          ];
          if (min >= 0 && max >= min) this.#advice = [min, max];
          return;
        }
        case "error":
          return this.#onRefused(message);
      }
      const { type, topic } = message;
      if (type === "subscribed" || type === "following") {
        this.#asked.delete(topic);
      }
      const feed = this.#feeds.get(topic) ??
        (message.type === "subscribed" ? this.#adopt(message) : undefined);
      if (feed?.receive(message, text.length)) this.#failures = 0;
    } catch (cause) {
      this.#lose("protocol", { cause });
    }
  }

  /** Takes on a topic that the relay has subscribed to for a prefix. */
  #adopt(
    { topic, epoch }: { readonly topic: string; readonly epoch: string },
  ): Carried | undefined {
    const feed = this.#prefixesOf(topic)[0]?.adopt?.(topic, epoch);
    if (feed) this.#feeds.set(topic, feed);
    return feed;
  }

  /** Returns the prefixes that a topic is of. */
  #prefixesOf(topic: string): Carried[] {
    return [...this.#feeds.values()].filter((feed) => feed.covers?.(topic));
  }

  #onRefused({ topic = "", code, message, retryable }: Refusal): void {
    const facts = { relayCode: code, reason: message };
    const feed = this.#feeds.get(topic);
    const [prefix] = this.#prefixesOf(topic);
    // Of a topic that ended as it was left, or cancelled.
    if (/^(not_subscribed|topic_ended)$/.test(code)) return;
    if (!feed && !prefix) return;
    if (retryable) return this.#lose("disconnected", facts);
    if (!feed) return prefix?.refuse?.(topic, code, message);
    this.#asked.delete(topic);
    this.#feeds.delete(topic);
    feed.fail("refused", facts);
  }

  #onClosed(closeCode: number, reason: string): void {
    const facts = { closeCode, reason };
    // The same token would be as old.
    const isFinal = FINAL.test(`${closeCode}`) ||
      (closeCode === TOKEN_EXPIRED &&
        typeof this.#options.token !== "function");
    if (isFinal) this.#fail("refused", facts);
    else this.#lose("disconnected", facts);
  }

  /** Lets the socket go, and whatever else is under way. */
  #drop(state: SubscriptionState): void {
    const socket = this.#socket;
    this.#state = state;
    this.#socket = undefined;
    this.#attempt++;
    this.#cancel?.();
    this.#cancel = undefined;
    socket?.close(1000);
  }

  /** Connects again, if that may be. */
  #lose(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts): void {
    // A browser does not say why nothing has opened.
    if (this.#state === "connecting" && !facts.cause) {
      facts = { ...facts, reason: facts.reason || UNREACHED };
    }
    this.#drop("idle");
    if (this.#feeds.size === 0) return;
    const { reconnect = true } = this.#options;
    const {
      minTimeout = 500,
      maxTimeout = 30_000,
      maxAttempts = reconnect ? Infinity : 1,
      maxElapsed = Infinity,
    }: ReconnectPolicy = Object(reconnect);
    const now = this.clock.now();
    if (this.#failures === 0) this.#failingSince = now;
    // Nothing times infinity is no number.
    const factor = 2 ** Math.min(this.#failures++, 99);
    const longest = Math.min(maxTimeout, minTimeout * factor);
    const [min, max] = this.#advice ?? [0, longest];
    const delay = min + Math.random() * (max - min);
    if (
      this.#failures >= maxAttempts ||
      now + delay - this.#failingSince > maxElapsed
    ) return this.#fail(code, facts);
    this.#become("waiting", { ...facts, retryIn: delay });
    this.#cancel = this.clock.setTimeout(() => void this.#connect(), delay);
  }

  /** Gives up. */
  #fail(code: SubscriptionErrorCode, facts: SubscriptionErrorFacts): void {
    const feeds = [...this.#feeds.values()];
    this.#feeds.clear();
    this.#failures = 0;
    this.#drop("idle");
    this.#become("idle", facts);
    for (const feed of feeds) feed.fail(code, facts);
  }

  /** Loses the socket once nothing was heard from it for `limit` milliseconds. */
  #watch(limit: number, delay = limit): void {
    this.#cancel?.();
    this.#cancel = this.clock.setTimeout(() => {
      const left = this.#lastHeard + limit - this.clock.now();
      if (left > 0) this.#watch(limit, left);
      else this.#lose("disconnected", { reason: `Silent for ${limit} ms` });
    }, delay);
  }

  readonly #onAbort = (): void => {
    void this.close(() => this.#options.signal?.reason);
  };
}

function toBase64Url(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
}

/**
 * Makes the URL of a WebSocket of one that may be relative, in a browser, or of
 * HTTP.
 *
 * @throws {TypeError} If it is no URL of HTTP or of a WebSocket.
 */
export function webSocketUrl(input: string | URL): URL {
  // A runtime may have none, whatever the types say.
  const location: { href: string } | undefined = globalThis.location;
  const base = location?.href;
  const url = new URL(URL.canParse(input, base) ? input : "none:", base);
  if (!/^(http|ws)s?:/.test(url.protocol)) {
    // The rest may have a token.
    throw new TypeError(
      `Cannot connect as 'url' must be http(s) or ws(s): current value is ${url.protocol}`,
    );
  }
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  // Of a relay as such, the door for any topic is meant.
  if (url.pathname === "/") url.pathname = "/ws";
  return url;
}
