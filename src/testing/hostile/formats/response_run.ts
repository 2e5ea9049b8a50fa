// This module is browser compatible.
import { CREATED } from "../reproducible.ts";
import type { Speech } from "../speech.ts";
import type { ResponseRequest } from "./response_request.ts";

/** An event of a response, before it has its number. */
export interface ResponseRunEvent {
  readonly type: string;
  readonly [name: string]: unknown;
}

/** The parts of a made-up response. */
export interface ResponseRunInit {
  /** The suffix of its ids. */
  readonly id: string;
  readonly request: ResponseRequest;
  readonly speech: Speech;
  /** The time at which it began, by the clock. */
  readonly start: number;
  /** The time between events, in milliseconds. */
  readonly pace: number;
}

type Status =
  | "queued"
  | "in_progress"
  | "completed"
  | "incomplete"
  | "failed"
  | "cancelled";

/**
 * A response of the Responses API. One in the background goes on by the clock,
 * whoever reads it, until it is cancelled.
 */
export class ResponseRun {
  readonly id: string;
  readonly isBackground: boolean;
  readonly start: number;
  readonly #init: ResponseRunInit;
  readonly #cancelled = new AbortController();
  /** The number of events that there will be. */
  readonly #length: number;
  #cancelledAt = Infinity;

  constructor(init: ResponseRunInit) {
    this.#init = init;
    this.id = `resp_${init.id}`;
    this.isBackground = init.request.background === true;
    this.start = init.start;
    let length = 0;
    // In the foreground nobody asks.
    if (this.isBackground) { for (const _ of this.#events()) length++; }
    this.#length = length;
  }

  /** Aborted when it is cancelled. */
  get cancelled(): AbortSignal {
    return this.#cancelled.signal;
  }

  /** Cancels it, unless it has ended. */
  cancel(now: number): void {
    if (this.#cancelled.signal.aborted || this.#hasEnded(now)) return;
    this.#cancelledAt = now;
    this.#cancelled.abort();
  }

  /** All its events, or those until it was cancelled; each with when it exists. */
  *events(): Generator<readonly [ResponseRunEvent, due: number | undefined]> {
    let index = 0;
    for (const event of this.#events()) {
      const due = this.isBackground ? this.#due(index) : undefined;
      if (due !== undefined && due > this.#cancelledAt) return;
      yield [event, due];
      index++;
    }
  }

  /** The response as it is now. */
  response(now: number): Readonly<Record<string, unknown>> {
    const { status, output } = this.#end();
    if (!this.isBackground) return this.#response(status, output);
    if (this.#cancelled.signal.aborted) return this.#response("cancelled");
    if (this.#hasEnded(now)) return this.#response(status, output);
    return this.#response(now < this.#due(2) ? "queued" : "in_progress");
  }

  /** Returns the response as it is when the provider fails. */
  failed(code: string, message: string): Readonly<Record<string, unknown>> {
    return { ...this.#response("failed"), error: { code, message } };
  }

  #due(index: number): number {
    return this.start + index * this.#init.pace;
  }

  #hasEnded(now: number): boolean {
    return now >= this.#due(this.#length - 1);
  }

  #end(): { status: Status; output: readonly unknown[] } {
    const { deltas, calls, isCut } = this.#init.speech;
    const status = isCut ? "incomplete" : "completed";
    const output = calls.length > 0
      ? calls.map((call, index) =>
        this.#call(index, call.name, call.arguments, status)
      )
      : [this.#message([this.#text(deltas.join(""))], status)];
    return { status, output };
  }

  #text(text: string) {
    return { type: "output_text", annotations: [], logprobs: [], text };
  }

  #message(content: readonly unknown[], status: Status) {
    return {
      id: `msg_${this.#init.id}`,
      type: "message",
      status,
      content,
      role: "assistant",
    };
  }

  #call(index: number, name: string, args: string, status: Status) {
    return {
      id: `fc_${this.#init.id}_${index}`,
      type: "function_call",
      status,
      arguments: args,
      call_id: `call_${this.#init.id}_${index}`,
      name,
    };
  }

  *#events(): Generator<ResponseRunEvent> {
    const { deltas, calls, isCut } = this.#init.speech;
    const begin = this.isBackground ? "queued" : "in_progress";
    yield { type: "response.created", response: this.#response(begin) };
    if (this.isBackground) {
      yield { type: "response.queued", response: this.#response(begin) };
    }
    yield {
      type: "response.in_progress",
      response: this.#response("in_progress"),
    };
    const end = isCut ? "incomplete" : "completed";
    if (calls.length === 0) yield* this.#said(deltas, end);
    for (const [index, call] of calls.entries()) {
      const { name, arguments: args, deltas } = call;
      const at = {
        item_id: `fc_${this.#init.id}_${index}`,
        output_index: index,
      };
      yield {
        type: "response.output_item.added",
        item: this.#call(index, name, "", "in_progress"),
        output_index: index,
      };
      for (const delta of deltas) {
        yield { type: "response.function_call_arguments.delta", delta, ...at };
      }
      yield {
        type: "response.function_call_arguments.done",
        arguments: args,
        ...at,
      };
      yield {
        type: "response.output_item.done",
        item: this.#call(index, name, args, end),
        output_index: index,
      };
    }
    const { status, output } = this.#end();
    yield {
      type: `response.${end}`,
      response: this.#response(status, output),
    };
  }

  *#said(deltas: readonly string[], end: Status): Generator<ResponseRunEvent> {
    const at = {
      content_index: 0,
      item_id: `msg_${this.#init.id}`,
      output_index: 0,
    };
    const text = deltas.join("");
    yield {
      type: "response.output_item.added",
      item: this.#message([], "in_progress"),
      output_index: 0,
    };
    yield { type: "response.content_part.added", ...at, part: this.#text("") };
    for (const delta of deltas) {
      yield { type: "response.output_text.delta", ...at, delta, logprobs: [] };
    }
    yield { type: "response.output_text.done", ...at, logprobs: [], text };
    yield { type: "response.content_part.done", ...at, part: this.#text(text) };
    yield {
      type: "response.output_item.done",
      item: this.#message([this.#text(text)], end),
      output_index: 0,
    };
  }

  #response(
    status: Status,
    output: readonly unknown[] = [],
  ): Readonly<Record<string, unknown>> {
    const { request, speech: { usage: { input, output: said } } } = this.#init;
    const hasUsage = status === "completed" || status === "incomplete";
    return {
      id: this.id,
      object: "response",
      created_at: CREATED,
      status,
      background: this.isBackground,
      completed_at: status === "completed" ? CREATED : null,
      error: null,
      incomplete_details: status === "incomplete"
        ? { reason: "max_output_tokens" }
        : null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      max_tool_calls: null,
      model: request.model,
      output,
      parallel_tool_calls: true,
      previous_response_id: null,
      reasoning: { effort: null, summary: null },
      service_tier: "default",
      store: true,
      temperature: 1,
      text: { format: { type: "text" }, verbosity: "medium" },
      tool_choice: request.tool_choice ?? "auto",
      tools: request.tools ?? [],
      top_logprobs: 0,
      top_p: 1,
      truncation: "disabled",
      usage: hasUsage
        ? {
          input_tokens: input,
          input_tokens_details: { cached_tokens: 0 },
          output_tokens: said,
          output_tokens_details: { reasoning_tokens: 0 },
          total_tokens: input + said,
        }
        : null,
      user: null,
      metadata: request.metadata ?? {},
    };
  }
}
