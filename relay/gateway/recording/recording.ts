import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { EndStatus } from "../../topics/topic.ts";

/** A run that is to be recorded. */
export interface RecordedRun {
  /** The topic that it fills. */
  readonly topic: string;
  /** Who is asked. */
  readonly provider: string;
  /** The method of the request. */
  readonly method: string;
  /** Its path, with its query. */
  readonly path: string;
  /** Its headers, as the caller sent them. */
  readonly headers: Headers;
  /** Its body, if it is known. */
  readonly body: string | undefined;
  /** The keys in use. */
  readonly secrets: readonly string[];
}

/**
 * Where a run is recorded. Nothing here throws or has to be waited for, and
 * what comes after the end is passed over.
 */
export interface Recording {
  /** Takes down what the provider has answered with. */
  response(status: number, headers: Headers): void;
  /** Takes down events that came at once, which must not be changed afterwards. */
  events(events: readonly ServerSentEvent[]): void;
  /** Takes down how it ended. The first verdict stands. */
  end(status: EndStatus, reason?: string): void;
}
