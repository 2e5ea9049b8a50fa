import { runsOf } from "../support/property.ts";
import {
  EventTooLargeError,
  readEvents,
  SseParser,
  SseParserStream,
} from "../../src/sse/mod.ts";
import type { Outcome, ReferenceOptions } from "./reference_parser.ts";

function emptyOutcome(): Outcome {
  return {
    events: [],
    comments: [],
    retries: [],
    diagnostics: [],
    lastEventId: "",
    reconnectionTime: undefined,
    tooLarge: undefined,
  };
}

function callbacks(outcome: Outcome) {
  return {
    onComment: (comment: string) => void outcome.comments.push(comment),
    onRetry: (time: number) => void outcome.retries.push(time),
    onDiagnostic: (diagnostic: Outcome["diagnostics"][number]) =>
      void outcome.diagnostics.push(diagnostic),
  };
}

/** Returns the output of `SseParser` for text in chunks. */
export function parseText(
  chunks: string[],
  options: ReferenceOptions = {},
): Outcome {
  const outcome = emptyOutcome();
  const parser = new SseParser({
    ...options,
    ...callbacks(outcome),
    onEvent: (event) => outcome.events.push(event),
  });
  try {
    for (const chunk of chunks) parser.push(chunk);
    parser.end();
  } catch (error) {
    if (!(error instanceof EventTooLargeError)) throw error;
    outcome.tooLarge = { line: error.line, offset: error.offset };
  }
  outcome.lastEventId = parser.lastEventId;
  outcome.reconnectionTime = parser.reconnectionTime;
  return outcome;
}

/** A body of chunks, which counts how often it is pulled. */
export function bodyOf(chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  let next = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const chunk = chunks[next++];
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
}

/** Returns the output of `readEvents` for bytes in chunks. */
export async function parseBytes(
  chunks: Uint8Array[],
  options: ReferenceOptions = {},
): Promise<Outcome> {
  const outcome = emptyOutcome();
  const reader = readEvents(bodyOf(chunks), {
    ...options,
    ...callbacks(outcome),
  });
  try {
    for await (const event of reader) outcome.events.push(event);
  } catch (error) {
    if (!(error instanceof EventTooLargeError)) throw error;
    outcome.tooLarge = { line: error.line, offset: error.offset };
  }
  outcome.lastEventId = reader.lastEventId;
  outcome.reconnectionTime = reader.reconnectionTime;
  return outcome;
}

/**
 * Returns the output of `TextDecoderStream` and `SseParserStream` for bytes in
 * chunks.
 */
export async function parseStreams(
  chunks: Uint8Array[],
  options: ReferenceOptions = {},
): Promise<Outcome> {
  const outcome = emptyOutcome();
  const stream = new SseParserStream({ ...options, ...callbacks(outcome) });
  const events = bodyOf(chunks)
    // The DOM's types have the decoder take any BufferSource.
    .pipeThrough(
      new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>,
    )
    .pipeThrough(stream);
  for await (const event of events) outcome.events.push(event);
  outcome.lastEventId = stream.lastEventId;
  outcome.reconnectionTime = stream.reconnectionTime;
  return outcome;
}

/** Cuts at the given places. */
export function cutAt<T extends string | Uint8Array>(
  whole: T,
  places: number[],
): T[] {
  const ends = [...places, whole.length];
  // `slice` gives what it is called on.
  return ends.map((end, i) => whole.slice(ends[i - 1] ?? 0, end) as T);
}

/** A small generator of numbers from 0 to 1 (mulberry32), the same for a seed. */
export function randomFrom(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Up to `count` places to cut at, in order; some of them are the same place. */
export function randomPlaces(
  length: number,
  count: number,
  random: () => number,
): number[] {
  return Array.from(
    { length: count },
    () => Math.floor(random() * (length + 1)),
  ).sort((a, b) => a - b);
}

/** The seed of this run's random tests: `RIVULET_SEED`, or a new one. */
export const seed: number = Number(
  Deno.env.get("RIVULET_SEED") ?? Math.floor(Math.random() * 2 ** 31),
);

/** The number of runs of a property. */
export const runs: number = runsOf(Deno.env.has("CI") ? 10_000 : 1_000);
