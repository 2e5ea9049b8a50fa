import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import type { StreamResponse } from "../../src/fetch/connection.ts";
import { readErrorBody } from "../../src/fetch/error_body.ts";
import {
  ConnectionError,
  ConnectTimeoutError,
  EventStreamError,
  HttpStatusError,
  UnexpectedResponseError,
} from "../../src/fetch/errors.ts";
import type { EventStream } from "../../src/fetch/event_stream.ts";
import { messageOf } from "../../src/fetch/message_of.ts";
import type {
  ReconnectContext,
  ReconnectDecision,
} from "../../src/fetch/reconnect.ts";
import { streamEvents } from "../../src/fetch/stream_events.ts";
import type { RetryNotice } from "../../src/fetch/stream_options.ts";
import type { ServerSentEvent } from "../../src/sse/event.ts";
import type { EventRoom } from "../limits/memory/event_room.ts";
import type { EndStatus, TopicEnd } from "../topics/end.ts";
import type { Hold } from "../topics/leases.ts";
import { EventLimitError } from "../topics/event_limit.ts";
import type { Topic } from "../topics/topic.ts";
import { TopicWriter } from "../topics/topic_writer.ts";
import { SourceRefusedError } from "./guard/source_refused_error.ts";
import { type ConnectionEnd, UpstreamTrace } from "../traces/upstream_trace.ts";
import { failureOf, publicFailureOf } from "./failure.ts";
import { Parent, retainedPosition } from "./parent.ts";
import { MAX_RECENT } from "./recent_events.ts";
import { Repeats, type RepeatsPolicy } from "./repeats.ts";
import type { Source, SourceCounts } from "./source.ts";
import type { SourceFetch } from "./source_fetch.ts";
import type { SourceReconnect } from "./source_reconnect.ts";

/** The settings for reading an SSE upstream. */
export interface SseSourceOptions {
  /** Sent with the request. Default: none. */
  readonly headers?: HeadersInit;
  /** The largest event, in UTF-16 code units. Default: 64 MiB. */
  readonly maxEventSize?: number;
  /** The time limit for silence of the upstream, in milliseconds. Default: none. */
  readonly idleTimeout?: number;
  /** Makes the requests. */
  readonly fetch: SourceFetch;
  /**
   * The policy for reconnection, once it has been connected. Default: `true`,
   * by the default policy.
   */
  readonly reconnect?: boolean | SourceReconnect;
  /**
   * Whether the first connection is asked for once, or again like every other.
   * Default: `"once"`.
   */
  readonly firstConnection?: "once" | "retried";
  /**
   * The treatment of events whose id has occurred before. Default: `"keep"`.
   */
  readonly repeats?: RepeatsPolicy;
  /** The room for an event that is not whole yet. Disposed of with the source. */
  readonly room: EventRoom;
  /** Counts the attempts to connect. Default: nobody does. */
  readonly counts?: SourceCounts | undefined;
  /** The clock to use. */
  readonly clock: Clock;
  /** The lease on the topic. Default: none is needed. */
  readonly hold?: Hold;
}

/** The most bytes of an answer that is no event stream, and the time for it in milliseconds. */
const MAX_ANSWER = 16 * 1024;
const ANSWER_TIMEOUT = 5_000;

const logger = getLogger(["rivulet", "relay", "source"]);

/** The status that went wrong, if that is what it was. */
function statusOf(error: unknown): { status?: number } {
  return error instanceof UnexpectedResponseError
    ? { status: error.status }
    : {};
}

/**
 * Returns how a connection ended, for a trace: without the words of an error.
 */
function connectionEnd(error: unknown): ConnectionEnd {
  if (error === undefined) return {};
  const { status } = statusOf(error);
  // The standard's way to say that there is nothing more (section 9.2.3).
  if (status === 204) return { status };
  return error instanceof HttpStatusError
    ? { status, error: String(status) }
    : {
      status,
      error: error instanceof EventStreamError ? error.code : "other",
    };
}

/** The reason of a relay's stream that is over without its end. */
const NO_END = "The upstream is a relay, and has not said how its topic ended";

/**
 * Returns the status with which a last failure ends a topic: `failed` if the
 * server said so or cannot be reached, or else `truncated`.
 */
function verdictOn(error: unknown): EndStatus {
  const hasNoStream = error instanceof UnexpectedResponseError ||
    error instanceof ConnectTimeoutError ||
    (error instanceof ConnectionError && error.phase === "connect");
  return hasNoStream ? "failed" : "truncated";
}

