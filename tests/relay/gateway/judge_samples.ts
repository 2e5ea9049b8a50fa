/**
 * Streams as providers end them, and what is to be said of each.
 *
 * @module
 */
import type { Verdict } from "../../../relay/gateway/judge.ts";
import type { Sent } from "../../support/model/sent_events.ts";

/** One stream. */
export interface Sample {
  readonly name: string;
  readonly path: string;
  readonly stream: readonly Sent[];
  /** The verdict of the events; left out if there is none. */
  readonly verdict?: Verdict;
  /**
   * The verdict when the body ends cleanly. Default: the verdict. Default: the
   * verdict.
   */
  readonly end?: Verdict;
  /** Whether nothing more is to come. Default: no. */
  readonly isOver?: boolean;
}

const COMPLETE: Verdict = { status: "complete" };
const because = (reason: string): Verdict => ({ status: "complete", reason });
const failed = (reason: string): Verdict => ({ status: "failed", reason });
const NO_REASON = failed("the provider gives no reason");
const DONE = "[DONE]";

/* Responses */

const CUT_RESPONSE: Verdict = {
  status: "truncated",
  reason: "stream closed before response.completed",
};
const CREATED = {
  type: "response.created",
  sequence_number: 0,
  response: { id: "resp_1", status: "in_progress", error: null },
};
const TEXT = {
  type: "response.output_text.delta",
  sequence_number: 1,
  delta: "Hi",
};
const ended = (type: string, response?: unknown) => ({
  type: `response.${type}`,
  sequence_number: 2,
  response,
});
const OVERLOADED = { code: "server_is_overloaded", message: "Try later" };
const FAILED = ended("failed", { status: "failed", error: OVERLOADED });

// deno-fmt-ignore
const RESPONSES: Omit<Sample, "path">[] = [
  { name: "nothing", stream: [], end: CUT_RESPONSE },
  { name: "no end", stream: [CREATED, TEXT], end: CUT_RESPONSE },
  { name: "response.completed", stream: [CREATED, TEXT, ended("completed", { status: "completed" })], verdict: COMPLETE },
  { name: "response.completed without a response", stream: [ended("completed")], verdict: COMPLETE },
  { name: "a response that is none", stream: [ended("completed", "odd")], verdict: COMPLETE },
  { name: "[DONE] after the end (OpenRouter)", stream: [CREATED, ended("completed"), " [DONE]\n"], verdict: COMPLETE, isOver: true },
  { name: "[DONE] instead of the end", stream: [CREATED, DONE], end: CUT_RESPONSE },
  { name: "[DONE] before the end", stream: [CREATED, DONE, ended("completed")], verdict: COMPLETE },
  { name: "a type that is only in the name", stream: [["response.completed", { response: { status: "completed" } }]], verdict: COMPLETE },
  { name: "a name with nothing", stream: [["response.completed", {}]], verdict: COMPLETE },
  { name: "a type that is not the name", stream: [["response.completed", { type: "response.queued" }]], end: CUT_RESPONSE },
  { name: "a type that is no text", stream: [["response.failed", { type: 5 }]], verdict: NO_REASON },
  { name: "an end within a text", stream: [CREATED, { ...TEXT, delta: '{"type":"response.completed"}' }], end: CUT_RESPONSE },
  { name: "an end within an item", stream: [{ type: "response.output_item.done", item: { type: "response.completed", error: OVERLOADED } }], end: CUT_RESPONSE },
  { name: "response.failed", stream: [CREATED, FAILED], verdict: failed("server_is_overloaded: Try later") },
  { name: "response.failed without an error", stream: [ended("failed", { error: null })], verdict: NO_REASON },
  { name: "response.failed of a response that is completed", stream: [ended("failed", { status: "completed", error: { message: "no" } })], verdict: failed("no") },
  { name: "completed, and it says that it has failed", stream: [ended("completed", { status: "failed", error: OVERLOADED })], verdict: failed("server_is_overloaded: Try later") },
  { name: "response.incomplete", stream: [CREATED, ended("incomplete", { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } })], verdict: because("incomplete: max_output_tokens") },
  { name: "response.incomplete for a filter", stream: [ended("incomplete", { incomplete_details: { reason: "content_filter" } })], verdict: because("incomplete: content_filter") },
  { name: "response.incomplete without a reason", stream: [ended("incomplete", { incomplete_details: null })], verdict: because("incomplete: unknown") },
  { name: "response.incomplete with an empty reason", stream: [ended("incomplete", { incomplete_details: { reason: "" } })], verdict: because("incomplete: unknown") },
  { name: "completed, and it says that it is incomplete", stream: [ended("completed", { status: "incomplete", incomplete_details: { reason: "x" } })], verdict: because("incomplete: x") },
  { name: "completed, and it says that it was cancelled", stream: [CREATED, ended("completed", { status: "cancelled" })], verdict: { status: "cancelled" } },
  { name: "incomplete, and it says that it was cancelled", stream: [CREATED, ended("incomplete", { status: "cancelled" })], verdict: { status: "cancelled" } },
  { name: "response.cancelled", stream: [CREATED, ended("cancelled")], verdict: { status: "cancelled" } },
  { name: "an error as OpenAI sends it, then response.failed", stream: [CREATED, { type: "error", error: { type: "tokens", code: "rate_limit_exceeded", message: "Slow" } }, FAILED], verdict: failed("rate_limit_exceeded: Slow") },
  { name: "an error as OpenAI describes it", stream: [{ type: "error", code: "oops", message: "Broken", param: null }], verdict: failed("oops: Broken") },
  { name: "an error with a type of its own only", stream: [{ type: "error", error: { type: "server_error", message: "Broken" } }], verdict: failed("server_error: Broken") },
  { name: "an error with a code and no words", stream: [{ type: "error", error: { code: 503 } }], verdict: failed("503") },
  { name: "an error without a type", stream: [{ error: { message: "busy" } }], verdict: failed("busy") },
  { name: "an error that is null", stream: [{ error: null }], end: CUT_RESPONSE },
  { name: "event: error with words", stream: [["error", "oops"]], verdict: failed("oops") },
  { name: "event: error with a text", stream: [["error", '"oops"']], verdict: failed("oops") },
  { name: "event: error with nothing", stream: [["error", " "]], end: CUT_RESPONSE },
  { name: "event: error with [DONE]", stream: [["error", DONE]], end: CUT_RESPONSE },
  { name: "an error after the end", stream: [ended("completed"), { type: "error", message: "late" }], verdict: COMPLETE },
  { name: "another end after the end, and [DONE]", stream: [FAILED, ended("completed"), DONE], verdict: failed("server_is_overloaded: Try later"), isOver: true },
  { name: "a ping and what is no JSON", stream: ["", "ping", "{", "null", "5", "[]", ["keepalive", ""]], end: CUT_RESPONSE },
];

