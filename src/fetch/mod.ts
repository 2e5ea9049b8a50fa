/**
 * One request for an event stream over `fetch`.
 *
 * @module
 */
export * from "./clock.ts";