/**
 * Fills a topic from an SSE upstream, over as many connections as it takes.
 *
 * Unless the first connection is retried, one that cannot be had at all is told
 * at once, by `opened` and the topic's end. From then on the topic stays open
 * while the upstream is connected to again, and its followers are told how that
 * goes. The topic ends when the policy gives up, or the server says 204. Without
 * reconnection, it ends with the first connection, and the end says it all.
 *
 * If the upstream is another relay, its topic's end is the end of this one, and what
 * it misses is a gap here.
 */
export class SseSource implements Source {
  readonly opened: Promise<void>;
  readonly finished: Promise<void>;
  readonly #topic: Topic;
  readonly #hold: Hold | undefined;
  readonly #writer: TopicWriter;
  readonly #abort = new AbortController();
  readonly #stream: EventStream;
  readonly #repeats: Repeats;
  readonly #parent: Parent;
  readonly #ask: SourceFetch;
  readonly #headers: HeadersInit | undefined;
  readonly #clock: Clock;
  readonly #room: EventRoom;
  /** Whether the last connection broke off within its body. */
  #wasCut = false;
  readonly #trace: UpstreamTrace;
  readonly #reconnects: boolean;
  readonly #retriesFirst: boolean;
  readonly #counts: SourceCounts | undefined;
  #wasOpen = false;
  /** Whether another source has filled the topic before: one of a relay that is over. */
  readonly #isResumed: boolean;
  #isRefused = false;
  /** The last request was not answered with events, so far. */
  #isAsking = false;
  /** Of the request that is made next, or is being made. */
  #attempt = 1;

