import { Buffer } from "node:buffer";
import type { LogEntry, LogRange } from "../../topics/log.ts";
import { formatPosition } from "../../topics/position.ts";
import type { Topic } from "../../topics/topic.ts";
import type { Format, SubscriptionNotice } from "../../delivery/format.ts";
import { encodedPieces, slicesOf } from "../text_pieces.ts";

/** The prefix of the relay's own event names. */
const OWN = "rivulet.";

function written(
  topic: Topic,
  { offset, entries }: LogRange,
  nameOf: (event: string) => string,
): Uint8Array {
  const { epoch } = topic.log;
  let text = "";
  let at = offset;
  for (const { event: { event, data, id } } of entries) {
    if (event !== "message") text += `event: ${nameOf(event)}\n`;
    text += `id: ${epoch}:${at++}\n`;
    if (id !== "") text += `upstream-id: ${id}\n`;
    text += `data: ${data.replaceAll("\n", "\ndata: ")}\n\n`;
  }
  return Buffer.from(text);
}

/** Writes one event, which is long, as {@linkcode written} does, in pieces. */
function* longEventPieces(
  topic: Topic,
  offset: number,
  { event: { event, data, id } }: LogEntry,
  nameOf: (event: string) => string,
): Generator<string, void> {
  if (event !== "message") {
    yield "event: ";
    yield* slicesOf(nameOf(event));
    yield "\n";
  }
  yield `id: ${topic.log.epoch}:${offset}\n`;
  if (id !== "") {
    yield "upstream-id: ";
    yield* slicesOf(id);
    yield "\n";
  }
  yield "data: ";
  for (const slice of slicesOf(data)) {
    yield slice.replaceAll("\n", "\ndata: ");
  }
  yield "\n\n";
}

/** The same, in parts. */
function* longEvent(
  topic: Topic,
  offset: number,
  entry: LogEntry,
  nameOf: (event: string) => string,
): Generator<Uint8Array, undefined> {
  const pieces = longEventPieces(topic, offset, entry, nameOf);
  yield* encodedPieces(pieces, entry.size);
  return undefined;
}

/**
 * Returns the name for an upstream's event: one that begins like the relay's
 * own must not be taken for them.
 */
function nameOfOther(event: string): string {
  return event.startsWith(OWN) ? `upstream.${event}` : event;
}

function asItIs(event: string): string {
  return event;
}

/** The id that resumes after this message; `undefined` where it does not move the reader. */
function positionAfter(message: SubscriptionNotice): number | undefined {
  switch (message.type) {
    case "gap":
      return message.to > 0 ? message.to : undefined;
    case "end":
      return message.offset;
    default:
      return undefined;
  }
}

function writtenMessage(message: SubscriptionNotice, topic: Topic): Uint8Array {
  const offset = positionAfter(message);
  const id = offset === undefined
    ? ""
    : `id: ${formatPosition({ epoch: topic.log.epoch, offset })}\n`;
  return Buffer.from(
    `event: ${OWN}${message.type}\n${id}data: ${JSON.stringify(message)}\n\n`,
  );
}

/** PROTOCOL.md, section 3: upstream events, and the relay's own as `rivulet.*`. */
export const sseFormat: Format = {
  events: (topic, range) => written(topic, range, nameOfOther),
  longEvent: (topic, offset, entry) =>
    longEvent(topic, offset, entry, nameOfOther),
  message(message: SubscriptionNotice, topic: Topic): Uint8Array | undefined {
    return message.type === "subscribed"
      ? undefined
      : writtenMessage(message, topic);
  },
  heartbeat(): Uint8Array {
    return Buffer.from(":\n\n");
  },
};

/** The same for a reader that stays: it is told of each epoch. */
export const stayingSseFormat: Format = {
  ...sseFormat,
  message: writtenMessage,
};

/**
 * Writes when a reader should come back, without the blank line that some clients
 * take for an event.
 *
 * @param duration The time from now, in milliseconds.
 */
export function retryAfter(duration: number): string {
  return `retry: ${Math.ceil(duration)}\n`;
}

/** A reader that can be told nothing has missed events. */
export class UntoldGapError extends Error {
  /** Names the events that the reader has missed. */
  constructor(from: number, to: number) {
    super(`Events ${from} to ${to} are missing`);
    this.name = "UntoldGapError";
  }
}

/**
 * PROTOCOL.md, section 3, `?raw`: only what the upstream sent. Instead of a gap it
 * throws an {@linkcode UntoldGapError}, unless no event is known to be missing.
 */
export const rawSseFormat: Format = {
  ...sseFormat,
  events: (topic, range) => written(topic, range, asItIs),
  longEvent: (topic, offset, entry) => longEvent(topic, offset, entry, asItIs),
  // No blank line: the reader expects those of its upstream's events only.
  heartbeat: () => Buffer.from(":\n"),
  message(message: SubscriptionNotice): undefined {
    if (message.type !== "gap" || message.to < message.from) return;
    throw new UntoldGapError(message.from, message.to);
  },
};
