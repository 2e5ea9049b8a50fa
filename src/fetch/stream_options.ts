// This module is browser compatible.
import type { SseDiagnostic } from "../sse/diagnostic.ts";
import type { Clock } from "./clock.ts";
import type { StreamResponse } from "./connection.ts";
import type { DisconnectReason, ReconnectPolicy } from "./reconnect.ts";
import type { EventSchemas } from "./typed_event.ts";

/**
 * The facts about a connection attempt that a request may depend on.
 *
 * @example The id goes into the URL
 * ```ts
 * import type { RequestContext } from "@rivulet/rivulet/fetch";
 *
 * const url = ({ lastEventId }: RequestContext): string =>
 *   `https://example.com/events?after=${encodeURIComponent(lastEventId)}`;
 * url({ attempt: 1, lastEventId: "7" });
 * ```
 */
export interface RequestContext {
  /** 1 for a first request, and one more for each that follows a failure. */
  readonly attempt: number;
  /** The last event id; `""` for none. */
  readonly lastEventId: string;
}

/**
 * A notice that a stream is about to connect again: when, and why.
 *
 * @example One line for a log
 * ```ts
 * import type { RetryNotice } from "@rivulet/rivulet/fetch";
 *
 * const line = ({ attempt, delay }: RetryNotice): string =>
 *   `attempt ${attempt} in ${Math.round(delay)} ms`;
 * line({ attempt: 2, delay: 1_000, reason: { kind: "end" } });
 * ```
 */
export interface RetryNotice {
  /** The `attempt` of the request that follows: 2 after a first failure. */
  readonly attempt: number;
  /** The time until the request, in milliseconds. */
  readonly delay: number;
  /** The reason why the last connection is over. */
  readonly reason: DisconnectReason;
}

/**
 * The totals of a stream, over all of its connections.
 *
 * @example Events for each request
 * ```ts
 * import { streamEvents } from "@rivulet/rivulet/fetch";
 * import { assertEquals } from "@std/assert";
 *
 * const { counters } = streamEvents("https://example.com/");
 * assertEquals(counters, { bytes: 0, events: 0, comments: 0, attempts: 0 });
 * ```
 */
export interface StreamCounters {
  /** Bytes of bodies. */
  readonly bytes: number;
  /** Events that were taken. */
  readonly events: number;
  /** Comments. */
  readonly comments: number;
  /** Requests. */
  readonly attempts: number;
}