  /**
   * Begins to read.
   *
   * @param topic The topic to fill; the source stops when somebody ends it.
   * @param url The upstream.
   * @param options The settings for reading it.
   */
  constructor(
    topic: Topic,
    url: string | URL,
    {
      reconnect = true,
      firstConnection = "once",
      repeats = "keep",
      fetch: ask,
      counts,
      hold,
      ...options
    }: SseSourceOptions,
  ) {
    this.#topic = topic;
    this.#hold = hold;
    this.#writer = new TopicWriter(topic, {
      retry: { clock: options.clock, signal: this.#abort.signal },
      hold,
    });
    this.#isResumed = topic.log.next > 1;
    this.#repeats = new Repeats(repeats);
    this.#parent = new Parent(url, topic.log);
    this.#ask = ask;
    this.#headers = options.headers;
    this.#clock = options.clock;
    this.#room = options.room;
    this.#trace = new UpstreamTrace(topic.name, url);
    this.#reconnects = reconnect !== false;
    this.#retriesFirst = firstConnection === "retried";
    this.#counts = counts;
    this.#stream = streamEvents(url, {
      ...options,
      lastEventId: topic.log.lastId,
      reconnect: (this.#reconnects || this.#retriesFirst) && {
        ...(typeof reconnect === "object" && reconnect),
        decide: (context) => this.#decide(context),
      },
      signal: this.#abort.signal,
      // There is no hook for the moment at which a wait is over.
      fetch: async (...request) => {
        this.#onRequest();
        try {
          return await this.#trace.connect(() =>
            this.#request(...this.#refusable(...request))
          );
        } catch (error) {
          this.#onNoAnswer(error);
          throw error;
        }
      },
      onOpen: (response) => this.#onOpen(response),
      onRetry: (notice) => this.#onRetry(notice),
      onDisconnect: (...errors) => {
        this.#wasCut = errors.length > 0;
        this.#room.hold(0);
      },
      onPending: (size) => this.#room.hold(size),
    });
    void topic.ended.then(() => this.stop());
    this.opened = this.#open();
    this.finished = this.#run();
  }

  stop(): void {
    this.#abort.abort();
  }

  /**
   * A request that makes a source is told at once if it was never there. A source
   * that is not allowed is not asked for again.
   */
  #decide(
    { reason, decision }: ReconnectContext,
  ): ReconnectDecision | undefined {
    if (decision.action !== "retry") return undefined;
    if (this.#isRefused) return { action: "fail" };
    if (!this.#wasOpen) {
      return this.#retriesFirst ? undefined : { action: "fail" };
    }
    if (this.#reconnects) return undefined;
    return { action: reason.kind === "end" ? "done" : "fail" };
  }

  /**
   * Makes a request whose answer breaks off where there is no room for an event: it
   * is made again, with the last event id, as after any loss. There may be room then.
   */
  #refusable(
    ...[input, init]: Parameters<SourceFetch>
  ): Parameters<SourceFetch> {
    const refusal = new AbortController();
    this.#room.reset();
    this.#room.onRefused = (error) => refusal.abort(error);
    const signals = [refusal.signal, ...(init?.signal ? [init.signal] : [])];
    return [input, { ...init, signal: AbortSignal.any(signals) }];
  }

  #onRequest(): void {
    this.#isAsking = true;
    // A topic that is pending says as much.
    if (!this.#topic.upstream) return;
    this.#topic.setUpstream({ state: "connecting", attempt: this.#attempt });
  }

  /** Those who follow the topic are not told the address: the operator is. */
  #onNoAnswer(error: unknown): void {
    if (!(error instanceof SourceRefusedError)) return;
    const { name } = this.#topic;
    const { refusal, cause } = error;
    // A name that cannot be looked up now may be later on.
    this.#isRefused = refusal.code !== "unknown_host";
    this.#counts?.refused(refusal.code);
    switch (refusal.code) {
      case "source_not_allowed":
        return logger.warn(
          "The upstream of {name} redirects to {host}: {code}",
          { name, ...refusal },
        );
      case "address_not_allowed":
        return logger.warn(
          "The upstream of {name} is at {host}, which is {address}: {code}",
          { name, ...refusal },
        );
      case "unknown_host":
        return logger.warn(
          "The upstream of {name} is at {host}, which has no address: {reason}",
          {
            name,
            ...refusal,
            reason: cause === undefined
              ? "nothing was found"
              : messageOf(cause),
          },
        );
    }
  }

  /**
   * Asks once, and again if a relay can only go on from a later position: what is
   * missing is a gap then.
   */
  async #request(
    ...[input, init]: Parameters<SourceFetch>
  ): Promise<Response> {
    const response = await this.#ask(input, init);
    this.#parent.answered(response);
    if (response.status !== 410) return response;
    const position = retainedPosition(await this.#text(response.clone()));
    if (position === undefined) return response;
    await response.body?.cancel();
    const request = new Request(input, init);
    request.headers.set("Last-Event-ID", position);
    return await this.#ask(request);
  }

  /** Returns the start of an answer that is no event stream. */
  async #text({ body }: Response): Promise<string> {
    const { text } = await readErrorBody(body, {
      maxBytes: MAX_ANSWER,
      timeout: ANSWER_TIMEOUT,
      clock: this.#clock,
      signal: this.#abort.signal,
    });
    return text;
  }

  #onOpen(response: StreamResponse): void {
    this.#isAsking = false;
    this.#parent.opened(response);
    this.#counts?.attempted("opened");
    this.#trace.opened();
    logger.info("The upstream of {name} is open", { name: this.#topic.name });
    if (this.#wasOpen || this.#isResumed) {
      this.#repeats.reconnected(this.#stream.lastEventId);
    }
    if (this.#topic.upstream) this.#topic.setUpstream({ state: "open" });
    this.#wasOpen = true;
  }

  #countFailure(): void {
    if (this.#isAsking) this.#counts?.attempted("failed");
  }

  #onRetry({ attempt, delay, reason }: RetryNotice): void {
    this.#countFailure();
    this.#attempt = attempt;
    const retryIn = Math.ceil(delay);
    const error = reason.kind === "error" ? reason.error : undefined;
    this.#trace.disconnected(connectionEnd(error));
    const facts = {
      name: this.#topic.name,
      attempt,
      retryIn,
      reason: error === undefined ? "it has ended" : failureOf(error),
    };
    if (this.#wasOpen) {
      logger.info(
        "Lost the upstream of {name}, attempt {attempt} in {retryIn} ms: {reason}",
        facts,
      );
    } else {
      logger.warn(
        "Cannot reach the upstream of {name}, attempt {attempt} in {retryIn} ms: {reason}",
        facts,
      );
    }
    this.#topic.setUpstream({
      state: "retrying",
      ...statusOf(error),
      attempt,
      retryIn,
    });
  }

  async #open(): Promise<void> {
    if (this.#hold?.ready) await this.#hold.ready;
    try {
      if (this.#isResumed) await this.#remember();
      await this.#stream.open();
      this.#topic.open();
    } catch (error) {
      // The standard's way to say that there is nothing more (section 9.2.3).
      if (error instanceof HttpStatusError && error.status === 204) {
        return this.#end(this.#parent.status ?? "complete");
      }
      this.#end("failed", publicFailureOf(error));
      throw error;
    }
  }

  /** Learns the events that the upstream may send again. */
  async #remember(): Promise<void> {
    const { log } = this.#topic;
    const budget = { events: MAX_RECENT, bytes: Infinity };
    let from = Math.max(log.first, log.next - MAX_RECENT);
    while (from < log.next) {
      const hole = log.holeAt?.(from);
      if (hole) {
        from = hole.to + 1;
        continue;
      }
      const { offset, entries } = await log.read(from, budget);
      this.#repeats.fresh(entries.map(({ event }) => event));
      from = offset + entries.length;
    }
  }

  async #run(): Promise<void> {
    using _room = this.#room;
    try {
      await this.opened;
    } catch (error) {
      // It is told by `opened`, and by the topic's end.
      return this.#endTrace(error);
    }
    let last: unknown;
    try {
      for (;;) {
        const events = await this.#stream.nextBatch();
        if (!events) break;
        this.#trace.received(events.length);
        const end = await this.#take(events);
        if (!end) continue;
        const refusal = await this.#settle();
        if (refusal) return this.#end("truncated", refusal.message);
        return this.#end(end.status, end.reason);
      }
      await this.#conclude();
    } catch (error) {
      last = error;
      await this.#conclude({ error });
    } finally {
      await this.#stream[Symbol.asyncDispose]();
      this.#endTrace(last);
    }
  }

  /** Takes events in; returns the end of the upstream's topic, if they say it. */
  async #take(
    events: readonly ServerSentEvent[],
  ): Promise<TopicEnd | undefined> {
    const topic = this.#topic;
    // Somebody else has ended it, and the source is about to be stopped.
    if (topic.verdict) return undefined;
    if (this.#parent.kind === "none") {
      const fresh = this.#repeats.fresh(events);
      if (fresh.length > 0) await this.#writer.write(fresh);
      return undefined;
    }
    for (const step of this.#parent.read(events)) {
      switch (step.kind) {
        case "events":
          await this.#writer.write(step.events);
          break;
        case "gap":
          topic.skip(step.count, step.reason);
          break;
        case "upstream":
          topic.setUpstream(step.upstream);
          break;
        case "end":
          return step.end;
      }
    }
    return undefined;
  }

  /**
   * Waits until all is kept that came: the end is the last entry.
   *
   * @returns The reason why a part is missing, if the log takes no such event.
   */
  async #settle(): Promise<EventLimitError | undefined> {
    try {
      await this.#writer.settled();
    } catch (error) {
      if (error instanceof EventLimitError) return error;
      // The source was stopped, or its topic has ended: nothing is said any more.
    }
    return undefined;
  }

  /** Ends the topic: there will be no other connection. */
  async #conclude(failure?: { readonly error: unknown }): Promise<void> {
    const refusal = this.#writer.isSettled ? undefined : await this.#settle();
    if (refusal) return this.#end("truncated", refusal.message);
    const { kind, status } = this.#parent;
    // A `raw` stream does not say how its topic ended.
    const end = kind === "raw" ? await this.#askForEnd() : undefined;
    if (end) return this.#end(end.status, end.reason, !this.#wasCut);
    if (status) return this.#end(status);
    if (!failure) {
      return kind === "own"
        ? this.#end("truncated", NO_END)
        : this.#end("complete");
    }
    const { error } = failure;
    if (!this.#reconnects) {
      return this.#end("truncated", publicFailureOf(error));
    }
    if (!this.#abort.signal.aborted) {
      this.#topic.setUpstream({ state: "lost", ...statusOf(error) });
    }
    this.#end(verdictOn(error), publicFailureOf(error));
  }

  /** Asks a relay for the end of its topic. */
  async #askForEnd(): Promise<TopicEnd | undefined> {
    const headers = new Headers(this.#headers);
    headers.set("Accept", "application/json");
    const late = new AbortController();
    const cancel = this.#clock.setTimeout(() => late.abort(), ANSWER_TIMEOUT);
    try {
      const response = await this.#ask(this.#parent.pageUrl, {
        headers,
        signal: AbortSignal.any([late.signal, this.#abort.signal]),
      });
      return this.#parent.endIn(await this.#text(response));
    } catch {
      return undefined; // the relay is gone: what is known has to do
    } finally {
      cancel();
    }
  }

  #endTrace(last: unknown): void {
    const { state } = this.#topic;
    const { aborted, reason } = this.#abort.signal;
    const isStopped = aborted && last === reason;
    this.#trace.end(
      state.kind === "ended" ? state.end.status : undefined,
      connectionEnd(isStopped ? undefined : last),
    );
  }

  /** Passes the verdict, unless reading was stopped from this side. */
  #end(status: EndStatus, reason?: string, isWhole?: boolean): void {
    if (this.#abort.signal.aborted) return;
    this.#countFailure();
    this.#topic.end(status, reason, isWhole, this.#hold);
  }
}
