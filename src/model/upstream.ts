// This module is browser compatible.
import type { ServerSentEvent } from "../sse/event.ts";

/** The source of a stream's events: a connection, or a file. */
export interface Upstream {
  /** Takes every event that has come, one at least; nothing at the end. */
  nextBatch(): Promise<ServerSentEvent[] | undefined>;
  /** Ends it; resolves when nothing of it is left. */
  cancel(reason: unknown): Promise<void>;
}
