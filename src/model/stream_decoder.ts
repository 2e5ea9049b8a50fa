// This module is browser compatible.
import type { ModelError } from "./errors/model_error.ts";
import { StreamError } from "./errors/stream_error.ts";
import type { WireApi } from "./provider.ts";
import type { ResponseEvent } from "./response_event.ts";
import { ChatDecoder } from "./wires/chat/decoder.ts";
import type { DecoderOptions, ResponseDecoder } from "./wires/decoder.ts";
import { errorIn, isFields, parseData, typeOf } from "./wires/event_data.ts";
import { readFailure } from "./wires/failure.ts";
import { MessagesDecoder } from "./wires/messages/decoder.ts";
import { ResponsesDecoder } from "./wires/responses/decoder.ts";

/**
 * The end of a response as a {@linkcode StreamDecoder} tells it.
 *
 * @example Show how it ended
 * ```ts
 * import type { DecodedEnd } from "@rivulet/rivulet/model";
 *
 * const show = ({ events, error }: DecodedEnd): string =>
 *   error?.message ?? events.at(-1)?.type ?? "";
 * ```
 */
export interface DecodedEnd {
  /** The events that were held back; the last one is `completed` or `incomplete`, unless there is an error. */
  readonly events: ResponseEvent[];
  /** The reason why the response is not whole, if the provider has not ended it. */
  readonly error?: ModelError;
}

/**
 * The options of a {@linkcode StreamDecoder}.
 *
 * @example Chat Completions
 * ```ts
 * import type { StreamDecoderOptions } from "@rivulet/rivulet/model";
 *
 * const options: StreamDecoderOptions = { wireApi: "chat" };
 * ```
 */
export interface StreamDecoderOptions {
  /**
   * The API that the events are of.
   *
   * @default {undefined} The first event that is of one of them tells.
   */
  wireApi?: WireApi | undefined;
}

const DECODERS: Readonly<
  Record<WireApi, new (options: DecoderOptions) => ResponseDecoder>
> = {
  responses: ResponsesDecoder,
  chat: ChatDecoder,
  messages: MessagesDecoder,
};

/** The fields of an event that only the Chat Completions API has. */
const CHAT_OBJECT = /^chat\.completion/;

const MESSAGES_TYPE = /^(?:message|content_block)_/;

/** Returns the API that an event is of; `undefined` if that cannot be told. */
function wireApiOf(name: string, data: string): WireApi | undefined {
  const wire = parseData(data);
  if (!isFields(wire)) return undefined;
  const type = typeOf(name, wire);
  if (type.startsWith("response.")) return "responses";
  if (MESSAGES_TYPE.test(type)) return "messages";
  const { object, choices } = wire;
  const isChat = Array.isArray(choices) ||
    typeof object === "string" && CHAT_OBJECT.test(object);
  return isChat ? "chat" : undefined;
}

/**
 * Turns the events of one response, as a provider has sent them, into
 * {@linkcode ResponseEvent}s, one by one: those of a recording, of a topic of the relay, or
 * of an event stream that was read by other means. It reads the Responses, the Chat
 * Completions and the Messages API, and finds out by itself which one it is.
 *
 * {@linkcode decodeResponse} does the same for an iterable.
 *
 * @example Follow all runs of an agent
 * ```ts
 * import { subscribe } from "@rivulet/rivulet/client";
 * import { StreamDecoder } from "@rivulet/rivulet/model";
 *
 * async function watch(url: string): Promise<void> {
 *   const decoders = new Map<string, StreamDecoder>();
 *   for await (const message of subscribe(`${url}/topics/agent:7:*`)) {
 *     const { type, topic } = message;
 *     if (type === "subscribed") decoders.set(topic, new StreamDecoder());
 *     const decoder = decoders.get(topic);
 *     if (type === "event") {
 *       for (const event of decoder?.push(message.event, message.data) ?? []) {
 *         if (event.type === "output_text.delta") console.log(topic, event.delta);
 *       }
 *     } else if (type === "end") {
 *       const error = decoder?.end(message.status !== "complete").error;
 *       console.log(topic, message.status, error?.message ?? "whole");
 *     }
 *   }
 * }
 * if (typeof watch !== "function") throw new Error("unreachable");
 * ```
 */
export class StreamDecoder {
  #decoder: ResponseDecoder | undefined;
  /** The first error that came before any event of a known API. */
  #early: ModelError | undefined;
  #hasEvents = false;

  /**
   * Makes a decoder of one response.
   *
   * @param options The API, if it is known.
   */
  constructor(options: StreamDecoderOptions = {}) {
    if (options.wireApi) this.#open(options.wireApi);
  }

  /** Whether the API is known: it was given, or an event has told it. */
  get isKnown(): boolean {
    return this.#decoder !== undefined;
  }

  /** Whether any event was taken in. */
  get hasEvents(): boolean {
    return this.#hasEvents;
  }

  /** Whether the provider has ended the response, and nothing that belongs to it can follow. */
  get isOver(): boolean {
    return this.#decoder?.state === "ended";
  }

  /**
   * Takes an event in. Events before the first one of a known API are passed over.
   *
   * @param name The type of the event, `message` if it has none.
   * @param data The data of the event.
   * @returns The events of the response that come of it; never the last one.
   */
  push(name: string, data: string): ResponseEvent[] {
    const out: ResponseEvent[] = [];
    this.#hasEvents = true;
    if (!this.#decoder) {
      const wireApi = wireApiOf(name, data);
      if (wireApi) this.#open(wireApi);
      else this.#noteError(name, data);
    }
    this.#decoder?.push(name, data, out);
    return out;
  }

  /**
   * Ends the response: once, when its events are over.
   *
   * @param isBroken Whether the stream broke off. Default: `false`.
   * @returns The last events; or the reason why the response is not whole.
   */
  end(isBroken = false): DecodedEnd {
    const decoder = this.#decoder;
    if (!decoder) return { events: [], error: this.#early ?? this.#unknown() };
    const events: ResponseEvent[] = [];
    const { state, responseId, usage } = decoder;
    const isTold = state === "ending" || state === "ended";
    const verdict = decoder.end(events, isBroken && !isTold);
    if ("error" in verdict) {
      return { events, error: verdict.error.about({ responseId, usage }) };
    }
    events.push(verdict.last);
    return { events };
  }

  #open(wireApi: WireApi): void {
    this.#decoder = new DECODERS[wireApi]({ deltas: true });
  }

  #noteError(name: string, data: string): void {
    const wire = parseData(data);
    const type = isFields(wire) ? typeOf(name, wire) : name;
    if (type === "error") this.#early ??= readFailure(errorIn(data));
  }

  #unknown(): ModelError {
    return this.#hasEvents
      ? new StreamError(
        "invalid_stream",
        "expected events of the Responses, the Chat Completions or the Messages API",
      )
      : new StreamError("truncated", "stream closed before its first event");
  }
}