/* Chat */

const CUT_CHAT: Verdict = {
  status: "truncated",
  reason: "stream closed before [DONE] or a finish_reason",
};
const chunk = (...choices: unknown[]) => ({
  id: "c",
  object: "chat.completion.chunk",
  choices,
});
const choice = (finish_reason: unknown = null, index: unknown = 0) => ({
  index,
  delta: { content: "Hi" },
  finish_reason,
});
const HI = chunk(choice());
const STOP = chunk(choice("stop"));
const USAGE = { ...chunk(), usage: { total_tokens: 3 } };
const LIMIT = { code: 400, message: "Token limit reached" };

// deno-fmt-ignore
const CHAT: Omit<Sample, "path">[] = [
  { name: "nothing", stream: [], end: CUT_CHAT },
  { name: "no end", stream: [HI, HI], end: CUT_CHAT },
  { name: "finish_reason, usage, [DONE]", stream: [HI, STOP, USAGE, DONE], verdict: COMPLETE, isOver: true },
  { name: "finish_reason and no [DONE]", stream: [HI, STOP], verdict: COMPLETE },
  { name: "finish_reason, then usage", stream: [HI, STOP, USAGE], verdict: COMPLETE },
  { name: "[DONE] without a finish_reason", stream: [HI, " [DONE] "], verdict: COMPLETE, isOver: true },
  { name: "[DONE] with the key left out (Snowflake)", stream: [chunk({ delta: { content: "Hi" } }), USAGE, DONE], verdict: COMPLETE, isOver: true },
  { name: "[DONE] and no choice ever", stream: [USAGE, DONE], isOver: true, end: CUT_CHAT },
  { name: "[DONE] and nothing else", stream: [DONE], isOver: true, end: CUT_CHAT },
  ...["stop", "tool_calls", "function_call", "end_turn", "STOP", "eos"].map((reason) => (
    { name: `finish_reason "${reason}"`, stream: [HI, chunk(choice(reason))], verdict: COMPLETE }
  )),
  ...["length", "content_filter", "max_tokens", "insufficient_system_resource"].map((reason) => (
    { name: `finish_reason "${reason}"`, stream: [HI, chunk(choice(reason)), DONE], verdict: because(`finish_reason: ${reason}`), isOver: true }
  )),
  { name: 'finish_reason "error"', stream: [HI, chunk(choice("error"))], verdict: failed("error") },
  { name: 'finish_reason "Error" and [DONE]', stream: [HI, chunk(choice("Error")), DONE], verdict: failed("Error"), isOver: true },
  { name: 'finish_reason "" in the middle', stream: [chunk(choice("")), HI], end: CUT_CHAT },
  { name: 'finish_reason "" after another', stream: [HI, chunk(choice("length")), chunk(choice(""))], verdict: because("finish_reason: length") },
  { name: "finish_reason that is no text", stream: [HI, chunk(choice(true)), chunk(choice(["stop"]))], end: CUT_CHAT },
  { name: "a finish_reason with every chunk (OpenRouter)", stream: [chunk(choice("length")), chunk(choice("stop"))], verdict: COMPLETE },
  { name: "a finish_reason, then a chunk without (OpenRouter)", stream: [STOP, HI], verdict: COMPLETE },
  { name: "a choice without a delta (Azure)", stream: [chunk(), HI, chunk({ index: 0, finish_reason: "stop" }), chunk({ index: 0, finish_reason: null, content_filter_results: {} })], verdict: COMPLETE },
  { name: "an error chunk with its usage, a choice, and [DONE] (OpenRouter)", stream: [chunk(choice("length")), { ...HI, error: LIMIT, usage: {} }, DONE], verdict: failed("400: Token limit reached"), isOver: true },
  { name: 'an error after a finish_reason "error"', stream: [chunk(choice("error")), { error: LIMIT }], verdict: failed("400: Token limit reached") },
  { name: "an error after a finish_reason", stream: [STOP, { error: LIMIT }], verdict: failed("400: Token limit reached") },
  { name: "an error, then a finish_reason and [DONE]", stream: [{ error: LIMIT }, STOP, DONE], verdict: failed("400: Token limit reached"), isOver: true },
  { name: "two errors", stream: [{ error: LIMIT }, { error: "second" }], verdict: failed("400: Token limit reached") },
  { name: "two errors, the second by its name", stream: [{ error: LIMIT }, ["error", "second"]], verdict: failed("400: Token limit reached") },
  { name: "an error that is a text (Hugging Face)", stream: [{ error: "busy" }], verdict: failed("busy") },
  { name: "an error within a choice", stream: [HI, chunk({ ...choice(), error: { code: 429, message: "Slow" } })], verdict: failed("429: Slow") },
  { name: "an error that is the chunk (vLLM)", stream: [HI, { object: "error", message: "Too long", code: 400 }], verdict: failed("400: Too long") },
  { name: "an error in a chunk that is one", stream: [{ object: "error", error: { message: "inner" }, message: "outer" }], verdict: failed("inner") },
  { name: "x_groq.error", stream: [HI, { ...chunk(), x_groq: { error: "over capacity" } }], verdict: failed("over capacity") },
  { name: "errors that are none", stream: [HI, { ...STOP, error: null }, { ...HI, error: {}, x_groq: { error: "" } }, { ...HI, error: false }], verdict: COMPLETE },
  { name: "event: error (Groq)", stream: [HI, ["error", { error: { code: "tool_use_failed", type: "invalid_request_error", message: "No such tool" } }]], verdict: failed("tool_use_failed: No such tool") },
  { name: "event: error with the error itself (llama.cpp)", stream: [HI, ["error", { code: 500, message: "oops" }]], verdict: failed("500: oops") },
  { name: "event: error with an error that is none", stream: [HI, ["error", { error: {}, message: "oops" }]], verdict: failed("oops") },
  { name: "event: error with words", stream: [HI, ["error", " oops "]], verdict: failed("oops") },
  { name: "event: error with nothing", stream: [HI, ["error", ""], DONE], verdict: NO_REASON, isOver: true },
  { name: "event: error after [DONE]", stream: [HI, DONE, ["error", "late"]], verdict: COMPLETE, isOver: true },
  { name: "chunks after [DONE]", stream: [HI, DONE, chunk(choice("length")), { error: LIMIT }], verdict: COMPLETE, isOver: true },
  { name: "an end within a text", stream: [HI, chunk({ index: 0, delta: { content: '"finish_reason":"stop" [DONE] {"error":"x"}' } })], end: CUT_CHAT },
  { name: "an end within a tool call", stream: [HI, chunk({ index: 0, delta: { tool_calls: [{ index: 1, finish_reason: "stop", error: "no" }] } })], end: CUT_CHAT },
  { name: "pings, comments and what is no JSON", stream: ["", HI, "OPENROUTER PROCESSING", "{", "null", "5", "[]", { choices: 5 }, ["ping", ""]], end: CUT_CHAT },
  { name: "choices that are none", stream: [chunk(null, 5, "x"), DONE], isOver: true, end: CUT_CHAT },
  { name: "a choice beside what is none", stream: [chunk(null, choice("length")), chunk("x", choice())], verdict: because("finish_reason: length") },
  { name: "two choices, both finished at once, the first cut, no index", stream: [HI, chunk({ finish_reason: "length" }, { finish_reason: "stop" })], verdict: because("finish_reason: length") },
  { name: "two choices, one finished", stream: [HI, chunk(choice(null, 1)), STOP], end: CUT_CHAT },
  { name: "two choices, one finished, the other seen after it", stream: [HI, STOP, chunk(choice(null, 1))], end: CUT_CHAT },
  { name: "two choices, the other finished", stream: [HI, chunk(choice(null, 1)), chunk(choice("stop", 1))], end: CUT_CHAT },
  { name: "two choices, both finished", stream: [HI, chunk(choice(null, 1)), STOP, chunk(choice("stop", 1))], verdict: COMPLETE },
  { name: "two choices, both finished at once, no index", stream: [HI, chunk({ finish_reason: "stop" }, { finish_reason: "length" })], verdict: because("finish_reason: length") },
  { name: "two choices, one finished, and [DONE]", stream: [HI, chunk(choice(null, 1)), STOP, DONE], verdict: COMPLETE, isOver: true },
  { name: "two choices, one cut, and [DONE]", stream: [HI, chunk(choice(null, 1)), chunk(choice("length")), DONE], verdict: because("finish_reason: length"), isOver: true },
  { name: "two choices, one failed", stream: [HI, chunk(choice("error", 1)), STOP], verdict: failed("error") },
];

