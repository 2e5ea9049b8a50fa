import type { ServerSentEvent } from "../../../src/sse/event.ts";
import type { HeaderList } from "../../header_list.ts";
import type { EndStatus, TopicEnd } from "../../topics/end.ts";

/** A run that is to be recorded. */
export interface RecordedRun {
  /** The topic that the run fills. */
  readonly topic: string;
  /** The name of the provider. */
  readonly provider: string;
  /** The method of the request. */
  readonly method: string;
  /** The path, with the query. */
  readonly path: string;
  /** The headers, as the caller sent them. */
  readonly headers: HeaderList;
  /** The body, if it was kept: UTF-8. It must not be changed afterwards. */
  readonly body: Uint8Array | undefined;
  /** The keys in use. */
  readonly secrets: readonly string[];
  /**
   * Returns the end that was said of the run, if there is one. The store may not have
   * kept it yet.
   */
  verdict(): TopicEnd | undefined;
}

/**
 * The recording of one run. No method throws or has to be waited for. Calls after
 * the end are ignored.
 */
export interface Recording {
  /**
   * Resolves with the name of the file of the events, once it is there; with `undefined`
   * if it could not be made.
   */
  readonly file: Promise<string | undefined>;
  /** Records the head of the provider's answer. */
  response(status: number, headers: HeaderList): void;
  /** Records events that came at once. They must not be changed afterwards. */
  events(events: readonly ServerSentEvent[]): void;
  /** Records the end. The first one stands. */
  end(status: EndStatus, reason?: string): void;
}
