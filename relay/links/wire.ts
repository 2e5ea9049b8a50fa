import type { ServerSentEvent } from "../../src/sse/event.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import type { UpstreamState } from "../topics/upstream_state.ts";
import { z } from "zod";
import { assertLines } from "../topics/event_lines.ts";
import { EventLimitError } from "../topics/event_limit.ts";
import { LeaseHeldError, LeaseLostError } from "../topics/lease.ts";
import {
  type Hole,
  type LogEntry,
  sizeOf,
  type TopicFacts,
} from "../topics/log.ts";
import { TopicLimitError } from "../topics/topic_errors.ts";
import { StaleWriterError, StoreError } from "../topics/store.ts";
import {
  endSchema,
  FACT_NAMES,
  factsSchema,
} from "../topics/stored_schemas.ts";

/**
 * The messages of a link (PROTOCOL.md, section 8): each is an array of operations, and
 * each operation an array that begins with its name. So a message has the operations of
 * all topics that there were in one turn of the event loop.
 *
 * @module
 */

/** The subprotocol of a link. */
export const LINK_PROTOCOL = "rivulet.link.v1";

/** The path of the door of links. */
export const LINK_PATH = "/links";

/** The longest message of a link, in bytes: an event of the largest size, as JSON has it. */
export const MAX_LINK_MESSAGE = 128 * 1024 * 1024;

/** The codes that a link is closed with. */
export const LINK_CLOSINGS = {
  /** The relay stops, or the link is not needed any more. */
  over: 1001,
  /** The peer sent something that is not a message of a link. */
  invalid: 4400,
  /** The relay would be its own parent. */
  loop: 4409,
  /** The token has expired. */
  expired: 4401,
} as const;

/** One operation: its name, and what belongs to it. */
export type Operation = readonly unknown[];

/** A message on a link breaks the protocol. */
export class LinkProtocolError extends Error {
  /** The error's code, for programs. */
  readonly code = "link_protocol";

  /** Says what was expected. */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "LinkProtocolError";
  }
}

function wrong(operation: Operation, place: number, expected: string): never {
  throw new LinkProtocolError(
    `Expected ${expected} at place ${place} of '${
      String(operation[0]).slice(0, 20)
    }'`,
  );
}

// A schema would cost more than what is done with most operations: these check one
// value each.

/** Returns a text of an operation. */
export function textAt(operation: Operation, place: number): string {
  const value = operation[place];
  return typeof value === "string" ? value : wrong(operation, place, "a text");
}

/** Returns a text of an operation; `undefined` for `null`. */
export function maybeTextAt(
  operation: Operation,
  place: number,
): string | undefined {
  return operation[place] === null ? undefined : textAt(operation, place);
}

/** Returns a number of an operation. */
export function numberAt(operation: Operation, place: number): number {
  const value = operation[place];
  return typeof value === "number" && Number.isFinite(value)
    ? value
    : wrong(operation, place, "a number");
}

/** Returns an integer of an operation: the number of a request, of a lease, or of a log. */
export function integerAt(operation: Operation, place: number): number {
  const value = numberAt(operation, place);
  return Number.isSafeInteger(value)
    ? value
    : wrong(operation, place, "an integer");
}

/** Returns an offset of an operation, or a number of things. */
export function offsetAt(operation: Operation, place: number): number {
  const value = integerAt(operation, place);
  return value >= 0 ? value : wrong(operation, place, "an integer from 0");
}

/** Returns an array of an operation. */
export function arrayAt(
  operation: Operation,
  place: number,
): readonly unknown[] {
  const value = operation[place];
  return Array.isArray(value) ? value : wrong(operation, place, "an array");
}

/** Returns what a schema accepts. */
export function valueAt<T>(
  schema: z.ZodType<T>,
  operation: Operation,
  place: number,
): T {
  const { data, success } = schema.safeParse(operation[place]);
  return success ? data : wrong(operation, place, "another value");
}

