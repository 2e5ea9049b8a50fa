// This module is browser compatible.
import {
  fullInstructions,
  inputItems,
  type Prompt,
  type Reasoning,
  type RequestFacts,
  type Tool,
  type ToolChoice,
} from "../../prompt.ts";
import { type Fields, hasContent, isFields } from "../event_data.ts";
import { refuse } from "../refusal.ts";
import type { ServerTraits } from "../server_traits.ts";
import { toolNamed } from "../tool_choice.ts";
import { Conversation } from "./conversation.ts";
import { MESSAGES } from "./parts.ts";

/**
 * Returns what goes after a provider's `baseUrl`.
 *
 * Anthropic's own clients put `/v1/messages` after it, and others `/messages` after
 * one that ends in `/v1`: either is right here.
 *
 * @param baseUrl The URL.
 * @returns The path.
 */
export function messagesPath(baseUrl: string): string {
  return /\/v1\/*$/.test(new URL(baseUrl).pathname)
    ? "/messages"
    : "/v1/messages";
}

/** The most tokens of an answer, where neither the caller nor the server says it. */
const MAX_TOKENS = 32_000;

/** The models that take a budget for thinking, and no effort. */
const WITH_BUDGET =
  /claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[015])?(?:$|[-@]2|[-@:]latest))/;

/** The tokens for thinking that each effort is worth to these. */
const BUDGETS: Readonly<Record<string, number>> = {
  minimal: 1_024,
  low: 4_096,
  medium: 10_000,
  high: 20_000,
  xhigh: 28_000,
  max: 30_000,
};

/**
 * The body of a request to the Messages API.
 *
 * The conversation is translated from the items of the Responses API.
 *
 * @param facts The facts from which the body is made.
 * @param traits The differences of the server.
 * @returns The body.
 * @throws {TypeError} If this API has no place for something in the prompt.
 */
export function messagesBody(
  { model, prompt, reasoning }: RequestFacts,
  traits: ServerTraits,
): Record<string, unknown> {
  refuseRest(prompt);
  const conversation = new Conversation(fullInstructions(prompt));
  for (const [index, item] of inputItems(prompt).entries()) {
    conversation.add(item, `prompt.input.${index}`);
  }
  const { system, messages } = conversation;
  const maxTokens = prompt.maxOutputTokens ?? traits.maxTokens ?? MAX_TOKENS;
  const hasBudget = traits.hasThinkingBudget || WITH_BUDGET.test(model);
  const { thinking, config } = thinkingFields(reasoning, hasBudget, maxTokens);
  const format = outputFormat(prompt);
  const outputConfig = { ...config, ...(format ? { format } : {}) };
  return {
    model,
    max_tokens: maxTokens,
    ...(system === undefined ? {} : { system }),
    messages,
    ...toolFields(prompt),
    ...(thinking ? { thinking } : {}),
    ...(hasContent(outputConfig) ? { output_config: outputConfig } : {}),
    ...settingFields(prompt),
    stream: true,
    ...prompt.extra,
  };
}

/**
 * Learns from the body of a refusal what the server takes.
 *
 * @param traits The traits assumed so far.
 * @param refusal The body of its answer.
 * @returns The new traits; `undefined` if the refusal is about something else.
 */
export function learnMessagesTraits(
  traits: ServerTraits,
  refusal: string,
): ServerTraits | undefined {
  const [, asked, most] =
    /max_tokens: (\d+) > (\d+), which is the maximum/.exec(refusal) ?? [];
  // Not of a number that the caller has chosen.
  if (Number(asked) === (traits.maxTokens ?? MAX_TOKENS)) {
    return { ...traits, maxTokens: Number(most) };
  }
  const isAboutThinking =
    /adaptive thinking|thinking\.type|effort parameter|output_config\.effort/
      .test(refusal);
  return isAboutThinking && !traits.hasThinkingBudget
    ? { ...traits, hasThinkingBudget: true }
    : undefined;
}

