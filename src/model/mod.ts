/**
 * Language models, streamed: one client for the providers that speak OpenAI's
 * Responses or Chat Completions API.
 *
 * @module
 */
export * from "./aggregate.ts";
export {
  ModelClient,
  type ModelClientOptions,
  type StreamOptions,
} from "./client.ts";
export * from "./errors.ts";
export type { Fixture } from "./fixture.ts";
export {
  type ContentPart,
  type CustomToolCallItem,
  type FunctionCallItem,
  functionCallOutput,
  type FunctionCallOutputItem,
  type InputImagePart,
  type InputItem,
  type InputTextPart,
  type LocalShellCallItem,
  type MessageItem,
  type OtherItem,
  type OtherPart,
  type OtherType,
  type OutputTextPart,
  type ReasoningItem,
  type ReasoningTextPart,
  type RefusalPart,
  type ResponseItem,
  user,
} from "./item.ts";
export type { Prompt, Reasoning, Tool } from "./prompt.ts";
export { type ModelProvider, providers, type WireApi } from "./provider.ts";
export type { RateLimit, RateLimits } from "./rate_limits.ts";
export type { ModelResponse } from "./requester.ts";
export * from "./response_event.ts";
export { type FinalResponse, ResponseStream } from "./response_stream.ts";
export * from "./snapshot.ts";
export type { Usage } from "./usage.ts";
export type { Clock } from "../fetch/clock.ts";
export type { RetryPolicy } from "../fetch/retry.ts";
