// This module is browser compatible.
import type { Clock } from "../fetch/clock.ts";
import { IdleTimeoutError, NotAnEventStreamError } from "../fetch/errors.ts";
import { messageOf } from "../fetch/message_of.ts";
import { EventTooLargeError } from "../sse/errors.ts";
import { isRuntimeTimeout } from "../fetch/runtime_timeout.ts";
import { CallQueue } from "../sse/call_queue.ts";
import type { ServerSentEvent } from "../sse/event.ts";
import type { ResponseDecoder } from "./wires/decoder.ts";
import { ModelError } from "./errors/model_error.ts";
import { ResponseFailedError } from "./errors/response_failed_error.ts";
import { StreamError } from "./errors/stream_error.ts";
import { redactFailure } from "./wires/failure.ts";
import type { ModelResponse, Opened, Requester } from "./requester.ts";
import type { ResponseEvent } from "./response_event.ts";
import { resumeResponse } from "./wires/responses/resumption.ts";
import {
  assistantText,
  type ResponseSnapshot,
  SnapshotBuilder,
} from "./snapshot.ts";
import type { Upstream } from "./upstream.ts";

/**
 * A response that has come to its end: whole, or cut off by the provider.
 *
 * @example Look at both
 * ```ts
 * import type { FinalResponse } from "@rivulet/rivulet/model";
 *
 * const show = (response: FinalResponse): string =>
 *   response.status === "completed"
 *     ? response.outputText
 *     : `${response.outputText}... (${response.reason})`;
 * ```
 */
export type FinalResponse = Exclude<
  ResponseSnapshot,
  { readonly status: "in_progress" }
>;

/** The parts and settings of a {@linkcode ResponseStream}. */
export interface ResponseStreamOptions {
  /** Makes a decoder for the response, and another one where it begins anew. */
  makeDecoder(): ResponseDecoder;
  /** Repeats the request; `undefined` if that is impossible. */
  readonly requester: Requester | undefined;
  /** Whether the stream may begin again after its first event. */
  readonly retryMidStream: boolean;
  /** Whether the provider goes on with the response when nobody listens. */
  readonly background: boolean;
  /** The time to wait for usage after the end, in milliseconds. */
  readonly drainTimeout: number;
  /** The clock to use. */
  readonly clock: Clock;
  /** Ends the stream and everything behind it. */
  readonly controller: AbortController;
  /** Called once, when the stream has ended. */
  onEnd(): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The events of a model's response, as {@linkcode ModelClient.stream} returns
 * them.
 *
 * The consumer pulls the stream: nothing is read while an event waits to be
 * taken. The last event is `completed` or `incomplete`; every other ending
 * throws, after the events before it. Nothing that the network does after the
 * provider's last event changes that. Leaving a `for await` loop,
 * {@linkcode ResponseStream.cancel} and `await using` close the connection.
 *
 * @example Take the events, then the whole
 * ```ts
 * import { ModelClient, providers, user } from "@rivulet/rivulet/model";
 * import { assertEquals } from "@std/assert";
 *
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: providers.openai,
 *   fixture: "fixtures/demo.sse",
 * });
 * await using stream = await client.stream({ input: [user("What is a log?")] });
 * let text = "";
 * for await (const event of stream) {
 *   if (event.type === "output_text.delta") text += event.delta;
 * }
 * assertEquals((await stream.final()).outputText, text);
 * ```
 */
export class ResponseStream
  implements AsyncIterableIterator<ResponseEvent, undefined, undefined> {
  readonly #options: ResponseStreamOptions;
  #decoder: ResponseDecoder;
  #upstream: Upstream;
  #response: ModelResponse;
  #redact: Opened["redact"];

  /** The events that have come; those before `#taken` were taken. */
  #queue: ResponseEvent[] = [];
  #taken = 0;
  /** The number of wire events of this response so far. */
  #seen = 0;
  /**
   * The time spent waiting in vain for what follows the end, in milliseconds.
   */
  #drained = 0;
  readonly #calls = new CallQueue();

  /** No more events are to come. */
  #ended = false;
  /** And none is left to be taken. */
  #isReleased = false;
  /** The consumer has left: calls that are waiting are answered with `done`. */
  #isLeft = false;
  /** Resolves when nothing of the connection is left. */
  #closing: Promise<void> | undefined;
  /** The error of the next call, once the queue is empty. */
  #failure: { readonly error: unknown } | undefined;

  readonly #onAbort = (): void => this.#abort();

  readonly #folded = new SnapshotBuilder();
  #iterated = false;
  #final: Promise<FinalResponse> | undefined;
  readonly #settled: Promise<void>;
  #resolveSettled!: () => void;
  #rejectSettled!: (error: unknown) => void;

  /** Made by {@linkcode ModelClient.stream}. */
  constructor(opened: Opened, options: ResponseStreamOptions) {
    this.#options = options;
    this.#upstream = opened.upstream;
    this.#response = opened.response;
    this.#redact = opened.redact;
    this.#decoder = options.makeDecoder();
    this.#settled = new Promise((resolve, reject) => {
      this.#resolveSettled = resolve;
      this.#rejectSettled = reject;
    });
    // Only final() asks for it, and nobody has to call that.
    this.#settled.catch(() => {});
    const { signal } = options.controller;
    if (signal.aborted) this.#abort();
    else signal.addEventListener("abort", this.#onAbort);
  }

