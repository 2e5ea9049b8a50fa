import { Buffer } from "node:buffer";
import type { LogEntry, LogRange } from "../../topics/log.ts";
import type { Topic } from "../../topics/topic.ts";
import {
  type FoldedEvent,
  foldRange,
  mayBeDelta,
} from "../../delivery/fold.ts";
import {
  entryJson,
  eventFields,
  eventJson,
  eventJsonPieces,
} from "../event_json.ts";
import { encodedPieces } from "../text_pieces.ts";
import type {
  FittingEvents,
  Format,
  Snapshot,
  SubscriptionNotice,
} from "../../delivery/format.ts";

const FIN_TEXT = 0x81;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

function headerLength(payload: number): number {
  return payload < LENGTH_16 ? 2 : payload < 2 ** 16 ? 4 : 10;
}

/**
 * Puts text into one whole unmasked WebSocket frame (RFC 6455, section 5.2).
 *
 * The header is part of the shared bytes, so that a frame for a thousand
 * subscribers is made once, and each costs a single write to its socket: with
 * 1,000 of them at 1,000 events/s this halves the latency of `ws.send`.
 */
export function textFrame(text: string): Uint8Array {
  const length = Buffer.byteLength(text);
  const header = headerLength(length);
  const frame = Buffer.allocUnsafe(header + length);
  writeHeader(frame, header, length);
  frame.write(text, header);
  return frame;
}

/** Writes the header of a frame of text, which has so many bytes before its payload. */
function writeHeader(frame: Buffer, header: number, payload: number): void {
  frame[0] = FIN_TEXT;
  if (header === 2) {
    frame[1] = payload;
  } else if (header === 4) {
    frame[1] = LENGTH_16;
    frame.writeUInt16BE(payload, 2);
  } else {
    frame[1] = LENGTH_64;
    frame.writeBigUInt64BE(BigInt(payload), 2);
  }
}

/** The beginning of an `events` message, up to its first event. */
function eventsHead(topic: Topic, offset: number): string {
  return `{"type":"events","topic":"${topic.name}","offset":${offset},"events":[`;
}

const EVENTS_TAIL = "]}";

function eventsFrame(
  topic: Topic,
  offset: number,
  events: readonly string[],
): Uint8Array {
  return textFrame(eventsHead(topic, offset) + events.join() + EVENTS_TAIL);
}

/** Writes a message of one event, which is long, in pieces. */
function* messagePieces(
  head: string,
  entry: LogEntry,
  tail: string,
): Generator<string, void> {
  yield head;
  yield* eventJsonPieces(entry);
  yield tail;
}

/** Writes a frame of pieces, with about so many bytes, in parts. Its header has the length of all of them. */
function* frameOf(
  pieces: Iterable<string>,
  size: number,
): Generator<Uint8Array, Uint8Array> {
  let payload = 0;
  for (const part of encodedPieces(pieces, size)) {
    payload += part.byteLength;
    yield part;
  }
  const header = Buffer.alloc(headerLength(payload));
  writeHeader(header, header.length, payload);
  return header;
}

/** Adds one event after the other: of those that do not fit, one alone is encoded. */
function eventsWithin(
  topic: Topic,
  { offset, entries }: LogRange,
  room: number,
): FittingEvents | undefined {
  const head = eventsHead(topic, offset);
  let payload = head.length + EVENTS_TAIL.length; // names of topics are ASCII
  const events: string[] = [];
  for (const entry of entries) {
    const json = entryJson(entry);
    payload += Buffer.byteLength(json) + (events.length > 0 ? 1 : 0);
    if (headerLength(payload) + payload > room) break;
    events.push(json);
  }
  const count = events.length;
  return count > 0
    ? { count, bytes: eventsFrame(topic, offset, events) }
    : undefined;
}

/** Writes the fold of events: frames one after the other. */
function mergedFrames(topic: Topic, range: LogRange): Uint8Array {
  const frames: Uint8Array[] = [];
  let plain: string[] = [];
  let from = range.offset;
  const flush = (): void => {
    if (plain.length > 0) frames.push(eventsFrame(topic, from, plain));
    plain = [];
  };
  for (const folded of foldRange(range)) {
    if (folded.kind === "event") {
      if (plain.length === 0) from = folded.offset;
      plain.push(entryJson(folded.entry));
      continue;
    }
    flush();
    const { offset, to, event, data } = folded;
    frames.push(textFrame(
      `{"type":"merged","topic":"${topic.name}","offset":${offset},` +
        `"to":${to},${eventFields({ event, data, id: "" })}}`,
    ));
  }
  flush();
  return frames.length === 1 ? frames[0]! : Buffer.concat(frames);
}

function foldedJson(events: readonly FoldedEvent[]): string {
  return events.map((event) =>
    event.kind === "event" ? entryJson(event.entry) : eventJson(event)
  ).join();
}

function snapshotHead(topic: Topic, first: number, offset: number): string {
  return `{"type":"snapshot","topic":"${topic.name}","offset":${offset},` +
    `"value":{"first":${first},"events":[`;
}

const SNAPSHOT_TAIL = "]}}";

const besidesEvents = {
  longEvent: (topic: Topic, offset: number, entry: LogEntry) =>
    frameOf(
      messagePieces(eventsHead(topic, offset), entry, EVENTS_TAIL),
      entry.size,
    ),
  snapshot(topic: Topic, { first, offset, events }: Snapshot): Uint8Array {
    return textFrame(
      snapshotHead(topic, first, offset) + foldedJson(events) + SNAPSHOT_TAIL,
    );
  },
  longSnapshot: (topic: Topic, offset: number, entry: LogEntry) =>
    frameOf(
      messagePieces(snapshotHead(topic, offset, offset), entry, SNAPSHOT_TAIL),
      entry.size,
    ),
  message(message: SubscriptionNotice): Uint8Array {
    return textFrame(JSON.stringify(message));
  },
  heartbeat(time: number): Uint8Array {
    return textFrame(`{"type":"heartbeat","time":${Math.floor(time)}}`);
  },
};

/** PROTOCOL.md, section 2: JSON objects in text frames. */
export const websocketFormat: Format = {
  events(topic: Topic, { offset, entries }: LogRange): Uint8Array {
    return eventsFrame(
      topic,
      offset,
      entries.map(({ event }) => eventJson(event)),
    );
  },
  eventsWithin,
  ...besidesEvents,
};

/**
 * The same for mode `merge`: adjacent deltas of one item are one message, and what
 * is between them is as ever, in order, in frames one after the other.
 */
export const mergedWebsocketFormat: Format = {
  events(topic: Topic, range: LogRange): Uint8Array {
    return range.entries.some(mayBeDelta)
      ? mergedFrames(topic, range)
      : websocketFormat.events(topic, range);
  },
  ...besidesEvents,
};
