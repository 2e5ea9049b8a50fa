import { Buffer } from "node:buffer";
import type { Format, SubscriptionNotice } from "../../delivery/format.ts";
import type { LogEntry, LogRange } from "../../topics/log.ts";
import type { Topic } from "../../topics/topic.ts";
import { entryJson, eventJsonPieces } from "../event_json.ts";
import { encodedPieces } from "../text_pieces.ts";
import { sseFormat } from "./format.ts";

/** Writes a message of the relay as an event without a name, which has it as data. */
export function messageEvent(
  message: Readonly<Record<string, unknown>>,
): Uint8Array {
  return Buffer.from(`data: ${JSON.stringify(message)}\n\n`);
}

function eventsHead({ name, log }: Topic, offset: number): string {
  return `data: {"type":"events","topic":"${name}","epoch":"${log.epoch}",` +
    `"offset":${offset},"events":[`;
}

const EVENTS_TAIL = "]}\n\n";

function* longEventPieces(
  topic: Topic,
  offset: number,
  entry: LogEntry,
): Generator<string, void> {
  yield eventsHead(topic, offset);
  yield* eventJsonPieces(entry);
  yield EVENTS_TAIL;
}

function* longEvent(
  topic: Topic,
  offset: number,
  entry: LogEntry,
): Generator<Uint8Array, undefined> {
  yield* encodedPieces(longEventPieces(topic, offset, entry), entry.size);
  return undefined;
}

/**
 * PROTOCOL.md, section 3, prefixes: the messages of a WebSocket, each of which names its
 * topic and epoch. The id, which is another for each reader, stands in front of them.
 */
export const prefixSseFormat: Format = {
  events: (topic: Topic, { offset, entries }: LogRange) =>
    Buffer.from(
      eventsHead(topic, offset) + entries.map(entryJson).join() + EVENTS_TAIL,
    ),
  longEvent,
  message: (
    { type, topic: name, ...facts }: SubscriptionNotice,
    topic: Topic,
  ) => messageEvent({ type, topic: name, epoch: topic.log.epoch, ...facts }),
  heartbeat: sseFormat.heartbeat,
};