const COMPLETIONS: Omit<Sample, "path">[] = [
  {
    name: "a completion of old",
    stream: [
      { choices: [{ text: "Hi", index: 0, finish_reason: null }] },
      { choices: [{ text: "", index: 0, finish_reason: "length" }] },
      DONE,
    ],
    verdict: because("finish_reason: length"),
    isOver: true,
  },
];

/* Anthropic */

const CUT_MESSAGE: Verdict = {
  status: "truncated",
  reason: "stream closed before message_stop",
};
type Named = readonly [name: string, data: Record<string, unknown>];
const named = (type: string, fields: object = {}): Named => [
  type,
  { type, ...fields },
];
const START = named("message_start", {
  message: { id: "msg_1", stop_reason: null },
});
const DELTA = named("content_block_delta", {
  delta: { type: "text_delta", text: "Hi" },
});
const stopped = (stop_reason: unknown) =>
  named("message_delta", { delta: { stop_reason }, usage: {} });
const END = named("message_stop");
const BUSY = named("error", {
  error: { type: "overloaded_error", message: "Overloaded" },
});

// deno-fmt-ignore
const ANTHROPIC: Omit<Sample, "path">[] = [
  { name: "nothing", stream: [], end: CUT_MESSAGE },
  { name: "no end", stream: [START, named("ping"), DELTA], end: CUT_MESSAGE },
  { name: "message_stop", stream: [START, DELTA, stopped("end_turn"), END], verdict: COMPLETE, isOver: true },
  { name: "message_stop without a stop_reason", stream: [START, stopped(null), END], verdict: COMPLETE, isOver: true },
  ...["tool_use", "stop_sequence"].map((reason) => (
    { name: `stop_reason "${reason}"`, stream: [START, stopped(reason), END], verdict: COMPLETE, isOver: true }
  )),
  ...["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded"].map((reason) => (
    { name: `stop_reason "${reason}"`, stream: [START, stopped(reason), END], verdict: because(`stop_reason: ${reason}`), isOver: true }
  )),
  { name: "a stop_reason and no message_stop", stream: [START, stopped("end_turn")], end: { status: "truncated", reason: "stream closed before message_stop (stop_reason: end_turn)" } },
  { name: "a stop_reason, then a delta without", stream: [START, stopped("max_tokens"), stopped(null), named("message_delta", { usage: {} }), END], verdict: because("stop_reason: max_tokens"), isOver: true },
  { name: "a stop_reason elsewhere", stream: [named("message_start", { delta: { stop_reason: "max_tokens" } }), END], verdict: COMPLETE, isOver: true },
  { name: "message_start twice", stream: [START, DELTA, START, DELTA, stopped("end_turn"), END], verdict: COMPLETE, isOver: true },
  { name: "an error", stream: [START, DELTA, BUSY], verdict: failed("overloaded_error: Overloaded") },
  { name: "an error before anything", stream: [BUSY], verdict: failed("overloaded_error: Overloaded") },
  { name: "an error after a stop_reason", stream: [START, stopped("end_turn"), BUSY], verdict: failed("overloaded_error: Overloaded") },
  { name: "an error, then message_stop", stream: [START, BUSY, END], verdict: failed("overloaded_error: Overloaded"), isOver: true },
  { name: "two errors", stream: [BUSY, ["error", "second"]], verdict: failed("overloaded_error: Overloaded") },
  { name: "an error after message_stop", stream: [START, END, BUSY], verdict: COMPLETE, isOver: true },
  { name: "an error with its type in the data only", stream: [BUSY[1]], verdict: failed("overloaded_error: Overloaded") },
  { name: "an error without a type", stream: [{ error: { message: "busy" } }], verdict: failed("busy") },
  { name: "an error that is its own details", stream: [{ type: "error", message: "busy" }], verdict: failed("busy") },
  { name: "an error with its name only", stream: [["error", "oops"]], verdict: failed("oops") },
  { name: "types in the data only", stream: [START[1], DELTA[1], stopped("refusal")[1], END[1]], verdict: because("stop_reason: refusal"), isOver: true },
  { name: "types in the names only", stream: [["message_delta", { delta: { stop_reason: "refusal" } }], ["message_stop", {}]], verdict: because("stop_reason: refusal"), isOver: true },
  { name: "a name with nothing", stream: [START, ["message_stop", ""]], verdict: COMPLETE, isOver: true },
  { name: "a type that is not the name", stream: [["message_stop", { type: "ping" }]], end: CUT_MESSAGE },
  { name: "an end within a text", stream: [START, named("content_block_delta", { delta: { text: '{"type":"message_stop"} "error"' } })], end: CUT_MESSAGE },
  { name: "an end within a tool's input", stream: [named("content_block_start", { content_block: { type: "message_stop", error: "no" } })], end: CUT_MESSAGE },
  { name: "an error that is null", stream: [START, named("ping", { error: null })], end: CUT_MESSAGE },
  { name: "[DONE], and what is no JSON", stream: [START, DONE, "{", "null", "[]", ""], end: CUT_MESSAGE },
];

