/**
 * Streams of each provider's format, made up.
 *
 * @module
 */
import type { TopicEnd } from "../../../relay/topics/end.ts";

/** The streams of a format. */
export interface WireFormat {
  /** Its path below `/v1/`. */
  readonly path: string;
  /** The headers of its answers besides their type. Default: nothing. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Begins a stream. */
  readonly start: string;
  /** Returns an event with a piece of text. */
  delta(text: string): string;
  /** Its last words, each with what is to be said of it. */
  readonly ends:
    readonly (readonly [name: string, wire: string, end: TopicEnd])[];
}

function event(name: string, data: object): string {
  return `event: ${name}\ndata: ${JSON.stringify({ type: name, ...data })}\n\n`;
}

function data(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function response(status: string, more: object = {}): string {
  return event(`response.${status}`, {
    sequence_number: 99,
    response: { id: "resp_1", status, ...more },
  });
}

const choice = (delta: object, finish: string | null): object => ({
  id: "c",
  choices: [{ index: 0, delta, finish_reason: finish }],
});

/** The formats by name. */
export const WIRE_FORMATS: Readonly<Record<string, WireFormat>> = {
  Responses: {
    path: "responses",
    start: event("response.created", {
      sequence_number: 0,
      response: { id: "resp_1", status: "in_progress" },
    }),
    delta: (text) => event("response.output_text.delta", { delta: text }),
    ends: [
      ["complete", response("completed"), { status: "complete" }],
      [
        "incomplete",
        response("incomplete", {
          incomplete_details: { reason: "max_output_tokens" },
        }),
        { status: "complete", reason: "incomplete: max_output_tokens" },
      ],
      [
        "failed",
        response("failed", { error: { code: "server_error", message: "Oh" } }),
        { status: "failed", reason: "server_error: Oh" },
      ],
      [
        "an error",
        event("error", { error: { code: "rate_limit", message: "Slow" } }),
        { status: "failed", reason: "rate_limit: Slow" },
      ],
      ["cancelled", response("cancelled"), { status: "cancelled" }],
    ],
  },
  Chat: {
    path: "chat/completions",
    start: data(choice({ role: "assistant" }, null)),
    delta: (text) => data(choice({ content: text }, null)),
    ends: [
      [
        "complete",
        `${data(choice({}, "stop"))}data: [DONE]\n\n`,
        { status: "complete" },
      ],
      ["complete without [DONE]", data(choice({}, "stop")), {
        status: "complete",
      }],
      [
        "incomplete",
        `${data(choice({}, "length"))}data: [DONE]\n\n`,
        { status: "complete", reason: "finish_reason: length" },
      ],
      [
        "an error",
        data({ error: { code: "server_error", message: "Oh" } }),
        { status: "failed", reason: "server_error: Oh" },
      ],
    ],
  },
  Anthropic: {
    path: "messages",
    start: event("message_start", { message: { id: "msg_1" } }),
    delta: (text) => event("content_block_delta", { delta: { text } }),
    ends: [
      [
        "complete",
        event("message_delta", { delta: { stop_reason: "end_turn" } }) +
        event("message_stop", {}),
        { status: "complete" },
      ],
      [
        "incomplete",
        event("message_delta", { delta: { stop_reason: "max_tokens" } }) +
        event("message_stop", {}),
        { status: "complete", reason: "stop_reason: max_tokens" },
      ],
      [
        "an error",
        event("error", {
          error: { type: "overloaded_error", message: "Busy" },
        }),
        { status: "failed", reason: "overloaded_error: Busy" },
      ],
    ],
  },
  UI: {
    path: "api/chat",
    headers: { "x-vercel-ai-ui-message-stream": "v1" },
    start: data({ type: "start", messageId: "msg_1" }),
    delta: (text) => data({ type: "text-delta", id: "1", delta: text }),
    ends: [
      [
        "complete",
        `${data({ type: "finish", finishReason: "stop" })}data: [DONE]\n\n`,
        { status: "complete" },
      ],
      ["complete without a finish", "data: [DONE]\n\n", {
        status: "complete",
      }],
      [
        "incomplete",
        `${data({ type: "finish", finishReason: "length" })}data: [DONE]\n\n`,
        { status: "complete", reason: "finishReason: length" },
      ],
      [
        "an error",
        data({ type: "error", errorText: "Busy" }),
        { status: "failed", reason: "Busy" },
      ],
      ["an abort", data({ type: "abort" }), { status: "cancelled" }],
    ],
  },
};
