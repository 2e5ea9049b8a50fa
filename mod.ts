/**
 * Server-sent events over `fetch`, exact to the standard.
 *
 * @module
 */
export * from "./src/sse/mod.ts";
export * from "./src/fetch/mod.ts";
