/**
 * Language models, streamed: one client for providers that speak OpenAI's
 * Responses or Chat Completions API, or Anthropic's Messages API.
 *
 * {@linkcode ModelClient} sends a {@linkcode Prompt} and yields the same
 * {@linkcode ResponseEvent}s for all three. Every stream ends exactly once
 * and says how: with `completed`, with `incomplete` and its reason, or with
 * a {@linkcode ModelError} whose `code` and `retryable` tell what to do. A stream
 * that merely stops is an error (`truncated`), not an answer.
 *
 * {@linkcode aggregate} turns the events into whole items, and
 * {@linkcode snapshot} returns the response so far. {@linkcode runTools} calls your
 * functions until the model answers. {@linkcode decodeResponse} reads the events that
 * somebody else has asked for, such as those of a topic of the relay. {@linkcode providers} has the URL and the
 * key's environment variable of known providers. With `fixture`, or
 * `RIVULET_SSE_FIXTURE` in the environment, answers come from a file.
 *
 * @example Ask a model
 * ```ts
 * import { ModelClient, providers } from "@rivulet/rivulet/model";
 * import { HostileProvider } from "@rivulet/rivulet/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const provider = new HostileProvider(); // stands for the real one here
 * const client = new ModelClient({
 *   model: "gpt-5",
 *   provider: { ...providers.openai, apiKey: "a key" },
 *   fetch: provider.fetch,
 * });
 *
 * let text = "";
 * let ending = "";
 * const prompt = { input: "Why is the sky blue?" };
 * for await (const event of await client.stream(prompt)) {
 *   if (event.type === "output_text.delta") text += event.delta;
 *   if (event.type === "completed") ending = event.type;
 * }
 * assertEquals([text !== "", ending], [true, "completed"]);
 * ```
 *
 * @module
 */
export * from "./aggregate.ts";
export {
  type DecodableMessage,
  type DecodableMessages,
  decodeResponse,
} from "./decode_response.ts";
export {
  ModelClient,
  type ModelClientOptions,
  type StreamOptions,
} from "./client.ts";
export {
  AnswerError,
  type AnswerFailure,
  type ProviderAnswer,
} from "./errors/answer_error.ts";
export { ConnectionFailedError } from "./errors/connection_failed_error.ts";
export {
  EnvironmentError,
  MissingKeyError,
} from "./errors/environment_errors.ts";
export { FixtureError } from "./errors/fixture_error.ts";
export {
  type FailureCode,
  ModelError,
  type ModelErrorCode,
  type ResponseFacts,
  type StreamErrorCode,
} from "./errors/model_error.ts";
export { NotAStreamError } from "./errors/not_a_stream_error.ts";
export { OutputError } from "./errors/output_error.ts";
export {
  type ProviderFailure,
  ResponseFailedError,
} from "./errors/response_failed_error.ts";
export {
  RetryAfterError,
  RetryLimitError,
  UnexpectedStatusError,
} from "./errors/status_errors.ts";
export { StreamError } from "./errors/stream_error.ts";
export { TurnLimitError } from "./errors/turn_limit_error.ts";
export { UnsupportedFetchError } from "./errors/unsupported_fetch_error.ts";
export type { Fixture } from "./fixture.ts";
export {
  type ContentPart,
  type CustomToolCallItem,
  type FunctionCallItem,
  type FunctionCallOutputItem,
  type InputFilePart,
  type InputImagePart,
  type InputItem,
  type InputTextPart,
  type LocalShellCallItem,
  type MessageItem,
  type OtherItem,
  type OtherPart,
  type OtherType,
  type OutputImagePart,
  type OutputTextPart,
  type ReasoningItem,
  type ReasoningTextPart,
  type RefusalPart,
  type ResponseItem,
} from "./item.ts";
export {
  assistant,
  file,
  type FileOptions,
  functionCallOutput,
  image,
  type ImageOptions,
  system,
  user,
} from "./input_items.ts";
export type { AnySchema, JsonSchema, ModelSchema } from "./model_schema.ts";
export type {
  Prompt,
  Reasoning,
  StructuredPrompt,
  Tool,
  ToolChoice,
} from "./prompt.ts";
export { type ModelProvider, providers, type WireApi } from "./provider.ts";
export type { RateLimit, RateLimits } from "./rate_limits.ts";
export type { ModelResponse } from "./requester.ts";
export type {
  CompletedEvent,
  CreatedEvent,
  IncompleteEvent,
  OtherEvent,
  OutputItemAddedEvent,
  OutputItemDoneEvent,
  OutputTextDeltaEvent,
  RateLimitsEvent,
  ReasoningDeltaEvent,
  ReasoningSummaryDeltaEvent,
  RefusalDeltaEvent,
  ResetEvent,
  ResponseEvent,
  ToolCallDeltaEvent,
  UsageEvent,
} from "./response_event.ts";
export { type FinalResponse, ResponseStream } from "./response_stream.ts";
export {
  type RunClient,
  type RunEvent,
  type RunFacts,
  type RunOptions,
  runTools,
  type ToolDoneEvent,
  ToolRun,
  type ToolStartedEvent,
} from "./run_tools.ts";
export * from "./snapshot.ts";
export {
  type DecodedEnd,
  StreamDecoder,
  type StreamDecoderOptions,
} from "./stream_decoder.ts";
export {
  type StructuredResponse,
  StructuredStream,
} from "./structured_stream.ts";
export {
  type RunnableTool,
  tool,
  type ToolContext,
  type ToolOptions,
} from "./tool.ts";
export type { Usage } from "./usage.ts";
export type {
  EventSchema,
  SchemaIssue,
  SchemaResult,
} from "../fetch/standard_schema.ts";
export type { Clock } from "../fetch/clock.ts";
export type { RetryPolicy } from "../fetch/retry.ts";
