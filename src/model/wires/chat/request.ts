// This module is browser compatible.
import {
  fullInstructions,
  type Prompt,
  type RequestFacts,
} from "../../prompt.ts";
import { type Fields, isFields } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import type { ServerTraits } from "../server_traits.ts";
import { messagesOf } from "./conversation.ts";
import { CHAT } from "./parts.ts";
import { chatTool, chatToolChoice } from "./tools.ts";

/** The path of Chat, which follows a provider's `baseUrl`. */
export const chatPath = "/chat/completions";

/**
 * The body of a request to the Chat Completions API.
 *
 * The conversation is translated from the items of the Responses API, and what has
 * the shape of Chat already is sent as it is. What Chat has no place for is
 * refused. Only reasoning is left out where a server does not want it back, as
 * most servers refuse it.
 *
 * @param facts The facts from which the body is made.
 * @param traits The differences of the server.
 * @returns The body.
 * @throws {TypeError} If Chat has no place for something in the prompt.
 */
export function chatBody(
  { model, prompt, reasoning }: RequestFacts,
  traits: ServerTraits,
): Record<string, unknown> {
  refuseRest(prompt);
  const { effort, summary } = reasoning ?? {};
  if (summary !== undefined && summary !== "none") {
    refuse(CHAT, "reasoning.summary", "leave it out");
  }
  const format = isFields(prompt.text?.format)
    ? responseFormat(prompt.text.format)
    : undefined;
  // A server that takes no schema makes JSON, and is told what it is to be like.
  const schema = traits.hasJsonSchema ? undefined : schemaIn(format);
  const verbosity = prompt.text?.verbosity;
  return {
    model,
    messages: messagesOf(
      schema === undefined ? prompt : withSchema(prompt, schema),
      traits.reasoningBack,
    ),
    stream: true,
    ...(traits.includeUsage ? { stream_options: { include_usage: true } } : {}),
    ...toolFields(prompt),
    ...(effort === undefined ? {} : effortFields(effort, traits)),
    ...(format
      ? { response_format: schema ? { type: "json_object" } : format }
      : {}),
    ...(verbosity == null ? {} : { verbosity }),
    ...(prompt.store ? { store: true } : {}),
    ...settingFields(prompt, traits),
    ...prompt.extra,
  };
}

function refuseRest(prompt: Prompt): void {
  const { previousResponseId, include, background, text } = prompt;
  if (previousResponseId !== undefined) {
    refuse(CHAT, "prompt.previousResponseId", "send the conversation itself");
  }
  if (include !== undefined && include.length > 0) {
    refuse(CHAT, "prompt.include", "leave it out");
  }
  if (background) refuse(CHAT, "prompt.background", "leave it out");
  for (const field of Object.keys(text ?? {})) {
    if (field !== "format" && field !== "verbosity") {
      refuse(CHAT, `prompt.text.${field}`, "only 'format' and 'verbosity'");
    }
  }
}

function toolFields(prompt: Prompt): Fields {
  const { tools = [], toolChoice, parallelToolCalls } = prompt;
  if (tools.length === 0) return {};
  return {
    tools: tools.map((tool, index) => chatTool(tool, `prompt.tools.${index}`)),
    ...(toolChoice === undefined
      ? {}
      : { tool_choice: chatToolChoice(toolChoice, tools) }),
    ...(parallelToolCalls === undefined
      ? {}
      : { parallel_tool_calls: parallelToolCalls }),
  };
}

function effortFields(effort: string, { hasThinking }: ServerTraits): Fields {
  return effort === "none" && hasThinking
    ? { thinking: { type: "disabled" } }
    : { reasoning_effort: effort };
}

function settingFields(prompt: Prompt, { tokenLimit }: ServerTraits): Fields {
  const { temperature, topP, maxOutputTokens, stop, seed, logprobs } = prompt;
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(maxOutputTokens === undefined ? {} : { [tokenLimit]: maxOutputTokens }),
    ...(stop === undefined ? {} : { stop }),
    ...(seed === undefined ? {} : { seed }),
    ...(logprobs === undefined ? {} : { logprobs: logprobs !== false }),
    ...(typeof logprobs === "number" ? { top_logprobs: logprobs } : {}),
  };
}

function responseFormat(format: Fields): Fields | undefined {
  if (format.type === "text") return undefined; // is the default
  if (format.type !== "json_schema" || isFields(format.json_schema)) {
    return format;
  }
  const { type, ...schema } = format;
  return { type, json_schema: schema };
}

function schemaIn(format: Fields | undefined): unknown {
  return isFields(format?.json_schema) ? format.json_schema.schema : undefined;
}

function withSchema(prompt: Prompt, schema: unknown): Prompt {
  const demand =
    `Answer with JSON that fits this JSON Schema, and nothing else: ${
      JSON.stringify(schema)
    }`;
  const instructions = fullInstructions(prompt);
  return {
    ...prompt,
    instructions: instructions === undefined
      ? demand
      : `${instructions}\n${demand}`,
    userInstructions: undefined,
  };
}
