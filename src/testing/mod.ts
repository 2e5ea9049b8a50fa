/**
 * Tools for tests of code on top of Rivulet: no network, no waiting, no luck.
 *
 * - {@linkcode FakeClock} is a clock that a test moves. Pass it as `clock`.
 * - {@linkcode ScriptedFetch} is a `fetch` that follows a script: chunks, silence,
 *   a dropped connection, a status. Pass its `fetch`.
 * - {@linkcode HostileProvider} is a provider of language models that fails as
 *   planned: it cuts streams, sends errors in the middle, or says nothing. It
 *   speaks the formats of OpenAI and Anthropic, as a `fetch` or, with the command
 *   `hostile`, as a server.
 *
 * @example Test a reconnect that takes thirty seconds, at once
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet";
 * import { FakeClock, ScriptedFetch } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new FakeClock();
 * const script = new ScriptedFetch([
 *   { status: 503, headers: { "Retry-After": "30" } },
 *   { chunks: ["data: hello\n\n"] },
 *   { status: 204 },
 * ], { clock });
 *
 * const start = clock.now();
 * const stream = streamEvents("https://example.com/events", {
 *   fetch: script.fetch,
 *   clock,
 * });
 * const events = await clock.run(Array.fromAsync(stream));
 * assertEquals(events.map(({ data }) => data), ["hello"]);
 * assertEquals(script.requests.length, 3);
 * assertEquals(clock.now() - start >= 30_000, true);
 * ```
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