  /**
   * The head of the provider's response; of the last request, if there were
   * several.
   */
  get response(): ModelResponse {
    return this.#response;
  }

  /**
   * The text of the answer alone, piece by piece: no events, no reasoning and no
   * refusals. To read it is to read the stream; {@linkcode ResponseStream.final}
   * then tells how the response has ended, also where it is incomplete. With
   * `retryMidStream`, the text begins anew where the response does.
   *
   * @returns The pieces, none of them empty. The iteration throws what the
   * stream's throws.
   *
   * @example Print an answer
   * ```ts
   * import { ModelClient, providers } from "@rivulet/rivulet/model";
   * import { assertEquals } from "@std/assert";
   *
   * const client = new ModelClient({
   *   model: "gpt-5",
   *   provider: providers.openai,
   *   fixture: "fixtures/demo.sse", // leave it out to ask OpenAI
   * });
   * const stream = await client.stream({ input: "What is a log?" });
   * let text = "";
   * for await (const piece of stream.textStream) text += piece;
   * assertEquals(text, (await stream.final()).outputText);
   * ```
   */
  get textStream(): AsyncGenerator<string, void, undefined> {
    return textsOf(this);
  }

  /**
   * Takes the next event.
   *
   * @returns The event, or `done` after the last one.
   * @throws {ModelError} If the response failed, or its stream broke off.
   */
  next(): Promise<IteratorResult<ResponseEvent, undefined>> {
    this.#iterated = true;
    // No async function is entered here: this is the way of nearly all events.
    if (this.#calls.isIdle && this.#taken < this.#queue.length) {
      return Promise.resolve({ done: false, value: this.#take() });
    }
    return this.#calls.run(() => this.#next());
  }

  /**
   * Reads the response to its end.
   *
   * Where the events are being iterated, it waits until they have been; else it
   * takes them itself. An iteration that begins in the same turn of the event
   * loop counts.
   *
   * @returns The whole response.
   * @throws {ModelError} If the response failed, or its stream broke off.
   */
  final(): Promise<FinalResponse> {
    return this.#final ??= this.#readAll();
  }

  /**
   * Closes the connection, wherever the response is.
   *
   * @param reason The error of waiting and later calls. Default: a
   * `DOMException` named `"AbortError"`.
   * @returns Resolves when nothing of the connection is left.
   */
  async cancel(reason?: unknown): Promise<void> {
    this.#options.controller.abort(reason ?? cancelled());
    await this.#closing;
  }

  /**
   * Closes the connection, as leaving a `for await` loop does.
   *
   * @returns `done`.
   */
  async return(): Promise<IteratorReturnResult<undefined>> {
    if (!this.#isReleased) {
      // Whoever leaves has no use for an error.
      this.#isLeft = true;
      await this.cancel();
    }
    await this.#closing;
    return DONE;
  }

  /** Closes the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /**
   * For `for await`.
   *
   * @returns This stream.
   */
  [Symbol.asyncIterator](): this {
    this.#iterated = true;
    return this;
  }

  async #next(): Promise<IteratorResult<ResponseEvent, undefined>> {
    while (this.#taken >= this.#queue.length) {
      if (this.#ended) {
        await this.#closing;
        const failure = this.#failure;
        if (failure === undefined || this.#isLeft) return DONE;
        throw failure.error;
      }
      await this.#read();
    }
    return { done: false, value: this.#take() };
  }

  #take(): ResponseEvent {
    // The index is below the length: every caller has looked.
    const event = this.#queue[this.#taken++] as ResponseEvent;
    if (this.#ended && this.#taken === this.#queue.length) this.#release();
    return event;
  }

  async #readAll(): Promise<FinalResponse> {
    // Lets an iteration begin that is on the next line.
    await Promise.resolve();
    if (!this.#iterated) {
      this.#iterated = true;
      await this.#calls.run(async () => {
        while (!this.#ended) {
          this.#taken = this.#queue.length;
          await this.#read();
        }
        this.#taken = this.#queue.length;
        this.#release();
      });
    }
    await this.#settled;
    // Aborted after all had come, and before it was taken.
    if (this.#failure) throw this.#failure.error;
    const { snapshot } = this.#folded;
    if (snapshot.status !== "in_progress") return snapshot;
    throw new TypeError("Cannot tell the final response as there is none");
  }

  /** Reads what has come, and finds out whether that was all. */
  async #read(): Promise<void> {
    const out: ResponseEvent[] = [];
    this.#queue = out;
    this.#taken = 0;
    let batch: ServerSentEvent[] | undefined;
    try {
      batch = await this.#nextBatch();
    } catch (error) {
      if (!this.#ended) await this.#breakOff(this.#explain(error));
      return;
    }
    // Aborted in the meantime: that has been told.
    if (this.#ended) return;
    if (batch === undefined) {
      await this.#breakOff(undefined);
      return;
    }
    this.#decode(batch, out);
  }

  #decode(batch: ServerSentEvent[], out: ResponseEvent[]): void {
    const decoder = this.#decoder;
    const { progress } = decoder;
    for (const { event, data } of batch) {
      this.#seen++;
      decoder.push(event, data, out);
      if (decoder.state === "ended") break;
    }
    // OpenRouter gives a finish_reason with every chunk.
    if (decoder.progress > progress) this.#drained = 0;
    if (decoder.state === "ended") this.#finish(out);
    else this.#fold(out);
  }

  /** Keeps the events for `final()`. */
  #fold(out: ResponseEvent[]): void {
    // Deltas too: an item that is cut off may never be done.
    for (const event of out) this.#folded.push(event);
  }