/** Reads the operations of a message. */
export function readMessage(text: string): readonly Operation[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new LinkProtocolError("Expected JSON", { cause });
  }
  if (
    Array.isArray(value) &&
    value.every((one) => Array.isArray(one) && typeof one[0] === "string")
  ) return value;
  throw new LinkProtocolError("Expected an array of operations");
}

/** Writes events: three texts each, the name empty if it is `message`. */
export function packEvents(events: readonly ServerSentEvent[]): string[] {
  const packed: string[] = [];
  for (const { data, event, id } of events) {
    packed.push(data, event === "message" ? "" : event, id);
  }
  return packed;
}

/** Reads events. */
export function unpackEvents(
  operation: Operation,
  place: number,
): ServerSentEvent[] {
  const packed = arrayAt(operation, place);
  const events: ServerSentEvent[] = [];
  for (let at = 0; at + 2 < packed.length; at += 3) {
    const data = packed[at];
    const event = packed[at + 1];
    const id = packed[at + 2];
    if (
      typeof data !== "string" || typeof event !== "string" ||
      typeof id !== "string"
    ) wrong(operation, place, "events");
    const unpacked = { data, event: event === "" ? "message" : event, id };
    try {
      assertLines(unpacked);
    } catch {
      wrong(operation, place, "events without line ends in their fields");
    }
    events.push(unpacked);
  }
  if (events.length * 3 !== packed.length) wrong(operation, place, "events");
  return events;
}

/** Returns the names of changed facts: their values are among the facts beside them. */
export function packChanges(changes: Partial<TopicFacts>): string[] {
  return Object.keys(changes);
}

/**
 * Returns the facts that are others than before.
 *
 * @returns The facts that the operation names; `undefined`, for all facts, if it has no
 * names.
 */
export function changesAt(
  operation: Operation,
  place: number,
  facts: TopicFacts,
): Partial<TopicFacts> | undefined {
  if (operation.length <= place) return undefined;
  const named = new Set(arrayAt(operation, place));
  return Object.fromEntries(
    FACT_NAMES.filter((name) => named.has(name))
      .map((name) => [name, facts[name]]),
  );
}

/** Entries of a log, as two values: the times, which may be one, and the events. */
export function packEntries(
  entries: readonly LogEntry[],
): [times: number | number[], events: string[]] {
  const time = entries[0]?.time ?? 0;
  const isOne = entries.every((entry) => entry.time === time);
  const packed: string[] = [];
  for (const { event: { data, event, id } } of entries) {
    packed.push(data, event === "message" ? "" : event, id);
  }
  return [isOne ? time : entries.map((entry) => entry.time), packed];
}

/** Reads entries of a log: two values. */
export function unpackEntries(
  operation: Operation,
  place: number,
): LogEntry[] {
  const events = unpackEvents(operation, place + 1);
  const times = operation[place];
  return events.map((event, index) => {
    const time = typeof times === "number"
      ? times
      : numberAt(arrayAt(operation, place), index);
    return { event, size: sizeOf(event), time };
  });
}

const holeSchema = z.object({
  from: z.number(),
  to: z.number(),
  reason: z.enum(["evicted", "epoch", "slow", "skipped"]),
});

/** Accepts holes of a log. */
export const holesSchema: z.ZodType<readonly Hole[]> = z.array(holeSchema);

/** Accepts what is told of an upstream. */
export const upstreamSchema: z.ZodType<UpstreamState> = z.object({
  state: z.enum(["connecting", "open", "retrying", "lost"]),
  status: z.int().min(100).max(999).exactOptional(),
  attempt: z.int().nonnegative().exactOptional(),
  retryIn: z.number().nonnegative().exactOptional(),
});

/** Accepts the epoch of a log: it stands in ids of events, and in headers. */
export const epochSchema = z.string().regex(/^[\w.~-]{1,64}$/);

/** Accepts the state of a log. */
const logState = z.object({
  /** The number under which the link has it. */
  h: z.int(),
  epoch: z.string(),
  createdAt: z.number(),
  firstAt: z.number().exactOptional(),
  lastAt: z.number().exactOptional(),
  facts: factsSchema,
  first: z.number(),
  next: z.number(),
  bytes: z.number(),
  lastId: z.string(),
  end: endSchema.exactOptional(),
  holes: holesSchema.exactOptional(),
  upstream: upstreamSchema.exactOptional(),
});

