/**
 * Streams over scripted connections, in no time.
 *
 * @module
 */
import {
  type EventStream,
  type ReconnectPolicy,
  type ServerSentEvent,
  streamEvents,
  type StreamEventsOptions,
} from "../../../src/fetch/mod.ts";
import { FakeClock } from "../../../src/testing/fake_clock.ts";
import {
  type ScriptedConnection,
  ScriptedFetch,
} from "../../../src/testing/scripted_fetch.ts";

/** The URL of every stream of these, unless it has another. */
export const STREAM_URL = "https://example.com/events";

/** An answer that stops a client: the last one of a script. */
export const STOP: ScriptedConnection = { status: 204 };

/** Options, and what only these streams have. */
export interface ScriptedStreamOptions
  extends Omit<StreamEventsOptions, "reconnect"> {
  /** Without chance, unless it says otherwise. */
  readonly reconnect?: boolean | ReconnectPolicy | undefined;
  readonly input?: Parameters<typeof streamEvents>[0];
  readonly afterLast?: "throw" | "repeat";
  /** The clock's first time. */
  readonly now?: number;
}

/** A stream, and the world that it lives in. */
export interface ScriptedStream {
  readonly clock: FakeClock;
  readonly script: ScriptedFetch;
  readonly events: EventStream;
  /** The times of the requests. */
  readonly times: number[];
  /** The values of `Last-Event-ID` in the requests. */
  readonly ids: (string | null)[];
}

/** A stream that is a GET, unless it says otherwise, and leaves nothing to chance. */
export function scriptedStream(
  connections: readonly ScriptedConnection[],
  options: ScriptedStreamOptions = {},
): ScriptedStream {
  const { input = STREAM_URL, afterLast = "throw", now = 0, ...rest } = options;
  const { reconnect } = rest;
  const clock = new FakeClock(now);
  const script = new ScriptedFetch(connections, { clock, afterLast });
  const events = streamEvents(input, {
    fetch: script.fetch,
    clock,
    ...rest,
    reconnect: reconnect === undefined || reconnect === true
      ? { jitter: 0 }
      : reconnect && { jitter: 0, ...reconnect },
  });
  return {
    clock,
    script,
    events,
    get times() {
      return script.requests.map(({ time }) => time);
    },
    get ids() {
      return script.requests.map(({ headers }) => headers.get("last-event-id"));
    },
  };
}

/**
 * The outcome of a stream: the data of its events, and the error that it ended
 * with, if any.
 */
export interface Outcome {
  readonly data: string[];
  readonly error?: unknown;
}

/** Reads a stream to its end. */
export async function outcomeOf(
  events: AsyncIterable<ServerSentEvent>,
): Promise<Outcome> {
  const data: string[] = [];
  try {
    for await (const event of events) data.push(event.data);
  } catch (error) {
    return { data, error };
  }
  return { data };
}

/** The bytes of a text in UTF-8, each as the character that a header has for it. */
export function asHeader(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