  /** Takes the next events, but does not wait long for what may follow the end. */
  async #nextBatch(): Promise<ServerSentEvent[] | undefined> {
    const events = this.#upstream.nextBatch();
    if (this.#decoder.state !== "ending") return await events;
    const { clock, drainTimeout } = this.#options;
    const start = clock.now();
    // Of all waits in vain together: pings may follow for ever.
    const rest = Math.max(0, drainTimeout - this.#drained);
    let cancel = () => {};
    const tooLong = new Promise<undefined>((resolve) => {
      cancel = clock.setTimeout(() => resolve(undefined), rest);
    });
    // If it took too long, the rest of the events does not matter.
    events.catch(() => {});
    try {
      return await Promise.race([events, tooLong]);
    } finally {
      this.#drained += clock.now() - start;
      cancel();
    }
  }

  /** The body has ended, or broken: `error` says how. */
  async #breakOff(error: StreamError | undefined): Promise<void> {
    const out = this.#queue;
    const { state } = this.#decoder;
    if (state === "ending" || state === "told" && error === undefined) {
      this.#finish(out);
      return;
    }
    let cause: unknown;
    if (error?.code !== "invalid_stream" && !isRuntimeTimeout(error)) {
      try {
        const outcome = await this.#continue(out);
        if (outcome.ok || this.#ended) return;
        cause = outcome.cause;
      } catch (thrown) {
        if (this.#ended) return;
        this.#decoder.end(out, error !== undefined);
        this.#fail(thrown);
        return;
      }
    }
    const verdict = this.#decoder.end(out, error !== undefined);
    const failure = error ?? ("error" in verdict ? verdict.error : undefined);
    if (failure && cause !== undefined) failure.cause ??= cause;
    this.#fail(failure);
  }

  /** Ends the response as its decoder says. */
  #finish(out: ResponseEvent[]): void {
    const verdict = this.#decoder.end(out);
    if ("last" in verdict) out.push(verdict.last);
    this.#fold(out);
    if ("last" in verdict) {
      this.#end();
      this.#resolveSettled();
    } else {
      const { error } = verdict;
      this.#fail(
        error instanceof ResponseFailedError
          ? redactFailure(error, this.#redact)
          : error,
      );
    }
  }

  #abort(): void {
    this.#queue = [];
    this.#taken = 0;
    const error: unknown = this.#options.controller.signal.reason;
    if (!this.#ended) this.#fail(error);
    else {
      // All had come, and not all was taken.
      this.#failure = { error };
      this.#release();
    }
  }

  #fail(error: unknown): void {
    if (error instanceof ModelError) this.#about(error);
    this.#failure = { error };
    this.#end();
    this.#rejectSettled(error);
  }