/* Anything else */

// deno-fmt-ignore
const PLAIN: Omit<Sample, "path">[] = [
  { name: "nothing", stream: [], end: COMPLETE },
  { name: "the end of the body", stream: [{ candidates: [] }, "text", "{"], end: COMPLETE },
  { name: "[DONE]", stream: [{ a: 1 }, ["done", "[DONE]"]], verdict: COMPLETE, isOver: true },
  { name: "an error object", stream: [{ a: 1 }, { error: { code: 503, status: "UNAVAILABLE", message: "Busy" } }], verdict: failed("503: Busy") },
  { name: "an error, then [DONE]", stream: [{ error: "busy" }, DONE], verdict: failed("busy"), isOver: true },
  { name: "two errors", stream: [{ error: "first" }, { error: "second" }, ["error", "third"]], verdict: failed("first") },
  { name: "a type of error", stream: [{ type: "error", message: "busy" }], verdict: failed("busy") },
  { name: "an object of error", stream: [{ object: "error", message: "busy" }], verdict: failed("busy") },
  { name: "event: error", stream: [["error", { error: { message: "busy" } }]], verdict: failed("busy") },
  { name: "event: error with nothing", stream: [["error", ""]], verdict: NO_REASON },
  { name: "event: error after [DONE]", stream: [DONE, ["error", "late"]], verdict: COMPLETE, isOver: true },
  { name: "errors that are none", stream: [{ error: null }, { error: "" }, { error: [] }, { error: 0 }, '["error"]', '"error"'], end: COMPLETE },
  { name: "an error further in", stream: [{ data: { error: "busy" } }], end: COMPLETE },
];

/** All of them. */
export const SAMPLES: readonly Sample[] = [
  ...RESPONSES.map((row) => ({ ...row, path: "responses" })),
  ...CHAT.map((row) => ({ ...row, path: "chat/completions" })),
  ...COMPLETIONS.map((row) => ({ ...row, path: "completions" })),
  ...ANTHROPIC.map((row) => ({ ...row, path: "messages" })),
  ...PLAIN.map((row) => ({ ...row, path: "audio/transcriptions" })),
];
