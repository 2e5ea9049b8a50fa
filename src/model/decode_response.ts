// This module is browser compatible.
import { StreamError } from "./errors/stream_error.ts";
import type { IncompleteEvent, ResponseEvent } from "./response_event.ts";
import { StreamDecoder, type StreamDecoderOptions } from "./stream_decoder.ts";

/**
 * A message that {@linkcode decodeResponse} reads, as far as it looks at it: one of a
 * subscription to a topic of the relay, or an event of an event stream.
 *
 * @example An event
 * ```ts
 * import type { DecodableMessage } from "@rivulet/rivulet/model";
 *
 * const message: DecodableMessage = { event: "message", data: "{}" };
 * ```
 */
export interface DecodableMessage {
  /** The type of the message; an event of an event stream has none. */
  readonly type?: string;
  /** The type of the event. */
  readonly event?: string;
  /** The data of the event. */
  readonly data?: string;
  /** The offset of the event, of the first event that was merged, or of the last of a snapshot. */
  readonly offset?: number;
  /** The offset of the last event that was merged, or is missing. */
  readonly to?: number;
  /** The offset of the first event that is missing. */
  readonly from?: number;
  /** The reason why events are missing, or why the topic has ended. */
  readonly reason?: string;
  /** The status with which the topic has ended. */
  readonly status?: unknown;
  /** The events of a snapshot. */
  readonly value?: {
    readonly first: number;
    readonly events: readonly {
      readonly event?: string;
      readonly data: string;
    }[];
  };
}

/**
 * The messages that {@linkcode decodeResponse} reads: a subscription, or any other iterable of
 * events.
 *
 * @example Events from a list
 * ```ts
 * import type { DecodableMessages } from "@rivulet/rivulet/model";
 *
 * async function* events() {
 *   yield { event: "message", data: "{}" };
 * }
 * const messages: DecodableMessages = events();
 * if (!messages) throw new Error("unreachable");
 * ```
 */
export interface DecodableMessages extends AsyncIterable<DecodableMessage> {
  /** The end of the topic, once all messages were taken, if they are of one. */
  readonly end?: {
    readonly status?: unknown;
    readonly reason?: string | undefined;
  } | undefined;
}

/**
 * Turns the messages of a topic, or the events of any event stream, into the events of the
 * model's response in them: text, reasoning, tool calls, whole items, usage. It reads the
 * Responses, the Chat Completions and the Messages API, in every mode of a subscription.
 *
 * It ends as the provider has ended the response, with `completed` or `incomplete`, and reads
 * no further; every other ending throws, after the events before it. A response that
 * misses events is never `completed`: if the topic no longer has its first events, or a gap
 * is told, it throws. If the topic begins anew, `reset` says that what came before is not
 * part of the response. If somebody has cancelled the topic, the response is `incomplete`
 * with the reason `cancelled`.
 *
 * Leaving the iteration ends the subscription or stream that it reads. To decode several
 * topics, or the turns of one, use a {@linkcode StreamDecoder} for each response.
 *
 * @param messages The messages of a subscription that begins at the start of the response,
 * or the events of a stream.
 * @param options The API, if it is known.
 * @returns The events.
 * @throws {ModelError} If the response has failed, or is not whole. If the topic has
 * failed or was truncated and the provider has not said why, it throws what `messages`
 * throws: the `SubscriptionError`.
 *
 * @example Follow a run in a page
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { decodeResponse } from "@rivulet/rivulet/model";
 * import { createRelay } from "@rivulet/rivulet/relay";
 * import { assertEquals } from "@std/assert";
 *
 * await using relay = createRelay({ port: 0 });
 * const { url } = await relay.listen();
 * const topic = relay.topics.create("run");
 * topic.append([
 *   { data: '{"choices":[{"delta":{"content":"Hel"}}]}' },
 *   { data: '{"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}' },
 * ]);
 * topic.end("complete");
 *
 * let text = "";
 * for await (const event of decodeResponse(subscribe(`${url}/topics/run`))) {
 *   if (event.type === "reset") text = "";
 *   if (event.type === "output_text.delta") text += event.delta;
 *   if (event.type === "incomplete") text += `... (${event.reason})`;
 * }
 * assertEquals(text, "Hello");
 * ```
 */
