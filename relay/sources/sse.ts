import { getLogger } from "@logtape/logtape";
import type { Clock } from "../../src/fetch/clock.ts";
import {
  type EventStream,
  streamEvents,
} from "../../src/fetch/event_stream.ts";
import { HttpStatusError } from "../../src/fetch/errors.ts";
import type { EndStatus, Topic } from "../topics/topic.ts";
import type { Source } from "./source.ts";

/** How an SSE upstream is read. */
export interface SseSourceOptions {
  /** Sent with the request. Default: none. */
  readonly headers?: HeadersInit;
  /** What a redirect of the upstream leads to. Default: `"follow"`. */
  readonly redirect?: RequestRedirect;
  /** The largest event, in UTF-16 code units. Default: 64 MiB. */
  readonly maxEventSize?: number;
  /** Where time comes from. */
  readonly clock: Clock;
}

const logger = getLogger(["rivulet", "relay", "source"]);

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Fills a topic from an SSE upstream, and ends it when that ends. */
export class SseSource implements Source {
  readonly opened: Promise<void>;
  readonly finished: Promise<void>;
  readonly #topic: Topic;
  readonly #abort = new AbortController();
  readonly #stream: EventStream;

  /**
   * Begins to read.
   *
   * @param topic What is filled; the source stops when somebody ends it.
   * @param url The upstream.
   * @param options How it is read.
   */
  constructor(topic: Topic, url: string | URL, options: SseSourceOptions) {
    this.#topic = topic;
    this.#stream = streamEvents(url, {
      ...options,
      reconnect: false,
      signal: this.#abort.signal,
    });
    void topic.ended.then(() => this.stop());
    this.opened = this.#open();
    this.finished = this.#run();
  }

  stop(): void {
    this.#abort.abort();
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
        await this.#topic.append(events);
      }
      this.#end("complete");
    } catch (error) {
      this.#end("truncated", messageOf(error));
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
