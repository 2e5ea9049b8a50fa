// This module is browser compatible.
/**
 * The subscriber's side of a relay: follow topics over a WebSocket that
 * reconnects, resumes where the consumer stands, and never runs ahead of it.
 *
 * @module
 */
export * from "./subscribe.ts";
export * from "./connect.ts";
export * from "./error.ts";
export * from "./message.ts";
export * from "./options.ts";
export * from "./subscription.ts";
export type { Clock } from "../../src/fetch/clock.ts";
