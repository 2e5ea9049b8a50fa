/**
 * Whether an ending was told as it should be.
 *
 * @module
 */
import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
} from "@std/assert";
import { type ResponseEvent, snapshot } from "../../src/model/mod.ts";
import type { Ending, ExpectedError } from "./endings.ts";
import type { Outcome } from "./run_ending.ts";

/** An event in short: what it is, and what of it must be right. */
function show(event: ResponseEvent): string {
  switch (event.type) {
    case "created":
      return `created ${event.responseId} ${event.model}`;
    case "output_item.added":
      return `added ${event.item.type}`;
    case "output_item.done": {
      const { item } = event;
      const text = item.type === "message"
        ? snapshot([event]).outputText
        : JSON.stringify(item);
      return `done ${item.type} ${text}`;
    }
    case "output_text.delta":
      return `text ${event.delta}`;
    case "tool_call.delta":
      return `call ${event.delta}`;
    case "usage": {
      const { inputTokens, outputTokens, totalTokens } = event.usage;
      return `usage ${inputTokens}+${outputTokens}=${totalTokens}`;
    }
    case "reset":
      return `reset ${event.attempt}`;
    default:
      return JSON.stringify(event);
  }
}

const isLast = ({ type }: ResponseEvent): boolean =>
  type === "completed" || type === "incomplete";

function assertError(actual: unknown, expected: ExpectedError): void {
  assert(actual instanceof expected.throws, Deno.inspect(actual));
  assertEquals(actual.code, expected.code);
  assertEquals(actual.retryable, expected.retryable);
  const { message } = expected;
  if (typeof message === "string") assertEquals(actual.message, message);
  else assertMatch(actual.message, message);
  const facts = new Map<string, unknown>(Object.entries(actual));
  for (const [name, value] of Object.entries(expected.facts ?? {})) {
    assertEquals(facts.get(name), value, name);
  }
}

/** Asserts that it failed as it should; the error. */
function assertFailed(
  actual: unknown,
  end: ExpectedError | "aborted",
  { reason }: Outcome,
): void {
  if (end === "aborted") assertStrictEquals(actual, reason);
  else assertError(actual, end);
}

/** Asserts what holds however the stream was read. */
export function assertEnded(ending: Ending, outcome: Outcome): void {
  const { end, requests = 1, elapsed = 0 } = ending;
  assertEquals(outcome.requests, requests, "requests");
  assertEquals(outcome.elapsed, elapsed, "elapsed");
  assertEquals(outcome.listeners, 0, "listeners left on the signal");
  if (!outcome.opened) {
    assert(end === "aborted" || "throws" in end && end.unopened);
    assertFailed(outcome.thrown?.error, end, outcome);
    return;
  }
  const { final, afterwards } = outcome;
  assert(final);
  if (end === "aborted" || "throws" in end) {
    assert(end === "aborted" || !end.unopened);
    assert(final.status === "rejected");
    assertFailed(final.reason, end, outcome);
    for (const result of afterwards) {
      assert(result.status === "rejected");
      assertStrictEquals(result.reason, final.reason);
    }
    return;
  }
  assert(final.status === "fulfilled");
  assertEquals(final.value.status, end.type);
  assertEquals(final.value.responseId, end.responseId);
  assertEquals(final.value.usage, end.usage);
  for (const result of afterwards) {
    assert(result.status === "fulfilled");
    assertEquals(result.value, { done: true, value: undefined });
  }
}

/** Asserts what holds where the stream was read event by event. */
export function assertDelivered(ending: Ending, outcome: Outcome): void {
  const { delivered, end } = ending;
  const { events, thrown, final, opened } = outcome;
  const last = end === "aborted" || "throws" in end ? [] : [end];
  const before = events.length - last.length;
  assertEquals(events.slice(0, before).map(show), delivered);
  assertEquals(events.slice(before), last);
  assertEquals(events.filter(isLast).length, last.length);
  assertEquals(thrown === undefined, last.length === 1);
  if (!opened) return;
  if (final?.status === "fulfilled") {
    assertEquals(final.value, snapshot(events));
  } else assertStrictEquals(final?.reason, thrown?.error);
}