  #end(): void {
    this.#ended = true;
    // The caller knows how the response ended: an error of this no longer
    // matters.
    this.#closing = this.#upstream.cancel(undefined).catch(() => {});
    if (this.#taken >= this.#queue.length) this.#release();
  }

  /** Nothing is left to be aborted: all has come, and was taken. */
  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    const { controller, onEnd } = this.#options;
    controller.signal.removeEventListener("abort", this.#onAbort);
    onEnd();
  }

  #about(error: ModelError): void {
    const { responseId, usage } = this.#decoder;
    const { requestId } = this.#response;
    error.about({ responseId, usage, requestId });
  }

  /** Returns the error of a connection as the consumer is to see it. */
  #explain(error: unknown): StreamError {
    if (error instanceof StreamError) return error;
    const cause = { cause: error };
    if (error instanceof IdleTimeoutError) {
      const { clock, timeout, lastSeen } = error;
      return new StreamError(
        "idle",
        `idle timeout waiting for SSE: no ${
          clock === "bytes" ? "byte" : "event"
        } for ${timeout} ms, last seen: ${lastSeen}`,
        cause,
      );
    }
    const message = messageOf(error);
    return new StreamError(
      error instanceof EventTooLargeError ||
        // Its body is compressed: that is found out when it is read.
        error instanceof NotAnEventStreamError
        ? "invalid_stream"
        : "disconnected",
      message,
      cause,
    );
  }

  /**
   * Goes on with the response in another connection, if that can be; `cause` is
   * what spoke against it.
   */
  async #continue(
    out: ResponseEvent[],
  ): Promise<
    { readonly ok: true } | { readonly ok: false; readonly cause?: unknown }
  > {
    const { requester, retryMidStream, background, makeDecoder } =
      this.#options;
    if (!requester?.mayRetryStream) return { ok: false };
    if (this.#seen === 0) {
      this.#replace(await requester.reopen());
      return { ok: true };
    }
    const { responseId, sequenceNumber } = this.#decoder;
    let cause: unknown;
    if (background && responseId !== "" && sequenceNumber !== undefined) {
      const rest = await resumeResponse(requester, responseId, sequenceNumber);
      if ("opened" in rest) {
        this.#replace(rest.opened);
        return { ok: true };
      }
      cause = rest.refusal;
    }
    if (!retryMidStream || !requester.mayRetryStream) {
      return { ok: false, cause };
    }
    this.#replace(await requester.reopen());
    this.#decoder = makeDecoder();
    this.#seen = 0;
    const reset: ResponseEvent = { type: "reset", attempt: requester.attempts };
    out.push(reset);
    this.#folded.push(reset);
    return { ok: true };
  }

  #replace({ upstream, response, redact }: Opened): void {
    this.#upstream = upstream;
    this.#response = response;
    this.#redact = redact;
  }
}

/** The text of messages: of their deltas, and what no delta had of them. */
async function* textsOf(
  stream: ResponseStream,
): AsyncGenerator<string, void, undefined> {
  /** The length of the text that was told of the message at each place, in UTF-16 code units. */
  const told = new Map<number, number>();
  for await (const event of stream) {
    switch (event.type) {
      case "output_text.delta": {
        const { outputIndex, delta } = event;
        told.set(outputIndex, (told.get(outputIndex) ?? 0) + delta.length);
        if (delta !== "") yield delta;
        break;
      }
      case "output_item.done": {
        const { outputIndex, item } = event;
        const text = assistantText([item]);
        const rest = text.slice(told.get(outputIndex) ?? 0);
        if (rest === "") break;
        told.set(outputIndex, text.length);
        yield rest;
        break;
      }
      case "reset":
        told.clear();
    }
  }
}

function cancelled(): DOMException {
  return new DOMException("The response was cancelled", "AbortError");
}
