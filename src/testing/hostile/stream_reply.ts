// This module is browser compatible.
import type { HostilePlan } from "./plan.ts";
import { type Piece, piece, type Reply } from "./reply.ts";

/** The head of an event stream, as providers send it. */
export const STREAM_HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-cache",
};

const ENDS = { lf: "\n", crlf: "\r\n", cr: "\r" };

/** An event on its way to be written. */
export interface WireEvent {
  readonly event?: string;
  readonly data: string;
  /** The time at which it exists, by the clock. */
  readonly due?: number | undefined;
}

/** An event whose type is in its data too. */
export function typed(
  data: Readonly<Record<string, unknown>> & { readonly type: string },
): WireEvent {
  return { event: data.type, data: JSON.stringify(data) };
}

/** Writes events with the line ends that are planned. */
export function writer(lines: HostilePlan["lines"] = "lf") {
  const end = ENDS[lines];
  return ({ event, data, due }: WireEvent): Piece => {
    const head = event === undefined ? "" : `event: ${event}${end}`;
    // Data that is empty has no space before it either.
    const text = data === "" ? "" : ` ${data}`;
    const written = piece(`${head}data:${text}${end}${end}`);
    return due === undefined ? written : { ...written, due };
  };
}

/** The parts of a made-up stream. */
export interface StreamReplyParts {
  readonly events: Iterable<WireEvent>;
  readonly error: (sent: number) => readonly WireEvent[];
  readonly ping: WireEvent;
  /** Aborted once nothing more is said. */
  readonly ended?: AbortSignal | undefined;
}

/** An answer that is a stream of made-up events. */
export function streamReply(
  { events, error, ping, ended }: StreamReplyParts,
  { lines }: HostilePlan,
): Reply {
  const write = writer(lines);
  const pieces = function* (): Generator<Piece> {
    for (const event of events) yield write(event);
  };
  return {
    status: 200,
    headers: STREAM_HEADERS,
    pieces: pieces(),
    error: (sent) => error(sent).map(write),
    ping: write(ping),
    ...ended && { ended },
  };
}
