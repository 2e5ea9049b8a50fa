import type { DeliveryCounts } from "../../delivery/delivery_counts.ts";
import { FrameCache } from "../../delivery/frames.ts";
import { findStart } from "../../topics/start.ts";
import { rawSseFormat, sseFormat } from "./format.ts";
import {
  EventStreamSession,
  type StreamContext,
  type StreamRequest,
} from "./session.ts";

/** The context of the door of event streams. */
export interface EventStreamDoorContext extends StreamContext {
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

/** The door of readers of event streams, of all topics. */
export class EventStreamDoor {
  /** The sessions that are open. */
  readonly sessions: Set<EventStreamSession> = new Set();
  readonly #context: EventStreamDoorContext;
  readonly #frames: FrameCache;
  readonly #rawFrames: FrameCache;

  /** Makes a door that nobody has come through yet. */
  constructor(context: EventStreamDoorContext) {
    this.#context = context;
    this.#frames = new FrameCache(sseFormat, context.counts);
    this.#rawFrames = new FrameCache(rawSseFormat, context.counts);
  }

  /** Answers a request; leaves it unanswered if its reader has everything already. */
  open(request: StreamRequest): "streaming" | "at end" {
    if (isAtEnd(request)) return "at end";
    const session = new EventStreamSession(
      request,
      request.raw ? this.#rawFrames : this.#frames,
      this.#context,
    );
    this.sessions.add(session);
    request.response.on("close", () => this.sessions.delete(session));
    return "streaming";
  }
}
