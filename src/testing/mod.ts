/**
 * What tests of code on top of Rivulet need: time that obeys.
 *
 * @module
 */
export * from "./fake_clock.ts";
