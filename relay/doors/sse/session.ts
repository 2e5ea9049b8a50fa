import { getLogger } from "@logtape/logtape";
import type { FrameCache } from "../../delivery/frames.ts";
import { Subscription } from "../../delivery/subscription.ts";
import { cutAnswer } from "../../cut_answer.ts";
import type { TopicEnd } from "../../topics/end.ts";
import type { After } from "../../topics/position.ts";
import type { Topic } from "../../topics/topic.ts";
import {
  rawSseFormat,
  sseFormat,
  stayingSseFormat,
  UntoldGapError,
} from "./format.ts";
import {
  type StreamContext,
  type StreamReader,
  StreamSession,
} from "./stream_session.ts";

/** A reader that is to be answered with a topic's events. */
export interface StreamRequest extends StreamReader {
  /** The topic that is read. */
  readonly topic: Topic;
  /** The position after which it is read. */
  readonly after: After;
  /** Whether to leave out the relay's own events. */
  readonly raw: boolean;
  /**
   * Writes how the stream ends in the place of an upstream that has not said it: in a raw
   * stream, which is whole then. Default: a raw stream that is not whole is cut.
   */
  lastWords?(end: TopicEnd): string;
  /** Whether it stays for the next epoch of the topic. Default: `false`. */
  readonly stay?: boolean | undefined;
}

const logger = getLogger(["rivulet", "relay", "sse"]);

/** One SSE reader of one topic (PROTOCOL.md, section 3). */
export class EventStreamSession extends StreamSession {
  #topic: Topic;
  readonly #isRaw: boolean;
  readonly #lastWords: StreamRequest["lastWords"];
  #cancelStay: (() => void) | undefined;

  /**
   * Answers a request with a topic's events.
   *
   * @param request The reader, and what it reads.
   * @param frames The events in the format of the request.
   * @param context The context that every event stream shares.
   */
  constructor(
    request: StreamRequest,
    frames: FrameCache,
    context: StreamContext,
  ) {
    const { response, topic, after, raw, stay = false } = request;
    const { name } = topic;
    const format = raw ? rawSseFormat : stay ? stayingSseFormat : sseFormat;
    super(request, {
      name,
      counts: frames.counts,
      format,
      isRaw: raw,
      headers: { "Rivulet-Epoch": topic.log.epoch },
    }, context);
    this.#topic = topic;
    this.#isRaw = raw;
    this.#lastWords = request.lastWords;
    // A comment, which no client takes for an event: in one line, since some take
    // each blank line for the end of one.
    if (topic.state.kind === "pending") {
      response.write(
        `: topic '${name}' is pending: nothing has filled it yet. Is its name right?\n`,
      );
    }
    const subscription = new Subscription(topic, after, format, frames, {
      stays: stay,
    });
    this.subscriber.add(subscription);
  }

  onEnd(subscription: Subscription): void {
    if (subscription.stays) {
      this.#cancelStay = this.context.stays.wait(
        subscription.topic,
        (next) => {
          this.#topic = next.topic;
          this.subscriber.add(subscription.goOn(next));
        },
      );
      return;
    }
    // Without the relay's own events, the reader is not told how the topic ended.
    const { state, isWhole } = this.#topic;
    if (!this.#isRaw || isWhole) this.response.end();
    else if (this.#lastWords && state.kind === "ended") {
      this.response.end(this.#lastWords(state.end));
    } else cutAnswer(this.response);
  }

  protected override leaveTopics(): void {
    this.#cancelStay?.();
  }

  protected override noteError(error: unknown): void {
    if (!(error instanceof UntoldGapError)) return super.noteError(error);
    logger.info(
      "Cut the connection of a '?raw' subscriber of {topic}: {reason}",
      {
        topic: this.#topic.name,
        reason: error.message,
      },
    );
  }
}