export async function* decodeResponse(
  messages: DecodableMessages,
  options: StreamDecoderOptions = {},
): AsyncGenerator<ResponseEvent, void, undefined> {
  const reading = new Reading(options);
  const iterator = messages[Symbol.asyncIterator]();
  let isOver = false;
  let thrown: { readonly error: unknown } | undefined;
  let end: TopicEnd | undefined;
  try {
    while (!reading.isOver && !end) {
      let result: IteratorResult<DecodableMessage, unknown>;
      // Not around `yield`: what the consumer throws there is not the stream's error.
      try {
        result = await iterator.next();
      } catch (error) {
        isOver = true;
        thrown = { error };
        break;
      }
      if (result.done) {
        isOver = true;
        end = messages.end;
        break;
      }
      if (result.value.type === "end") end = result.value;
      yield* reading.take(result.value);
    }
    yield* reading.finish(end, thrown);
  } finally {
    if (!isOver) await iterator.return?.();
  }
}

/** The end of a topic, as far as it is looked at. */
type TopicEnd = NonNullable<DecodableMessages["end"]>;

/** One response, from the messages that have it. */
class Reading {
  readonly #options: StreamDecoderOptions;
  #decoder: StreamDecoder;
  /** The number of logs so far. */
  #attempt = 1;
  /** The offset of the next event: the first of a log has 1. */
  #next = 1;

  constructor(options: StreamDecoderOptions) {
    this.#options = options;
    this.#decoder = new StreamDecoder(options);
  }

  get isOver(): boolean {
    return this.#decoder.isOver;
  }

  /** Takes a message in, and returns what comes of it. */
  *take(message: DecodableMessage): Generator<ResponseEvent, void> {
    const { type = "event", event = "message", data, offset, value } = message;
    switch (type) {
      case "event":
      case "merged":
        if (data === undefined) return;
        this.#check(offset);
        yield* this.#decoder.push(event, data);
        if (offset !== undefined) this.#next = (message.to ?? offset) + 1;
        return;
      case "snapshot":
        this.#check(value?.first);
        for (const { event = "message", data } of value?.events ?? []) {
          yield* this.#decoder.push(event, data);
        }
        this.#next = (offset ?? 0) + 1;
        return;
      case "gap":
        yield* this.#onGap(message);
    }
  }

  /** Ends the response, and returns its last events. */
  *finish(
    end: TopicEnd | undefined,
    thrown: { readonly error: unknown } | undefined,
  ): Generator<ResponseEvent, void> {
    const { status = "complete", reason } = end ?? {};
    const isBroken = thrown !== undefined || status !== "complete";
    const { events, error } = this.#decoder.end(isBroken);
    yield* events;
    if (!error) return;
    if (!(error instanceof StreamError)) {
      if (thrown) error.cause ??= thrown.error;
      throw error;
    }
    if (thrown) throw thrown.error;
    if (status === "cancelled") {
      const { responseId = "", usage } = error;
      const last: IncompleteEvent = {
        type: "incomplete",
        reason: "cancelled",
        responseId,
        ...(usage && { usage }),
      };
      return yield last;
    }
    if (status === "complete") throw error;
    const why = reason === undefined ? "" : `: ${reason}`;
    throw new StreamError("truncated", `the topic is ${status}${why}`)
      .about(error);
  }

  #check(offset = this.#next): void {
    if (offset === this.#next) return;
    throw new StreamError(
      "truncated",
      `events ${this.#next} to ${offset - 1} of the response are missing`,
    );
  }

  *#onGap(
    { from = 1, to = 0, reason }: DecodableMessage,
  ): Generator<ResponseEvent, void> {
    if (reason === "epoch") {
      // Another log has begun: its first events may be missing, too.
      this.#next = 1;
      if (this.#decoder.hasEvents) {
        this.#decoder = new StreamDecoder(this.#options);
        yield { type: "reset", attempt: ++this.#attempt };
      }
    }
    if (to < from) return;
    throw new StreamError(
      "truncated",
      `events ${from} to ${to} of the response are missing (${reason})`,
    );
  }
}
