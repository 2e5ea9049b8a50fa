// This module is browser compatible.
import { feedOf } from "./feed_of.ts";
import { Link, webSocketUrl } from "./link.ts";
import type { SubscribeOptions } from "./options.ts";
import type { Subscription } from "./subscription.ts";

/** The end of a path that names a topic. */
const TOPIC_PATH = /\/topics\/([^/]+)$/;

/**
 * Follows a topic of a relay, or all topics whose names begin alike: `agent:7:*`. These may
 * come later; each message says its topic, and each topic has a `subscribed` and an `end`.
 * Topics that begin and end while the connection is lost come, too. `refused` names a topic
 * of which nothing more comes.
 * Without this library, an `EventSource` of `/topics/agent:7:*` follows them, too.
 *
 * Nothing is sent before the first call to `next`. If the connection breaks
 * off, the subscription reconnects and resumes after the last message that you
 * took. Each event comes once and in order; a `gap` reports missing events. The
 * relay sends no more than `window` bytes ahead of what you took.
 *
 * @param url The URL of the topic, `wss://host/topics/NAME`, or the relay's origin or
 * `/ws` with the option `topic`; `http(s)` counts as `ws(s)`, and a relative URL is of
 * the page.
 * @param options The ways to reach the relay, the place to begin at, and the
 * window.
 * @returns The messages, to be iterated.
 * @throws {TypeError} If the URL, `topic` or `after` is invalid, the topic is
 * named twice or not at all, or there is no WebSocket.
 * @throws {RangeError} If `window` is not a positive integer.
 *
 * @example Follow a topic to its end
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const topic = relay.topics.create("news");
 * topic.append([{ event: "message", data: "hello", id: "" }]);
 * topic.end("complete");
 *
 * await using subscription = subscribe(`${url}/topics/news`);
 * const seen: string[] = [];
 * for await (const message of subscription) {
 *   if (message.type === "event") seen.push(message.data);
 * }
 * assertEquals(seen, ["hello"]);
 * assertEquals(subscription.end, { status: "complete" });
 * ```
 *
 * @example Resume
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const topic = relay.topics.create("news");
 * topic.append(["a", "b"].map((data) => ({ event: "message", data, id: "" })));
 *
 * async function first(after?: string) {
 *   await using subscription = subscribe(`${url}/topics/news`, { after });
 *   for await (const message of subscription) {
 *     if (message.type === "event") return message;
 *   }
 * }
 * const a = await first();
 * const b = await first(a?.position);
 * assertEquals([a?.data, b?.data], ["a", "b"]);
 * ```
 */
export function subscribe(
  url: string | URL,
  options: SubscribeOptions = {},
): Subscription {
  const target = webSocketUrl(url);
  const [, named] = TOPIC_PATH.exec(target.pathname) ?? [];
  const { topic = named && decodeURIComponent(named) } = options;
  if (!topic || (named && options.topic)) {
    throw new TypeError(
      "Cannot subscribe as the topic must be named in the URL (/topics/NAME) or as 'topic'",
    );
  }
  const isPrefix = topic.endsWith("*");
  if (isPrefix) target.pathname = target.pathname.replace(TOPIC_PATH, "/ws");
  const link = new Link(target, options, named && !isPrefix ? "door" : "one");
  return feedOf(topic, link, options);
}