/** Refuses what only the other APIs have a place for. */
function refuseRest(prompt: Prompt): void {
  const { previousResponseId, store, background, text, seed, logprobs } =
    prompt;
  if (previousResponseId !== undefined) {
    refuse(
      MESSAGES,
      "prompt.previousResponseId",
      "send the conversation itself",
    );
  }
  // The signature of reasoning always comes with it.
  const isOther = (name: string) => name !== "reasoning.encrypted_content";
  const include = prompt.include?.some(isOther);
  for (
    const [field, isGiven] of Object.entries({
      store,
      background,
      include,
      seed: seed !== undefined,
      logprobs: logprobs !== undefined && logprobs !== false,
    })
  ) if (isGiven) refuse(MESSAGES, `prompt.${field}`, "leave it out");
  for (const [field, value] of Object.entries(text ?? {})) {
    if (field !== "format" && value != null) {
      refuse(MESSAGES, `prompt.text.${field}`, "only 'format'");
    }
  }
}

function settingFields(prompt: Prompt): Fields {
  const { temperature, topP, stop } = prompt;
  return {
    ...(temperature === undefined ? {} : { temperature }),
    ...(topP === undefined ? {} : { top_p: topP }),
    ...(stop === undefined
      ? {}
      : { stop_sequences: typeof stop === "string" ? [stop] : stop }),
  };
}

function toolFields(prompt: Prompt): Fields {
  const { tools = [], toolChoice, parallelToolCalls } = prompt;
  if (tools.length === 0) return {};
  const isSerial = parallelToolCalls === false;
  const choice = toolChoice === undefined && !isSerial
    ? undefined
    : messagesToolChoice(toolChoice ?? "auto", tools);
  return {
    tools: tools.map(messagesTool),
    ...(choice === undefined ? {} : {
      tool_choice: isSerial && choice.type !== "none"
        ? { ...choice, disable_parallel_tool_use: true }
        : choice,
    }),
  };
}

function messagesToolChoice(
  choice: ToolChoice,
  tools: readonly Tool[],
): Fields {
  if (choice === "required") return { type: "any" };
  if (typeof choice === "string") return { type: choice };
  const named = toolNamed(choice, tools);
  if (named.type === "allowed_tools") {
    refuse(MESSAGES, "prompt.toolChoice", "leave the other tools out");
  }
  return typeof named.name === "string"
    ? { type: "tool", name: named.name }
    : named;
}

function messagesTool(tool: Tool, index: number): Fields {
  if (tool.type !== "function") {
    // Anthropic has a type of this name that takes a schema; OpenAI's takes text.
    if (tool.type === "custom" && !isFields(tool.input_schema)) {
      refuse(
        MESSAGES,
        `prompt.tools.${index}`,
        "a tool must take JSON: make it a function",
      );
    }
    return tool;
  }
  // In the shape of Chat, it is one level down.
  const { type: _, parameters, strict, ...rest } = isFields(tool.function)
    ? tool.function
    : tool as Fields;
  return {
    ...rest,
    ...(isFields(rest.input_schema) ? {} : {
      input_schema: {
        type: "object",
        ...(isFields(parameters) ? parameters : { properties: {} }),
      },
    }),
    ...(strict === true ? { strict } : {}),
  };
}

function outputFormat({ text }: Prompt): Fields | undefined {
  const format = text?.format;
  if (!isFields(format) || format.type === "text") return undefined;
  if (format.type !== "json_schema") {
    refuse(
      MESSAGES,
      "prompt.text.format",
      `the type ${JSON.stringify(format.type)}: give a 'json_schema'`,
    );
  }
  const { schema } = isFields(format.json_schema) ? format.json_schema : format;
  return { type: "json_schema", schema };
}

function thinkingFields(
  { effort: given, summary }: Reasoning = {},
  hasBudget: boolean,
  maxTokens: number,
): { readonly thinking?: Fields; readonly config?: Fields } {
  if (given === "none") return { thinking: { type: "disabled" } };
  const isShown = summary === undefined
    ? {}
    : { display: summary === "none" ? "omitted" : "summarized" };
  if (given === undefined && summary === undefined) return {};
  // The least that this API knows.
  const effort = given === "minimal" ? "low" : given;
  if (!hasBudget) {
    return {
      thinking: { type: "adaptive", ...isShown },
      ...(effort === undefined ? {} : { config: { effort } }),
    };
  }
  const budget = BUDGETS[given ?? "medium"] ?? BUDGETS["medium"] ?? 0;
  return {
    thinking: {
      type: "enabled",
      budget_tokens: Math.min(budget, maxTokens - 1),
      ...isShown,
    },
  };
}
