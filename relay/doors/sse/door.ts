import type { DeliveryCounts } from "../../delivery/delivery_counts.ts";
import { FrameCache } from "../../delivery/frames.ts";
import { findStart } from "../../topics/start.ts";
import { rawSseFormat, sseFormat } from "./format.ts";
import { prefixSseFormat } from "./prefix_format.ts";
import {
  type PrefixStreamContext,
  type PrefixStreamRequest,
  PrefixStreamSession,
} from "./prefix_session.ts";
import { EventStreamSession, type StreamRequest } from "./session.ts";
import type { StreamReader, StreamSession } from "./stream_session.ts";

/** The context of the door of event streams. */
export interface EventStreamDoorContext extends PrefixStreamContext {
  /** The counts of what is delivered through this door. */
  readonly counts: DeliveryCounts;
}

/** Whether a reader has everything already, so that there is nothing to answer with. */
function isAtEnd({ topic, after, raw, stay }: StreamRequest): boolean {
  if (stay || topic.state.kind !== "ended" || after === "start") return false;
  const { cursor, recovered, afterEnd } = findStart(topic, after);
  // Without the relay's own events, the last that a reader sees is the last event.
  return afterEnd || raw && recovered && cursor === topic.log.next;
}

/**
 * Whether a reader has left while its token was verified or its topic prepared: nothing
 * would tell its session of that any more.
 */
function hasLeft({ response }: StreamReader): boolean {
  return response.destroyed;
}

/** The door of readers of event streams, of all topics. */
export class EventStreamDoor {
  /** The sessions that are open. */
  readonly sessions: Set<StreamSession> = new Set();
  readonly #context: EventStreamDoorContext;
  readonly #frames: FrameCache;
  readonly #rawFrames: FrameCache;
  readonly #prefixFrames: FrameCache;

  /** Makes a door that nobody has come through yet. */
  constructor(context: EventStreamDoorContext) {
    this.#context = context;
    this.#frames = new FrameCache(sseFormat, context.counts);
    this.#rawFrames = new FrameCache(rawSseFormat, context.counts);
    this.#prefixFrames = new FrameCache(prefixSseFormat, context.counts);
  }

  /** Answers a request; leaves it unanswered if its reader has everything already. */
  open(request: StreamRequest): "streaming" | "at end" {
    if (hasLeft(request)) return "streaming";
    if (isAtEnd(request)) return "at end";
    const session = new EventStreamSession(
      request,
      request.raw ? this.#rawFrames : this.#frames,
      this.#context,
    );
    this.#keep(request, session);
    return "streaming";
  }

  /** Answers a request with all topics whose names begin alike. */
  openPrefix(request: PrefixStreamRequest): void {
    if (hasLeft(request)) return;
    const session = new PrefixStreamSession(
      request,
      this.#prefixFrames,
      this.#context,
    );
    this.#keep(request, session);
  }

  #keep({ response }: StreamReader, session: StreamSession): void {
    this.sessions.add(session);
    response.on("close", () => this.sessions.delete(session));
  }
}
