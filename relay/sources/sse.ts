import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import {
  ConnectionError,
  ConnectTimeoutError,
  HttpStatusError,
  UnexpectedResponseError,
} from "../../src/fetch/errors.ts";
import { streamEvents } from "../../src/fetch/event_stream.ts";
import type {
  ReconnectContext,
  ReconnectDecision,
} from "../../src/fetch/reconnect.ts";
import type { EventStream } from "../../src/fetch/reconnecting_stream.ts";
import type { RetryNotice } from "../../src/fetch/stream_options.ts";
import type { EndStatus, Topic } from "../topics/topic.ts";
import { Repeats, type RepeatsPolicy } from "./repeats.ts";
import type { Source } from "./source.ts";
import type { SourceReconnect } from "./source_reconnect.ts";

/** How an SSE upstream is read. */
export interface SseSourceOptions {
  /** Sent with the request. Default: none. */
  readonly headers?: HeadersInit;
  /** What a redirect of the upstream leads to. Default: `"follow"`. */
  readonly redirect?: RequestRedirect;
  /** The largest event, in UTF-16 code units. Default: 64 MiB. */
  readonly maxEventSize?: number;
  /** When to connect again, once it has been connected. Default: `true`, by the default policy. */
  readonly reconnect?: boolean | SourceReconnect;
  /** What becomes of events whose id was there before. Default: `"keep"`. */
  readonly repeats?: RepeatsPolicy;
  /** Where time comes from. */
  readonly clock: Clock;
}

const logger = getLogger(["rivulet", "relay", "source"]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The status that went wrong, if that is what it was. */
function statusOf(error: unknown): { status?: number } {
  return error instanceof UnexpectedResponseError
    ? { status: error.status }
    : {};
}

/** What a last failure is to a topic: the server has said so or is not there, or the stream broke off. */
function verdictOn(error: unknown): EndStatus {
  const hasNoStream = error instanceof UnexpectedResponseError ||
    error instanceof ConnectTimeoutError ||
    (error instanceof ConnectionError && error.phase === "connect");
  return hasNoStream ? "failed" : "truncated";
}

/**
 * Fills a topic from an SSE upstream, over as many connections as it takes.
 *
 * The first connection has to come about: one that cannot be had at all is told
 * at once, by `opened` and the topic's end. From then on the topic stays open
 * while the upstream is connected to again, and its followers are told how that
 * goes. The topic ends when the policy gives up, or the server says 204. Without
 * reconnection, it ends with the first connection, and the end says it all.
 */
export class SseSource implements Source {
  readonly opened: Promise<void>;
  readonly finished: Promise<void>;
  readonly #topic: Topic;
  readonly #abort = new AbortController();
  readonly #stream: EventStream;
  readonly #repeats: Repeats;
  readonly #reconnects: boolean;
  #wasOpen = false;
  /** Of the request that is made next, or is being made. */
  #attempt = 1;

  /**
   * Begins to read.
   *
   * @param topic What is filled; the source stops when somebody ends it.
   * @param url The upstream.
   * @param options How it is read.
   */
  constructor(
    topic: Topic,
    url: string | URL,
    { reconnect = true, repeats = "keep", ...options }: SseSourceOptions,
  ) {
    this.#topic = topic;
    this.#repeats = new Repeats(repeats);
    this.#reconnects = reconnect !== false;
    this.#stream = streamEvents(url, {
      ...options,
      reconnect: reconnect !== false && {
        ...(reconnect !== true && reconnect),
        decide: (context) => this.#decide(context),
      },
      signal: this.#abort.signal,
      // There is no hook for the moment at which a wait is over.
      fetch: (...request) => {
        this.#onRequest();
        return fetch(...request);
      },
      onOpen: () => this.#onOpen(),
      onRetry: (notice) => this.#onRetry(notice),
    });
    void topic.ended.then(() => this.stop());
    this.opened = this.#open();
    this.finished = this.#run();
  }

  stop(): void {
    this.#abort.abort();
  }

  /** Who starts a relay is told at once of a source that was never there. */
  #decide({ decision }: ReconnectContext): ReconnectDecision | undefined {
    return this.#wasOpen || decision.action !== "retry"
      ? undefined
      : { action: "fail" };
  }

  #onRequest(): void {
    if (!this.#wasOpen) return; // the topic is pending, which says as much
    this.#topic.setUpstream({ state: "connecting", attempt: this.#attempt });
  }

  #onOpen(): void {
    if (this.#wasOpen) {
      this.#repeats.reconnected(this.#stream.lastEventId);
      this.#topic.setUpstream({ state: "open" });
    }
    this.#wasOpen = true;
  }

  #onRetry({ attempt, delay, reason }: RetryNotice): void {
    this.#attempt = attempt;
    const retryIn = Math.ceil(delay);
    const error = reason.kind === "error" ? reason.error : undefined;
    const { name } = this.#topic;
    logger.info(
      "The upstream of {name} is gone, attempt {attempt} in {retryIn} ms: {reason}",
      {
        name,
        attempt,
        retryIn,
        reason: error === undefined ? "it has ended" : messageOf(error),
      },
    );
    this.#topic.setUpstream({
      state: "retrying",
      ...statusOf(error),
      attempt,
      retryIn,
    });
  }

  async #open(): Promise<void> {
    try {
      await this.#stream.open();
      this.#topic.open();
    } catch (error) {
      // The standard's way to say that there is nothing more (section 9.2.3).
      if (error instanceof HttpStatusError && error.status === 204) {
        return this.#end("complete");
      }
      this.#end("failed", messageOf(error));
      throw error;
    }
  }

  async #run(): Promise<void> {
    try {
      await this.opened;
    } catch {
      return; // told by `opened`, and by the topic's end
    }
    try {
      for (;;) {
        const events = await this.#stream.nextBatch();
        if (!events) break;
        const fresh = this.#repeats.fresh(events);
        if (fresh.length > 0) await this.#topic.append(fresh);
      }
      this.#end("complete");
    } catch (error) {
      if (!this.#reconnects) return this.#end("truncated", messageOf(error));
      if (!this.#abort.signal.aborted) {
        this.#topic.setUpstream({ state: "lost", ...statusOf(error) });
      }
      this.#end(verdictOn(error), messageOf(error));
    } finally {
      await this.#stream[Symbol.asyncDispose]();
    }
  }

  /** Passes the verdict, unless reading was stopped from this side. */
  #end(status: EndStatus, reason?: string): void {
    if (this.#abort.signal.aborted) return;
    const { name } = this.#topic;
    logger.info("The upstream of {name} ended: {status} {reason}", {
      name,
      status,
      reason,
    });
    this.#topic.end(status, reason);
  }
}
