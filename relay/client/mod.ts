// This module is browser compatible.
/**
 * The library for subscribers of a relay, for browsers, Deno, Node and Bun.
 *
 * {@linkcode subscribe} follows one topic and {@linkcode connect} many topics over
 * one WebSocket. A subscription is read with `for await`. It reconnects by itself
 * and resumes after the last message that you took, so that each event comes once
 * and in order. If events are missing, it yields a `gap`. The relay sends at most
 * 256 KiB ahead of you (`window`), so that a slow consumer costs little memory.
 *
 * The loop ends when the topic ends. It throws a {@linkcode SubscriptionError} if
 * the topic has `failed` or was `truncated`, if the relay refuses the
 * subscription, or if the attempts are used up. Leaving the loop closes the
 * subscription; `cancel()` stops the topic itself, for everybody.
 *
 * In a browser, a token travels as a WebSocket subprotocol, since pages cannot set
 * headers. Pages of another host than the relay's need its option `--origin`.
 *
 * @example Follow a topic and come back for the rest
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const topic = relay.topics.create("news");
 * topic.append([{ data: "a" }, { data: "b" }]);
 * topic.end("complete");
 *
 * let position: string | undefined;
 * for await (const message of subscribe(`${url}/topics/news`)) {
 *   if (message.type !== "event") continue;
 *   position = message.position; // "<epoch>:1"
 *   break;
 * }
 * const rest = subscribe(`${url}/topics/news`, { after: position });
 * const { value } = await rest.next();
 * assertEquals(value?.type === "event" && value.data, "b");
 * assertEquals((await rest.next()).done, true);
 * assertEquals(rest.end, { status: "complete" });
 * ```
 *
 * @module
 */
export * from "./subscribe.ts";
export * from "./connect.ts";
export * from "./error.ts";
export * from "./message.ts";
export * from "./options.ts";
export * from "./subscription.ts";
export * from "./topic_end.ts";
export type { Clock } from "../../src/fetch/clock.ts";
