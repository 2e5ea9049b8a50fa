// This module is browser compatible.
import type { InputItem } from "../../item.ts";
import {
  fullInstructions,
  inputItems,
  type Prompt,
  type Reasoning,
  type RequestFacts,
  type Tool,
} from "../../prompt.ts";
import { type Fields, hasContent, isFields, textOf } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import type { ServerTraits } from "../server_traits.ts";
import { toolNamed } from "../tool_choice.ts";

/** The path of the Responses API, after the provider's base URL. */
export const responsesPath = "/responses";

/** The path and query of a request, after the provider's base URL. */
export interface ResumeTarget {
  /** The path. */
  readonly path: string;
  /** The query parameters of this request, beside the provider's own. */
  readonly query: Record<string, string>;
}

/** The name of this API in messages. */
const RESPONSES = "the Responses API";

/** The part of a response that lets the next request go on where nothing is stored. */
const ENCRYPTED_REASONING = "reasoning.encrypted_content";
const LOGPROBS = "message.output_text.logprobs";

/**
 * The body of a request to the Responses API, its fields in the order that the
 * reference has them in.
 *
 * Where it differs from the reference: nothing of one product's prompt or tools
 * is put in, and what nobody has asked for is left out. `reasoning` depends on
 * what the caller asks for, not on how the model's name begins (there "o" or
 * "codex"), as the caller knows which models can reason.
 *
 * @param facts The prompt, and the model.
 * @param traits The differences of the server.
 * @returns The body, to be made JSON of.
 * @throws {TypeError} If the API has no place for something in the prompt.
 */
export function responsesBody(
  facts: RequestFacts,
  traits: ServerTraits,
): Record<string, unknown> {
  const { model, prompt } = facts;
  const { previousResponseId, background } = prompt;
  for (const field of ["stop", "seed"] as const) {
    if (prompt[field] !== undefined) {
      refuse(RESPONSES, `prompt.${field}`, "leave it out");
    }
  }
  const instructions = fullInstructions(prompt);
  const reasoning = wireReasoning(facts.reasoning);
  const include = includeOf(prompt, traits);
  const text = prompt.text;
  return {
    model,
    ...(instructions === undefined ? {} : { instructions }),
    input: inputOf(prompt),
    ...toolFields(prompt),
    ...(reasoning === undefined ? {} : { reasoning }),
    ...(previousResponseId === undefined
      ? {}
      : { previous_response_id: previousResponseId }),
    store: prompt.store ?? false,
    stream: true,
    ...(include.length === 0 ? {} : { include }),
    ...(text === undefined ? {} : { text }),
    ...(background === undefined ? {} : { background }),
    ...settingFields(prompt),
    ...prompt.extra,
  };
}

/** Whether the provider keeps nothing that a later request could refer to. */
function isStateless({ store, extra }: Prompt): boolean {
  return (extra?.store ?? store ?? false) === false;
}

function includeOf(
  prompt: Prompt,
  { encryptedReasoning }: ServerTraits,
): readonly string[] {
  const include = new Set(prompt.include);
  // Without it, the next request has reasoning by an id that nobody knows.
  if (isStateless(prompt) && encryptedReasoning) {
    include.add(ENCRYPTED_REASONING);
  }
  if (prompt.logprobs !== undefined && prompt.logprobs !== false) {
    include.add(LOGPROBS);
  }
  return [...include];
}

/**
 * The conversation, as a provider takes it back: one that keeps nothing knows no
 * reasoning by its id, and none takes reasoning that nothing has followed.
 */
function inputOf(prompt: Prompt): readonly InputItem[] {
  const items = inputItems(prompt);
  const isWhole = isStateless(prompt) &&
    prompt.previousResponseId === undefined;
  return items.filter((item, index) => {
    const path = `prompt.input.${index}`;
    refuseChatShape(item, path);
    if (item.type !== "reasoning") return true;
    if (item.status === "incomplete" || isLast(items, index)) return false;
    if (
      isWhole && !hasContent(item.encrypted_content) &&
      !hasContent(item.content)
    ) {
      refuse(
        RESPONSES,
        path,
        "reasoning without 'encrypted_content', where nothing is stored: leave it out, or set 'store'",
      );
    }
    return true;
  });
}

/** Whether nothing of the model's follows: its answer was cut off. */
function isLast(items: readonly InputItem[], index: number): boolean {
  for (const item of items.slice(index + 1)) {
    if (item.type === "reasoning") continue;
    return (item.type ?? "message") === "message"
      ? item.role !== "assistant"
      : textOf(item.type).endsWith("_output");
  }
  return true;
}

function refuseChatShape(item: InputItem, path: string): void {
  const hasMessage = (item.type ?? "message") === "message";
  if (!hasMessage) return;
  if (item.role === "tool") {
    refuse(
      RESPONSES,
      `${path}.role`,
      "a message of a tool: functionCallOutput() makes an item",
    );
  }
  if (item.tool_calls !== undefined) {
    refuse(
      RESPONSES,
      `${path}.tool_calls`,
      "calls are items of the type 'function_call'",
    );
  }
  if (item.name !== undefined) {
    refuse(RESPONSES, `${path}.name`, "put it into the text");
  }
}

function toolFields(prompt: Prompt): Fields {
  const { tools = [], toolChoice, parallelToolCalls } = prompt;
  if (tools.length === 0) return {};
  return {
    tools: tools.map(flatTool),
    ...(toolChoice === undefined ? {} : {
      tool_choice: typeof toolChoice === "string"
        ? toolChoice
        : toolNamed(toolChoice, tools),
    }),
    ...(parallelToolCalls === undefined
      ? {}
      : { parallel_tool_calls: parallelToolCalls }),
  };
}

/** A tool in Chat's shape, which has one level more, in the shape of Responses. */
function flatTool(tool: Tool): Tool {
  const { function: definition, ...more } = tool;
  return isFields(definition) ? { ...more, ...definition } : tool;
}

function settingFields(prompt: Prompt): Fields {
  const { temperature, topP, maxOutputTokens, logprobs } = prompt;
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(maxOutputTokens === undefined
      ? {}
      : { max_output_tokens: maxOutputTokens }),
    ...(typeof logprobs === "number" ? { top_logprobs: logprobs } : {}),
  };
}

function wireReasoning(
  reasoning: Reasoning | undefined,
): Record<string, string> | undefined {
  const { effort, summary } = reasoning ?? {};
  const fields = {
    ...(effort === undefined ? {} : { effort }),
    ...(summary === undefined || summary === "none" ? {} : { summary }),
  };
  return hasContent(fields) ? fields : undefined;
}

/**
 * Returns the path at which to read on in a response that is made in the
 * background.
 *
 * @param responseId The id of the response.
 * @param startingAfter The number of the last event that was read; without it the
 * response is told from its start.
 * @returns The path and the query.
 */
export function resumePath(
  responseId: string,
  startingAfter?: number,
): ResumeTarget {
  return {
    path: `${responsesPath}/${encodeURIComponent(responseId)}`,
    query: {
      stream: "true",
      ...(startingAfter === undefined
        ? {}
        : { starting_after: String(startingAfter) }),
    },
  };
}
