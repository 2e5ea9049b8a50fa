/**
 * A relay to embed: topics that are filled from SSE upstreams, files and
 * requests, and followed over WebSocket and SSE.
 *
 * @module
 */
export * from "./relay.ts";
export type * from "./options/relay_options.ts";
export type { SourceReconnect } from "./sources/source_reconnect.ts";
export * from "./topics/log.ts";
export * from "./topics/registry.ts";
export * from "./topics/retention.ts";
export * from "./topics/topic.ts";
export type { Clock } from "../src/fetch/clock.ts";
export type { ServerSentEvent } from "../src/sse/event.ts";
