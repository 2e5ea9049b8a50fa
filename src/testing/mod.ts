/**
 * What tests of code on top of Rivulet need: time that obeys, and a network that
 * follows a script.
 *
 * @module
 */
export type { Clock } from "../fetch/clock.ts";
export * from "./fake_clock.ts";
export * from "./scripted_fetch.ts";
