// This module is browser compatible.
import { feedOf } from "./feed_of.ts";
import { Link, webSocketUrl } from "./link.ts";
import type { ConnectOptions, TopicOptions } from "./options.ts";
import type { Subscription } from "./subscription.ts";

/**
 * A connection to a relay, for any number of topics.
 *
 * It connects when the first subscription is iterated. When the connection
 * breaks off, it connects again, and each subscription resumes at its
 * consumer's position.
 *
 * @example Two topics over one socket
 * ```ts
 * import type { Connection } from "@rivulet/rivulet/client";
 *
 * async function first(connection: Connection, topic: string) {
 *   for await (const message of connection.subscribe(topic)) return message;
 * }
 * const both = (connection: Connection) =>
 *   Promise.all([first(connection, "news"), first(connection, "weather")]);
 * if (typeof both !== "function") throw new Error("unreachable");
 * ```
 */
export interface Connection extends AsyncDisposable {
  /**
   * Follows a topic, of which there may be one subscription at a time; or all topics whose
   * names begin alike (`agent:7:*`), but for those that another subscription follows.
   *
   * @param topic The name.
   * @param options The place to begin at, and the window.
   * @returns The messages, to be iterated.
   * @throws {TypeError} If the name or `after` is invalid.
   * @throws {RangeError} If `window` is not a positive integer.
   */
  subscribe(topic: string, options?: TopicOptions): Subscription;
  /**
   * Ends every subscription, and the connection.
   *
   * @returns Resolves when it has closed, or after a second.
   */
  close(): Promise<void>;
  /** Ends everything, as `close` does. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Prepares a connection to a relay, for any number of topics.
 *
 * @param url The relay's origin, or its `/ws`; `http(s)` counts as `ws(s)`, and a relative URL is
 * of the page.
 * @param options The ways to reach the relay.
 * @returns The connection, to be closed.
 * @throws {TypeError} If the URL is invalid, or there is no WebSocket.
 *
 * @example Two topics
 * ```ts
 * import { connect } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * for (const name of ["news", "weather"]) {
 *   const topic = relay.topics.create(name);
 *   topic.append([{ event: "message", data: `of ${name}`, id: "" }]);
 *   topic.end("complete");
 * }
 *
 * await using connection = connect(new URL("/ws", url));
 * const seen: string[] = [];
 * for (const name of ["news", "weather"]) {
 *   for await (const message of connection.subscribe(name)) {
 *     if (message.type === "event") seen.push(message.data);
 *   }
 * }
 * assertEquals(seen, ["of news", "of weather"]);
 * ```
 */
export function connect(
  url: string | URL,
  options: ConnectOptions = {},
): Connection {
  const link = new Link(webSocketUrl(url), options, "many");
  const close = () => link.close();
  return {
    subscribe: (topic, options = {}) => feedOf(topic, link, options),
    close,
    [Symbol.asyncDispose]: close,
  };
}