/** The state of a log when the link begins to tell of it. */
export type LogState = z.output<typeof logState>;

/** Accepts the logs that a name stands for, and has stood for: the newest first. */
export const recordSchema = z.array(logState);

const stored = z.object({
  name: z.string(),
  epoch: z.string(),
  createdAt: z.number(),
  firstAt: z.number().optional(),
  lastAt: z.number().optional(),
  facts: factsSchema,
  first: z.number(),
  next: z.number(),
  bytes: z.number(),
  end: endSchema.optional(),
});

/** Accepts topics of a list. */
export const topicsSchema = z.array(stored);

/** Accepts what is told of topics. */
export const newsSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("reset") }),
  z.object({ kind: z.literal("listed"), topics: topicsSchema }),
  z.object({ kind: z.literal("current") }),
  z.object({ kind: z.literal("made"), topic: stored }),
  z.object({ kind: z.literal("ended"), topic: stored }),
  z.object({ kind: z.literal("deleted"), name: z.string() }),
]);

/** Accepts what a relay says first. */
export const helloSchema = z.object({
  v: z.literal(1),
  /** The relay. */
  id: z.string().min(1).max(100),
  /** The name that it gives itself, for logs and metrics. */
  name: z.string().max(100),
});

/** Accepts what its parent answers. */
export const welcomeSchema = z.object({
  v: z.literal(1),
  /** The parent, its own parent, and so on. */
  path: z.array(z.string()).min(1),
});

const errorSchema = z.discriminatedUnion("code", [
  z.object({
    code: z.literal("stale_writer"),
    topic: z.string(),
    expected: z.number(),
    next: z.number().optional(),
  }),
  z.object({ code: z.literal("lease_lost"), topic: z.string() }),
  z.object({ code: z.literal("event_too_large"), maxEvent: z.number() }),
  z.object({
    code: z.literal("lease_held"),
    topic: z.string(),
    holder: z.string(),
  }),
  z.object({
    code: z.enum(["too_many_topics", "too_many_topics_of_token"]),
    message: z.string(),
  }),
  z.object({
    code: z.literal("store_failed"),
    failure: z.enum([
      "full",
      "read_only",
      "io",
      "corrupt",
      "foreign",
      "newer",
      "locked",
      "closed",
      "away",
      "denied",
    ]),
    message: z.string(),
  }),
]);

/** Writes why something was refused. */
export function packError(error: unknown): z.output<typeof errorSchema> {
  if (error instanceof StaleWriterError) {
    const { code, topic, expected, next } = error;
    return { code, topic, expected, next };
  }
  if (error instanceof LeaseLostError) {
    return { code: error.code, topic: error.topic };
  }
  if (error instanceof LeaseHeldError) {
    const { code, topic, holder } = error;
    return { code, topic, holder };
  }
  if (error instanceof EventLimitError) {
    const { code, maxEvent } = error;
    return { code, maxEvent };
  }
  if (error instanceof TopicLimitError) {
    return { code: error.code, message: error.message };
  }
  if (error instanceof StoreError) {
    const { code, failure, message } = error;
    return { code, failure, message };
  }
  return {
    code: "store_failed",
    failure: "io",
    message: `The parent could not do it: ${messageOf(error)}`,
  };
}

/** Reads why something was refused. */
export function unpackError(operation: Operation, place: number): Error {
  const error = valueAt(errorSchema, operation, place);
  switch (error.code) {
    case "stale_writer":
      return new StaleWriterError(error.topic, error.expected, error.next);
    case "lease_lost":
      return new LeaseLostError(error.topic);
    case "lease_held":
      return new LeaseHeldError(error.topic, error.holder);
    case "event_too_large":
      return new EventLimitError(error.maxEvent);
    case "store_failed":
      return new StoreError(error.failure, error.message);
    default:
      return new TopicLimitError(error.code, error.message);
  }
}