/** Options for {@linkcode streamEvents}. */
export interface StreamEventsOptions {
  /**
   * The policy for reconnection: `true` for the default one, `false` for none.
   * Without it, a GET without a body is repeated, and no other request is: to
   * send a POST twice may cost money.
   *
   * @default {undefined}
   */
  reconnect?: boolean | ReconnectPolicy | undefined;
  /**
   * The method of the request.
   *
   * @default {"GET"}
   */
  method?: string | undefined;
  /**
   * The headers of the request, in place of those of a `Request`. An `Accept` or
   * `Cache-Control` among them is sent in place of `text/event-stream` and
   * `no-cache`. A function is called for every request.
   *
   * @default {undefined}
   */
  headers?:
    | HeadersInit
    | ((
      context: RequestContext,
    ) => HeadersInit | undefined | Promise<HeadersInit | undefined>)
    | undefined;
  /**
   * The body of the request, in place of that of a `Request`.
   *
   * `sendBody` chooses the form in which it is sent. A function is called for
   * every request. A stream can be sent once: if another request needs it, the
   * error is a {@linkcode OneShotBodyError}.
   *
   * @default {undefined}
   */
  body?:
    | BodyInit
    | ((
      context: RequestContext,
    ) => BodyInit | null | undefined | Promise<BodyInit | null | undefined>)
    | null
    | undefined;
  /**
   * The form in which the body is sent, if it is not a `ReadableStream`: `"whole"`, with its
   * length, or `"stream"`, in chunks.
   *
   * A runtime can send a stream only once. Deno sends other bodies again, a POST
   * too, when a connection that it had kept is closed under the request; so the
   * default there is `"stream"`, and a server that refuses a body without a length
   * (411, or words to that effect) is asked once more with the whole body. Node,
   * Bun and browsers do not repeat a request, and the default there is `"whole"`.
   *
   * A stream is not sent again for a redirect of status 307 or 308 either: that is
   * a {@linkcode ConnectionError}. Node 24.14 cannot read an answer of 401 to a
   * stream.
   *
   * @default {"stream" on Deno, "whole" elsewhere}
   */
  sendBody?: "whole" | "stream" | undefined;
  /**
   * Ends the stream: whatever is waiting for it, or else the next call, throws
   * the signal's reason. So does the signal of a `Request`, unless a function
   * has made it.
   *
   * @default {undefined}
   */
  signal?: AbortSignal | undefined;
  /**
   * The id of the last event that was seen of this stream, to go on after it. It
   * is sent as `Last-Event-ID`, unless it is empty or has control characters,
   * and is in force until the stream gives another.
   *
   * @default {""}
   */
  lastEventId?: string | undefined;
  /**
   * The time limit for the response headers, in milliseconds; 0 or `Infinity`
   * for no limit. Servers of language models may think for a long time before
   * they answer: give those more.
   *
   * @default {30_000}
   */
  connectTimeout?: number | undefined;
  /**
   * The time limit for silence, in milliseconds; 0 or `Infinity` for no limit.
   * Any byte resets it, so a server's comments keep the stream alive. It runs
   * only while the caller waits for an event.
   *
   * @default {Infinity}
   */
  idleTimeout?: number | undefined;
  /**
   * The time limit between events, in milliseconds; 0 or `Infinity` for no
   * limit. Comments do not reset it. It runs only while the caller waits for an
   * event.
   *
   * @default {Infinity}
   */
  eventTimeout?: number | undefined;
  /**
   * The `redirect` mode of `fetch`.
   *
   * @default {"follow"}
   */
  redirect?: RequestRedirect | undefined;
  /**
   * Whether `fetch` is to send cookies.
   *
   * @default {"same-origin"}
   */
  credentials?: RequestCredentials | undefined;
  /**
   * The content types that are read. The standard allows `text/event-stream`
   * only. With `"any"`, an answer of another type, or of none, is read too, if
   * it begins like an event stream: with a field `data`, `event`, `id` or
   * `retry`, or a comment.
   *
   * @default {"event-stream"}
   */
  contentType?: "event-stream" | "any" | undefined;
  /**
   * `"adaptive"` learns the rhythm of the stream's comments and events, and
   * gives a connection up that misses three: after three times the longest of
   * the last eight gaps, and not before `heartbeatFloor`.
   *
   * @default {undefined}
   */
  heartbeat?: "adaptive" | undefined;
  /**
   * The shortest silence that `heartbeat` minds, in milliseconds.
   *
   * @default {10_000}
   */
  heartbeatFloor?: number | undefined;
  /**
   * The data that says that the stream is over, such as `[DONE]`: the event is
   * not yielded, and the stream ends well.
   *
   * @default {undefined}
   */
  sentinel?: string | undefined;
  /**
   * The most that one event may accumulate, in UTF-16 code units, as
   * `readEvents` has it.
   *
   * @default {67_108_864}
   */
  maxEventSize?: number | undefined;
  /**
   * The action when an event is larger than `maxEventSize`: throw an
   * `EventTooLargeError`, or skip the event and go on.
   *
   * @default {"throw"}
   */
  onTooLarge?: "throw" | "skip" | undefined;
  /**
   * Called when a connection is open, with what has answered.
   *
   * @default {undefined}
   */
  onOpen?: ((response: StreamResponse) => void) | undefined;
  /**
   * Called when a connection that was open is over, with what went wrong;
   * without, if the server has ended it. Not called where the stream is ended
   * from this side.
   *
   * @default {undefined}
   */
  onDisconnect?: ((error?: unknown) => void) | undefined;
  /**
   * Called before the wait that comes before another request.
   *
   * @default {undefined}
   */
  onRetry?: ((notice: RetryNotice) => void) | undefined;
  /**
   * Called for every comment.
   *
   * @default {undefined}
   */
  onComment?: ((comment: string) => void) | undefined;
  /**
   * Called for every reconnection time that the stream asks for, in
   * milliseconds.
   *
   * @default {undefined}
   */
  onRetryTime?: ((reconnectionTime: number) => void) | undefined;
  /**
   * Called for what the standard tells a parser to pass over in silence.
   *
   * @default {undefined}
   */
  onDiagnostic?: ((diagnostic: SseDiagnostic) => void) | undefined;
  /**
   * Called before more of the stream is waited for, with how much is held of an event
   * that is not whole yet, in UTF-16 code units: once for each connection, and then
   * where that has changed. Not called when a connection is over: nothing is held then.
   *
   * @default {undefined}
   */
  onPending?: ((size: number) => void) | undefined;
  /**
   * The function that makes requests.
   *
   * @default {globalThis.fetch}
   */
  fetch?:
    | ((
      input: string | URL | Request,
      init?: RequestInit,
    ) => Promise<Response>)
    | undefined;
  /**
   * The clock of the timeouts.
   *
   * @default {systemClock}
   */
  clock?: Clock | undefined;
}

/**
 * Options for {@linkcode streamEvents} with a schema for each type of event.
 *
 * @typeParam Schemas The schemas, by type of event.
 */
export interface TypedStreamEventsOptions<Schemas extends EventSchemas>
  extends StreamEventsOptions {
  /**
   * A schema for the data of each event type, parsed as JSON. The stream skips
   * events of other types, as an `EventTarget` does without a listener, and
   * events without data.
   */
  schemas: Schemas;
  /**
   * The action when the data of an event is invalid: throw an
   * {@linkcode EventValidationError}, or yield an {@linkcode InvalidEvent}.
   *
   * @default {"throw"}
   */
  onInvalid?: "throw" | "yield" | undefined;
}
