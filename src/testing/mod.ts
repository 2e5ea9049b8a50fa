/**
 * What tests of code on top of Rivulet need: time that obeys, a network that
 * follows a script, and a provider of models that is as bad as it is told to be.
 *
 * @module
 */
export type { Clock } from "../fetch/clock.ts";
export * from "./fake_clock.ts";
export * from "./hostile_provider.ts";
export * from "./hostile/connection_error.ts";
export type { HostileOutcome, HostileRequest } from "./hostile/exchange.ts";
export type {
  HostileAnswer,
  HostileFault,
  HostilePlan,
  HostilePoint,
  HostileRetryAfter,
  HostileSequence,
} from "./hostile/plan.ts";
export * from "./hostile/plan_error.ts";
export * from "./hostile/plan_text.ts";
export * from "./scripted_fetch.ts";
